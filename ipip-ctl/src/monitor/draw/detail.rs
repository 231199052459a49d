//! One tunnel: its recent past as two graphs, its tiers, what is refused, and what happened to it.

use ipip_common::abi::Reason;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline};

use super::super::app::{App, Row, Unit};
use super::super::rates::{TIERS, TierRates};
use super::super::theme::{BOLD, DIM, Theme};
use super::super::units::{delay, short};
use super::parts::{Way, columns, events, flag, rule, sides};
use crate::alive::Liveness;
use crate::api::protocol::Action;
use crate::spec::Word;

/// Columns of the bar of a tier's share.
const BAR: usize = 20;
/// Lines of the graphs.
const GRAPH_MAX: u16 = 16;
const GRAPH_MIN: u16 = 3;

pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme, area: Rect) {
    let Some(row) = app.rows.get(app.selected()) else { return };
    let refused = u16::try_from(row.rates.refused.len()).unwrap_or(u16::MAX).max(1);
    let graph = (area.height.saturating_sub(2) / 3).clamp(GRAPH_MIN, GRAPH_MAX);
    let areas = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(graph + 3),
        Constraint::Length(5),
        Constraint::Length((refused + 2).min(area.height / 4)),
        Constraint::Min(0),
    ])
    .split(area);
    let [about, graphs, tiers, refused, rest] = areas[..] else { return };
    put(frame, about, self::about(row, theme));
    let graphs = Rect { height: graphs.height.saturating_sub(1), ..graphs };
    let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)])
        .horizontal_margin(1)
        .split(graphs);
    let [left, _, right] = halves[..] else { return };
    let name = &row.view.name;
    for (way, word, area) in [(Way::Sent, "SENT", left), (Way::Received, "RECEIVED", right)] {
        let now = row.rates.total();
        let history = app.history(name).map(|rates| way.value(app.unit, rates));
        self::graph(frame, (word, way, app.unit), (now, history), theme, area);
    }
    put(frame, tiers, self::tiers(row, app.unit, theme));
    put(frame, refused, self::refused(row, area.width, theme));
    if rest.height > 1 {
        let told = events(app, Some(name), usize::from(rest.height) - 1, theme);
        let all = std::iter::once(rule("EVENTS", area.width)).chain(told);
        put(frame, rest, all.collect());
    }
}

fn put(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

fn about(row: &Row, theme: Theme) -> Vec<Line<'_>> {
    let view = &row.view;
    let mtu = view.actual_mtu.map_or_else(|| Word::from(view.mtu).to_string(), |mtu| mtu.to_string());
    let state = match (view.disabled, view.running) {
        (true, _) => Span::styled("disabled", DIM),
        (_, true) => Span::styled("running", theme.good()),
        _ => Span::styled(view.reason.as_str(), theme.bad()),
    };
    let mut second = vec![
        Span::raw("   "),
        Span::styled("kind ", DIM),
        Span::raw(view.kind.name()),
        Span::styled("   mtu ", DIM),
        Span::raw(mtu),
        Span::styled("   local ", DIM),
        Span::raw(view.local_address.as_str()),
        Span::styled("   remote ", DIM),
        Span::raw(view.remote_address.as_str()),
    ];
    if !view.comment.is_empty() {
        second.push(Span::styled(format!("   ;;; {}", view.comment), theme.comment()));
    }
    let mut first = vec![Span::raw(" "), flag(view, theme), Span::raw(" "), state];
    first.extend(view.liveness.as_ref().map(liveness).unwrap_or_default());
    vec![Line::from(first), Line::from(second)]
}

/// How the far end answers, where it does.
fn liveness(liveness: &Liveness) -> Vec<Span<'static>> {
    let (Some(rtt), Some(mean)) = (liveness.rtt_us, liveness.rtt_mean_us) else { return Vec::new() };
    let jitter = liveness.jitter_us.map_or_else(|| "-".to_owned(), delay);
    let lost = format!("{} of {}", liveness.lost, liveness.lost_of);
    [("   rtt ", delay(rtt)), ("   mean ", delay(mean)), ("   jitter ", jitter), ("   lost ", lost)]
        .into_iter()
        .flat_map(|(name, value)| [Span::styled(name, DIM), Span::raw(value)])
        .collect()
}

/// A heading with the numbers of now, and the past from right to left.
fn graph(
    frame: &mut Frame<'_>,
    (word, way, unit): (&str, Way, Unit),
    (now, history): (TierRates, impl DoubleEndedIterator<Item = f64>),
    theme: Theme,
    area: Rect,
) {
    let shown: Vec<f64> = history.rev().take(usize::from(area.width)).collect();
    let peak = shown.iter().copied().fold(0.0, f64::max);
    let both = [Unit::Bits, Unit::Packets].map(|unit| unit.text(way.value(unit, now)));
    let heading = Line::from(vec![
        Span::styled(format!("{word}  "), way.style(theme).add_modifier(Modifier::BOLD)),
        Span::styled(both[0].clone(), BOLD),
        Span::raw(format!("  {}", both[1])),
    ]);
    frame.render_widget(heading, Rect { height: 1, ..area });
    let below = sides(
        vec![Span::styled(format!("peak {}", unit.text(peak)), DIM)],
        vec![Span::styled("now", DIM)],
        area.width,
    );
    let bottom = area.bottom().saturating_sub(1).max(area.y);
    frame.render_widget(below, Rect { y: bottom, height: area.height.min(1), ..area });
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and far below 2^64"
    )]
    let data = shown.iter().map(|value| *value as u64);
    let graph =
        Sparkline::default().data(data).direction(RenderDirection::RightToLeft).style(way.style(theme));
    frame.render_widget(graph, area);
}

fn tiers(row: &Row, unit: Unit, theme: Theme) -> Vec<Line<'static>> {
    let heading =
        format!(" {:<8}{:<width$}{:>8}{:>15}{:>15}", "TIER", "SHARE", "", "SENT", "RECEIVED", width = BAR);
    let mut lines = vec![Line::styled(heading, BOLD)];
    let shares = row.rates.shares();
    for (place, (name, rates)) in TIERS.iter().zip(row.rates.tiers).enumerate() {
        let share = shares.map(|shares| shares[place]);
        let full = share.map_or(0, |share| columns(share, BAR));
        let percent = share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
        lines.push(Line::from(vec![
            Span::raw(format!(" {name:<8}")),
            Span::styled(theme.tier_block(0).to_string().repeat(full), theme.tier(place)),
            Span::styled("·".repeat(BAR - full), DIM),
            Span::raw(format!("{percent:>8}")),
            Span::raw(
                [Way::Sent, Way::Received]
                    .map(|way| format!("{:>15}", unit.text(way.value(unit, rates))))
                    .concat(),
            ),
        ]));
    }
    lines
}

fn refused(row: &Row, width: u16, theme: Theme) -> Vec<Line<'static>> {
    if row.rates.refused.is_empty() {
        return vec![rule("REFUSED", width), Line::styled(" nothing", DIM)];
    }
    let mut lines = vec![rule("REFUSED", width)];
    let mut rows: Vec<_> = row.rates.refused.iter().zip(&row.view.refused).collect();
    rows.sort_by(|(left, _), (right, _)| right.packets.total_cmp(&left.packets));
    for (rate, total) in rows {
        let (then, style) = match rate.action {
            Action::Drop => ("dropped", theme.bad()),
            Action::Pass => ("passed on", DIM),
            Action::Note => ("carried", DIM),
        };
        let style = if rate.packets > 0.0 { style } else { DIM };
        lines.push(Line::from(vec![
            Span::raw(format!(" {:<8}{:<18}", rate.tier, rate.reason)),
            Span::raw(format!("{:>9}/s", short(rate.packets))),
            Span::raw(format!("{:>12} ", total.packets)),
            Span::styled(format!(" {then:<10}"), style),
            Span::styled(format!(" {}", meaning(&rate.reason)), DIM),
        ]));
    }
    lines
}

/// What is true of a packet that is refused for this reason; nothing for one that this version does not know.
fn meaning(name: &str) -> &'static str {
    Reason::ALL.into_iter().find(|reason| reason.name() == name).map_or("", Reason::meaning)
}
