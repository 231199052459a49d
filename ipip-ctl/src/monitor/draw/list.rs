//! All tunnels, a line each, with their recent past; below them what happened.

use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::super::app::{App, Row, Sort};
use super::super::rates::{Rates, TierRates, round_trip};
use super::super::theme::{BOLD, DIM, Theme};
use super::super::units::{short, spark};
use super::ROOMY;
use super::parts::{RATE, Way, events, flag, rule, shares};

/// From this width on there is room for address, MTU and round-trip time.
const WIDE: usize = 120;
/// Columns of the bar of shares, and of all beside it.
const SHARES: usize = 8;
const DROPPED: usize = 9;
/// Columns of the round-trip time, and of it with the MTU before it.
const RTT: usize = 10;
const ABOUT: usize = 2 + 5 + RTT;
/// A graph is no wider than this, and no narrower.
const GRAPH_MAX: usize = 40;
const GRAPH_MIN: usize = 4;

/// Widths of the columns that vary.
#[derive(Clone, Copy, Debug)]
struct Columns {
    name: usize,
    graph: usize,
    /// Nothing where there is no room.
    remote: Option<usize>,
}

impl Columns {
    fn new(app: &App, width: usize) -> Self {
        let longest =
            |length: fn(&Row) -> usize, least| app.rows.iter().map(length).max().unwrap_or(0).max(least);
        let name = longest(|row| row.view.name.len(), "TUNNEL".len());
        let remote =
            (width >= WIDE).then(|| longest(|row| row.view.remote_address.len(), "REMOTE-ADDRESS".len()));
        // Flag, gaps, two rates, bar with percentage, refused.
        let fixed =
            3 + name + 2 * (2 + RATE + 1) + 2 + SHARES + 5 + DROPPED + remote.map_or(0, |it| 2 + it + ABOUT);
        let graph = (width.saturating_sub(fixed + 1) / 2).clamp(GRAPH_MIN, GRAPH_MAX);
        Self { name, graph, remote }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, theme: Theme, area: Rect) {
    let has_total = app.rows.len() > 1;
    // Heading, total, and an empty line before what happened.
    let around = 2 + usize::from(has_total);
    let wanted = u16::try_from(app.rows.len().max(1) + around).unwrap_or(u16::MAX);
    let told = if area.height + 3 < ROOMY { 0 } else { area.height / 4 };
    let areas = Layout::vertical([Constraint::Length(wanted), Constraint::Min(told)]).split(area);
    let [table, panel] = areas[..] else { return };
    let columns = Columns::new(app, usize::from(area.width));
    let around = around - usize::from(panel.height == 0);
    let room = usize::from(table.height).saturating_sub(around).max(1);
    app.page = room;
    let cursor = app.selected();
    let first = cursor.saturating_sub(room - 1);
    let mut lines = vec![heading(app, columns)];
    for (place, row) in app.rows.iter().enumerate().skip(first).take(room) {
        let line = line(app, row, columns, theme);
        lines.push(if place == cursor { cursor_line(line, area.width, theme) } else { line });
    }
    if app.rows.is_empty() {
        lines.push(Line::styled("   no tunnels; `ipip-ctl add` makes one", DIM));
    }
    if has_total {
        lines.push(total(app, columns, theme));
    }
    for (line, y) in lines.into_iter().zip(table.y..table.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..table });
    }
    if panel.height > 1 {
        let lines = usize::from(panel.height) - 1;
        let below = std::iter::once(rule("EVENTS", area.width)).chain(events(app, None, lines, theme));
        for (line, y) in below.zip(panel.y..panel.bottom()) {
            frame.render_widget(line, Rect { y, height: 1, ..panel });
        }
    }
}

/// The whole line is marked, also where it is empty.
fn cursor_line(line: Line<'static>, width: u16, theme: Theme) -> Line<'static> {
    let gap = usize::from(width).saturating_sub(line.width());
    let mut line = line;
    line.push_span(Span::raw(" ".repeat(gap)));
    line.patch_style(theme.cursor())
}

fn heading(app: &App, columns: Columns) -> Line<'static> {
    let mark = |sort: Sort, word: &str| {
        let sign = if app.is_reverse { "▲" } else { "▼" };
        if app.sort == sort { format!("{word} {sign}") } else { word.to_owned() }
    };
    let mut text = format!("   {:<width$}", mark(Sort::Name, "TUNNEL"), width = columns.name);
    // Writing to a String cannot fail.
    if let Some(remote) = columns.remote {
        let _ = write!(text, "  {:<remote$}  {:>5}{:>RTT$}", "REMOTE-ADDRESS", "MTU", "RTT");
    }
    for (sort, word) in [(Sort::Sent, "SENT"), (Sort::Received, "RECEIVED")] {
        let _ = write!(text, "  {:>RATE$} {:graph$}", mark(sort, word), "", graph = columns.graph);
    }
    let dropped = mark(Sort::Dropped, "DROPPED");
    let _ = write!(text, "  {:<SHARES$}{:>5}{dropped:>DROPPED$}", "TIERS", "XDP");
    Line::styled(text, BOLD)
}

fn line(app: &App, row: &Row, columns: Columns, theme: Theme) -> Line<'static> {
    let view = &row.view;
    let mut spans = vec![Span::raw(" "), flag(view, theme), Span::raw(" ")];
    let style = if view.disabled { DIM } else { BOLD };
    spans.push(Span::styled(format!("{:<width$}", view.name, width = columns.name), style));
    if let Some(width) = columns.remote {
        let mtu = view.actual_mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string());
        let rtt = round_trip(view);
        spans.push(Span::styled(format!("  {:<width$}  {mtu:>5}{rtt:>RTT$}", view.remote_address), DIM));
    }
    if view.disabled {
        spans.push(Span::styled("    disabled", DIM));
        return Line::from(spans);
    }
    if !view.running {
        spans.push(Span::styled(format!("    {}", view.reason), theme.bad()));
        return Line::from(spans);
    }
    for way in [Way::Sent, Way::Received] {
        let history = app.history(&view.name).map(|rates| way.value(app.unit, rates));
        let most = history.clone().rev().take(columns.graph).fold(0.0, f64::max);
        spans.push(rate(app, way, row.rates.total()));
        spans.push(Span::styled(format!(" {}", spark(history, most, columns.graph)), way.style(theme)));
    }
    spans.extend(tiers_and_dropped(&row.rates, theme));
    Line::from(spans)
}

fn rate(app: &App, way: Way, rates: TierRates) -> Span<'static> {
    Span::raw(format!("  {:>RATE$}", app.unit.text(way.value(app.unit, rates))))
}

fn tiers_and_dropped(rates: &Rates, theme: Theme) -> Vec<Span<'static>> {
    let mut spans = vec![Span::raw("  ")];
    spans.extend(shares(rates, SHARES, theme));
    let dropped = rates.dropped();
    let (text, style) =
        if dropped > 0.0 { (format!("{}/s", short(dropped)), theme.bad()) } else { ("-".to_owned(), DIM) };
    spans.push(Span::styled(format!("{text:>DROPPED$}"), style));
    spans
}

fn total(app: &App, columns: Columns, theme: Theme) -> Line<'static> {
    let mut sum = Rates::default();
    for row in &app.rows {
        for (tier, rates) in sum.tiers.iter_mut().zip(row.rates.tiers) {
            *tier = tier.plus(rates);
        }
        sum.refused.extend(row.rates.refused.iter().cloned());
    }
    let mut spans = vec![Span::raw(format!("   {:<width$}", "total", width = columns.name))];
    if let Some(remote) = columns.remote {
        spans.push(Span::raw(" ".repeat(2 + remote + ABOUT)));
    }
    for way in [Way::Sent, Way::Received] {
        spans.push(rate(app, way, sum.total()));
        spans.push(Span::raw(" ".repeat(1 + columns.graph)));
    }
    spans.extend(tiers_and_dropped(&sum, theme));
    Line::from(spans).style(BOLD)
}
