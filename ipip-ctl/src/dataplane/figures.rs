//! How full the maps are, and how long the programs ran.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use ipip_common::abi::{
    MAX_ADDRESSES, MAX_ALLOWED, MAX_LABELS, MAX_PORTS, MAX_REFUSALS, MAX_TUNNELS, map, program, refusal_of,
};

use super::{Kernel, RefusedPackets};

/// Where the kernel says whether it measures programs.
const STATS_SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// How full a map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFill {
    /// Its name.
    pub name: &'static str,
    /// How many entries it has.
    pub entries: usize,
    /// How many it has room for.
    pub most: u32,
}

/// How often and how long a program ran since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRuns {
    /// Its name.
    pub name: &'static str,
    /// How often.
    pub count: u64,
    /// How long in all.
    pub time: Duration,
}

impl Kernel {
    /// How full the maps are that grow with the configuration or with traffic.
    #[must_use]
    pub fn fills(&self) -> Vec<MapFill> {
        let ports = self.ports();
        let tunnels = ports.iter().filter(|(_, port)| port.tunnel_id().is_some()).count();
        let entries = [
            // Place 0 is nobody's.
            (map::TUNNELS, tunnels, MAX_TUNNELS - 1),
            (map::PEERS, self.peers.keys().count(), MAX_TUNNELS * 3),
            (map::PORTS, ports.len(), MAX_PORTS),
            (map::REFUSALS, self.refusals.keys().count(), MAX_REFUSALS),
            (map::ADDRESSES, self.addresses.keys().count(), MAX_ADDRESSES),
            (map::ALLOWED, self.prefixes.count(), MAX_ALLOWED),
            (map::LABELS, self.labels.keys().count(), MAX_LABELS),
        ];
        entries.into_iter().map(|(name, entries, most)| MapFill { name, entries, most }).collect()
    }

    /// What the kernel measured of the programs; nothing while it does not measure (`kernel.bpf_stats_enabled`).
    #[must_use]
    pub fn runs(&self) -> Vec<ProgramRuns> {
        if fs::read_to_string(STATS_SWITCH).is_ok_and(|text| text.trim() == "0") {
            return Vec::new();
        }
        let runs = |name| {
            let info = self.programs.program(name)?.info().ok()?;
            Some(ProgramRuns { name, count: info.run_count(), time: info.run_time() })
        };
        program::ALL.into_iter().filter_map(runs).collect()
    }

    /// What was refused of all tunnels' packets, by tunnel ID, in the order of tiers and reasons. One walk over the map:
    /// looking for each tunnel's, tier's and reason's number is a hundred times as much.
    #[must_use]
    pub fn all_refused(&self) -> HashMap<u32, Vec<RefusedPackets>> {
        let mut all: HashMap<u32, Vec<RefusedPackets>> = HashMap::new();
        for (key, per_cpu) in self.refusals.iter().filter_map(Result::ok) {
            let Some((id, tier, reason)) = refusal_of(key) else { continue };
            let packets = per_cpu.iter().sum();
            if packets > 0 {
                all.entry(id).or_default().push(RefusedPackets { tier, reason, packets });
            }
        }
        for refused in all.values_mut() {
            refused.sort_by_key(|it| (it.tier as u32, it.reason as u32));
            // Whoever walks through a map while packets add to it may come by a key twice.
            refused.dedup_by_key(|it| (it.tier as u32, it.reason as u32));
        }
        all
    }
}
