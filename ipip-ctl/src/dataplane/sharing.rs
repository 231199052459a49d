//! CPUs that share the decapsulation of what one receive queue brings.

use aya::Ebpf;
use aya::maps::{Array, CpuMap, MapData};
use aya::programs::{Program, ProgramFd};
use aya::util::online_cpus;
use ipip_common::abi::{MAX_SHARING, map, program};

use super::{Kernel, failed, missing};
use crate::failure::Failure;

/// Packets that may wait for a CPU; the kernel drops what comes beyond, as it does when a receive queue is full.
const QUEUE: u32 = 2048;

/// The CPUs' queues.
pub(super) struct Sharing {
    cpus: CpuMap<MapData>,
    numbers: Array<MapData, u32>,
    program: ProgramFd,
    is_set_up: bool,
}

impl Sharing {
    /// Takes the maps; no CPU shares yet.
    pub(super) fn take(programs: &mut Ebpf) -> Result<Self, Failure> {
        let wrong = |error: &(dyn std::error::Error + 'static)| failed("opening the map of CPUs", error);
        let program = match programs.program(program::XDP_CPU) {
            Some(Program::Xdp(program)) => {
                program.fd().map_err(|error| wrong(&error))?.try_clone().map_err(|error| wrong(&error))?
            }
            Some(_) | None => return Err(missing(program::XDP_CPU)),
        };
        let mut take = |name| programs.take_map(name).ok_or_else(|| missing(name));
        Ok(Self {
            cpus: take(map::CPUS)?.try_into().map_err(|error: aya::maps::MapError| wrong(&error))?,
            numbers: take(map::SHARING)?.try_into().map_err(|error: aya::maps::MapError| wrong(&error))?,
            program,
            is_set_up: false,
        })
    }

    /// Gives each CPU that is online a queue and a kernel thread, once.
    fn set_up(&mut self) -> Result<(), Failure> {
        if self.is_set_up {
            return Ok(());
        }
        let online = online_cpus().map_err(|(what, error)| Failure::io(what.to_owned(), &error))?;
        let sharing = online.len().min(usize::try_from(MAX_SHARING).unwrap_or(usize::MAX));
        let wrong = |error: &(dyn std::error::Error + 'static)| failed("giving CPUs queues", error);
        for (at, cpu) in (1..).zip(online.into_iter().take(sharing)) {
            self.cpus.set(cpu, QUEUE, Some(&self.program), 0).map_err(|error| wrong(&error))?;
            self.numbers.set(at, cpu, 0).map_err(|error| wrong(&error))?;
        }
        // Last: from here on packets are handed over.
        let count = u32::try_from(sharing).unwrap_or(0);
        self.numbers.set(0, count, 0).map_err(|error| wrong(&error))?;
        self.is_set_up = true;
        Ok(())
    }
}

impl Kernel {
    /// Before a tunnel's packets are shared. Where it fails, one CPU goes on decapsulating them.
    pub(super) fn prepare_sharing(&mut self) {
        if let Err(failure) = self.sharing.set_up() {
            log::warn!("spread: {failure}; one CPU decapsulates for each receive queue");
        }
    }

    /// Packets that each CPU decapsulated in tier 1, by number of the CPU.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn received_by_cpu(&self, id: u32) -> Result<Vec<u64>, Failure> {
        let per_cpu = self.traffic.get(&id, 0).map_err(|error| failed("reading map TRAFFIC", &error))?;
        Ok(per_cpu.iter().map(|traffic| traffic.xdp.received_packets).collect())
    }
}
