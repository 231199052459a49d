//! The inner packet, whatever it is: what the paths ask of IPv4, IPv6 and MPLS alike.

use super::{
    PROTOCOL_TCP, PROTOCOL_UDP, checksum,
    extension::{self, Limit},
    flow::{Flow, Ports},
    ipv4::{self, Ipv4},
    ipv6::{self, Ipv6, next_header},
    mpls::Mpls,
};
use crate::{
    abi::{Carried, Family, Reason, TunnelEntry},
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

/// Where the transport header stands, if it directly follows the IP header of a whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// TCP or UDP; 0 for anything else, for fragments, and behind extension headers.
    pub protocol: u8,
    /// Bytes from the inner packet's start.
    pub at: u32,
    /// Bytes from there to the packet's end.
    pub room: u32,
    /// Bytes of the fixed IP header, which the MSS does not count (RFC 9293 3.7.1).
    pub fixed_header: u32,
}

impl Transport {
    /// None that a tunnel cares about.
    pub const NONE: Self = Self { protocol: 0, at: 0, room: 0, fixed_header: 0 };

    /// Of a sound IPv4 packet.
    #[must_use]
    #[inline(always)]
    pub const fn of_ipv4(header: &Ipv4) -> Self {
        let protocol = if header.is_fragment() { 0 } else { known(header.protocol()) };
        let at = header.header_len();
        Self { protocol, at, room: header.total_len().wrapping_sub(at), fixed_header: ipv4::HEADER }
    }

    /// Of an IPv6 packet.
    #[must_use]
    #[inline(always)]
    pub const fn of_ipv6(header: &Ipv6) -> Self {
        Self {
            protocol: known(header.next_header()),
            at: ipv6::HEADER,
            room: header.payload_len(),
            fixed_header: ipv6::HEADER,
        }
    }

    /// The same, behind a label stack of `bytes`.
    #[must_use]
    #[inline(always)]
    pub const fn behind(mut self, bytes: u32) -> Self {
        self.at = self.at.wrapping_add(bytes);
        self.fixed_header = self.fixed_header.wrapping_add(bytes);
        self
    }

    /// Ports, of the packet that starts at `start`.
    #[inline(always)]
    pub fn ports(&self, frame: &mut impl Frame, start: u32) -> Ports {
        if self.protocol == 0 {
            return Ports::default();
        }
        let at = start.wrapping_add(self.at);
        frame.pull(at.wrapping_add(4));
        let Some([both]) = frame.words::<1>(at) else { return Ports::default() };
        Ports { source: (both >> 16) as u16, destination: (both & 0xffff) as u16 }
    }

    /// Whether the sender left the checksum to an offload: the field then holds the pseudo-header's sum alone. One
    /// good packet in 65,536 looks the same, and only loses speed.
    #[inline(always)]
    pub fn has_partial_checksum(&self, frame: &impl Frame, start: u32, flow: &Flow) -> bool {
        let field_at: u32 = match self.protocol {
            PROTOCOL_TCP => 16,
            PROTOCOL_UDP => 6,
            _ => return false,
        };
        let at = start.wrapping_add(self.at).wrapping_add(field_at);
        let Some(field) = frame.half(at) else { return false };
        field == checksum::fold(checksum::pseudo_header_sum(flow, self.protocol, self.room))
    }
}

#[inline(always)]
const fn known(protocol: u8) -> u8 {
    if matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP) { protocol } else { 0 }
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
    /// DSCP and ECN.
    fn tos(&self) -> u8;
    /// TTL or hop limit.
    fn ttl(&self) -> u8;
    /// Addresses and what else a route depends on. MPLS: of the packet underneath.
    fn flow(&self, ports: Ports) -> Flow;
    /// A number for the flow.
    fn hash(&self, flow: &Flow) -> u32;
    /// Where the transport header is.
    fn transport(&self) -> Transport;
    /// Whether an outer IPv4 header has DF set under `dont-fragment=inherit`.
    fn dont_fragment(&self, tunnel: &TunnelEntry) -> bool;
    /// The encapsulation limit that it carries (RFC 2473 4.1.1).
    fn limit(&self, frame: &mut impl Frame, at: u32) -> Limit;
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

impl Inner for Ipv4 {
    const KIND: Carried = Carried::Ipv4;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        frame.pull(at.wrapping_add(ipv4::HEADER));
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        if self.version() != 4 {
            return Some(Flaw::Version);
        }
        let is_whole = self.header_len() >= ipv4::HEADER
            && self.total_len() >= self.header_len()
            && self.total_len() <= room;
        if !is_whole {
            return Some(Flaw::Length);
        }
        if self.ttl() == 0 { Some(Flaw::TtlZero) } else { None }
    }

    #[inline(always)]
    fn total_len(&self, _room: u32) -> u32 {
        self.total_len()
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.tos()
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.ttl()
    }

    #[inline(always)]
    fn flow(&self, ports: Ports) -> Flow {
        self.flow(ports)
    }

    #[inline(always)]
    fn hash(&self, flow: &Flow) -> u32 {
        flow.hash()
    }

    #[inline(always)]
    fn transport(&self) -> Transport {
        Transport::of_ipv4(self)
    }

    #[inline(always)]
    fn dont_fragment(&self, _tunnel: &TunnelEntry) -> bool {
        self.dont_fragment()
    }

    #[inline(always)]
    fn limit(&self, _frame: &mut impl Frame, _at: u32) -> Limit {
        Limit::NONE
    }

    #[inline(always)]
    fn needs_stack(&self) -> Option<Reason> {
        if self.header_len() > ipv4::HEADER {
            Some(Reason::Options)
        } else if self.is_fragment() {
            Some(Reason::Fragment)
        } else if self.ttl() == 1 {
            Some(Reason::TtlExpired)
        } else if self.has_martian_source() {
            Some(Reason::Martian)
        } else if !self.checksum_is_right() {
            Some(Reason::Malformed)
        } else {
            None
        }
    }

    #[inline(always)]
    fn has_forbidden_source(&self) -> bool {
        false
    }

    #[inline(always)]
    fn tunnel<'a>(&mut self, env: &'a impl Env, flow: &Flow) -> Option<&'a TunnelEntry> {
        env.tunnel_to(flow)
    }

    #[inline(always)]
    fn way_on(&mut self, env: &impl Env, tunnel: &TunnelEntry, flow: &Flow, len: u32) -> Result<Hop, Reason> {
        env.route_inner(tunnel, flow, len)
    }

    #[inline(always)]
    fn with_tos(self, tos: u8) -> Self {
        self.with_tos(tos)
    }

    #[inline(always)]
    fn with_ttl_decremented(self) -> Self {
        self.with_ttl_decremented()
    }

    #[inline(always)]
    fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        self.write_edits(frame, at)
    }
}

impl Inner for Ipv6 {
    const KIND: Carried = Carried::Ipv6;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        frame.pull(at.wrapping_add(ipv6::HEADER));
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        if self.version() != 6 {
            return Some(Flaw::Version);
        }
        if self.payload_len().wrapping_add(ipv6::HEADER) > room {
            return Some(Flaw::Length);
        }
        if self.hop_limit() == 0 { Some(Flaw::TtlZero) } else { None }
    }

    #[inline(always)]
    fn total_len(&self, _room: u32) -> u32 {
        self.payload_len().wrapping_add(ipv6::HEADER)
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.traffic_class()
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.hop_limit()
    }

    #[inline(always)]
    fn flow(&self, ports: Ports) -> Flow {
        self.flow(ports)
    }

    #[inline(always)]
    fn hash(&self, flow: &Flow) -> u32 {
        flow.hash()
    }

    #[inline(always)]
    fn transport(&self) -> Transport {
        Transport::of_ipv6(self)
    }

    /// IPv6 routers do not fragment, so DF is set where the MTU follows the path, but for a packet that has to go
    /// through whatever the path (RFC 4213 3.2.1 and 3.2.2).
    #[inline(always)]
    fn dont_fragment(&self, tunnel: &TunnelEntry) -> bool {
        const LEAST_MTU: u32 = 1280;
        let must_pass = u32::from(tunnel.mtu()) < LEAST_MTU && Inner::total_len(self, 0) <= LEAST_MTU;
        tunnel.flags().path_mtu && !must_pass
    }

    #[inline(always)]
    fn limit(&self, frame: &mut impl Frame, at: u32) -> Limit {
        extension::find_limit(frame, self.next_header(), at.wrapping_add(ipv6::HEADER))
    }

    #[inline(always)]
    fn needs_stack(&self) -> Option<Reason> {
        if self.next_header() == next_header::HOP_BY_HOP {
            Some(Reason::Options)
        } else if self.hop_limit() == 1 {
            Some(Reason::TtlExpired)
        } else if self.is_never_forwarded() {
            Some(Reason::Martian)
        } else {
            None
        }
    }

    #[inline(always)]
    fn has_forbidden_source(&self) -> bool {
        self.has_forbidden_source()
    }

    #[inline(always)]
    fn tunnel<'a>(&mut self, env: &'a impl Env, flow: &Flow) -> Option<&'a TunnelEntry> {
        env.tunnel_to(flow)
    }

    #[inline(always)]
    fn way_on(&mut self, env: &impl Env, tunnel: &TunnelEntry, flow: &Flow, len: u32) -> Result<Hop, Reason> {
        env.route_inner(tunnel, flow, len)
    }

    #[inline(always)]
    fn with_tos(self, tos: u8) -> Self {
        self.with_traffic_class(tos)
    }

    #[inline(always)]
    fn with_ttl_decremented(self) -> Self {
        self.with_hop_limit_decremented()
    }

    #[inline(always)]
    fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        self.write_edits(frame, at)
    }
}

impl Inner for Mpls {
    const KIND: Carried = Carried::Mpls;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        if Inner::total_len(self, room) > room {
            return Some(Flaw::Length);
        }
        if self.ttl() == 0 { Some(Flaw::TtlZero) } else { None }
    }

    /// A label stack has no length of its own: the packet underneath says it, or else nothing does.
    #[inline(always)]
    fn total_len(&self, room: u32) -> u32 {
        if self.payload_len() == 0 { room } else { self.stack_len().wrapping_add(self.payload_len()) }
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.tos()
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.ttl()
    }

    #[inline(always)]
    fn flow(&self, _ports: Ports) -> Flow {
        *self.flow()
    }

    #[inline(always)]
    fn hash(&self, _flow: &Flow) -> u32 {
        self.hash()
    }

    #[inline(always)]
    fn transport(&self) -> Transport {
        self.transport()
    }

    /// RFC 4023 5.1: not fragmented unless it is asked for.
    #[inline(always)]
    fn dont_fragment(&self, _tunnel: &TunnelEntry) -> bool {
        true
    }

    #[inline(always)]
    fn limit(&self, _frame: &mut impl Frame, _at: u32) -> Limit {
        Limit::NONE
    }

    #[inline(always)]
    fn needs_stack(&self) -> Option<Reason> {
        if self.ttl() == 1 { Some(Reason::TtlExpired) } else { None }
    }

    #[inline(always)]
    fn has_forbidden_source(&self) -> bool {
        false
    }

    #[inline(always)]
    fn tunnel<'a>(&mut self, env: &'a impl Env, _flow: &Flow) -> Option<&'a TunnelEntry> {
        let (label, tunnel) = env.tunnel_of_label(self.label())?;
        *self = self.with_label(label);
        Some(tunnel)
    }

    #[inline(always)]
    fn way_on(
        &mut self,
        env: &impl Env,
        tunnel: &TunnelEntry,
        _flow: &Flow,
        len: u32,
    ) -> Result<Hop, Reason> {
        let (label, hop) = env.route_label(tunnel, self.label(), len)?;
        *self = self.with_label(label);
        Ok(hop)
    }

    /// A label stack has no ToS byte, and keeps its class.
    #[inline(always)]
    fn with_tos(self, _tos: u8) -> Self {
        self
    }

    #[inline(always)]
    fn with_ttl_decremented(self) -> Self {
        self.with_ttl_decremented()
    }

    #[inline(always)]
    fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        self.write_edits(frame, at)
    }
}

/// Whether `flow` is between the tunnel's own ends, or from its far one: the packet has been here before (RFC 2003
/// 3.2, RFC 2473 4.1.2).
#[must_use]
#[inline(always)]
pub fn is_loop(tunnel: &TunnelEntry, flow: &Flow) -> bool {
    let is_from_remote = is_same(tunnel, flow.family, flow.source, tunnel.remote());
    is_from_remote || is_from_to(tunnel, flow, tunnel.local(), tunnel.remote())
}

/// Whether `flow` is the reflection of a probe: from this end to the far one, out of the tunnel (RFC 7676 3.2).
#[must_use]
#[inline(always)]
pub fn is_reflected(tunnel: &TunnelEntry, flow: &Flow) -> bool {
    is_from_to(tunnel, flow, tunnel.local(), tunnel.remote())
}

#[inline(always)]
fn is_from_to(tunnel: &TunnelEntry, flow: &Flow, source: [u32; 4], destination: [u32; 4]) -> bool {
    is_same(tunnel, flow.family, flow.source, source)
        && is_same(tunnel, flow.family, flow.destination, destination)
}

#[inline(always)]
fn is_same(tunnel: &TunnelEntry, family: Family, address: [u32; 4], end: [u32; 4]) -> bool {
    tunnel.family() == family
        && address[0] == end[0]
        && (matches!(family, Family::V4)
            || (address[1] == end[1] && address[2] == end[2] && address[3] == end[3]))
}
