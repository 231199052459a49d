//! What several pictures have in common.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::text::{Line, Span};

use super::super::app::{App, Unit};
use super::super::rates::{Rates, TierRates};
use super::super::theme::{BOLD, DIM, Theme};
use super::super::units::rate;
use crate::api::protocol::TunnelView;
use crate::events::{Event, Told};

/// Columns of a rate with its unit.
pub(super) const RATE: usize = 11;

/// The time of day.
pub(super) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%T").to_string()
}

/// A line with something at each end; the right end gives way where there is no room.
pub(super) fn sides<'a>(mut left: Vec<Span<'a>>, right: Vec<Span<'a>>, width: u16) -> Line<'a> {
    let taken = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let width = usize::from(width);
    if let Some(gap) = width.checked_sub(taken(&left) + taken(&right)) {
        left.push(Span::raw(" ".repeat(gap)));
        left.extend(right);
    }
    Line::from(left)
}

/// A line across the screen that begins with a word.
pub(super) fn rule(word: &str, width: u16) -> Line<'static> {
    let rest = usize::from(width).saturating_sub(word.len() + 3);
    Line::from(vec![
        Span::styled(" ", DIM),
        Span::styled(word.to_owned(), BOLD),
        Span::styled(format!(" {}", "─".repeat(rest)), DIM),
    ])
}

/// The flag of a tunnel, as `print` has it.
pub(super) fn flag(view: &TunnelView, theme: Theme) -> Span<'static> {
    if view.disabled {
        Span::styled("X", DIM)
    } else if view.running {
        Span::styled("R", theme.good())
    } else {
        Span::styled("I", theme.bad())
    }
}

/// One direction of what a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Sent,
    Received,
}

impl Way {
    pub(super) const fn value(self, unit: Unit, rates: TierRates) -> f64 {
        match (self, unit) {
            (Self::Sent, Unit::Bits) => rates.sent_bits,
            (Self::Sent, Unit::Packets) => rates.sent_packets,
            (Self::Received, Unit::Bits) => rates.received_bits,
            (Self::Received, Unit::Packets) => rates.received_packets,
        }
    }

    pub(super) const fn style(self, theme: Theme) -> ratatui::style::Style {
        match self {
            Self::Sent => theme.sent(),
            Self::Received => theme.received(),
        }
    }
}

impl Unit {
    /// The value with its unit.
    pub(super) fn text(self, value: f64) -> String {
        rate(
            value,
            match self {
                Self::Bits => "bit/s",
                Self::Packets => "pkt/s",
            },
        )
    }
}

/// The tiers' shares of a tunnel's packets as a bar, and that of tier 1 in percent.
pub(super) fn shares(rates: &Rates, width: usize, theme: Theme) -> Vec<Span<'static>> {
    let Some(shares) = rates.shares() else {
        return vec![Span::styled("·".repeat(width), DIM), Span::styled("    -", DIM)];
    };
    let parts = divide(shares, width).into_iter().enumerate();
    let mut spans: Vec<Span<'static>> = parts
        .map(|(tier, part)| Span::styled(theme.tier_block(tier).to_string().repeat(part), theme.tier(tier)))
        .collect();
    spans.push(Span::raw(format!("{:>4.0}%", shares[0] * 100.0)));
    spans
}

/// How many of `width` columns each share takes, of those that are not nothing one at least.
fn divide(shares: [f64; 3], width: usize) -> [usize; 3] {
    let mut parts = shares.map(|share| columns(share, width).max(usize::from(share > 0.0)));
    let sum: usize = parts.iter().sum();
    if let Some(largest) = parts.iter_mut().max() {
        *largest = (*largest + width).saturating_sub(sum);
    }
    parts
}

/// How many of `width` columns a share takes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between 0 and the width of a bar"
)]
pub(super) fn columns(share: f64, width: usize) -> usize {
    ((share * width as f64).round() as usize).min(width)
}

/// The last events that fit, the newest first.
pub(super) fn events(app: &App, tunnel: Option<&str>, lines: usize, theme: Theme) -> Vec<Line<'static>> {
    let of_tunnel = |told: &&Told| tunnel.is_none() || told.event.tunnel() == tunnel;
    let newest = app.events.iter().filter(of_tunnel).rev().take(lines);
    newest.map(|told| event(told, &app.zone, theme)).collect()
}

fn event(told: &Told, zone: &TimeZone, theme: Theme) -> Line<'static> {
    let event = &told.event;
    let style = if event.is_bad() {
        theme.bad()
    } else if matches!(event, Event::Running { .. }) {
        theme.good()
    } else {
        BOLD
    };
    let name = event.tunnel().or(event.port()).unwrap_or("-").to_owned();
    Line::from(vec![
        Span::styled(format!(" {}  ", clock(told.time, zone)), DIM),
        Span::raw(format!("{name:<10}  ")),
        Span::styled(format!("{:<12}  ", event.kind()), style),
        Span::raw(event.details()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_and_shows_every_share() {
        for (shares, parts) in [
            ([1.0, 0.0, 0.0], [8, 0, 0]),
            ([0.93, 0.07, 0.0], [7, 1, 0]),
            ([0.001, 0.001, 0.998], [1, 1, 6]),
            ([0.5, 0.5, 0.0], [4, 4, 0]),
            ([0.34, 0.33, 0.33], [3, 3, 2]),
        ] {
            assert_eq!(divide(shares, 8), parts, "{shares:?}");
        }
    }
}
