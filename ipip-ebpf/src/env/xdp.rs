//! The world as XDP sees it.

use core::ffi::c_void;

use ipip_common::{
    abi::{Arrival, Course, Family, Labels, PeerKey, Port, Reason, Tier, TunnelEntry, Worth},
    env::Env,
    packet::{flow::Flow, outer::Outer, probe::Probe},
    verdict::Hop,
};

use super::tables::{
    count_received, count_refused, count_sent, epoch_in_memory, is_allowed, is_own, is_tunnel, label,
    next_ident, other_cpu, outer_flow, port, remember, tunnel, tunnel_from,
};
use crate::hook::fib::{self, Answer, Found};

/// Where a program of tier 1 runs. Both are constants of their programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the driver of a port: packets may be handed over to another CPU, and turned around by the driver.
    Port,
    /// Behind the queue of a CPU that packets were handed over to.
    Cpu,
}

/// Tier 1: stands in for the stack's forwarding.
pub(crate) struct XdpEnv {
    ctx: *mut c_void,
    arrival: Arrival,
    stage: Stage,
}

impl XdpEnv {
    #[inline(always)]
    pub(crate) fn new(ctx: *mut c_void, ifindex: u32, address: u64, stage: Stage) -> Self {
        Self { ctx, arrival: Arrival { ifindex, address, epoch: epoch_in_memory(), turned: 0 }, stage }
    }

    /// Whether the frame is for the port that it arrived on and carries no VLAN tag, and that port is ours.
    #[inline(always)]
    pub(crate) fn is_for_port(&mut self) -> bool {
        let Some(port) = port(self.arrival.ifindex) else { return false };
        self.arrival.turned = port.turned(self.arrival.ifindex);
        let [a, b, c, d, e, f] = port.mac();
        let is_addressed =
            self.arrival.address & 0xffff_ffff_ffff == u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]);
        is_addressed && !port.hides_tags()
    }

    /// Whether the driver can turn a packet around that leaves by this interface.
    #[inline(always)]
    pub(crate) fn turns_around(&self, ifindex: u32) -> bool {
        self.stage == Stage::Port && self.arrival.turned == ifindex
    }

    /// The hop onto another port's wire, if that port takes redirected frames.
    #[inline(always)]
    fn wire(answer: &Answer) -> Result<Hop, Reason> {
        match answer.found {
            Found::Known => match port(answer.ifindex) {
                Some(port) if port.is_fast() => Ok(Hop::wire(answer.ifindex, answer.link, answer.mtu)),
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
        let answer = unsafe { fib::route(self.ctx, self.arrival.ifindex, flow, 0) };
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
        port(self.arrival.ifindex)?.takes_labels().then(|| (entry.out(), tunnel))
    }

    #[inline(always)]
    fn other_cpu(&self, tunnel: &TunnelEntry, flow: &Flow) -> Option<u32> {
        let flags = tunnel.flags();
        let is_spread = self.stage == Stage::Port && flags.spread && flags.allow_fast_path;
        if is_spread { other_cpu(flow) } else { None }
    }

    #[inline(always)]
    fn remember(&self, flow: &Flow, labels: &Labels, course: &Course<'_>) {
        remember(&self.arrival, flow, labels, course);
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
    fn next_ident(&self, tunnel: &TunnelEntry, segments: u32) -> u16 {
        next_ident(tunnel, segments)
    }

    #[inline(always)]
    fn take_answer(&self, _tunnel: &TunnelEntry, _probe: &Probe, _nonce: u64) -> Worth {
        Worth::Forged
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
