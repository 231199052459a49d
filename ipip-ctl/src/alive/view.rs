//! What clients see of a far end.

use serde::{Deserialize, Serialize};

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
