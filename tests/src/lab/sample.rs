//! What the lab shows while it runs: the difference of two looks, as a table or as lines.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::counters::{Counters, Tier};
use super::echo::Echoes;
use super::text::{Style, count, mbit, megabytes, millis, rate};
use super::traffic::Traffic;
use super::world::World;

const ENDS: [&str; 2] = ["host1", "host2"];

/// One look at everything.
pub(super) struct Sample {
    at: Instant,
    counters: [Counters; 2],
    echoes: Vec<(String, Echoes)>,
    transfers: Vec<(String, u64)>,
}

impl Sample {
    /// Looks.
    pub(super) fn take(world: &World, traffic: &Traffic) -> Result<Self> {
        let counters = world.counters()?;
        let echoes = traffic.echoes.iter().map(|echo| (echo.flow.label(), echo.echoes())).collect();
        let transfers = traffic.transfers.iter().map(|flow| (flow.flow.label(), flow.received())).collect();
        Ok(Self { at: Instant::now(), counters, echoes, transfers })
    }

    /// A table of what happened since `earlier`, of lines not wider than 80.
    pub(super) fn table(&self, earlier: &Self, style: Style) -> Vec<String> {
        let time = self.at.duration_since(earlier.at);
        let head = format!("{:<18}{:>29}{:>29}", "", "tier 1 XDP", "tier 2 TC");
        let units =
            format!("{:<18}{:>14}{:>15}{:>14}{:>15}", "", "packets/s", "Mbit/s", "packets/s", "Mbit/s");
        let mut lines = vec![style.bold(&head), style.bold(&units)];
        for ((end, now), before) in ENDS.iter().zip(&self.counters).zip(&earlier.counters) {
            let moved = now.since(before);
            let (xdp, tc) = (Moved::of(moved.xdp), Moved::of(moved.tc));
            lines.push(format!("{end:<7}{:<11}{}{}", "sent", cells(xdp.sent, time), cells(tc.sent, time)));
            let cells = [cells(xdp.received, time), cells(tc.received, time)].concat();
            lines.push(format!("{:<7}{:<11}{cells}", "", "received"));
        }
        lines.push(String::new());
        let head =
            format!("{:<24}{:>9}{:>7}{:>12}{:>9}{:>10}", "", "sent", "lost", "RTT min", "avg", "max ms");
        lines.push(style.bold(&head));
        lines.extend(self.echoes.iter().map(|(label, echoes)| echo_row(label, echoes)));
        lines.push(String::new());
        lines.push(style.bold(&format!("{:<24}{:>9}{:>22}", "", "Mbit/s", "MB, every byte right")));
        for ((label, now), (_, before)) in self.transfers.iter().zip(&earlier.transfers) {
            let speed = mbit(now.saturating_sub(*before), time);
            lines.push(format!("{label:<24}{speed:>9.1}{:>22.1}", megabytes(*now)));
        }
        lines
    }

    /// The same in three lines, for a log.
    pub(super) fn lines(&self, earlier: &Self, since: Duration) -> Vec<String> {
        let time = self.at.duration_since(earlier.at);
        let mut lines = Vec::new();
        for ((end, now), before) in ENDS.iter().zip(&self.counters).zip(&earlier.counters) {
            let moved = now.since(before);
            let mark =
                if lines.is_empty() { format!("{:>3.0} s", since.as_secs_f64()) } else { String::new() };
            let (xdp, tc) = (brief(moved.xdp, time), brief(moved.tc, time));
            lines.push(format!("{mark:<7}{end}  XDP {xdp}  TC {tc}"));
        }
        let lost: u64 = self.echoes.iter().map(|(_, echoes)| echoes.lost).sum();
        let pairs = self.transfers.iter().zip(&earlier.transfers);
        let tcp: Vec<String> =
            pairs.map(|(now, before)| format!("{:.0}", mbit(now.1.saturating_sub(before.1), time))).collect();
        let all = self.echoes.iter().map(|(_, echoes)| echoes);
        let (shortest, mean, longest) = trips(all);
        let tcp = tcp.join(" ");
        lines.push(format!(
            "       RTT {shortest:.2}/{mean:.2}/{longest:.2} ms  TCP {tcp} Mbit/s  lost {lost}"
        ));
        lines
    }
}

/// Packets and bytes both ways.
struct Moved {
    sent: (u64, u64),
    received: (u64, u64),
}

impl Moved {
    fn of(tier: Tier) -> Self {
        Self {
            sent: (tier.sent_packets, tier.sent_bytes),
            received: (tier.received_packets, tier.received_bytes),
        }
    }
}

fn cells((packets, bytes): (u64, u64), time: Duration) -> String {
    format!("{:>14.0}{:>15.1}", rate(packets, time), mbit(bytes, time))
}

/// Sent/received of one tier: packets, then Mbit/s.
fn brief(tier: Tier, time: Duration) -> String {
    let packets = [tier.sent_packets, tier.received_packets].map(|packets| rate(packets, time));
    let speeds = [tier.sent_bytes, tier.received_bytes].map(|bytes| mbit(bytes, time));
    format!("{:>6.0}/{:<6.0} {:>4.0}/{:<4.0}", packets[0], packets[1], speeds[0], speeds[1])
}

/// A flow with its losses and round trips.
pub(super) fn echo_row(label: &str, echoes: &Echoes) -> String {
    let (shortest, mean, longest) = trips([echoes].into_iter());
    let (sent, lost) = (count(echoes.sent), count(echoes.lost));
    format!("{label:<24}{sent:>9}{lost:>7}{shortest:>12.3}{mean:>9.3}{longest:>10.3}")
}

/// Shortest, mean and longest round trip in milliseconds.
fn trips<'a>(all: impl Iterator<Item = &'a Echoes>) -> (f64, f64, f64) {
    let mut sum = Echoes::default();
    for echoes in all {
        sum.shortest = sum.shortest.into_iter().chain(echoes.shortest).min();
        sum.longest = sum.longest.max(echoes.longest);
        sum.total += echoes.total;
        sum.received += echoes.received;
    }
    let mean = sum.total.div_f64(super::text::ratio(sum.received, 1).max(1.0));
    (millis(sum.shortest.unwrap_or_default()), millis(mean), millis(sum.longest))
}
