//! The world as the maps and the kernel's routes show it.

use core::ffi::c_void;

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::generated::bpf_get_smp_processor_id};
use ipip_common::{
    abi::{
        AllowedInner, Family, LabelEntry, MAX_TUNNELS, OwnAddress, PeerKey, Port, Reason, Tier, TunnelEntry,
        refusal_index,
    },
    env::Env,
    packet::{
        PROTOCOL_MPLS,
        flow::{Flow, Ports},
        outer::Outer,
    },
    verdict::Hop,
};

use crate::{
    hook::fib::{self, Answer, Found},
    maps,
};

/// Tier 1: stands in for the stack's forwarding.
pub(crate) struct XdpEnv {
    ctx: *mut c_void,
    ingress: u32,
}

/// Tier 2: stands behind the stack on egress and in front of it on ingress.
pub(crate) struct TcEnv {
    ctx: *mut c_void,
    interface: u32,
}

/// The role of an interface.
#[inline(always)]
pub(crate) fn port(ifindex: u32) -> Option<&'static Port> {
    // SAFETY: the daemon replaces a whole value at once, and the programs only read it.
    unsafe { maps::PORTS.get(ifindex) }
}

/// Whether the interface is a tunnel's.
#[inline(always)]
fn is_tunnel(ifindex: u32) -> bool {
    port(ifindex).is_some_and(|port| port.tunnel_id().is_some())
}

#[inline(always)]
fn tunnel(id: u32) -> Option<&'static TunnelEntry> {
    maps::TUNNELS.get(id).filter(|tunnel| tunnel.flags().enabled)
}

#[inline(always)]
fn tunnel_from(peer: &PeerKey) -> Option<&'static TunnelEntry> {
    // SAFETY: as for `port`.
    tunnel(*unsafe { maps::PEERS.get(peer) }?)
}

#[inline(always)]
fn label(label: u32) -> Option<&'static LabelEntry> {
    // SAFETY: as for `port`.
    unsafe { maps::LABELS.get(label) }
}

#[inline(always)]
fn is_own(family: Family, address: [u32; 4]) -> bool {
    // SAFETY: as for `port`.
    unsafe { maps::ADDRESSES.get(OwnAddress::new(family, address)) }.is_some()
}

#[inline(always)]
fn is_allowed(tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
    let key = Key::new(AllowedInner::BITS, AllowedInner::new(tunnel.id(), family, address));
    maps::ALLOWED.get(&key).is_some()
}

/// What the route lookup of an outer packet needs.
#[inline(always)]
fn outer_flow(tunnel: &TunnelEntry, outer: &Outer) -> Flow {
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
fn next_ident(segments: u32) -> u16 {
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
fn count_sent(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = maps::TRAFFIC.get_ptr_mut(tunnel.id() % MAX_TUNNELS) else { return };
    // SAFETY: the element is this CPU's own.
    let traffic = unsafe { &mut *traffic };
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.sent_packets = share.sent_packets.wrapping_add(u64::from(packets));
    share.sent_bytes = share.sent_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
fn count_received(tunnel: &TunnelEntry, tier: Tier, packets: u32, bytes: u32) {
    let Some(traffic) = maps::TRAFFIC.get_ptr_mut(tunnel.id() % MAX_TUNNELS) else { return };
    // SAFETY: the element is this CPU's own.
    let traffic = unsafe { &mut *traffic };
    let share = if matches!(tier, Tier::Xdp) { &mut traffic.xdp } else { &mut traffic.tc };
    share.received_packets = share.received_packets.wrapping_add(u64::from(packets));
    share.received_bytes = share.received_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
fn count_refused(tunnel: &TunnelEntry, tier: Tier, reason: Reason) {
    if let Some(count) = maps::REFUSALS.get_ptr_mut(refusal_index(tunnel.id(), tier, reason)) {
        // SAFETY: the element is this CPU's own.
        unsafe { *count = (*count).wrapping_add(1) };
    }
}

impl XdpEnv {
    #[inline(always)]
    pub(crate) fn new(ctx: *mut c_void, ingress: u32) -> Self {
        Self { ctx, ingress }
    }

    /// The hop onto another port's wire, if that port takes redirected frames.
    #[inline(always)]
    fn wire(answer: &Answer) -> Result<Hop, Reason> {
        match answer.found {
            Found::Known => match port(answer.ifindex) {
                Some(port) if port.is_fast() => Ok(Hop::wire(answer.ifindex, answer.link)),
                Some(_) | None => Err(Reason::SlowPort),
            },
            Found::Routed if is_tunnel(answer.ifindex) => Err(Reason::SlowPort),
            Found::Routed => Err(Reason::NoNeighbour),
            Found::TooBig => Err(Reason::TooBig),
            Found::NotForwarded => Err(Reason::Local),
            Found::Disabled => Err(Reason::NotForwarding),
            Found::None => Err(Reason::NoRoute),
        }
    }
}

impl Env for XdpEnv {
    #[inline(always)]
    fn forwards(&self) -> bool {
        true
    }

    #[inline(always)]
    fn tunnel_to(&self, flow: &Flow) -> Option<&TunnelEntry> {
        // SAFETY: the context is the one this program was started with.
        let answer = unsafe { fib::route(self.ctx, self.ingress, flow, 0) };
        if !answer.is_routed() {
            return None;
        }
        tunnel(port(answer.ifindex)?.tunnel_id()?)
    }

    #[inline(always)]
    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        tunnel_from(peer)
    }

    #[inline(always)]
    fn tunnel_of_label(&self, number: u32) -> Option<(u32, &TunnelEntry)> {
        let entry = label(number)?;
        let tunnel = tunnel(entry.tunnel_id()?)?;
        port(self.ingress)?.takes_labels().then(|| (entry.out(), tunnel))
    }

    #[inline(always)]
    fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        is_own(family, address)
    }

    #[inline(always)]
    fn is_allowed(&self, tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
        is_allowed(tunnel, family, address)
    }

    #[inline(always)]
    fn route_outer(&self, tunnel: &TunnelEntry, outer: &Outer, length: u32) -> Result<Hop, Reason> {
        // SAFETY: the context is the one this program was started with.
        let answer = unsafe { fib::route_own(self.ctx, &outer_flow(tunnel, outer), outer.label, length) };
        if answer.is_routed() && answer.ifindex == tunnel.ifindex() {
            return Err(Reason::Loop);
        }
        Self::wire(&answer)
    }

    #[inline(always)]
    fn route_inner(&self, tunnel: &TunnelEntry, flow: &Flow, length: u32) -> Result<Hop, Reason> {
        // SAFETY: the context is the one this program was started with.
        Self::wire(&unsafe { fib::route(self.ctx, tunnel.ifindex(), flow, length) })
    }

    #[inline(always)]
    fn route_label(&self, tunnel: &TunnelEntry, number: u32, length: u32) -> Result<(u32, Hop), Reason> {
        let entry = label(number).ok_or(Reason::NoRoute)?;
        if !port(tunnel.ifindex()).is_some_and(Port::takes_labels) {
            return Err(Reason::NoRoute);
        }
        if entry.tunnel_id().is_some() {
            return Err(Reason::SlowPort);
        }
        // SAFETY: the context is the one this program was started with.
        let hop = Self::wire(&unsafe { fib::neighbour(self.ctx, entry, length) })?;
        Ok((entry.out(), hop))
    }

    #[inline(always)]
    fn next_ident(&self, segments: u32) -> u16 {
        next_ident(segments)
    }

    #[inline(always)]
    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        count_sent(tunnel, Tier::Xdp, packets, bytes);
    }

    #[inline(always)]
    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        count_received(tunnel, Tier::Xdp, packets, bytes);
    }

    #[inline(always)]
    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason) {
        count_refused(tunnel, Tier::Xdp, reason);
    }
}

impl TcEnv {
    #[inline(always)]
    pub(crate) fn new(ctx: *mut c_void, interface: u32) -> Self {
        Self { ctx, interface }
    }
}

impl Env for TcEnv {
    #[inline(always)]
    fn forwards(&self) -> bool {
        false
    }

    #[inline(always)]
    fn tunnel_to(&self, _flow: &Flow) -> Option<&TunnelEntry> {
        tunnel(port(self.interface)?.tunnel_id()?)
    }

    #[inline(always)]
    fn tunnel_of_label(&self, number: u32) -> Option<(u32, &TunnelEntry)> {
        Some((number, tunnel(port(self.interface)?.tunnel_id()?)?))
    }

    #[inline(always)]
    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        tunnel_from(peer)
    }

    #[inline(always)]
    fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        is_own(family, address)
    }

    #[inline(always)]
    fn is_allowed(&self, tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
        is_allowed(tunnel, family, address)
    }

    #[inline(always)]
    fn route_outer(&self, tunnel: &TunnelEntry, outer: &Outer, length: u32) -> Result<Hop, Reason> {
        // SAFETY: the context is the one this program was started with.
        let answer = unsafe { fib::route_own(self.ctx, &outer_flow(tunnel, outer), outer.label, length) };
        // The kernel resolves the neighbour of an IP packet, but not that of a labelled one.
        let needs_neighbour = outer.protocol == PROTOCOL_MPLS;
        let ifindex = match answer.found {
            Found::Known if needs_neighbour && !is_tunnel(answer.ifindex) => {
                return Ok(Hop::wire(answer.ifindex, answer.link));
            }
            Found::Known | Found::Routed | Found::Disabled if needs_neighbour => {
                return Err(Reason::NoNeighbour);
            }
            Found::Known | Found::Routed => answer.ifindex,
            Found::TooBig => return Err(Reason::TooBig),
            // A host that does not forward gets no answer from the kernel: the way that the daemon saw.
            Found::Disabled if tunnel.underlay() != 0 => tunnel.underlay(),
            Found::NotForwarded | Found::Disabled | Found::None => return Err(Reason::NoRoute),
        };
        if ifindex == tunnel.ifindex() {
            return Err(Reason::Loop);
        }
        Ok(Hop::neighbour(ifindex))
    }

    #[inline(always)]
    fn route_inner(&self, tunnel: &TunnelEntry, _flow: &Flow, _length: u32) -> Result<Hop, Reason> {
        Ok(Hop::stack(tunnel.ifindex()))
    }

    #[inline(always)]
    fn route_label(&self, tunnel: &TunnelEntry, number: u32, _length: u32) -> Result<(u32, Hop), Reason> {
        Ok((number, Hop::stack(tunnel.ifindex())))
    }

    #[inline(always)]
    fn next_ident(&self, segments: u32) -> u16 {
        next_ident(segments)
    }

    #[inline(always)]
    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        count_sent(tunnel, Tier::Tc, packets, bytes);
    }

    #[inline(always)]
    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        count_received(tunnel, Tier::Tc, packets, bytes);
    }

    #[inline(always)]
    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason) {
        count_refused(tunnel, Tier::Tc, reason);
    }
}
