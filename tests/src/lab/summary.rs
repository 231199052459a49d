//! What the lab has found out, and whether all of the traffic went through the tunnel.

use std::time::Duration;

use ipip_common::abi::{Action, Reason};

use super::capture::Seen;
use super::counters::Counters;
use super::flow::Owner;
use super::sample::echo_row;
use super::text::{Style, count, mbit, megabytes, ratio};
use super::traffic::Outcome;

/// The part of the forwarded packets that tier 1 must carry.
const FAST: f64 = 0.999;

/// Everything that was measured.
pub(super) struct Summary {
    pub(super) outcome: Outcome,
    /// What host1 and host2 carried while the traffic ran.
    pub(super) counters: [Counters; 2],
    pub(super) seen: Seen,
    pub(super) time: Duration,
}

/// Whether packets that are refused for this reason end there, and are not handed on.
fn is_drop(name: &str) -> bool {
    Reason::ALL.iter().any(|reason| reason.name() == name && is_fault(*reason))
}

/// On a busy machine an answer comes late, and is one that did not come.
fn is_fault(reason: Reason) -> bool {
    reason.action() == Action::Drop && reason != Reason::BadAnswer
}

/// How the packets of one owner were carried, at both ends and in both directions.
struct Shares {
    packets: u64,
    xdp: u64,
    tc: u64,
}

impl Summary {
    /// The lines to print, and whether all is well.
    pub(super) fn lines(&self, style: Style) -> (Vec<String>, bool) {
        let mut lines = self.flows(style);
        lines.push(String::new());
        lines.extend(self.tiers(style));
        lines.push(String::new());
        lines.extend(self.captured(style));
        lines.push(String::new());
        let faults = self.faults();
        lines.extend(faults.iter().map(|fault| format!("  {fault}")));
        let (good, answer) = (faults.is_empty(), if faults.is_empty() { "yes" } else { "no" });
        lines.push(format!("all traffic went through the tunnel: {}", style.judge(good, answer)));
        (lines, good)
    }

    fn flows(&self, style: Style) -> Vec<String> {
        let head =
            format!("{:<24}{:>9}{:>7}{:>12}{:>9}{:>10}", "", "sent", "lost", "RTT min", "avg", "max ms");
        let mut lines = vec![style.bold(&head)];
        lines.extend(self.outcome.echoes.iter().map(|(flow, echoes)| echo_row(&flow.label(), echoes)));
        lines.push(String::new());
        let head =
            format!("{:<24}{:>9}{:>12}{:>12}{:>14}", "", "Mbit/s", "MB sent", "received", "sent again");
        lines.push(style.bold(&head));
        for (flow, done) in &self.outcome.transfers {
            let speed = mbit(done.received, self.time);
            let (sent, received) = (megabytes(done.sent), megabytes(done.received));
            let again = count(done.again);
            lines.push(format!("{:<24}{speed:>9.1}{sent:>12.1}{received:>12.1}{again:>14}", flow.label()));
        }
        let sent: u64 = self.outcome.echoes.iter().map(|(_, echoes)| echoes.sent).sum();
        let received: u64 = self.outcome.echoes.iter().map(|(_, echoes)| echoes.received).sum();
        let lost: u64 = self.outcome.echoes.iter().map(|(_, echoes)| echoes.lost).sum();
        let right = self.outcome.transfers.iter().all(|(_, done)| done.right && done.sent == done.received);
        lines.push(String::new());
        let [sent, received, lost] = [sent, received, lost].map(count);
        lines.push(format!("pings and UDP: {sent} sent, {received} answered, {lost} lost"));
        let bytes = if right { "every byte arrived, and is right" } else { "bytes are missing or wrong" };
        lines.push(format!("TCP: {bytes}"));
        lines
    }

    fn tiers(&self, style: Style) -> Vec<String> {
        let head =
            format!("{:<24}{:>14}{:>14}{:>14}", "carried in and out", "packets", "tier 1 XDP", "tier 2 TC");
        let mut lines = vec![style.bold(&head)];
        let rows = [("forwarded", Owner::Forwarded), ("the hosts' own", Owner::Hosts)];
        for (name, owner) in rows {
            let shares = self.shares(owner);
            let part = |carried| 100.0 * ratio(carried, shares.packets);
            let (packets, xdp, tc) = (count(shares.packets), part(shares.xdp), part(shares.tc));
            lines.push(format!("{name:<24}{packets:>14}{xdp:>12.2} %{tc:>12.2} %"));
        }
        for (end, counters) in ["host1", "host2"].iter().zip(&self.counters) {
            for row in &counters.refused {
                let (tier, reason, packets) = (&row.tier, &row.reason, count(row.packets));
                let meaning = match (tier.as_str(), reason.as_str()) {
                    ("xdp", "local") => ", the host's own: tier 2's",
                    ("xdp", "partial-checksum") => ": 1 in 65,536 looks so",
                    _ => "",
                };
                lines.push(format!("  {end}: {tier} refused {packets} as {reason}{meaning}"));
            }
        }
        lines
    }

    fn captured(&self, style: Style) -> Vec<String> {
        let frames = count(self.seen.frames as u64);
        let mut lines = Vec::new();
        if let Some(example) = &self.seen.example {
            lines.push(
                style.bold(&format!("one of {frames} packets captured on the underlay, at the router")),
            );
            lines.extend(example.lines.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}")));
        }
        let bad = if self.seen.bad == 0 { "none".to_owned() } else { count(self.seen.bad as u64) };
        lines.push(format!("captured outside the tunnel, malformed or with a wrong checksum: {bad}"));
        lines
    }

    /// How the packets of `owner` were carried. Each is counted once into the tunnel and once out of it. Tier 1
    /// takes forwarded packets only, so that what it did not take of them was tier 2's.
    fn shares(&self, owner: Owner) -> Shares {
        let each = |read: fn(&Counters) -> u64| self.counters.iter().map(read).sum::<u64>();
        let xdp = each(|end| end.xdp.sent_packets + end.xdp.received_packets);
        let tc = each(|end| end.tc.sent_packets + end.tc.received_packets);
        let packets = |owner| 2 * self.outcome.packets(owner).iter().sum::<u64>();
        let forwarded = packets(Owner::Forwarded);
        let slow = forwarded.saturating_sub(xdp).min(tc);
        match owner {
            Owner::Forwarded => Shares { packets: forwarded, xdp: xdp.min(forwarded), tc: slow },
            Owner::Hosts => {
                let own = packets(Owner::Hosts);
                Shares { packets: own, xdp: xdp.saturating_sub(forwarded), tc: (tc - slow).min(own) }
            }
        }
    }

    /// Everything that speaks against it.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.flow_faults();
        let shares = self.shares(Owner::Forwarded);
        let fast = ratio(shares.xdp, shares.packets);
        if fast < FAST {
            faults.push(format!("tier 1 carried only {:.2} % of the forwarded packets", 100.0 * fast));
        }
        let expected = [Owner::Hosts, Owner::Forwarded].map(|owner| self.outcome.packets(owner));
        let [one, two] = &self.counters;
        let rows = [
            ("host1 sent into", one.sent(), 0),
            ("host2 took out of", two.received(), 0),
            ("host2 sent into", two.sent(), 1),
            ("host1 took out of", one.received(), 1),
        ];
        for (name, counted, direction) in rows {
            let expected: u64 = expected.iter().map(|packets| packets[direction]).sum();
            if counted != expected {
                let (counted, expected) = (count(counted), count(expected));
                faults.push(format!("{name} the tunnel {counted} packets, the traffic was {expected}"));
            }
        }
        for (end, counters) in ["host1", "host2"].iter().zip(&self.counters) {
            for row in counters.refused.iter().filter(|row| is_drop(&row.reason)) {
                faults.push(format!("{end} dropped {} packets as {}", count(row.packets), row.reason));
            }
        }
        if self.seen.frames == 0 {
            faults.push("the capture at the router saw no packet".to_owned());
        }
        faults.extend(self.seen.wrong.iter().take(5).map(|wrong| format!("captured: {wrong}")));
        faults
    }

    fn flow_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (flow, echoes) in &self.outcome.echoes {
            let label = flow.label();
            if echoes.received == 0 || echoes.lost > 0 {
                faults.push(format!("{label}: {} of {} lost", count(echoes.lost), count(echoes.sent)));
            }
            if echoes.strange > 0 {
                faults.push(format!("{label}: {} answers are doubled or wrong", count(echoes.strange)));
            }
        }
        for (flow, done) in &self.outcome.transfers {
            let label = flow.label();
            if let Some(failure) = &done.failure {
                faults.push(format!("{label}: {failure}"));
            } else if done.sent != done.received || done.sent == 0 || !done.right {
                faults.push(format!("{label}: bytes are missing or wrong"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_from_what_is_handed_on_or_carried() {
        for name in ["loop", "torn", "no-slow-path", "own-source", "not-allowed", "bad-source"] {
            assert!(is_drop(name), "{name}");
        }
        for name in ["local", "too-big", "odd-ecn", "bad-answer", "of-tomorrow"] {
            assert!(!is_drop(name), "{name}");
        }
    }
}
