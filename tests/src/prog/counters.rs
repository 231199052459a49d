//! What the programs counted for the world's tunnel.

use aya::Ebpf;
use aya::maps::{MapError, PerCpuArray, PerCpuHashMap};
use ipip_common::abi::{Reason, Tier, TierTraffic, Traffic, map, refusal_key};

use super::{TUNNEL, open};
use crate::outcome::Outcome;

/// The counters of the world's tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    traffic: Traffic,
    refusals: Vec<(Tier, Reason, u64)>,
}

impl Counters {
    pub(super) fn read(programs: &mut Ebpf) -> Self {
        let mut traffic = Traffic::default();
        let all = open(programs, map::TRAFFIC, PerCpuArray::<_, Traffic>::try_from).get(&TUNNEL, 0).unwrap();
        all.iter().for_each(|share| traffic.add(share));
        let refusals: PerCpuHashMap<_, u32, u64> = open(programs, map::REFUSALS, PerCpuHashMap::try_from);
        let count = |tier, reason| match refusals.get(&refusal_key(TUNNEL, tier, reason), 0) {
            Ok(counts) => counts.iter().copied().sum::<u64>(),
            Err(MapError::KeyNotFound) => 0,
            Err(error) => panic!("map {}: {error}", map::REFUSALS),
        };
        let rows = Tier::ALL.into_iter().flat_map(|tier| Reason::ALL.map(|reason| (tier, reason)));
        let refusals = rows.map(|(tier, reason)| (tier, reason, count(tier, reason))).collect();
        Self { traffic, refusals }
    }

    /// What they are to be after a frame that fared like this.
    pub fn add(&mut self, tier: Tier, outcome: &Outcome) {
        let share = match tier {
            Tier::Xdp => &mut self.traffic.xdp,
            Tier::Tc => &mut self.traffic.tc,
            Tier::Daemon => &mut self.traffic.daemon,
        };
        share.sent_packets += outcome.traffic.sent_packets;
        share.sent_bytes += outcome.traffic.sent_bytes;
        share.received_packets += outcome.traffic.received_packets;
        share.received_bytes += outcome.traffic.received_bytes;
        for reason in &outcome.refused {
            let row = self.refusals.iter_mut().find(|row| row.0 == tier && row.1 == *reason);
            row.expect("every reason has a counter").2 += 1;
        }
    }

    /// The refusals that were counted until `after`; panics when one was counted for another tier.
    pub(super) fn refused(&self, tier: Tier, after: &Self) -> Vec<Reason> {
        let mut refused = Vec::new();
        for ((by, reason, before), (_, _, after)) in self.refusals.iter().zip(&after.refusals) {
            assert!(*by == tier || before == after, "{reason:?} was counted for another tier");
            refused.extend(std::iter::repeat_n(*reason, usize::try_from(after - before).unwrap()));
        }
        refused
    }

    /// What one tier's share grew by until `after`; panics when another's did.
    pub(super) fn traffic(&self, tier: Tier, after: &Self) -> TierTraffic {
        for other in Tier::ALL.into_iter().filter(|other| *other != tier) {
            assert_eq!(
                self.traffic.tier(other),
                after.traffic.tier(other),
                "another tier counted the packet"
            );
        }
        let (before, after) = (self.traffic.tier(tier), after.traffic.tier(tier));
        TierTraffic {
            sent_packets: after.sent_packets - before.sent_packets,
            sent_bytes: after.sent_bytes - before.sent_bytes,
            received_packets: after.received_packets - before.received_packets,
            received_bytes: after.received_bytes - before.received_bytes,
        }
    }
}
