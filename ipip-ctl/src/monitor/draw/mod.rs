//! The live view as a picture of a terminal.

mod detail;
mod list;
mod parts;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use self::parts::{clock, sides};
use super::app::{App, Unit};
use super::theme::{BOLD, DIM, Theme};

/// Below this many lines nothing but the numbers is shown.
const ROOMY: u16 = 16;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, theme: Theme) {
    let trouble = u16::from(app.trouble.is_some());
    let space = u16::from(frame.area().height >= ROOMY);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(space),
        Constraint::Min(1),
        Constraint::Length(trouble),
        Constraint::Length(1),
    ])
    .split(frame.area());
    let [head, _, body, trouble, foot] = areas[..] else { return };
    let name = app.rows.get(app.selected()).filter(|_| app.is_detail).map(|row| row.view.name.clone());
    frame.render_widget(header(app, name.as_deref(), theme, head.width), head);
    match name {
        Some(_) => detail::draw(frame, app, theme, body),
        None => list::draw(frame, app, theme, body),
    }
    if let Some(failure) = &app.trouble {
        let text = format!(" {}", failure.message);
        frame.render_widget(Line::styled(text, theme.bad()), trouble);
    }
    frame.render_widget(footer(app, foot.width), foot);
    if app.is_help {
        help(frame, theme);
    }
}

fn header<'a>(app: &App, tunnel: Option<&'a str>, theme: Theme, width: u16) -> Line<'a> {
    let count = |is: &dyn Fn(bool, bool) -> bool| {
        app.rows.iter().filter(|row| is(row.view.running, row.view.disabled)).count()
    };
    let mut left = vec![Span::styled(" ipip monitor", theme.title())];
    if let Some(tunnel) = tunnel {
        left.push(Span::styled(" › ", DIM));
        left.push(Span::styled(tunnel, BOLD));
    } else {
        let states = [
            (count(&|runs, _| runs), "running", theme.good()),
            (count(&|runs, off| !runs && !off), "invalid", theme.bad()),
            (count(&|_, off| off), "disabled", DIM),
        ];
        left.push(Span::raw("   "));
        for (count, word, style) in states {
            let style = if count == 0 { DIM } else { style };
            left.push(Span::styled(format!("{count} {word}"), style));
            left.push(Span::raw("  "));
        }
    }
    let time = app.time().map(|time| clock(time, &app.zone)).unwrap_or_default();
    let every = format!("every {} s  ", app.interval.as_secs_f64());
    sides(left, vec![Span::styled(every, DIM), Span::raw(time), Span::raw(" ")], width)
}

fn footer(app: &App, width: u16) -> Line<'static> {
    let other = match app.unit {
        Unit::Bits => "packets",
        Unit::Packets => "bits",
    };
    let keys: &[(&str, &str)] = if app.is_detail {
        &[("q", "quit"), ("esc", "list"), ("↑↓", "other tunnel"), ("b", other), ("?", "help")]
    } else {
        &[
            ("q", "quit"),
            ("↑↓", "move"),
            ("enter", "one tunnel"),
            ("s", "sort"),
            ("r", "reverse"),
            ("b", other),
            ("?", "help"),
        ]
    };
    let mut left = vec![Span::raw(" ")];
    for (key, meaning) in keys {
        left.push(Span::styled(*key, BOLD));
        left.push(Span::styled(format!(" {meaning}   "), DIM));
    }
    let sort = format!("by {}{} ", app.sort.name(), if app.is_reverse { ", reversed" } else { "" });
    let right = if app.is_detail { Vec::new() } else { vec![Span::styled(sort, DIM)] };
    sides(left, right, width)
}

/// What the keys and signs mean, above everything else.
fn help(frame: &mut Frame<'_>, theme: Theme) {
    const LINES: [(&str, &str); 15] = [
        ("↑ ↓  k j", "move the cursor"),
        ("PgUp PgDn  g G", "by a page, to the first and last"),
        ("enter →", "one tunnel"),
        ("esc ←", "back to the list"),
        ("s  r", "sort by the next column, reverse"),
        ("b", "bits or packets a second"),
        ("q  ctrl-c", "quit"),
        ("", ""),
        ("R", "running: carries traffic"),
        ("I", "invalid: should, and does not; the reason is beside it"),
        ("X", "disabled"),
        ("xdp", "tier 1: past the host's stack, at the driver"),
        ("tc", "tier 2: below the host's stack"),
        ("daemon", "tier 3: through the daemon"),
        ("dropped", "by a tier: ends there; what is only refused goes on"),
    ];
    let area = centre(frame.area(), 76, u16::try_from(LINES.len()).unwrap_or(u16::MAX) + 2);
    let text = LINES.map(|(key, meaning)| {
        Line::from(vec![Span::styled(format!("{key:>15}  "), BOLD), Span::raw(meaning)])
    });
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(DIM)
        .title(Span::styled(" help ", theme.title()))
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text.to_vec()).block(block), area);
}

fn centre(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests;
