//! What clients see of a far end.

use serde::{Deserialize, Serialize};

use super::ask::now_ns;
use super::watch::Watch;
use crate::dataplane::KeepaliveMaps;
use crate::tunnel::Keepalive;

/// How a tunnel's far end does. Times are in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Liveness {
    /// Whether it is there, as far as keepalive knows: `alive`, `dead`, `unproved` (it has never answered, which means
    /// nothing in mode auto), or `off`.
    pub state: String,
    /// How it answered last: `reflect`, `reflect-own`, `echo`, `echo-remote`, `echo-link` or
    /// `echo-outer`; nothing before the first answer.
    pub answered_by: Option<String>,
    /// Probes sent.
    pub probes: u64,
    /// Answers that counted.
    pub answers: u64,
    /// Probes in a row without an answer.
    pub missed: u32,
    /// How many of the last probes were not answered.
    pub lost: u32,
    /// How many these were, 64 at most.
    pub lost_of: u32,
    /// The round-trip time of the last answer.
    pub rtt_us: Option<u64>,
    /// Its mean, in which a new one weighs an eighth.
    pub rtt_mean_us: Option<u64>,
    /// The shortest.
    pub rtt_min_us: Option<u64>,
    /// The longest.
    pub rtt_max_us: Option<u64>,
    /// The mean deviation from one round-trip time to the next.
    pub jitter_us: Option<u64>,
    /// Since the last answer.
    pub answered_us_ago: Option<u64>,
    /// Why it cannot be asked: there is no address to ask from, or what the kernel says to a probe; nothing where it can be.
    pub trouble: Option<String>,
    /// How often it was lost since the daemon started.
    pub downs: u64,
    /// How often it came back since the daemon started.
    pub ups: u64,
}

impl Liveness {
    /// Whether there is anything to say of it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self.state.as_str() {
            "off" => false,
            "unproved" => self.probes > 0,
            _ => true,
        }
    }
}

impl Watch {
    /// What clients see.
    pub(super) fn view(&self, maps: &KeepaliveMaps) -> Liveness {
        let answers = maps.answers(self.id);
        let state = match (self.watched.keepalive, self.flag.is_there()) {
            (Keepalive::Off, _) => "off",
            (Keepalive::Every { .. }, false) => "dead",
            (Keepalive::Every { .. }, true) if !self.flag.has_answered() => "unproved",
            (Keepalive::Every { .. }, true) => "alive",
        };
        let (lost, lost_of) =
            if self.is_passive { (0, 0) } else { answers.lost(self.probing.sent, u32::from(self.is_out)) };
        let measured = |ns: u64| (answers.count > 0).then_some(ns / 1000);
        Liveness {
            state: state.to_owned(),
            answered_by: answers.way().map(|way| way.name().to_owned()),
            probes: self.probing.sent.into(),
            answers: answers.count,
            missed: self.flag.missed(),
            lost,
            lost_of,
            rtt_us: measured(answers.round_trip_ns),
            rtt_mean_us: measured(answers.mean_ns),
            rtt_min_us: measured(answers.least_ns),
            rtt_max_us: measured(answers.most_ns),
            jitter_us: measured(answers.jitter_ns),
            answered_us_ago: measured(now_ns().saturating_sub(answers.last_ns)),
            trouble: self.trouble(),
            downs: self.downs,
            ups: self.ups,
        }
    }
}
