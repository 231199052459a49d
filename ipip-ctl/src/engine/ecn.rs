//! Dangerous pairs of outer and inner ECN field, as the log tells of them (RFC 6040 4.2): once a minute and tunnel
//! at most, under the target `ecn`, so that `RUST_LOG=ecn=off` silences it.

use std::time::{Duration, Instant};

use ipip_common::abi::{Reason, Tier};

use super::Engine;

const PAUSE: Duration = Duration::from_mins(1);

/// What of a tunnel the log has told already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EcnWatch {
    told: u64,
    until: Option<Instant>,
}

impl EcnWatch {
    /// Tells of nothing that was counted before.
    pub(super) const fn from(packets: u64) -> Self {
        Self { told: packets, until: None }
    }

    /// How many packets there are to tell of, if it is time again.
    fn grown(&mut self, packets: u64, now: Instant) -> Option<u64> {
        if self.until.is_some_and(|until| now < until) || packets <= self.told {
            return None;
        }
        let more = packets - self.told;
        *self = Self { told: packets, until: Some(now + PAUSE) };
        Some(more)
    }
}

impl Engine {
    /// Packets of a tunnel with a dangerous pair, carried or dropped; 0 where the kernel does not say.
    pub(super) fn dangerous(&self, id: u32) -> u64 {
        let tiers = [Tier::Xdp, Tier::Tc].into_iter();
        let pairs = tiers.flat_map(|tier| [(tier, Reason::OddEcn), (tier, Reason::BadEcn)]);
        pairs.filter_map(|(tier, reason)| self.kernel.refused(id, tier, reason).ok()).sum()
    }

    /// Tells of what has come to these tunnels since the last time.
    pub(super) fn watch_ecn(&mut self, names: &[String]) {
        let now = Instant::now();
        for name in names {
            let Some(id) = self.installed(name).map(|installed| installed.id) else { continue };
            let packets = self.dangerous(id);
            let installed = self.running.get_mut(name).and_then(|running| running.installed.as_mut());
            if let Some(more) = installed.and_then(|installed| installed.ecn.grown(packets, now)) {
                log::warn!(
                    target: "ecn",
                    "tunnel {name}: {more} packets with a dangerous ECN combination (RFC 6040 4.2)"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_growth_once_a_minute() {
        let start = Instant::now();
        let mut watch = EcnWatch::from(5);
        assert_eq!(watch.grown(5, start), None);
        assert_eq!(watch.grown(7, start), Some(2));
        assert_eq!(watch.grown(9, start + Duration::from_secs(59)), None);
        assert_eq!(watch.grown(10, start + PAUSE), Some(3));
        assert_eq!(watch.grown(10, start + PAUSE * 3), None);
    }
}
