//! Lookups in the maps, and counting. The same for both tiers.

use core::{arch::asm, ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, bpf_xfrm_state},
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_ns, bpf_skb_get_xfrm_state},
};
use ipip_common::{
    abi::{
        AllowedInner, Arrival, Course, Family, LOW_PORTS, LabelEntry, Labels, OwnAddress, PeerKey, Port,
        Reason, Tier, Traffic, TunnelEntry, Worth, place_of, refusal_key,
    },
    packet::{
        flow::{Flow, Ports},
        outer::Outer,
        probe::Probe,
    },
};

use crate::maps;

/// Whether IPsec protected the packet on its way here, as a program of TC can tell.
#[inline(always)]
pub(super) fn came_by_ipsec(ctx: *mut c_void) -> bool {
    if maps::HAS_IPSEC.load() == 0 {
        return false;
    }
    let mut state: MaybeUninit<bpf_xfrm_state> = MaybeUninit::uninit();
    let size = size_of::<bpf_xfrm_state>() as u32;
    // SAFETY: the context is the one this program was started with, and the kernel writes `size` bytes at most.
    unsafe { bpf_skb_get_xfrm_state(ctx.cast(), 0, state.as_mut_ptr(), size, 0) == 0 }
}

/// The role of an interface.
#[inline(always)]
pub(crate) fn port(ifindex: u32) -> Option<&'static Port> {
    if ifindex < LOW_PORTS {
        return maps::LOW_PORTS.get(ifindex).filter(|port| port.has_role());
    }
    // SAFETY: the daemon replaces a whole value at once, and the programs only read it.
    unsafe { maps::PORTS.get(ifindex) }
}

/// Whether the interface is a tunnel's.
#[inline(always)]
pub(super) fn is_tunnel(ifindex: u32) -> bool {
    port(ifindex).is_some_and(|port| port.tunnel_id().is_some())
}

#[inline(always)]
pub(super) fn tunnel(id: u32) -> Option<&'static TunnelEntry> {
    maps::TUNNELS.get(id).filter(|tunnel| tunnel.flags().enabled)
}

#[inline(always)]
pub(super) fn tunnel_from(peer: &PeerKey) -> Option<&'static TunnelEntry> {
    // SAFETY: as for `port`.
    tunnel(*unsafe { maps::PEERS.get(peer) }?)
}

#[inline(always)]
pub(super) fn label(label: u32) -> Option<&'static LabelEntry> {
    // SAFETY: as for `port`.
    unsafe { maps::LABELS.get(label) }
}

#[inline(always)]
pub(super) fn is_own(family: Family, address: [u32; 4]) -> bool {
    // SAFETY: as for `port`.
    unsafe { maps::ADDRESSES.get(OwnAddress::new(family, address)) }.is_some()
}

#[inline(always)]
pub(super) fn is_allowed(tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
    let key = Key::new(AllowedInner::BITS, AllowedInner::new(tunnel.id(), family, address));
    maps::ALLOWED.get(&key).is_some()
}

/// What the route lookup of an outer packet needs.
#[inline(always)]
pub(super) fn outer_flow(tunnel: &TunnelEntry, outer: &Outer) -> Flow {
    Flow {
        family: tunnel.family(),
        source: tunnel.local(),
        destination: tunnel.remote(),
        protocol: outer.protocol,
        tos: outer.tos,
        ports: Ports { source: 0, destination: 0 },
    }
}

#[inline(always)]
pub(super) fn next_ident(tunnel: &TunnelEntry, segments: u32) -> u16 {
    let Some(traffic) = traffic(tunnel) else { return 0 };
    traffic.take_idents(segments, maps::IDENT_BLOCK.load())
}

/// Notes the answer to a probe.
#[inline(always)]
pub(super) fn take_answer(tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth {
    let (Some(probing), Some(answers)) =
        (maps::PROBES.get(tunnel.id()), maps::ANSWERS.get_ptr_mut(tunnel.id()))
    else {
        return Worth::Forged;
    };
    // SAFETY: the helper has no preconditions.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    // SAFETY: plain words that other CPUs may write at the same time; `Answers` says what that may cost.
    unsafe { &mut *answers }.take(probing, probe, nonce, now_ns)
}

/// The tunnel's counters on this CPU.
#[inline(always)]
fn traffic<'a>(tunnel: &TunnelEntry) -> Option<&'a mut Traffic> {
    // SAFETY: the element is this CPU's own, a program is not interrupted by another on its CPU, and each reference
    // ends before the next one is made.
    maps::TRAFFIC.get_ptr_mut(tunnel.id()).map(|traffic| unsafe { &mut *traffic })
}

#[inline(always)]
pub(super) fn count_sent(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = traffic(tunnel) else { return };
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.sent_packets = share.sent_packets.wrapping_add(u64::from(packets));
    share.sent_bytes = share.sent_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
pub(super) fn count_received(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = traffic(tunnel) else { return };
    traffic.heard = now();
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.received_packets = share.received_packets.wrapping_add(u64::from(packets));
    share.received_bytes = share.received_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
pub(super) fn count_refused(tunnel: &TunnelEntry, tier: Tier, reason: Reason) {
    let key = refusal_key(tunnel.id(), tier, reason);
    if let Some(count) = maps::REFUSALS.get_ptr_mut(key) {
        // SAFETY: the element is this CPU's own.
        unsafe { *count = (*count).wrapping_add(1) };
    } else {
        // Where another CPU was faster, or there is no room: the first packet of its kind on this CPU goes uncounted.
        let _ = maps::REFUSALS.insert(key, 1, u64::from(BPF_NOEXIST));
    }
}

/// The kernel's clock.
#[inline(always)]
fn jiffies() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_jiffies64() }
}

/// The lower half of the kernel's clock.
#[inline(always)]
pub(crate) fn now() -> u32 {
    jiffies() as u32
}

/// The present epoch.
#[inline(always)]
pub(super) fn epoch() -> u32 {
    let jiffies = jiffies();
    // Read behind the call, which would empty its register.
    let mut sum = ipip_common::abi::epoch(maps::GENERATION.load(), jiffies);
    // SAFETY: a register is copied to itself. The compiler would put the addition off, and keep two registers across the
    // next call.
    unsafe { asm!("{0} = {0}", inout(reg) sum, options(nomem, nostack, preserves_flags)) };
    sum
}

/// The same where the whole of tier 1 asks.
#[inline(always)]
pub(crate) fn epoch_in_memory() -> u32 {
    // The box keeps the generation in memory across the call, and not in a register: for code that is laid out like that, the
    // verifier walks through a tenth less of xdp_whole and xdp_cpu_whole.
    let (generation, jiffies) = (maps::GENERATION.load(), jiffies());
    ipip_common::abi::epoch(core::hint::black_box(generation), jiffies)
}

/// The CPU that the flow leads to, among those that share; `None` if it is this one.
#[inline(always)]
pub(super) fn other_cpu(flow: &Flow) -> Option<u32> {
    let sharing = *maps::SHARING.get(0)?;
    let cpu = *maps::SHARING.get(flow.share(sharing).wrapping_add(1))?;
    // SAFETY: the helper has no preconditions.
    let this = unsafe { bpf_get_smp_processor_id() };
    (sharing > 0 && cpu != this).then_some(cpu)
}

/// Where a place is in the table that there is.
#[inline(always)]
pub(super) fn index(place: u64) -> u32 {
    let shift = maps::FLOW_SHIFT.load();
    // SAFETY: 64 less a few bits, set at load. Rust would cut other numbers to 63, as the processor does anyway.
    unsafe { core::hint::assert_unchecked(shift < u64::BITS) };
    (place >> shift) as u32
}

/// Remembers a flow. One that is foreign does not take the place of a tunnel's.
#[inline(always)]
pub(super) fn remember(arrival: &Arrival, flow: &Flow, labels: &Labels, course: &Course<'_>) {
    let Some(place) = maps::FLOWS.get_ptr_mut(index(place_of(flow, labels))) else { return };
    // SAFETY: as for `traffic`.
    let place = unsafe { &mut *place };
    if matches!(course, Course::Foreign) && place.tunnel() != 0 && place.epoch() == arrival.epoch {
        return;
    }
    place.fill(arrival, flow, labels, course);
}
