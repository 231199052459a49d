//! The maps of keepalive: what the programs are to count as answers, and what they counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues};
use ipip_common::abi::{
    Answers, Family, OwnAddress, Probing, Reason, Tier, TierTraffic, Traffic, Worth, map, refusal_key,
};
use ipip_common::packet::probe::Probe;

use super::failed;
use crate::failure::Failure;

/// A handle on the maps, for a thread of its own.
#[derive(Clone)]
pub struct KeepaliveMaps(Arc<Mutex<Maps>>);

struct Maps {
    probes: Array<MapData, Probing>,
    answers: Array<MapData, Answers>,
    traffic: PerCpuArray<MapData, Traffic>,
    refusals: PerCpuHashMap<MapData, u32, u64>,
    addresses: HashMap<MapData, OwnAddress, u32>,
}

impl std::fmt::Debug for KeepaliveMaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepaliveMaps").finish_non_exhaustive()
    }
}

impl KeepaliveMaps {
    pub(super) fn new(
        probes: Array<MapData, Probing>,
        answers: Array<MapData, Answers>,
        traffic: PerCpuArray<MapData, Traffic>,
        refusals: PerCpuHashMap<MapData, u32, u64>,
        addresses: HashMap<MapData, OwnAddress, u32>,
    ) -> Self {
        Self(Arc::new(Mutex::new(Maps { probes, answers, traffic, refusals, addresses })))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Maps) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was written and counted of a tunnel; zeros where nothing was.
    #[must_use]
    pub fn read(&self, id: u32) -> (Probing, Answers) {
        self.with(|maps| {
            (maps.probes.get(&id, 0).unwrap_or_default(), maps.answers.get(&id, 0).unwrap_or_default())
        })
    }

    /// What was counted of a tunnel's answers.
    #[must_use]
    pub fn answers(&self, id: u32) -> Answers {
        self.with(|maps| maps.answers.get(&id, 0).unwrap_or_default())
    }

    /// Writes what counts as an answer.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn write(&self, id: u32, probing: &Probing) -> Result<(), Failure> {
        self.with(|maps| maps.probes.set(id, probing, 0))
            .map_err(|error| failed("writing map PROBES", &error))
    }

    /// Forgets a tunnel's far end.
    pub fn clear(&self, id: u32) {
        let result = self.with(|maps| {
            maps.probes.set(id, Probing::default(), 0)?;
            maps.answers.set(id, Answers::default(), 0)
        });
        if let Err(error) = result {
            log::error!("{}", failed(format!("clearing maps {} and {}", map::PROBES, map::ANSWERS), &error));
        }
    }

    /// Packets that came out of a tunnel.
    #[must_use]
    pub fn received(&self, id: u32) -> u64 {
        let per_cpu = self.with(|maps| maps.traffic.get(&id, 0));
        let all = per_cpu.iter().flat_map(|per_cpu| per_cpu.iter());
        all.flat_map(|share| Tier::ALL.map(|tier| share.tier(tier).received_packets))
            .fold(0, u64::wrapping_add)
    }
}

/// What tier 3 asks of the maps, and tells them: its tunnels are no program's.
impl KeepaliveMaps {
    /// Whether the address is one of this host.
    #[must_use]
    pub fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        self.with(|maps| maps.addresses.get(&OwnAddress::new(family, address), 0)).is_ok()
    }

    /// Notes the answer to a probe, as the programs do for other tunnels.
    #[must_use]
    pub fn take_answer(&self, id: u32, probe: &Probe, nonce: u64) -> Worth {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from);
        let now_ns = now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        self.with(|maps| {
            let probing = maps.probes.get(&id, 0).unwrap_or_default();
            let mut answers = maps.answers.get(&id, 0).unwrap_or_default();
            let worth = answers.take(&probing, probe, nonce, now_ns);
            if let Err(error) = maps.answers.set(id, answers, 0) {
                log::error!("{}", failed("writing map ANSWERS", &error));
            }
            worth
        })
    }

    /// Adds what the daemon carried and refused.
    pub fn add(&self, id: u32, traffic: &TierTraffic, refused: &[(Reason, u64)]) {
        let added = self.with(|maps| {
            let mut all = maps.traffic.get(&id, 0)?.to_vec();
            if let Some(first) = all.first_mut() {
                first.add(&Traffic { daemon: *traffic, ..Traffic::default() });
            }
            let values = PerCpuValues::try_from(all).map_err(MapError::IoError)?;
            maps.traffic.set(id, values, 0)?;
            for (reason, count) in refused {
                let key = refusal_key(id, Tier::Daemon, *reason);
                let mut all = match maps.refusals.get(&key, 0) {
                    Ok(all) => all.to_vec(),
                    Err(_) => vec![0; maps.traffic.get(&id, 0)?.len()],
                };
                if let Some(first) = all.first_mut() {
                    *first = first.wrapping_add(*count);
                }
                maps.refusals.insert(key, PerCpuValues::try_from(all).map_err(MapError::IoError)?, 0)?;
            }
            Ok::<(), MapError>(())
        });
        if let Err(error) = added {
            log::error!("{}", failed("counting what the daemon carried", &error));
        }
    }
}
