//! A keepalive probe: an ICMP echo inside the tunnel whose data says when it was sent, and proves that it was us.
//!
//! The nonce is SipHash-2-4 (Aumasson and Bernstein, 2012) of all that the probe says, under a random key of the tunnel
//! that never leaves the host: whoever has not seen a probe cannot make its answer, and nobody has to remember the probes
//! that are on their way (docs/adr/0017).

use super::{checksum, flow::Flow};
use crate::abi::Family;

/// The key of a tunnel's nonces. Zeros are none.
pub type Key = [u64; 2];

/// Bytes of ICMP header and data.
pub const PAYLOAD: u32 = 40;
/// The largest probe, bytes: an IPv6 header and the payload.
pub const LONGEST: usize = 80;
/// What the data begins with: "ipipkeep".
const MAGIC: [u32; 2] = [0x6970_6970, 0x6b65_6570];
/// The TTL or hop limit of a probe.
const TTL: u32 = 64;
/// DSCP CS6, network control (RFC 4594 3.2), as it stands in a `ToS` byte.
const TOS: u32 = 48 << 2;

/// ICMP of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The IP protocol number.
    pub protocol: u8,
    /// The type of an echo request.
    pub request: u8,
    /// The type of an echo reply.
    pub reply: u8,
}

/// ICMP of this family (RFC 792, RFC 4443).
#[must_use]
#[inline(always)]
pub const fn icmp(family: Family) -> Icmp {
    match family {
        Family::V4 => Icmp { protocol: 1, request: 8, reply: 0 },
        Family::V6 => Icmp { protocol: 58, request: 128, reply: 129 },
    }
}

/// How the far end is made to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Way {
    /// From the remote to the local address, which the far end forwards back, outside of the tunnel (RFC 7676 3.2).
    Reflect = 1,
    /// From an address of the tunnel's interface to itself, which the far end forwards back (RFC 5969 8).
    Itself = 2,
    /// An echo request to the far end's address on the tunnel's own network.
    Neighbour = 3,
    /// An echo request to the remote address.
    Remote = 4,
    /// An echo request to all nodes of the link, `ff02::1`.
    Link = 5,
    /// An echo request from the local to the remote address, which is answered outside of the tunnel.
    Outer = 6,
}

impl Way {
    /// All ways, the best first: those whose answers come back through the tunnel.
    pub const ALL: [Self; 6] =
        [Self::Neighbour, Self::Remote, Self::Link, Self::Itself, Self::Reflect, Self::Outer];

    /// Its name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Itself => "reflect-own",
            Self::Neighbour => "echo",
            Self::Remote => "echo-remote",
            Self::Link => "echo-link",
            Self::Outer => "echo-outer",
        }
    }

    /// Whether the far end forwards the probe itself back, and does not answer it.
    #[must_use]
    #[inline(always)]
    pub const fn is_reflected(self) -> bool {
        matches!(self, Self::Reflect | Self::Itself)
    }
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its number; all probes of one interval have the same.
    pub sequence: u32,
    /// The number of its [`Way`].
    pub way: u32,
    /// When it was sent, nanoseconds of `CLOCK_MONOTONIC`.
    pub sent_ns: u64,
}

impl Probe {
    /// What an answer's data of eight words says, and its nonce. `None`: it is no probe's.
    #[must_use]
    #[inline(always)]
    pub const fn read(data: [u32; 8]) -> Option<(Self, u64)> {
        let [first, second, sequence, way, sent_high, sent_low, nonce_high, nonce_low] = data;
        if first != MAGIC[0] || second != MAGIC[1] {
            return None;
        }
        Some((Self { sequence, way, sent_ns: join(sent_high, sent_low) }, join(nonce_high, nonce_low)))
    }

    /// The nonce that belongs to it.
    #[must_use]
    #[inline(always)]
    pub const fn nonce(&self, key: Key) -> u64 {
        siphash(key, [join(self.way, self.sequence), self.sent_ns])
    }

    const fn data(&self, key: Key) -> [u32; 8] {
        let (sent, nonce) = (split(self.sent_ns), split(self.nonce(key)));
        [MAGIC[0], MAGIC[1], self.sequence, self.way, sent[0], sent[1], nonce[0], nonce[1]]
    }

    /// Writes the inner packet between these addresses into `packet`, and returns its bytes and their `ToS` byte.
    #[must_use]
    pub fn write<'a>(&self, key: Key, flow: &Flow, packet: &'a mut [u8; LONGEST]) -> (&'a [u8], u8) {
        let icmp = icmp(flow.family);
        let echo = [u32::from(icmp.request) << 24, split(key[0])[0] & 0xffff_0000 | self.sequence & 0xffff];
        let data = self.data(key);
        let echo = sealed(flow, icmp, echo, data);
        let mut places = packet.as_chunks_mut().0.iter_mut();
        let mut put = |words: &[u32]| {
            // The words first: `zip` takes one from the first before it sees that the second has ended.
            for (word, place) in words.iter().zip(places.by_ref()) {
                *place = word.to_be_bytes();
            }
        };
        match flow.family {
            Family::V4 => put(&header_v4(flow, icmp.protocol)),
            Family::V6 => put(&header_v6(flow, icmp.protocol)),
        }
        put(&echo);
        put(&data);
        let length = if matches!(flow.family, Family::V4) { 60 } else { LONGEST };
        (packet.get(..length).unwrap_or_default(), TOS as u8)
    }
}

/// The echo header with its checksum, which covers a pseudo-header in `ICMPv6` (RFC 4443 2.3).
fn sealed(flow: &Flow, icmp: Icmp, [first, second]: [u32; 2], data: [u32; 8]) -> [u32; 2] {
    let start = match flow.family {
        Family::V4 => 0,
        Family::V6 => checksum::pseudo_header_sum(flow, icmp.protocol, PAYLOAD),
    };
    let sum = [first, second].into_iter().chain(data).fold(start, checksum::add_word);
    [first | u32::from(checksum::finish(sum)), second]
}

/// An IPv4 header without identification: with DF, it needs none (RFC 6864 4.1).
fn header_v4(flow: &Flow, protocol: u8) -> [u32; 5] {
    const DONT_FRAGMENT: u32 = 0x4000;
    let words = [
        0x4500_0000 | TOS << 16 | 20_u32.wrapping_add(PAYLOAD),
        DONT_FRAGMENT,
        TTL << 24 | u32::from(protocol) << 16,
        flow.source[0],
        flow.destination[0],
    ];
    let sum = words.into_iter().fold(0, checksum::add_word);
    let [length, fragment, ttl, source, destination] = words;
    [length, fragment, ttl | u32::from(checksum::finish(sum)), source, destination]
}

fn header_v6(flow: &Flow, protocol: u8) -> [u32; 10] {
    let [a, b, c, d] = flow.source;
    let [e, f, g, h] = flow.destination;
    let second = PAYLOAD << 16 | u32::from(protocol) << 8 | TTL;
    [6 << 28 | TOS << 20, second, a, b, c, d, e, f, g, h]
}

#[inline(always)]
const fn join(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

#[inline(always)]
const fn split(word: u64) -> [u32; 2] {
    [(word >> 32) as u32, word as u32]
}

/// SipHash-2-4 of sixteen bytes, given as two words (little-endian in the reference).
#[inline(always)]
const fn siphash(key: Key, [first, second]: [u64; 2]) -> u64 {
    let state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let state = block(block(state, first), second);
    // The last block: nothing but the length in the highest byte.
    let [a, b, c, d] = block(state, 16 << 56);
    let [a, b, c, d] = round(round(round(round([a, b, c ^ 0xff, d]))));
    a ^ b ^ c ^ d
}

#[inline(always)]
const fn block([a, b, c, d]: [u64; 4], word: u64) -> [u64; 4] {
    let [a, b, c, d] = round(round([a, b, c, d ^ word]));
    [a ^ word, b, c, d]
}

#[inline(always)]
const fn round([a, b, c, d]: [u64; 4]) -> [u64; 4] {
    let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
    let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
    let a = a.rotate_left(32);
    let (c, a) = (c.wrapping_add(b), a.wrapping_add(d));
    let (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
    [a, b, c.rotate_left(32), d]
}

#[cfg(test)]
mod tests;
