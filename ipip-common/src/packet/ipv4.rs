//! The fixed part of an IPv4 header (RFC 791 3.1) as five words, and edits that keep its checksum right.

use super::{
    checksum,
    extension::Limit,
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

/// Length of an IPv4 header without options, bytes.
pub const HEADER: u32 = 20;

const DONT_FRAGMENT: u32 = 0x4000;
const MORE_FRAGMENTS: u32 = 0x2000;
const OFFSET: u32 = 0x1fff;

/// The first 20 bytes of an IPv4 packet, in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    words: [u32; 5],
}

impl Ipv4 {
    /// Reads the header at `at`. It may be anything: the callers check what they rely on.
    #[inline(always)]
    pub fn read(frame: &impl Frame, at: u32) -> Option<Self> {
        frame.words::<5>(at).map(Self::from_words)
    }

    /// From the header's words in host order.
    #[must_use]
    #[inline(always)]
    pub const fn from_words(words: [u32; 5]) -> Self {
        Self { words }
    }

    /// Version field; 4 in an IPv4 header.
    #[must_use]
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        (self.words[0] >> 28) as u8
    }

    /// Header length in bytes, from the IHL field: 0 to 60.
    #[must_use]
    #[inline(always)]
    pub const fn header_len(&self) -> u32 {
        (self.words[0] >> 22) & 0x3c
    }

    /// Type of service: DSCP and ECN.
    #[must_use]
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        (self.words[0] >> 16) as u8
    }

    /// Total length in bytes.
    #[must_use]
    #[inline(always)]
    pub const fn total_len(&self) -> u32 {
        self.words[0] & 0xffff
    }

    /// The DF bit.
    #[must_use]
    #[inline(always)]
    pub const fn dont_fragment(&self) -> bool {
        self.words[1] & DONT_FRAGMENT != 0
    }

    /// Whether it is a fragment: MF set or a non-zero offset.
    #[must_use]
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.words[1] & (MORE_FRAGMENTS | OFFSET) != 0
    }

    /// Time to live.
    #[must_use]
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        (self.words[2] >> 24) as u8
    }

    /// Protocol number.
    #[must_use]
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        (self.words[2] >> 16) as u8
    }

    /// The checksum field.
    #[must_use]
    #[inline(always)]
    pub const fn checksum(&self) -> u16 {
        (self.words[2] & 0xffff) as u16
    }

    /// Source address.
    #[must_use]
    #[inline(always)]
    pub const fn source(&self) -> u32 {
        self.words[3]
    }

    /// Destination address.
    #[must_use]
    #[inline(always)]
    pub const fn destination(&self) -> u32 {
        self.words[4]
    }

    /// The packet's flow.
    #[must_use]
    #[inline(always)]
    pub const fn flow(&self, ports: Ports) -> Flow {
        Flow {
            family: Family::V4,
            source: [self.source(), 0, 0, 0],
            destination: [self.destination(), 0, 0, 0],
            protocol: self.protocol(),
            tos: self.tos(),
            ports,
        }
    }

    /// Whether the checksum of a header without options is right.
    #[must_use]
    #[inline(always)]
    pub const fn checksum_is_right(&self) -> bool {
        // In wire order, so that nothing has to be turned around: the right sum reads the same from both ends.
        let [length, fragment, ttl, source, destination] = self.words;
        let sum = (length.to_be() as u64).wrapping_add(fragment.to_be() as u64);
        let sum = sum.wrapping_add(ttl.to_be() as u64).wrapping_add(source.to_be() as u64);
        checksum::is_all_ones(sum.wrapping_add(destination.to_be() as u64))
    }

    /// Whether it is a right header without options, and no fragment.
    #[must_use]
    #[inline(always)]
    pub const fn is_whole_and_plain(&self) -> bool {
        self.words[0] >> 24 == 0x45 && !self.is_fragment() && self.checksum_is_right()
    }

    /// Whether a router leaves it alone: "this network", loopback (RFC 1122 3.2.1.3), multicast or above at either end
    /// (RFC 1812 5.3.7). The kernel's FIB alone would find a way for such destinations.
    #[must_use]
    #[inline(always)]
    pub const fn is_never_forwarded(&self) -> bool {
        is_special(self.source()) || is_special(self.destination())
    }

    /// The header after forwarding: TTL one less (RFC 1812 5.3.1). The caller has seen that it is above 1.
    #[must_use]
    #[inline(always)]
    pub const fn with_ttl_decremented(mut self) -> Self {
        let old = (self.words[2] >> 16) as u16;
        let new = old.wrapping_sub(0x0100);
        let sum = checksum::update(self.checksum(), old, new);
        self.words[2] = (new as u32) << 16 | sum as u32;
        self
    }

    /// The header with another ToS byte.
    #[must_use]
    #[inline(always)]
    pub const fn with_tos(mut self, tos: u8) -> Self {
        let old = (self.words[0] >> 16) as u16;
        let new = old & 0xff00 | tos as u16;
        let sum = checksum::update(self.checksum(), old, new);
        self.words[0] = (new as u32) << 16 | self.words[0] & 0xffff;
        self.words[2] = self.words[2] & 0xffff_0000 | sum as u32;
        self
    }

    /// Writes the header's first three words, all that an edit can change.
    #[inline(always)]
    pub fn write_edits(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        let [length, fragment, ttl, _, _] = self.words;
        frame.put_words(at, [length, fragment, ttl])
    }
}

#[inline(always)]
const fn is_special(address: u32) -> bool {
    let first = address >> 24;
    first == 0 || first == 127 || first >= 224
}

impl Inner for Ipv4 {
    const KIND: Carried = Carried::Ipv4;

    #[inline(always)]
    fn read(frame: &mut impl Frame, at: u32) -> Option<Self> {
        frame.pull(at.wrapping_add(HEADER));
        Self::read(frame, at)
    }

    #[inline(always)]
    fn flaw(&self, room: u32) -> Option<Flaw> {
        if self.version() != 4 {
            return Some(Flaw::Version);
        }
        let is_whole =
            self.header_len() >= HEADER && self.total_len() >= self.header_len() && self.total_len() <= room;
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
    fn is_plain(&self) -> bool {
        self.is_whole_and_plain() && self.ttl() > 1 && self.total_len() >= HEADER
    }

    #[inline(always)]
    fn needs_stack(&self) -> Option<Reason> {
        if self.header_len() > HEADER {
            Some(Reason::Options)
        } else if self.is_fragment() {
            Some(Reason::Fragment)
        } else if self.ttl() == 1 {
            Some(Reason::TtlExpired)
        } else if self.is_never_forwarded() {
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
