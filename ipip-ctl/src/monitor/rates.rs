//! From two looks at the counters to what happens a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::units::delay;
use crate::api::protocol::{Action, Refused, TierTraffic, TunnelView};

/// The tiers by their names, in the order in which a packet meets them.
pub const TIERS: [&str; 3] = ["xdp", "tc", "daemon"];
const BITS: f64 = 8.0;

/// The counters at one time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// For differences.
    pub at: Instant,
    /// For people.
    pub time: Timestamp,
    /// The tunnels in their order, each with its number in the list.
    pub tunnels: Vec<(usize, TunnelView)>,
}

/// What a tier does of a tunnel's packets, a second. Bits are without outer headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TierRates {
    /// Packets into the tunnel.
    pub sent_packets: f64,
    /// Their bits.
    pub sent_bits: f64,
    /// Packets out of the tunnel.
    pub received_packets: f64,
    /// Their bits.
    pub received_bits: f64,
}

/// How many packets a tier refuses for one reason, a second.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedRate {
    /// The tier's name.
    pub tier: String,
    /// The reason's name.
    pub reason: String,
    /// What becomes of them.
    pub action: Action,
    /// Packets a second.
    pub packets: f64,
}

/// What happens in a tunnel, a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// By tier, as [`TIERS`].
    pub tiers: [TierRates; 3],
    /// What is refused, of that for which there was ever a packet.
    pub refused: Vec<RefusedRate>,
}

impl Sample {
    /// The rates of all tunnels since an earlier sample, in this one's order. A tunnel that is new has none yet, and
    /// counters that began anew count from there.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Vec<Rates> {
        let before: HashMap<&str, &TunnelView> =
            earlier.tunnels.iter().map(|(_, tunnel)| (tunnel.name.as_str(), tunnel)).collect();
        let time = self.at.saturating_duration_since(earlier.at);
        let rates = self.tunnels.iter().map(|(_, now)| {
            before
                .get(now.name.as_str())
                .map_or_else(Rates::default, |before| Rates::between(before, now, time))
        });
        rates.collect()
    }
}

impl Rates {
    fn between(before: &TunnelView, now: &TunnelView, time: Duration) -> Self {
        let tiers = [
            (before.traffic.xdp, now.traffic.xdp),
            (before.traffic.tc, now.traffic.tc),
            (before.traffic.daemon, now.traffic.daemon),
        ];
        let refused = now.refused.iter().map(|refused| {
            let is_same = |other: &&Refused| other.tier == refused.tier && other.reason == refused.reason;
            let had = before.refused.iter().find(is_same).map_or(0, |other| other.packets);
            RefusedRate {
                tier: refused.tier.clone(),
                reason: refused.reason.clone(),
                action: refused.action,
                packets: per_second(had, refused.packets, time),
            }
        });
        Self {
            tiers: tiers.map(|(before, now)| TierRates::between(before, now, time)),
            refused: refused.collect(),
        }
    }

    /// Over all tiers.
    #[must_use]
    pub fn total(&self) -> TierRates {
        self.tiers.iter().fold(TierRates::default(), |sum, tier| sum.plus(*tier))
    }

    /// Packets that end here. What one tier passes on, the next one or the host's stack has.
    #[must_use]
    pub fn dropped(&self) -> f64 {
        let dropped = self.refused.iter().filter(|refused| refused.action == Action::Drop);
        dropped.map(|refused| refused.packets).sum()
    }

    /// The tiers' shares of the packets; nothing while there are none.
    #[must_use]
    pub fn shares(&self) -> Option<[f64; 3]> {
        let all = self.total().packets();
        (all > 0.0).then(|| self.tiers.map(|tier| tier.packets() / all))
    }
}

impl TierRates {
    fn between(before: TierTraffic, now: TierTraffic, time: Duration) -> Self {
        let rate = |before, now| per_second(before, now, time);
        Self {
            sent_packets: rate(before.sent_packets, now.sent_packets),
            sent_bits: rate(before.sent_bytes, now.sent_bytes) * BITS,
            received_packets: rate(before.received_packets, now.received_packets),
            received_bits: rate(before.received_bytes, now.received_bytes) * BITS,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            sent_packets: self.sent_packets + other.sent_packets,
            sent_bits: self.sent_bits + other.sent_bits,
            received_packets: self.received_packets + other.received_packets,
            received_bits: self.received_bits + other.received_bits,
        }
    }

    /// Packets both ways.
    #[must_use]
    pub fn packets(self) -> f64 {
        self.sent_packets + self.received_packets
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates of more than 2^53 packets or bytes do not occur")]
fn per_second(before: u64, now: u64, time: Duration) -> f64 {
    let more = now.checked_sub(before).unwrap_or(now);
    if time.is_zero() { 0.0 } else { more as f64 / time.as_secs_f64() }
}

/// The mean round-trip time of a tunnel's probes; a dash before the first answer.
#[must_use]
pub fn round_trip(tunnel: &TunnelView) -> String {
    let mean = tunnel.liveness.as_ref().and_then(|liveness| liveness.rtt_mean_us);
    mean.map_or_else(|| "-".to_owned(), delay)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::alive::Liveness;
    use crate::report::tests::three;

    /// Two samples of the three tunnels, two seconds apart; the first one carries and refuses something.
    pub(crate) fn samples() -> [Sample; 2] {
        let at = Instant::now();
        let time: Timestamp = "2026-11-26T14:10:33Z".parse().unwrap();
        let numbered = || three().into_iter().enumerate().collect::<Vec<_>>();
        let first = Sample { at, time, tunnels: numbered() };
        let mut tunnels = numbered();
        tunnels[0].1.traffic.xdp = TierTraffic {
            sent_packets: 3000,
            sent_bytes: 4_200_000,
            received_packets: 1000,
            received_bytes: 60_000,
        };
        tunnels[0].1.traffic.tc =
            TierTraffic { sent_packets: 1000, sent_bytes: 1000, ..TierTraffic::default() };
        tunnels[0].1.refused.push(Refused {
            tier: "xdp".into(),
            reason: "too-big".into(),
            action: Action::Pass,
            packets: 10,
        });
        tunnels[0].1.refused.push(Refused {
            tier: "tc".into(),
            reason: "loop".into(),
            action: Action::Drop,
            packets: 2,
        });
        tunnels[0].1.liveness = Some(Liveness {
            state: "alive".into(),
            answered_by: Some("reflect".into()),
            probes: 70,
            answers: 68,
            lost: 2,
            lost_of: 64,
            rtt_us: Some(11_840),
            rtt_mean_us: Some(12_345),
            jitter_us: Some(310),
            ..Liveness::default()
        });
        [first, Sample { at: at + Duration::from_secs(2), time, tunnels }]
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn rates_are_differences_by_time() {
        let [first, second] = samples();
        let rates = second.since(&first);
        assert_eq!(rates.len(), 3);
        let xdp = rates[0].tiers[0];
        assert_eq!((xdp.sent_packets, xdp.sent_bits), (1500.0, 16_800_000.0));
        assert_eq!((xdp.received_packets, xdp.received_bits), (500.0, 240_000.0));
        assert_eq!(rates[0].total().sent_packets, 2000.0);
        assert_eq!(rates[0].shares(), Some([0.8, 0.2, 0.0]));
        assert_eq!(rates[0].refused[0].packets, 5.0);
        assert_eq!(rates[0].dropped(), 1.0);
        assert_eq!((rates[1].total(), rates[1].shares()), (TierRates::default(), None));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn new_tunnels_and_new_counters_are_no_leaps() {
        let [mut first, second] = samples();
        assert_eq!(second.since(&second)[0].total(), TierRates::default(), "no time has passed");
        first.tunnels[0].1.traffic.xdp.sent_packets = 9000;
        assert_eq!(second.since(&first)[0].tiers[0].sent_packets, 1500.0, "it began anew");
        first.tunnels.remove(0);
        assert_eq!(second.since(&first)[0], Rates::default(), "it was not there");
    }
}
