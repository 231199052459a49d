//! The inner packet, whatever it is: what the paths ask of IPv4, IPv6 and MPLS alike.

use super::{
    extension::Limit,
    flow::{Flow, Ports},
    transport::Transport,
};
use crate::{
    abi::{Carried, Family, Labels, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    verdict::Hop,
};

/// What is wrong with an inner header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The version is not the one that was announced.
    Version,
    /// The lengths contradict each other, or the packet is longer than what holds it.
    Length,
    /// The TTL or hop limit is zero.
    TtlZero,
}

/// An inner packet's header as a value.
pub trait Inner: Copy {
    /// What it is.
    const KIND: Carried;

    /// Reads the header at `at`; `None` where the packet ends before the header does.
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self>;
    /// What is wrong with it, when `room` bytes hold it.
    fn flaw(&self, room: u32) -> Option<Flaw>;
    /// Length of the whole inner packet, of which `room` bytes hold it and whatever follows.
    fn total_len(&self, room: u32) -> u32;
    /// The same for a packet that came in a frame of `frame_len` bytes, which may end in link padding.
    #[inline(always)]
    fn len_in_frame(&self, frame_len: u32) -> u32 {
        self.total_len(frame_len)
    }
    /// DSCP and ECN.
    fn tos(&self) -> u8;
    /// TTL or hop limit.
    fn ttl(&self) -> u8;
    /// Addresses and what else a route depends on. MPLS: of the packet underneath.
    fn flow(&self, ports: Ports) -> Flow;
    /// A number for the flow.
    fn hash(&self, flow: &Flow) -> u32;
    /// The labels above its flow, [`Labels::NONE`] for IP. `None`: its flow is none that can be remembered.
    #[inline(always)]
    fn labels(&self) -> Option<Labels> {
        Some(Labels::NONE)
    }
    /// Where the transport header is.
    fn transport(&self) -> Transport;
    /// Whether an outer IPv4 header has DF set under `dont-fragment=inherit`.
    fn dont_fragment(&self, tunnel: &TunnelEntry) -> bool;
    /// The encapsulation limit that it carries (RFC 2473 4.1.1).
    fn limit(&self, frame: &mut impl Frame, at: u32) -> Limit;
    /// Whether it is one of the many that have nothing about them: a sound header without options or extensions, no
    /// fragment, and a TTL that lasts.
    fn is_plain(&self) -> bool;
    /// Why only the host's stack can forward it.
    fn needs_stack(&self) -> Option<Reason>;
    /// Whether it comes from an address that no tunnel may bring in.
    fn has_forbidden_source(&self) -> bool;
    /// The tunnel that it is to be sent through, and its header on that way.
    fn tunnel<'a>(&mut self, env: &'a impl Env, flow: &Flow) -> Option<&'a TunnelEntry>;
    /// The way on for a packet that came out of `tunnel`, and its header on that way.
    ///
    /// # Errors
    /// The reason why there is none.
    fn way_on(&mut self, env: &impl Env, tunnel: &TunnelEntry, flow: &Flow, len: u32) -> Result<Hop, Reason>;
    /// With another ToS byte.
    #[must_use]
    fn with_tos(self, tos: u8) -> Self;
    /// As a router sends it on.
    #[must_use]
    fn with_ttl_decremented(self) -> Self;
    /// Writes what an edit can have changed.
    fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()>;
}

/// Whether `flow` is between the tunnel's own ends, or from its far one: the packet has been here before (RFC 2003
/// 3.2, RFC 2473 4.1.2).
#[must_use]
#[inline(always)]
pub fn is_loop(tunnel: &TunnelEntry, flow: &Flow) -> bool {
    is_from_remote(tunnel, flow) || is_reflected(tunnel, flow)
}

/// Whether `flow` is from the tunnel's far end.
#[must_use]
#[inline(always)]
pub fn is_from_remote(tunnel: &TunnelEntry, flow: &Flow) -> bool {
    is_same(tunnel, flow.family, flow.source, tunnel.remote())
}

/// Whether `flow` is the reflection of a probe: from this end to the far one, out of the tunnel (RFC 7676 3.2).
#[must_use]
#[inline(always)]
pub fn is_reflected(tunnel: &TunnelEntry, flow: &Flow) -> bool {
    is_same(tunnel, flow.family, flow.source, tunnel.local())
        && is_same(tunnel, flow.family, flow.destination, tunnel.remote())
}

#[inline(always)]
fn is_same(tunnel: &TunnelEntry, family: Family, address: [u32; 4], end: [u32; 4]) -> bool {
    tunnel.family() == family
        && address[0] == end[0]
        && (matches!(family, Family::V4)
            || (address[1] == end[1] && address[2] == end[2] && address[3] == end[3]))
}
