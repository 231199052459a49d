//! Lookups in the maps, and counting. The same for both tiers.

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::generated::bpf_get_smp_processor_id};
use ipip_common::{
    abi::{
        AllowedInner, Family, LabelEntry, MAX_TUNNELS, OwnAddress, PeerKey, Port, Reason, Tier, TunnelEntry,
        refusal_index,
    },
    packet::{
        flow::{Flow, Ports},
        outer::Outer,
    },
};

use crate::maps;

/// The role of an interface.
#[inline(always)]
pub(crate) fn port(ifindex: u32) -> Option<&'static Port> {
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
pub(super) fn next_ident(segments: u32) -> u16 {
    let Some(next) = maps::IDENTS.get_ptr_mut(0) else { return 0 };
    let block = maps::IDENT_BLOCK.load();
    // SAFETY: the element is this CPU's own, and a program is not interrupted by another on its CPU.
    let used = unsafe { *next };
    let start = if used.wrapping_add(segments) > block { 0 } else { used };
    // SAFETY: as above.
    unsafe { *next = start.wrapping_add(segments) };
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    cpu.wrapping_mul(block).wrapping_add(start) as u16
}

#[inline(always)]
pub(super) fn count_sent(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = maps::TRAFFIC.get_ptr_mut(tunnel.id() % MAX_TUNNELS) else { return };
    // SAFETY: the element is this CPU's own.
    let traffic = unsafe { &mut *traffic };
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.sent_packets = share.sent_packets.wrapping_add(u64::from(packets));
    share.sent_bytes = share.sent_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
pub(super) fn count_received(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = maps::TRAFFIC.get_ptr_mut(tunnel.id() % MAX_TUNNELS) else { return };
    // SAFETY: the element is this CPU's own.
    let traffic = unsafe { &mut *traffic };
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.received_packets = share.received_packets.wrapping_add(u64::from(packets));
    share.received_bytes = share.received_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
pub(super) fn count_refused(tunnel: &TunnelEntry, tier: Tier, reason: Reason) {
    if let Some(count) = maps::REFUSALS.get_ptr_mut(refusal_index(tunnel.id(), tier, reason)) {
        // SAFETY: the element is this CPU's own.
        unsafe { *count = (*count).wrapping_add(1) };
    }
}
