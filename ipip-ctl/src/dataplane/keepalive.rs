//! The maps of keepalive: what the programs are to count as answers, and what they counted. Both are mapped into memory.

use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues};
use ipip_common::abi::{
    Answers, Family, OwnAddress, Probing, Reason, Tier, TierTraffic, Traffic, Worth, map, refusal_key,
};
use ipip_common::packet::probe::{Probe, Way};

use super::failed;
use super::mapped::Mapped;
use crate::failure::Failure;

/// Where [`Answers`] have their count, and the number and the ways of the latest, in words of 64 bits.
const COUNT: usize = offset_of!(Answers, count) / size_of::<u64>();
const LATEST: usize = offset_of!(Answers, latest) / size_of::<u64>();

/// A handle on the maps, for a thread of its own.
#[derive(Clone)]
pub struct KeepaliveMaps(Arc<Shared>);

struct Shared {
    probes: Mapped<Probing>,
    answers: Mapped<Answers>,
    maps: Mutex<Maps>,
}

struct Maps {
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
        probes: &Array<MapData, Probing>,
        answers: &Array<MapData, Answers>,
        traffic: PerCpuArray<MapData, Traffic>,
        refusals: PerCpuHashMap<MapData, u32, u64>,
        addresses: HashMap<MapData, OwnAddress, u32>,
    ) -> Result<Self, Failure> {
        Ok(Self(Arc::new(Shared {
            probes: Mapped::new(map::PROBES, probes)?,
            answers: Mapped::new(map::ANSWERS, answers)?,
            maps: Mutex::new(Maps { traffic, refusals, addresses }),
        })))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Maps) -> R) -> R {
        work(&mut self.0.maps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was written and counted of a tunnel; zeros where nothing was.
    #[must_use]
    pub fn read(&self, id: u32) -> (Probing, Answers) {
        (self.0.probes.load(id), self.0.answers.load(id))
    }

    /// What was counted of a tunnel's answers.
    #[must_use]
    pub fn answers(&self, id: u32) -> Answers {
        self.0.answers.load(id)
    }

    /// How many answers of a tunnel have counted.
    #[must_use]
    pub fn count(&self, id: u32) -> u64 {
        self.answer_word(id, COUNT)
    }

    /// The best of the ways that the latest probe of a tunnel was answered by.
    #[must_use]
    pub fn way(&self, id: u32) -> Option<Way> {
        let [_, ways] = bytemuck::cast::<u64, [u32; 2]>(self.answer_word(id, LATEST));
        Answers { ways, ..Answers::default() }.way()
    }

    fn answer_word(&self, id: u32, word: usize) -> u64 {
        self.0.answers.words(id).get(word).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Writes what counts as an answer. A program may see half of it. A key that is another is therefore taken away before
    /// anything else is written, and comes last; half of one is as unknown to others as all of it.
    pub fn write(&self, id: u32, probing: &Probing) {
        let before = self.0.probes.load(id);
        if before.key != probing.key {
            self.0.probes.store(id, &Probing { key: [0; 2], ..before });
        }
        if !self.0.probes.store(id, probing) {
            log::error!("writing map {}: no tunnel has the ID {id}", map::PROBES);
        }
    }

    /// Goes on with what was written and counted elsewhere.
    pub(super) fn seed(&self, id: u32, probing: &Probing, answers: &Answers) {
        self.with(|_| self.0.answers.store(id, answers));
        self.write(id, probing);
    }

    /// Forgets a tunnel's far end.
    pub fn clear(&self, id: u32) {
        self.write(id, &Probing::default());
        // Not while tier 3 notes an answer.
        self.with(|_| self.0.answers.store(id, &Answers::default()));
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
        // The lock is for the answers: one thread after the other.
        self.with(|_| {
            let (probing, mut answers) = self.read(id);
            let worth = answers.take(&probing, probe, nonce, now_ns);
            self.0.answers.store(id, &answers);
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
