//! Goals, as ratios within one run.

use serde::{Deserialize, Serialize};

use super::rows::Rows;

/// A goal and whether it is met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What.
    pub name: String,
    /// The goal in words: `<= 1.6`.
    pub goal: String,
    /// The ratio; nothing where a part that it needs did not run.
    pub value: Option<f64>,
    /// Whether the goal is met; nothing where there is no value.
    pub met: Option<bool>,
    /// Where the value comes from.
    pub from: String,
}

/// At most or at least so much.
#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Gate {
    fn new(name: &str, goal: Goal, value: Option<f64>, from: &str) -> Self {
        let value = value.filter(|value| value.is_finite());
        let (words, met) = match goal {
            Goal::AtMost(most) => (format!("<= {most}"), value.map(|value| value <= most)),
            Goal::AtLeast(least) => (format!(">= {least}"), value.map(|value| value >= least)),
        };
        Self { name: name.to_owned(), goal: words, value, met, from: from.to_owned() }
    }
}

/// All goals.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn all(rows: &Rows) -> Vec<Gate> {
    use Goal::{AtLeast, AtMost};
    let net = |name: &str| rows.net("ns", name);
    let over = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let ratio = |a: &str, b: &str| over(net(a), net(b));
    let count = |name: &str| rows.net("insn", name);
    let median = |part: &str, name: &str| rows.find(part, name).map(super::rows::Row::median);
    let mpps = |a: &str, b: &str| over(median("veth", a), median("veth", b));
    let scale = |name: &str| rows.net("scale", name);
    let kinds = ["6in4", "4in6", "6in6", "mpls4", "mpls6"];
    let worst = |direction: &str| {
        let own = net(&format!("ipip {direction}"))?;
        let all: Option<Vec<f64>> = kinds.iter().map(|kind| net(&format!("{kind} {direction}"))).collect();
        Some(all?.into_iter().fold(0.0, f64::max) / own)
    };
    let tcp: Vec<f64> = ["v4, 1 stream", "v4, 8 streams", "v6, 1 stream", "v6, 8 streams"]
        .iter()
        .filter_map(|name| median("tcp", &format!("tunnel / underlay, {name}")))
        .collect();
    vec![
        Gate::new(
            "encapsulate, complete, known flow / floor",
            AtMost(1.6),
            ratio("ipip into", "floor into, 20 bytes"),
            "ns: ipip into / floor into, 20 bytes, by the port of arrival",
        ),
        Gate::new(
            "the same, by another port / floor with a redirect",
            AtMost(1.6),
            ratio("ipip into, redirected", "floor into, redirected"),
            "ns: both with bpf_redirect",
        ),
        Gate::new(
            "decapsulate, complete, known flow / floor",
            AtMost(2.0),
            ratio("ipip out", "floor out, 20 bytes"),
            "ns: ipip out / floor out, 20 bytes, by the port of arrival",
        ),
        Gate::new(
            "the same, by another port / floor with a redirect",
            AtMost(2.0),
            ratio("ipip out, redirected", "floor out, redirected"),
            "ns: both with bpf_redirect",
        ),
        Gate::new(
            "instructions of an encapsulated packet",
            AtMost(200.0),
            count("ipip into"),
            "insn: ipip into, net",
        ),
        Gate::new(
            "instructions of the kernel's ipip / ours, router only",
            AtLeast(12.0),
            over(rows.net("insn", "rig: kernel ipip into"), rows.net("insn", "rig: ours into")),
            "insn: rigs, less the rig that drops",
        ),
        Gate::new(
            "Mpps, ours / plain redirect",
            AtLeast(0.96),
            mpps("ipip into", "redirect"),
            "veth: ipip into / redirect",
        ),
        Gate::new(
            "Mpps, ours / the kernel's forwarding without a tunnel",
            AtLeast(3.0),
            mpps("ipip into", "kernel, no tunnel"),
            "veth",
        ),
        Gate::new("Mpps, ours / VXLAN", AtLeast(5.5), mpps("ipip into", "kernel VXLAN into"), "veth"),
        Gate::new(
            "1 -> 1M tunnels, 1,000 hot flows",
            AtMost(1.10),
            over(scale("out, 1M tunnels, hot"), scale("out, 1k tunnels, hot")),
            "scale: decapsulation of 1,000 flows of 1,000 tunnels among 1M and among 1k",
        ),
        Gate::new(
            "uniform over 64k tunnels / one hash lookup and one FIB lookup",
            AtMost(1.0),
            over(
                scale("out, 64k tunnels, uniform"),
                Some(
                    scale("hash lookup, 64k keys").unwrap_or(f64::NAN)
                        + scale("FIB lookup").unwrap_or(f64::NAN),
                ),
            ),
            "scale: decapsulation",
        ),
        Gate::new(
            "any kind / IPv4 in IPv4, encapsulated",
            AtMost(1.25),
            worst("into"),
            "ns: 6in4, 4in6, 6in6, mpls4, mpls6",
        ),
        Gate::new(
            "any kind / IPv4 in IPv4, decapsulated",
            AtMost(1.25),
            worst("out"),
            "ns: 6in4, 4in6, 6in6, mpls4, mpls6",
        ),
        Gate::new(
            "1454 bytes / 64 bytes, encapsulated",
            AtMost(1.03),
            over(gross(rows, "ipip into, 1454 bytes"), gross(rows, "ipip into")),
            "ns",
        ),
        Gate::new(
            "packets lost, or by the old way 10 ms after a route changed, 100 changes",
            AtMost(0.0),
            median("scale", "by the old way 10 ms after 100 route changes")
                .and_then(|late| Some(late + median("scale", "lost in 100 route changes")?)),
            "scale: one packet each 0.5 ms, the daemon alive",
        ),
        Gate::new(
            "seconds until a changed route is taken, daemon dead",
            AtMost(1.0),
            median("scale", "until the new way is taken, daemon dead").map(|ms| ms / 1e3),
            "scale: likewise",
        ),
        Gate::new(
            "tier 2 TCP / bare underlay, equal MSS",
            AtLeast(0.97),
            tcp.iter().copied().reduce(f64::min).filter(|_| tcp.len() == 4),
            "tcp: the worst of four medians of ratios",
        ),
    ]
}

fn gross(rows: &Rows, name: &str) -> Option<f64> {
    rows.find("ns", name).map(super::rows::Row::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_without_its_part_is_neither_met_nor_missed() {
        for gate in all(&Rows::default()) {
            assert_eq!((gate.value, gate.met), (None, None), "{}", gate.name);
        }
    }

    #[test]
    fn a_ratio_is_of_net_times() {
        let mut rows = Rows::default();
        rows.add("ns", "base into", "ns", None, vec![28.0]);
        rows.add("ns", "floor into, 20 bytes", "ns", Some("base into"), vec![36.0]);
        rows.add("ns", "ipip into", "ns", Some("base into"), vec![40.0, 41.0]);
        let gates = all(&rows);
        assert_eq!(gates[0].value, Some(1.5));
        assert_eq!(gates[0].met, Some(true));
        assert_eq!(gates[2].met, None);
    }
}
