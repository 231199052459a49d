//! A tunnel's counters, summed over the CPUs.

use aya::maps::{MapError, PerCpuValues};
use aya::util::nr_cpus;
use ipip_common::abi::{Reason, Tier, Traffic, ident_block, refusal_key};

use super::kernel::gone;
use super::{Kernel, failed};
use crate::failure::Failure;

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

impl Kernel {
    /// What a tunnel carried, over all CPUs.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn traffic(&self, id: u32) -> Result<Traffic, Failure> {
        let mut sum = Traffic::default();
        let per_cpu = self.traffic.get(&id, 0).map_err(|error| failed("reading map TRAFFIC", &error))?;
        for traffic in per_cpu.iter() {
            sum.add(traffic);
        }
        Ok(sum)
    }

    /// How many of a tunnel's packets a tier refused for this reason, over all CPUs.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn refused(&self, id: u32, tier: Tier, reason: Reason) -> Result<u64, Failure> {
        match self.refusals.get(&refusal_key(id, tier, reason), 0) {
            Ok(per_cpu) => Ok(per_cpu.iter().sum()),
            Err(MapError::KeyNotFound) => Ok(0),
            Err(error) => Err(failed("reading map REFUSALS", &error)),
        }
    }

    /// Sets a tunnel's counters to zero, for the next tunnel with this ID.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn clear_counters(&mut self, id: u32) -> Result<(), Failure> {
        let cpus =
            nr_cpus().map_err(|(what, error)| Failure::io(format!("counting CPUs: {what}"), &error))?;
        let block = ident_block(u32::try_from(cpus).unwrap_or(u32::MAX));
        // Each CPU begins with its own block of identifications.
        let traffic = (0..cpus).map(|cpu| {
            let ident = u32::try_from(cpu).unwrap_or(0).wrapping_mul(block) & 0xffff;
            Traffic { ident, ..Traffic::default() }
        });
        let traffic = PerCpuValues::try_from(traffic.collect::<Vec<_>>())
            .map_err(|error| Failure::io("clearing counters", &error))?;
        self.traffic.set(id, traffic, 0).map_err(|error| failed("writing map TRAFFIC", &error))?;
        if !self.counted.remove(&id) {
            return Ok(());
        }
        for tier in Tier::ALL {
            for reason in Reason::ALL {
                gone(self.refusals.remove(&refusal_key(id, tier, reason)))
                    .map_err(|error| failed("writing map REFUSALS", &error))?;
            }
        }
        Ok(())
    }
}
