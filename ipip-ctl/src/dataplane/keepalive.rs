//! The maps of keepalive: what the programs are to count as answers, and what they counted.

use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{Array, MapData, PerCpuArray};
use ipip_common::abi::{Answers, Probing, Tier, Traffic, map};

use super::failed;
use crate::failure::Failure;

/// A handle on the maps, for a thread of its own.
#[derive(Clone)]
pub struct KeepaliveMaps(Arc<Mutex<Maps>>);

struct Maps {
    probes: Array<MapData, Probing>,
    answers: Array<MapData, Answers>,
    traffic: PerCpuArray<MapData, Traffic>,
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
    ) -> Self {
        Self(Arc::new(Mutex::new(Maps { probes, answers, traffic })))
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
