//! The maps. Their names and contents are described in `ipip_common::abi`.

use core::cell::UnsafeCell;

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, CpuMap, HashMap, LpmTrie, PerCpuArray, PerCpuHashMap, ProgramArray},
    macros::btf_map,
};
use ipip_common::abi::{
    AllowedInner, Answers, Carried, KnownFlow, LEAST_FLOW_BITS, LOW_PORTS as LOW, LabelEntry, MAX_ADDRESSES,
    MAX_ALLOWED, MAX_LABELS, MAX_PORTS, MAX_REFUSALS, MAX_SHARING, MAX_TUNNELS, OwnAddress, PeerKey, Port,
    Probing, Traffic, TunnelEntry,
};

/// Flags of maps that a process can map.
const MAPPED: usize = BPF_F_MMAPABLE as usize;

#[btf_map]
pub(crate) static TUNNELS: Array<TunnelEntry, { MAX_TUNNELS as usize }> = Array::new();

#[btf_map]
pub(crate) static PEERS: HashMap<PeerKey, u32, { MAX_TUNNELS as usize * Carried::ALL.len() }> =
    HashMap::new();

#[btf_map]
pub(crate) static PORTS: HashMap<u32, Port, { MAX_PORTS as usize }> = HashMap::new();

#[btf_map]
pub(crate) static LOW_PORTS: Array<Port, { LOW as usize }> = Array::new();

#[btf_map]
pub(crate) static TRAFFIC: PerCpuArray<Traffic, { MAX_TUNNELS as usize }> = PerCpuArray::new();

#[btf_map]
pub(crate) static REFUSALS: PerCpuHashMap<u32, u64, { MAX_REFUSALS as usize }> = PerCpuHashMap::new();

#[btf_map]
pub(crate) static FLOWS: PerCpuArray<KnownFlow, { 1 << LEAST_FLOW_BITS }> = PerCpuArray::new();

#[btf_map]
pub(crate) static ADDRESSES: HashMap<OwnAddress, u32, { MAX_ADDRESSES as usize }> = HashMap::new();

#[btf_map]
pub(crate) static ALLOWED: LpmTrie<AllowedInner, u32, { MAX_ALLOWED as usize }> = LpmTrie::new();

#[btf_map]
pub(crate) static LABELS: HashMap<u32, LabelEntry, { MAX_LABELS as usize }> = HashMap::new();

/// The daemon has this one and the next in its memory.
#[btf_map]
pub(crate) static PROBES: Array<Probing, { MAX_TUNNELS as usize }, MAPPED> = Array::new();

#[btf_map]
pub(crate) static ANSWERS: Array<Answers, { MAX_TUNNELS as usize }, MAPPED> = Array::new();

#[btf_map]
pub(crate) static STAGES: ProgramArray<1> = ProgramArray::new();

#[btf_map]
pub(crate) static CPU_STAGES: ProgramArray<1> = ProgramArray::new();

/// The number of CPUs is known at load; the kernel takes no more than it was built for.
#[btf_map]
pub(crate) static CPUS: CpuMap<1> = CpuMap::new();

#[btf_map]
pub(crate) static SHARING: Array<u32, { 1 + MAX_SHARING as usize }> = Array::new();

/// What the daemon raises when anything changed that flows depend on.
#[unsafe(no_mangle)]
pub(crate) static GENERATION: Changing = Changing(UnsafeCell::new(0));

/// A word of the section `.bss`, a map that the daemon writes.
#[repr(transparent)]
pub(crate) struct Changing(UnsafeCell<u32>);

// SAFETY: it is only ever read as a whole word, and written by nobody but the daemon, as a whole word.
unsafe impl Sync for Changing {}

impl Changing {
    #[inline(always)]
    pub(crate) fn load(&self) -> u32 {
        // SAFETY: the pointer is to a word of the map, which the daemon may change at any time.
        unsafe { self.0.get().read_volatile() }
    }

    /// What the daemon does, for the benchmark.
    #[cfg(feature = "bench")]
    #[inline(always)]
    pub(crate) fn raise(&self) {
        // SAFETY: as in `load`; the benchmark has no daemon.
        unsafe { self.0.get().write_volatile(self.load().wrapping_add(1)) }
    }
}

/// Identifications that one CPU may use before it repeats: `ipip_common::abi::ident_block`. Set at load.
#[unsafe(no_mangle)]
pub(crate) static IDENT_BLOCK: Global<u32> = Global::new(65536);

/// Bits of a flow's place that the table is too small for: 64 less `ipip_common::abi::flow_bits`. Set at load, with the
/// table's size.
#[unsafe(no_mangle)]
pub(crate) static FLOW_SHIFT: Global<u32> = Global::new(u64::BITS - LEAST_FLOW_BITS);

/// Whether the kernel can tell a program of TC that a packet came by IPsec; without it a call would not load. Set at load.
#[unsafe(no_mangle)]
pub(crate) static HAS_IPSEC: Global<u32> = Global::new(1);

/// Bytes in front of the network header of what the tunnel interface sends: none on a TUN device. The test
/// run of the kernel always brings an Ethernet header and sets 14. Set at load.
#[unsafe(no_mangle)]
pub(crate) static TUNNEL_LINK_HEADER: Global<u32> = Global::new(0);
