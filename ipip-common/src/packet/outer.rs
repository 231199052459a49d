//! The outer header: RFC 2003 3.1 for IPv4 in IPv4.

use super::{PROTOCOL_IPV4, checksum, ecn::Ecn, ipv4, ipv4::Ipv4};
use crate::abi::TunnelEntry;

/// Version 4, five words, no ToS, no length.
const VERSION_AND_IHL: u32 = 0x4500_0000;
const DONT_FRAGMENT: u32 = 0x4000;

/// The sum of the outer fields that do not depend on the packet: version, TTL, protocol, addresses.
#[must_use]
pub const fn constant_sum(local: u32, remote: u32, ttl: u8) -> u32 {
    let sum = checksum::add_word(0, VERSION_AND_IHL);
    let sum = checksum::add_word(sum, ttl_and_protocol(ttl));
    checksum::add_word(checksum::add_word(sum, local), remote)
}

const fn ttl_and_protocol(ttl: u8) -> u32 {
    (ttl as u32) << 24 | (PROTOCOL_IPV4 as u32) << 16
}

/// The outer ToS byte: ECN is the inner packet's (RFC 6040 4.1, normal mode), DSCP the inner packet's or the
/// configured one (RFC 2983 3).
#[must_use]
#[inline(always)]
pub const fn tos(tunnel: &TunnelEntry, inner: &Ipv4) -> u8 {
    if tunnel.flags().fixed_dscp { Ecn::of(inner.tos()).into_tos(tunnel.dscp() << 2) } else { inner.tos() }
}

/// Whether the outer DF bit is set. `dont-fragment=inherit` is what RFC 2003 3.1 demands for an inner DF; `no`
/// is the documented default.
#[must_use]
#[inline(always)]
pub const fn dont_fragment(tunnel: &TunnelEntry, inner: &Ipv4) -> bool {
    tunnel.flags().inherit_dont_fragment && inner.dont_fragment()
}

/// Total length of the outer packet, from the inner header and never from the frame.
#[must_use]
#[inline(always)]
pub const fn total_len(inner: &Ipv4) -> u32 {
    inner.total_len().wrapping_add(ipv4::HEADER)
}

/// The outer header. `ident` is the identification; an atomic datagram (DF set) needs none (RFC 6864 4.1).
#[must_use]
#[inline(always)]
pub const fn v4(tunnel: &TunnelEntry, inner: &Ipv4, ident: u16) -> [u32; 5] {
    let first = (tos(tunnel, inner) as u32) << 16 | total_len(inner) & 0xffff;
    let second = (ident as u32) << 16 | if dont_fragment(tunnel, inner) { DONT_FRAGMENT } else { 0 };
    let sum = checksum::add_word(checksum::add_word(tunnel.outer_sum(), first), second);
    [
        VERSION_AND_IHL | first,
        second,
        ttl_and_protocol(tunnel.ttl()) | checksum::finish(sum) as u32,
        tunnel.local(),
        tunnel.remote(),
    ]
}
