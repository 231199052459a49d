//! The loaded object: the only file that knows the maps by name.

use aya::maps::{Array, HashMap, LpmTrie, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues};
use aya::util::{KernelVersion, nr_cpus};
use aya::{Ebpf, EbpfLoader};
use ipip_common::abi::{
    AllowedInner, LabelEntry, OwnAddress, PeerKey, Port, Reason, Tier, Traffic, TunnelEntry, ident_block,
    map, program, refusal_key,
};
use nix::libc;

use super::generation::Generation;
use super::lists::Prefixes;
use super::sharing::Sharing;
use super::{Pins, failed};
use crate::failure::{Failure, FailureKind};

/// The programs, embedded when `ipip-ctl` was built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ipip-ebpf.o"));

/// The oldest kernel that is supported.
const OLDEST: KernelVersion = KernelVersion::new(6, 1, 0);

/// Refuses kernels that cannot run the programs.
///
/// # Errors
///
/// The running kernel is too old.
pub fn check_kernel() -> Result<(), Failure> {
    let running = KernelVersion::current().map_err(|error| failed("reading the kernel's version", &error))?;
    if running >= OLDEST {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Unsupported,
        format!("kernel {running}: too old, Linux 6.1 or newer is needed"),
    )
    .with_hint("boot a newer kernel"))
}

/// The programs and maps of this network namespace.
pub struct Kernel {
    pub(super) programs: Ebpf,
    pub(super) pins: Pins,
    tunnels: Array<MapData, TunnelEntry>,
    pub(super) peers: HashMap<MapData, PeerKey, u32>,
    ports: HashMap<MapData, u32, Port>,
    pub(super) traffic: PerCpuArray<MapData, Traffic>,
    pub(super) refusals: PerCpuHashMap<MapData, u32, u64>,
    pub(super) generation: Generation,
    pub(super) sharing: Sharing,
    pub(super) addresses: HashMap<MapData, OwnAddress, u32>,
    pub(super) allowed: LpmTrie<MapData, AllowedInner, u32>,
    /// What is in `allowed`, by tunnel.
    pub(super) prefixes: Prefixes,
    pub(super) labels: HashMap<MapData, u32, LabelEntry>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("pins", &self.pins).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads the programs; maps that are pinned already go on with what they hold.
    ///
    /// # Errors
    ///
    /// The object is not embedded, does not load, or the pinned maps are of another layout.
    pub fn load(pins: Pins) -> Result<Self, Failure> {
        if OBJECT.is_empty() {
            return Err(Failure::new(
                FailureKind::Unsupported,
                "this ipip-ctl was built without its BPF programs",
            )
            .with_hint("build it with `cargo xtask build`"));
        }
        super::shapes::check(&pins)?;
        let mut programs = load_programs(&pins).inspect_err(|_| pins.undo())?;
        super::trace::follow(&mut programs);
        let sharing = Sharing::take(&mut programs)?;
        let mut take = |name| {
            programs
                .take_map(name)
                .ok_or_else(|| Failure::new(FailureKind::Failed, format!("the BPF object has no map {name}")))
        };
        let wrong = |error: MapError| failed("opening a map", &error);
        let generation = Generation::new(take(map::VARIABLES)?.try_into().map_err(wrong)?);
        generation.follow()?;
        let allowed: LpmTrie<_, _, _> = take(map::ALLOWED)?.try_into().map_err(wrong)?;
        let mut kernel = Self {
            tunnels: take(map::TUNNELS)?.try_into().map_err(wrong)?,
            peers: take(map::PEERS)?.try_into().map_err(wrong)?,
            ports: take(map::PORTS)?.try_into().map_err(wrong)?,
            traffic: take(map::TRAFFIC)?.try_into().map_err(wrong)?,
            refusals: take(map::REFUSALS)?.try_into().map_err(wrong)?,
            generation,
            addresses: take(map::ADDRESSES)?.try_into().map_err(wrong)?,
            prefixes: Prefixes::read(&allowed),
            allowed,
            labels: take(map::LABELS)?.try_into().map_err(wrong)?,
            sharing,
            programs,
            pins,
        };
        // What an earlier daemon has spread is spread by the first program that this one attaches.
        let ids: Vec<u32> = kernel.ports().iter().filter_map(|(_, port)| port.tunnel_id()).collect();
        if ids.into_iter().filter_map(|id| kernel.tunnel(id)).any(|entry| entry.flags().spread) {
            kernel.prepare_sharing();
        }
        Ok(kernel)
    }

    /// After a write to a map: the programs forget what they decided before.
    pub(super) fn wrote(&self, name: &str, result: Result<(), MapError>) -> Result<(), Failure> {
        self.generation.raise();
        result.map_err(|error| failed(format!("writing map {name}"), &error))
    }

    /// Writes a tunnel's entry.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_tunnel(&mut self, entry: &TunnelEntry) -> Result<(), Failure> {
        if entry.flags().spread {
            self.prepare_sharing();
        }
        let result = self.tunnels.set(entry.id(), entry, 0);
        self.wrote(map::TUNNELS, result)
    }

    /// Takes a tunnel's entry out of use.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn clear_tunnel(&mut self, id: u32) -> Result<(), Failure> {
        let empty: TunnelEntry = bytemuck::Zeroable::zeroed();
        let result = self.tunnels.set(id, empty, 0);
        self.wrote(map::TUNNELS, result)
    }

    /// The entry of an ID that is in use.
    #[must_use]
    pub fn tunnel(&self, id: u32) -> Option<TunnelEntry> {
        self.tunnels.get(&id, 0).ok().filter(|entry| entry.id() == id)
    }

    /// Accepts a peer for a tunnel.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_peer(&mut self, peer: &PeerKey, id: u32) -> Result<(), Failure> {
        let result = self.peers.insert(peer, id, 0);
        self.wrote(map::PEERS, result)
    }

    /// Accepts a peer no longer.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that there was none is no error.
    pub fn clear_peer(&mut self, peer: &PeerKey) -> Result<(), Failure> {
        let result = gone(self.peers.remove(peer));
        self.wrote(map::PEERS, result)
    }

    /// The ID of the tunnel that a peer is accepted for.
    #[must_use]
    pub fn owner(&self, peer: &PeerKey) -> Option<u32> {
        self.peers.get(peer, 0).ok()
    }

    /// All peers that are accepted, with their tunnels' IDs.
    #[must_use]
    pub fn peers(&self) -> Vec<(PeerKey, u32)> {
        self.peers.iter().filter_map(Result::ok).collect()
    }

    /// Sets an interface's role.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_port(&mut self, ifindex: u32, port: &Port) -> Result<(), Failure> {
        let result = self.ports.insert(ifindex, port, 0);
        self.wrote(map::PORTS, result)
    }

    /// Takes an interface's role away.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it had none is no error.
    pub fn clear_port(&mut self, ifindex: u32) -> Result<(), Failure> {
        let result = gone(self.ports.remove(&ifindex));
        self.wrote(map::PORTS, result)
    }

    /// All interfaces with a role.
    #[must_use]
    pub fn ports(&self) -> Vec<(u32, Port)> {
        self.ports.iter().filter_map(Result::ok).collect()
    }

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
        for tier in Tier::ALL {
            for reason in Reason::ALL {
                gone(self.refusals.remove(&refusal_key(id, tier, reason)))
                    .map_err(|error| failed("writing map REFUSALS", &error))?;
            }
        }
        Ok(())
    }
}

/// Loads the object on the pinned maps, and its programs into the kernel.
fn load_programs(pins: &Pins) -> Result<Ebpf, Failure> {
    let cpus = nr_cpus().map_err(|(what, error)| Failure::io(format!("counting CPUs: {what}"), &error))?;
    let ident_block = ident_block(u32::try_from(cpus).unwrap_or(u32::MAX));
    let mut loader = EbpfLoader::new();
    loader.override_global("IDENT_BLOCK", &ident_block, true);
    loader.map_max_entries(map::CPUS, u32::try_from(cpus).unwrap_or(1));
    for name in map::PINNED {
        loader.map_pin_path(name, pins.map(name));
    }
    let mut programs = loader.load(OBJECT).map_err(|error| failed("loading the BPF object", &error))?;
    for name in program::ALL {
        super::attach::load(&mut programs, name)?;
    }
    super::attach::join(&mut programs)?;
    Ok(programs)
}

/// That there was nothing to remove is no error.
pub(super) fn gone(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}
