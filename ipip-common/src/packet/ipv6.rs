//! The IPv6 header (RFC 8200 3) as ten words.

use super::{
    extension::{self, Limit},
    flow::{Flow, Ports},
    inner::{Flaw, Inner},
    transport::Transport,
};
use crate::{
    abi::{Carried, Family, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    verdict::Hop,
};

/// Length of the header, bytes.
pub const HEADER: u32 = 40;
/// The MTU that every path has at least, bytes (RFC 8200 5).
pub const LEAST_MTU: u16 = 1280;
/// Next header values of extension headers (IANA).
pub mod next_header {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing header.
    pub const ROUTING: u8 = 43;
    /// Fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
}

/// An IPv6 header in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    words: [u32; 10],
}

impl Ipv6 {
    /// Reads the header at `at`. It may be anything: the callers check what they rely on.
    #[inline(always)]
    pub fn read(frame: &impl Frame, at: u32) -> Option<Self> {
        frame.words::<10>(at).map(|words| Self { words })
    }

    /// Version field; 6 in an IPv6 header.
    #[must_use]
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        (self.words[0] >> 28) as u8
    }

    /// Traffic class: DSCP and ECN, as an IPv4 ToS byte.
    #[must_use]
    #[inline(always)]
    pub const fn traffic_class(&self) -> u8 {
        (self.words[0] >> 20) as u8
    }

    /// Bytes after the header.
    #[must_use]
    #[inline(always)]
    pub const fn payload_len(&self) -> u32 {
        self.words[1] >> 16
    }

    /// Next header.
    #[must_use]
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        (self.words[1] >> 8) as u8
    }

    /// Hop limit.
    #[must_use]
    #[inline(always)]
    pub const fn hop_limit(&self) -> u8 {
        (self.words[1] & 0xff) as u8
    }

    /// Source address.
    #[must_use]
    #[inline(always)]
    pub const fn source(&self) -> [u32; 4] {
        let [_, _, a, b, c, d, ..] = self.words;
        [a, b, c, d]
    }

    /// Destination address.
    #[must_use]
    #[inline(always)]
    pub const fn destination(&self) -> [u32; 4] {
        let [_, _, _, _, _, _, a, b, c, d] = self.words;
        [a, b, c, d]
    }

    /// The packet's flow.
    #[must_use]
    #[inline(always)]
    pub const fn flow(&self, ports: Ports) -> Flow {
        Flow {
            family: Family::V6,
            source: self.source(),
            destination: self.destination(),
            protocol: self.next_header(),
            tos: self.traffic_class(),
            ports,
        }
    }

    /// Whether no tunnel may bring a packet from this source (RFC 4213 3.6): multicast, the loopback address,
    /// IPv4-compatible (all of `::/96` but `::`) and IPv4-mapped.
    #[must_use]
    #[inline(always)]
    pub const fn has_forbidden_source(&self) -> bool {
        let [a, b, c, d] = self.source();
        let is_compatible = a | b | c == 0 && d != 0;
        let is_mapped = a | b == 0 && c == 0xffff;
        a >> 24 == 0xff || is_compatible || is_mapped
    }

    /// Whether a router leaves it alone: unspecified, loopback, multicast or link-local at either end
    /// (RFC 4291 2.5.2, 2.5.3, 2.5.6 and 2.7).
    #[must_use]
    #[inline(always)]
    pub const fn is_never_forwarded(&self) -> bool {
        is_scoped(self.source()) || is_scoped(self.destination())
    }

    /// The header after forwarding: hop limit one less. The caller has seen that it is above 1.
    #[must_use]
    #[inline(always)]
    pub const fn with_hop_limit_decremented(mut self) -> Self {
        self.words[1] = self.words[1].wrapping_sub(1);
        self
    }

    /// The header with another traffic class.
    #[must_use]
    #[inline(always)]
    pub const fn with_traffic_class(mut self, class: u8) -> Self {
        self.words[0] = self.words[0] & 0xf00f_ffff | (class as u32) << 20;
        self
    }

    /// Writes the header's first two words, all that an edit can change.
    #[inline(always)]
    pub fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        let [class, hop_limit, ..] = self.words;
        frame.put_words(at, [class, hop_limit])
    }
}

#[inline(always)]
const fn is_scoped([a, b, c, d]: [u32; 4]) -> bool {
    let is_special = a | b | c == 0 && d <= 1;
    is_special || a >> 24 == 0xff || a >> 22 == 0xfe80 >> 6
}

impl Inner for Ipv6 {
    const KIND: Carried = Carried::Ipv6;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        frame.pull(at.wrapping_add(HEADER));
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        if self.version() != 6 {
            return Some(Flaw::Version);
        }
        if self.payload_len().wrapping_add(HEADER) > room {
            return Some(Flaw::Length);
        }
        if self.hop_limit() == 0 { Some(Flaw::TtlZero) } else { None }
    }

    #[inline(always)]
    fn total_len(&self, _room: u32) -> u32 {
        self.payload_len().wrapping_add(HEADER)
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
        let must_pass = tunnel.mtu() < LEAST_MTU && Inner::total_len(self, 0) <= u32::from(LEAST_MTU);
        tunnel.flags().path_mtu && !must_pass
    }

    #[inline(always)]
    fn limit(&self, frame: &mut impl Frame, at: u32) -> Limit {
        extension::find_limit(frame, self.next_header(), at.wrapping_add(HEADER))
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        use next_header::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
        let is_extended = matches!(self.next_header(), HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION);
        self.version() == 6 && !is_extended && self.hop_limit() > 1
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
