//! The outer header: RFC 2003 3.1 and RFC 4213 3.5 over IPv4, RFC 2473 5.1 over IPv6, RFC 4023 3 for MPLS.

use super::{
    checksum,
    ecn::Ecn,
    extension::{self, Limit},
    flow,
    inner::Inner,
    ipv4, ipv6,
};
use crate::{
    abi::{Family, TunnelEntry},
    frame::Frame,
};

/// Version 4, five words, no ToS, no length.
const VERSION_AND_IHL: u32 = 0x4500_0000;
const DONT_FRAGMENT: u32 = 0x4000;

/// The sum of the outer IPv4 fields that do not depend on the packet: version and addresses.
#[must_use]
pub const fn constant_sum(local: u32, remote: u32) -> u32 {
    checksum::add_word(checksum::add_word(checksum::add_word(0, VERSION_AND_IHL), local), remote)
}

/// All that an outer header says and that is not in the tunnel's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Family of the header.
    pub family: Family,
    /// Protocol number of what is inside.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Bytes inside.
    pub inner_len: u32,
    /// The DF bit; IPv6 has none.
    pub dont_fragment: bool,
    /// The limit that is sent, over IPv6.
    pub limit: Limit,
    /// The flow label; IPv4 has none.
    pub label: u32,
}

impl Outer {
    /// The header around `inner`. `ttl` is the inner packet's as it leaves; `hash` tells its flow.
    #[inline(always)]
    pub fn around<I: Inner>(
        tunnel: &TunnelEntry,
        inner: &I,
        inner_len: u32,
        ttl: u8,
        limit: Limit,
        hash: u32,
    ) -> Self {
        let flags = tunnel.flags();
        let configured =
            if flags.encapsulation_limit { Limit::of(tunnel.encapsulation_limit()) } else { Limit::NONE };
        Self {
            family: tunnel.family(),
            protocol: I::KIND.protocol(),
            tos: tos(tunnel, inner.tos()),
            ttl: if flags.inherit_ttl { ttl } else { tunnel.ttl() },
            inner_len,
            dont_fragment: flags.inherit_dont_fragment && inner.dont_fragment(tunnel),
            limit: limit.outer(configured),
            label: if flags.flow_label { flow::label(hash) } else { 0 },
        }
    }

    /// Bytes of the header.
    #[must_use]
    #[inline(always)]
    pub const fn header_len(&self) -> u32 {
        match self.family {
            Family::V4 => ipv4::HEADER,
            Family::V6 if self.limit.is_set() => ipv6::HEADER.wrapping_add(extension::LIMIT_HEADER),
            Family::V6 => ipv6::HEADER,
        }
    }

    /// Bytes of the whole outer packet, from the inner header and never from the frame.
    #[must_use]
    #[inline(always)]
    pub const fn total_len(&self) -> u32 {
        self.inner_len.wrapping_add(self.header_len())
    }

    /// Whether it has an identification: an atomic datagram needs none (RFC 6864 4.1), and IPv6 has none.
    #[must_use]
    #[inline(always)]
    pub const fn needs_ident(&self) -> bool {
        matches!(self.family, Family::V4) && !self.dont_fragment
    }

    /// Writes the header. `ident` is the IPv4 identification.
    #[inline(always)]
    pub fn write(&self, frame: &mut impl Frame, tunnel: &TunnelEntry, ident: u16) -> Option<()> {
        match self.family {
            Family::V4 => frame.put_words(0, self.v4(tunnel, ident)),
            Family::V6 if self.limit.is_set() => {
                frame.put_words(0, self.v6(tunnel, ipv6::next_header::DESTINATION))?;
                frame.put_words(ipv6::HEADER, self.limit.header(self.protocol))
            }
            Family::V6 => frame.put_words(0, self.v6(tunnel, self.protocol)),
        }
    }

    /// The words of an IPv4 header.
    #[must_use]
    #[inline(always)]
    pub const fn v4(&self, tunnel: &TunnelEntry, ident: u16) -> [u32; 5] {
        let first = (self.tos as u32) << 16 | self.total_len() & 0xffff;
        let second = (ident as u32) << 16 | if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        let third = (self.ttl as u32) << 24 | (self.protocol as u32) << 16;
        let sum = (tunnel.outer_sum() as u64).wrapping_add(first as u64).wrapping_add(second as u64);
        let checksum = !checksum::fold_words(sum.wrapping_add(third as u64)) as u32;
        let ([local, ..], [remote, ..]) = (tunnel.local(), tunnel.remote());
        [VERSION_AND_IHL | first, second, third | checksum, local, remote]
    }

    /// The words of an IPv6 header that is followed by `next`.
    #[must_use]
    #[inline(always)]
    pub const fn v6(&self, tunnel: &TunnelEntry, next: u8) -> [u32; 10] {
        let payload_len = self.total_len().wrapping_sub(ipv6::HEADER);
        let [a, b, c, d] = tunnel.local();
        let [e, f, g, h] = tunnel.remote();
        let first = 6 << 28 | (self.tos as u32) << 20 | self.label;
        let second = (payload_len & 0xffff) << 16 | (next as u32) << 8 | self.ttl as u32;
        [first, second, a, b, c, d, e, f, g, h]
    }
}

/// The outer ToS byte: ECN is the inner packet's in normal mode, Not-ECT in compatibility mode (RFC 6040 4.1); DSCP
/// the inner packet's or the configured one (RFC 2983 3).
#[must_use]
#[inline(always)]
pub const fn tos(tunnel: &TunnelEntry, inner: u8) -> u8 {
    let flags = tunnel.flags();
    let dscp = if flags.fixed_dscp { tunnel.dscp() << 2 } else { inner };
    let field = if flags.ecn_compatibility { Ecn::NotEct } else { Ecn::of(inner) };
    field.into_tos(dscp)
}
