//! `events`: one line an event.

use jiff::tz::TimeZone;

use super::screen::{BAD, GOOD, OFF, Screen};
use crate::events::{Event, Told};

/// Columns of the name and of the kind, where they are not longer.
const NAME: usize = 12;
const KIND: usize = 12;

/// When, to whom, what, and why.
pub(super) fn text(told: &Told, screen: Screen) -> String {
    text_in(told, screen, TimeZone::system())
}

fn text_in(told: &Told, screen: Screen, zone: TimeZone) -> String {
    let time = told.time.to_zoned(zone).strftime("%F %T%.3f").to_string();
    let event = &told.event;
    let name = event.tunnel().or(event.port()).unwrap_or("-");
    let kind = format!("{:KIND$}", event.kind());
    let kind = if event.is_bad() {
        screen.paint(BAD, &kind)
    } else if matches!(event, Event::Running { .. }) {
        screen.paint(GOOD, &kind)
    } else {
        kind
    };
    let line = format!("{}  {name:NAME$}  {kind}  {}", screen.paint(OFF, &time), event.details());
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_name_kind_and_reason() {
        let time = "2026-11-26T14:10:33.123Z".parse().unwrap();
        let told = |event| Told { sequence: 1, time, event };
        let line = |event| text_in(&told(event), Screen::default(), TimeZone::UTC);
        assert_eq!(
            line(Event::Invalid { tunnel: "berlin".into(), reason: "no route to 10.0.0.2".into() }),
            "2026-11-26 14:10:33.123  berlin        invalid       no route to 10.0.0.2\n"
        );
        assert_eq!(
            line(Event::Running { tunnel: "a".into() }),
            "2026-11-26 14:10:33.123  a             running\n"
        );
        assert_eq!(line(Event::Reloaded), "2026-11-26 14:10:33.123  -             reloaded\n");
    }

    #[test]
    fn colours_show_what_is_good_and_what_is_bad() {
        let screen = Screen { width: None, has_colours: true };
        let told = |event| Told { sequence: 1, time: jiff::Timestamp::UNIX_EPOCH, event };
        let good = text_in(&told(Event::Running { tunnel: "a".into() }), screen, TimeZone::UTC);
        assert!(good.contains("\u{1b}[32mrunning"), "{good:?}");
        let bad = text_in(&told(Event::ReloadFailed { reason: "x".into() }), screen, TimeZone::UTC);
        assert!(bad.contains("\u{1b}[31mreload-failed"), "{bad:?}");
    }
}
