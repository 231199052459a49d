//! Parameter Problem about a packet that may not be encapsulated any more (RFC 2473 4.1.1).
//!
//! Type 4, code 0; the pointer is at the limit itself, the third byte of the option. As RFC 4443 2.4 (e) asks, there
//! is none about `ICMPv6` errors and redirects, about packets for many, and about packets from nobody in particular.

use std::net::Ipv6Addr;

use ipip_common::packet::extension::{FARTHEST, MOST_HEADERS, MOST_OPTIONS};
use ipip_common::packet::ipv6::next_header::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};

/// Bytes of an IPv6 header.
const HEADER: usize = 40;
/// The whole error fits IPv6's least MTU (RFC 4443 2.4 (c)): 1280 less its IPv6 and `ICMPv6` headers.
const QUOTED_MAX: usize = 1280 - HEADER - 8;
/// `Parameter Problem`, RFC 4443 3.4.
const PARAMETER_PROBLEM: u8 = 4;
/// `Redirect`, RFC 4861 4.5.
const REDIRECT: u8 = 137;
/// `ICMPv6` types below this one are errors.
const INFORMATION: u8 = 128;
/// Extension headers that are looked through for the upper protocol; the limit is one of the first [`MOST_HEADERS`].
const HEADERS_MAX: u32 = 16;
/// As [`FARTHEST`].
const AT_MAX: usize = FARTHEST as usize;

const ICMPV6: u8 = 58;
const PAD_1: u8 = 0;
const ENCAPSULATION_LIMIT: u8 = 4;

/// An `ICMPv6` error and whom it is for. Source and checksum are the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The source of the packet that it is about.
    pub to: Ipv6Addr,
    /// The `ICMPv6` message, with a checksum of zero.
    pub message: Vec<u8>,
}

/// The answer to an IPv6 packet whose encapsulation limit is zero; `None` for every other packet, and where there
/// must be none.
#[must_use]
pub fn nesting_limit(packet: &[u8]) -> Option<Problem> {
    if packet.first()? >> 4 != 6 {
        return None;
    }
    let (from, to) = (address(packet, 8)?, address(packet, 24)?);
    if from.is_unspecified() || from.is_multicast() || to.is_multicast() {
        return None;
    }
    let chain = Chain::read(packet)?;
    if chain.is_error(packet) {
        return None;
    }
    let pointer = chain.limit.filter(|at| packet.get(*at) == Some(&0))?;
    let mut message = vec![PARAMETER_PROBLEM, 0, 0, 0];
    message.extend(u32::try_from(pointer).ok()?.to_be_bytes());
    let length = HEADER + usize::from(half(packet, 4)?);
    message.extend(packet.get(..length).unwrap_or(packet).iter().take(QUOTED_MAX));
    Some(Problem { to: from, message })
}

/// What the extension headers say.
struct Chain {
    /// Where the encapsulation limit is.
    limit: Option<usize>,
    /// The protocol behind them.
    upper: u8,
    /// Where that begins; `None` in a later fragment.
    start: Option<usize>,
}

impl Chain {
    fn read(packet: &[u8]) -> Option<Self> {
        let mut chain = Self { limit: None, upper: *packet.get(6)?, start: None };
        let mut at = HEADER;
        for number in 0..HEADERS_MAX {
            let kind = chain.upper;
            if !matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION) {
                chain.start = Some(at);
                return Some(chain);
            }
            let units = usize::from(*packet.get(at + 1)?);
            let length = if kind == FRAGMENT { 8 } else { (units + 1) * 8 };
            // As far as the programs look: no packet is refused for what is behind.
            let is_searched = number < MOST_HEADERS && at - HEADER <= AT_MAX;
            if kind == DESTINATION && chain.limit.is_none() && is_searched {
                chain.limit = find_limit(packet.get(at..at + length)?).map(|offset| at + offset);
            }
            chain.upper = *packet.get(at)?;
            // The upper 13 bits are the offset.
            if kind == FRAGMENT && half(packet, at + 2)? >> 3 != 0 {
                return Some(chain);
            }
            at += length;
        }
        None
    }

    /// Whether no error may be sent about the packet; what cannot be read may be one.
    fn is_error(&self, packet: &[u8]) -> bool {
        let kind = self.start.and_then(|at| packet.get(at));
        self.upper == ICMPV6 && kind.is_none_or(|kind| *kind < INFORMATION || *kind == REDIRECT)
    }
}

/// The place of the limit in a destination options header.
fn find_limit(header: &[u8]) -> Option<usize> {
    let mut at = 2;
    for _ in 0..MOST_OPTIONS {
        if at > AT_MAX {
            return None;
        }
        let kind = *header.get(at)?;
        if kind == PAD_1 {
            at += 1;
            continue;
        }
        let length = *header.get(at + 1)?;
        if kind == ENCAPSULATION_LIMIT && length == 1 {
            return (at + 2 < header.len()).then_some(at + 2);
        }
        at += 2 + usize::from(length);
    }
    None
}

fn address(packet: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}

fn half(packet: &[u8], at: usize) -> Option<u16> {
    let bytes: [u8; 2] = packet.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
