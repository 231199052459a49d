use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;
use crate::api::protocol::{Action, Refused};
use crate::events::{Event, Told};
use crate::failure::{Failure, FailureKind};
use crate::monitor::app::tests::app;
use crate::monitor::rates::Sample;
use crate::monitor::rates::tests::samples;

/// Three tunnels with a minute of traffic behind them, and some events.
fn busy() -> App {
    let mut app = app();
    let [_, mut sample] = samples();
    for second in 1_u64..=60 {
        sample = Sample { at: sample.at + app.interval, ..sample };
        let wave = [1, 3, 6, 9, 12, 9, 6, 3][usize::try_from(second).unwrap() % 8];
        let traffic = &mut sample.tunnels[0].1.traffic;
        traffic.xdp.sent_packets += wave * 2_000;
        traffic.xdp.sent_bytes += wave * 2_800_000;
        traffic.xdp.received_packets += 9_000;
        traffic.xdp.received_bytes += (13 - wave) * 400_000;
        traffic.tc.sent_packets += 2_500;
        traffic.tc.sent_bytes += 1_000_000;
        sample.tunnels[0].1.refused[0].packets += wave * 7;
        if second == 60 {
            let refused =
                Refused { tier: "tc".into(), reason: "bad-ecn".into(), action: Action::Drop, packets: 3 };
            sample.tunnels[0].1.refused.push(refused);
        }
        app.take(sample.clone());
    }
    let time: jiff::Timestamp = "2026-11-26T14:10:31Z".parse().unwrap();
    for (sequence, event) in [
        Event::PortCame {
            port: "eth0".into(),
            tiers: vec!["xdp".into(), "tc".into()],
            reason: String::new(),
        },
        Event::Added { tunnel: "berlin".into() },
        Event::Running { tunnel: "berlin".into() },
        Event::Invalid { tunnel: "ipip2".into(), reason: "no route to 2001:db8::3".into() },
    ]
    .into_iter()
    .enumerate()
    {
        app.hear(Told { sequence: sequence as u64, time, event });
    }
    app
}

fn picture(app: &mut App, width: u16, height: u16, has_colours: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app, Theme::new(has_colours))).unwrap();
    terminal.backend().clone()
}

fn press(app: &mut App, code: KeyCode) {
    app.press(KeyEvent::new(code, KeyModifiers::NONE));
}

#[test]
fn the_list_fits_80_by_24() {
    insta::assert_snapshot!(picture(&mut busy(), 80, 24, true));
}

#[test]
fn the_list_uses_160_by_50() {
    insta::assert_snapshot!(picture(&mut busy(), 160, 50, true));
}

#[test]
fn one_tunnel_fits_80_by_24() {
    let mut app = busy();
    press(&mut app, KeyCode::Enter);
    insta::assert_snapshot!(picture(&mut app, 80, 24, true));
}

#[test]
fn one_tunnel_uses_160_by_50() {
    let mut app = busy();
    press(&mut app, KeyCode::Enter);
    insta::assert_snapshot!(picture(&mut app, 160, 50, true));
}

#[test]
fn shares_are_told_apart_without_colours() {
    let mut app = busy();
    press(&mut app, KeyCode::Char('b'));
    insta::assert_snapshot!(picture(&mut app, 80, 12, false));
}

#[test]
fn trouble_is_told_below_the_last_numbers() {
    let mut app = busy();
    app.fail(Failure::new(FailureKind::NoDaemon, "no daemon serves /run/ipip/ipip.sock"));
    insta::assert_snapshot!(picture(&mut app, 80, 10, true));
}

#[test]
fn help_stands_above_everything() {
    let mut app = busy();
    press(&mut app, KeyCode::Char('?'));
    insta::assert_snapshot!(picture(&mut app, 80, 24, true));
}

#[test]
fn no_size_is_too_small() {
    let mut app = busy();
    for code in [KeyCode::Char('x'), KeyCode::Enter, KeyCode::Char('?')] {
        press(&mut app, code);
        for width in [1, 2, 10, 39, 79, 300] {
            for height in [1, 2, 3, 5, 9, 17, 100] {
                picture(&mut app, width, height, true);
            }
        }
    }
    let mut empty = App::new(app.interval, jiff::tz::TimeZone::UTC);
    picture(&mut empty, 80, 24, true);
    press(&mut empty, KeyCode::Enter);
    picture(&mut empty, 80, 24, true);
}

#[test]
fn the_cursor_is_always_in_the_picture() {
    let mut app = busy();
    let text = |app: &mut App| picture(app, 80, 7, true).to_string();
    assert!(text(&mut app).contains("berlin"));
    press(&mut app, KeyCode::End);
    assert!(text(&mut app).contains("ipip2"), "{}", text(&mut app));
}

#[test]
fn colours_are_those_of_the_state_and_can_be_switched_off() {
    let colours = |has_colours| {
        let backend = picture(&mut busy(), 80, 24, has_colours);
        let buffer = backend.buffer().clone();
        let flags: Vec<Color> = (3..6).map(|row| buffer[(1, row)].fg).collect();
        let any = buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        (flags, any)
    };
    assert_eq!(colours(true), (vec![Color::Green, Color::Reset, Color::Red], true));
    assert_eq!(colours(false), (vec![Color::Reset; 3], false));
}
