//! What a daemon says its tunnel has carried, by tier.

use serde_json::Value;

/// What one tier has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tier {
    pub(super) sent_packets: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_packets: u64,
    pub(super) received_bytes: u64,
}

/// What a tunnel end has carried and refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) xdp: Tier,
    pub(super) tc: Tier,
    pub(super) daemon: Tier,
    pub(super) refused: Vec<Refused>,
}

/// How many packets a tier refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) tier: String,
    pub(super) reason: String,
    pub(super) packets: u64,
}

impl Counters {
    /// Reads one tunnel of `print --json`; what is missing there is zero.
    pub(super) fn read(tunnel: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let refused = tunnel["refused"].as_array().into_iter().flatten();
        Self {
            xdp: Tier::read(&tunnel["traffic"]["xdp"]),
            tc: Tier::read(&tunnel["traffic"]["tc"]),
            daemon: Tier::read(&tunnel["traffic"]["daemon"]),
            refused: refused
                .map(|row| Refused {
                    tier: text(&row["tier"]),
                    reason: text(&row["reason"]),
                    packets: row["packets"].as_u64().unwrap_or_default(),
                })
                .collect(),
        }
    }

    /// What came to it since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |row: &Refused| {
            let same = |old: &&Refused| (&old.tier, &old.reason) == (&row.tier, &row.reason);
            earlier.refused.iter().find(same).map_or(0, |old| old.packets)
        };
        let rows =
            self.refused.iter().map(|row| Refused { packets: row.packets - before(row), ..row.clone() });
        Self {
            xdp: self.xdp.since(earlier.xdp),
            tc: self.tc.since(earlier.tc),
            daemon: self.daemon.since(earlier.daemon),
            refused: rows.filter(|row| row.packets > 0).collect(),
        }
    }

    /// Packets into the tunnel, whatever carried them.
    pub(super) fn sent(&self) -> u64 {
        self.xdp.sent_packets + self.tc.sent_packets + self.daemon.sent_packets
    }

    /// Packets out of the tunnel, whatever carried them.
    pub(super) fn received(&self) -> u64 {
        self.xdp.received_packets + self.tc.received_packets + self.daemon.received_packets
    }
}

impl Tier {
    fn read(tier: &Value) -> Self {
        let number = |name: &str| tier[name].as_u64().unwrap_or_default();
        Self {
            sent_packets: number("sent-packets"),
            sent_bytes: number("sent-bytes"),
            received_packets: number("received-packets"),
            received_bytes: number("received-bytes"),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            sent_packets: self.sent_packets.saturating_sub(earlier.sent_packets),
            sent_bytes: self.sent_bytes.saturating_sub(earlier.sent_bytes),
            received_packets: self.received_packets.saturating_sub(earlier.received_packets),
            received_bytes: self.received_bytes.saturating_sub(earlier.received_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(packets: u64, refused: u64) -> Value {
        serde_json::json!({
            "traffic": {"xdp": {"sent-packets": packets, "received-bytes": 7}},
            "refused": [{"tier": "xdp", "reason": "local", "packets": refused}],
        })
    }

    #[test]
    fn differences_leave_out_what_did_not_move() {
        let (early, late) = (Counters::read(&tunnel(3, 5)), Counters::read(&tunnel(10, 5)));
        let moved = late.since(&early);
        assert_eq!(moved.sent(), 7);
        assert_eq!(moved.received(), 0);
        assert!(moved.refused.is_empty());
        let refused = &Counters::read(&tunnel(3, 9)).since(&early).refused;
        assert_eq!(refused.first().map(|row| row.packets), Some(4));
    }
}
