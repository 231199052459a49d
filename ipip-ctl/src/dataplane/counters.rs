//! A tunnel's counters, summed over the CPUs.

use ipip_common::abi::{Reason, Tier, Traffic};

/// How many packets a tier refused for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedPackets {
    /// Where.
    pub tier: Tier,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub packets: u64,
}

/// What a tunnel carried and refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Carried, by tier.
    pub traffic: Traffic,
    /// Refused; only what is not zero.
    pub refused: Vec<RefusedPackets>,
}

impl Counters {
    /// Adds refused packets.
    pub fn refuse(&mut self, tier: Tier, reason: Reason, packets: u64) {
        if packets > 0 {
            self.refused.push(RefusedPackets { tier, reason, packets });
        }
    }
}
