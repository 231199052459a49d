//! The loaded object: the only file that knows the maps by name.

use std::collections::{BTreeMap, HashSet};

use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, PerCpuHashMap};
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use aya::util::{KernelVersion, nr_cpus};
use aya::{Ebpf, EbpfLoader};
use ipip_common::abi::{
    AllowedInner, LabelEntry, OwnAddress, PeerKey, Port, Traffic, TunnelEntry, flow_bits, ident_block, map,
    program, refusal_of,
};
use nix::libc;
use nix::sys::sysinfo::sysinfo;

use super::generation::Generation;
use super::lists::Prefixes;
use super::roles::Owners;
use super::sharing::Sharing;
use super::{KeepaliveMaps, Pins, failed};
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
    pub(super) layouts: Vec<String>,
    /// The roles that daemons of other layouts gave to interfaces, until their places are taken.
    pub(super) before: BTreeMap<u32, Port>,
    tunnels: Array<MapData, TunnelEntry>,
    pub(super) peers: HashMap<MapData, PeerKey, u32>,
    /// What is in `peers`.
    pub(super) owners: Owners,
    pub(super) ports: HashMap<MapData, u32, Port>,
    pub(super) low_ports: Array<MapData, Port>,
    /// What is in `ports`.
    pub(super) roles: BTreeMap<u32, Port>,
    pub(super) traffic: PerCpuArray<MapData, Traffic>,
    pub(super) refusals: PerCpuHashMap<MapData, u32, u64>,
    /// Tunnels of which there may be something in `refusals`.
    pub(super) counted: HashSet<u32>,
    pub(super) keepalive: KeepaliveMaps,
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
        // Second handles, for other threads.
        let again = |name| MapData::from_pin(pins.map(name)).map_err(wrong);
        let keepalive = KeepaliveMaps::new(
            &take(map::PROBES)?.try_into().map_err(wrong)?,
            &take(map::ANSWERS)?.try_into().map_err(wrong)?,
            Map::PerCpuArray(again(map::TRAFFIC)?).try_into().map_err(wrong)?,
            Map::PerCpuHashMap(again(map::REFUSALS)?).try_into().map_err(wrong)?,
            Map::HashMap(again(map::ADDRESSES)?).try_into().map_err(wrong)?,
        )?;
        let allowed: LpmTrie<_, _, _> = take(map::ALLOWED)?.try_into().map_err(wrong)?;
        let peers: HashMap<_, _, _> = take(map::PEERS)?.try_into().map_err(wrong)?;
        let ports: HashMap<_, _, _> = take(map::PORTS)?.try_into().map_err(wrong)?;
        let refusals: PerCpuHashMap<_, _, _> = take(map::REFUSALS)?.try_into().map_err(wrong)?;
        let roles: BTreeMap<u32, Port> = ports.iter().filter_map(Result::ok).collect();
        let refused = refusals.keys().filter_map(|key| Some(refusal_of(key.ok()?)?.0));
        let mut kernel = Self {
            tunnels: take(map::TUNNELS)?.try_into().map_err(wrong)?,
            owners: Owners::read(&peers),
            peers,
            counted: refused.chain(roles.values().filter_map(Port::tunnel_id)).collect(),
            roles,
            ports,
            low_ports: take(map::LOW_PORTS)?.try_into().map_err(wrong)?,
            traffic: take(map::TRAFFIC)?.try_into().map_err(wrong)?,
            refusals,
            keepalive,
            generation,
            addresses: take(map::ADDRESSES)?.try_into().map_err(wrong)?,
            prefixes: Prefixes::read(&allowed),
            allowed,
            labels: take(map::LABELS)?.try_into().map_err(wrong)?,
            sharing,
            programs,
            before: super::moving::roles(&pins),
            layouts: pins.layouts(),
            pins,
        };
        // What an earlier daemon has spread is spread by the first program that this one attaches.
        let ids: Vec<u32> = kernel.ports().values().filter_map(Port::tunnel_id).collect();
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

    /// The maps of keepalive.
    #[must_use]
    pub fn keepalive(&self) -> KeepaliveMaps {
        self.keepalive.clone()
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
        self.counted.insert(entry.id());
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
}

/// Loads the object on the pinned maps, and its programs into the kernel.
fn load_programs(pins: &Pins) -> Result<Ebpf, Failure> {
    let cpus = nr_cpus().map_err(|(what, error)| Failure::io(format!("counting CPUs: {what}"), &error))?;
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    let memory = sysinfo().map_err(|error| Failure::io("asking for the memory", &error.into()))?.ram_total();
    let ident_block = ident_block(cpus);
    let flow_bits = flow_bits(memory, cpus);
    let flow_shift = u64::BITS.saturating_sub(flow_bits);
    let mut loader = EbpfLoader::new();
    loader.override_global("IDENT_BLOCK", &ident_block, true);
    loader.override_global("FLOW_SHIFT", &flow_shift, true);
    let tells_of_ipsec =
        is_helper_supported(ProgramType::SchedClassifier, BpfHelper::BPF_FUNC_skb_get_xfrm_state);
    let has_ipsec = u32::from(tells_of_ipsec.unwrap_or(true));
    loader.override_global("HAS_IPSEC", &has_ipsec, true);
    loader.map_max_entries(map::FLOWS, 1 << flow_bits);
    loader.map_max_entries(map::CPUS, cpus);
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
