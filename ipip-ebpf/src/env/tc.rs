//! The world as TC sees it.

use core::ffi::c_void;

use ipip_common::{
    abi::{Family, PeerKey, Reason, Tier, TunnelEntry, Worth},
    env::Env,
    packet::{PROTOCOL_MPLS, flow::Flow, outer::Outer, probe::Probe},
    verdict::Hop,
};

use super::tables::{
    came_by_ipsec, count_received, count_refused, count_sent, is_allowed, is_own, is_tunnel, next_ident,
    outer_flow, port, take_answer, tunnel, tunnel_from,
};
use crate::hook::fib::{self, Found};

/// Tier 2: stands behind the stack on egress and in front of it on ingress.
pub(crate) struct TcEnv {
    ctx: *mut c_void,
    interface: u32,
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
    fn came_by_ipsec(&self) -> bool {
        came_by_ipsec(self.ctx)
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
                return Ok(Hop::wire(answer.ifindex, answer.link, 0));
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
    fn next_ident(&self, tunnel: &TunnelEntry, segments: u32) -> u16 {
        next_ident(tunnel, segments)
    }

    #[inline(always)]
    fn take_answer(&self, tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth {
        take_answer(tunnel, probe, nonce)
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
