//! The IP packet of a known flow: where its fields are, and what must be true of them.

use crate::{
    abi::{Carried, Family, KnownFlow, first_mask, place},
    env::Memory,
    frame::Raw,
    packet::{checksum, ecn, ipv6::next_header},
};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const SYN: u8 = 2;

/// What a tunnel carries, as far as its outer header and its forwarding ask. Offsets count from the frame's start; it is
/// at `at`.
pub(super) trait Load {
    /// Bytes of its header.
    const HEADER: usize;
    /// What it is.
    const KIND: Carried;

    /// TTL or hop limit.
    fn ttl(frame: &impl Raw, at: usize) -> u8;
    /// Those bits of the ECN field, in the two lowest bits, that are in `mask`.
    fn ecn(frame: &impl Raw, at: usize, mask: u8) -> u8;
    /// Length of the whole packet.
    fn total_len(frame: &impl Raw, at: usize) -> u32;
    /// The first header's DF bit, where it has one, as it stands in memory.
    fn dont_fragment(frame: &impl Raw, at: usize) -> u16;
    /// Makes the TTL one less, and changes what else `known` says of the header.
    fn forward(frame: &mut impl Raw, at: usize, known: &KnownFlow);
}

/// IPv4 or IPv6.
pub(super) trait Inner: Load {
    /// Its family.
    const FAMILY: Family;

    /// Protocol or next header.
    fn protocol(frame: &impl Raw, at: usize) -> u8;
    /// The first two addresses as they stand in memory; of IPv4, both in the first word.
    fn ends(frame: &impl Raw, at: usize) -> [u64; 4];
    /// Whether `known` is about packets like this.
    fn is_of(known: &KnownFlow, frame: &impl Raw, at: usize, first: u32, ports: u32) -> bool;
    /// The length field as it stands in memory.
    fn length(frame: &impl Raw, at: usize) -> u16;
    /// Whether the header is sound, and has nothing about it but what the flow's key says. `addresses` is the sum of its
    /// addresses.
    fn is_plain(frame: &impl Raw, at: usize, addresses: u64) -> bool;
    /// Whether it is a fragment, whose ports are not read.
    fn is_fragment(frame: &impl Raw, at: usize) -> bool;
    /// Writes another ToS byte or traffic class: ECN of both headers, DSCP of the outer one where `dscp` is that.
    fn change_tos(frame: &mut impl Raw, at: usize, change: impl FnOnce(u8) -> u8);
    /// DSCP and ECN.
    fn tos(frame: &impl Raw, at: usize) -> u8;
}

pub(super) struct V4;
pub(super) struct V6;

impl Load for V4 {
    const HEADER: usize = 20;
    const KIND: Carried = Carried::Ipv4;

    #[inline(always)]
    fn ttl(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 8)
    }

    #[inline(always)]
    fn ecn(frame: &impl Raw, at: usize, mask: u8) -> u8 {
        frame.get8(at + 1) & mask
    }

    #[inline(always)]
    fn total_len(frame: &impl Raw, at: usize) -> u32 {
        u32::from(u16::from_be(frame.get16(at + 2)))
    }

    #[inline(always)]
    fn dont_fragment(frame: &impl Raw, at: usize) -> u16 {
        frame.get16(at + 6) & 0x4000_u16.to_be()
    }

    #[inline(always)]
    fn forward(frame: &mut impl Raw, at: usize, _known: &KnownFlow) {
        let sum = checksum::after_hop(frame.get16(at + 10));
        frame.put16(at + 10, sum);
        frame.put8(at + 8, Self::ttl(frame, at).wrapping_sub(1));
    }
}

impl Inner for V4 {
    const FAMILY: Family = Family::V4;

    #[inline(always)]
    fn protocol(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 9)
    }

    #[inline(always)]
    fn ends(frame: &impl Raw, at: usize) -> [u64; 4] {
        [frame.get64(at + 12), 0, 0, 0]
    }

    #[inline(always)]
    fn is_of(known: &KnownFlow, frame: &impl Raw, at: usize, first: u32, ports: u32) -> bool {
        known.is_for_v4(first, frame.get64(at + 12), ports, Self::protocol(frame, at))
    }

    /// The header's length, and with it options, is in the flow's key. Of a fragment the first eight bytes might be too large a
    /// number: it is asked before.
    #[inline(always)]
    fn is_plain(frame: &impl Raw, at: usize, addresses: u64) -> bool {
        checksum::is_all_ones(addresses + frame.get64(at) + u64::from(frame.get32(at + 8)))
    }

    #[inline(always)]
    fn length(frame: &impl Raw, at: usize) -> u16 {
        frame.get16(at + 2)
    }

    #[inline(always)]
    fn is_fragment(frame: &impl Raw, at: usize) -> bool {
        frame.get16(at + 6) & 0x3fff_u16.to_be() != 0
    }

    #[inline(always)]
    fn change_tos(frame: &mut impl Raw, at: usize, change: impl FnOnce(u8) -> u8) {
        let old = frame.get16(at);
        let tos = change((old >> 8) as u8);
        let new = old & 0xff | u16::from(tos) << 8;
        let sum = checksum::update(frame.get16(at + 10), old, new);
        frame.put16(at, new);
        frame.put16(at + 10, sum);
    }

    #[inline(always)]
    fn tos(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 1)
    }
}

impl Load for V6 {
    const HEADER: usize = 40;
    const KIND: Carried = Carried::Ipv6;

    #[inline(always)]
    fn ttl(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 7)
    }

    #[inline(always)]
    fn ecn(frame: &impl Raw, at: usize, mask: u8) -> u8 {
        frame.get8(at + 1) >> 4 & mask
    }

    #[inline(always)]
    fn total_len(frame: &impl Raw, at: usize) -> u32 {
        u32::from(u16::from_be(frame.get16(at + 4))) + 40
    }

    #[inline(always)]
    fn dont_fragment(_frame: &impl Raw, _at: usize) -> u16 {
        0
    }

    #[inline(always)]
    fn forward(frame: &mut impl Raw, at: usize, _known: &KnownFlow) {
        frame.put8(at + 7, Self::ttl(frame, at).wrapping_sub(1));
    }
}

impl Inner for V6 {
    const FAMILY: Family = Family::V6;

    #[inline(always)]
    fn protocol(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 6)
    }

    #[inline(always)]
    fn ends(frame: &impl Raw, at: usize) -> [u64; 4] {
        [frame.get64(at + 8), frame.get64(at + 16), frame.get64(at + 24), frame.get64(at + 32)]
    }

    #[inline(always)]
    fn is_of(known: &KnownFlow, frame: &impl Raw, at: usize, first: u32, ports: u32) -> bool {
        known.is_for_v6(first, Self::ends(frame, at), ports, Self::protocol(frame, at))
    }

    #[inline(always)]
    fn length(frame: &impl Raw, at: usize) -> u16 {
        frame.get16(at + 4)
    }

    /// No extension header that is looked into.
    #[inline(always)]
    fn is_plain(frame: &impl Raw, at: usize, _addresses: u64) -> bool {
        use next_header::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
        !matches!(Self::protocol(frame, at), HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
    }

    #[inline(always)]
    fn is_fragment(_frame: &impl Raw, _at: usize) -> bool {
        false
    }

    #[inline(always)]
    fn change_tos(frame: &mut impl Raw, at: usize, change: impl FnOnce(u8) -> u8) {
        let tos = change(Self::tos(frame, at));
        let label = frame.get8(at + 1) & 0xf;
        frame.put8(at, 0x60 | tos >> 4);
        frame.put8(at + 1, tos << 4 | label);
    }

    #[inline(always)]
    fn tos(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at) << 4 | frame.get8(at + 1) >> 4
    }
}

/// The flow of the packet at `at`, if it is known and what the key leaves open is as usual: no fragment, and no handshake.
/// The frame has eight bytes behind the header. `first` makes the key's first word of the one that ends two bytes into the
/// header; `label` is the top label's part of the flow's place.
#[inline(always)]
pub(super) fn find<'a, I: Inner>(
    frame: &impl Raw,
    memory: &'a impl Memory,
    at: usize,
    first: impl FnOnce(u32) -> u32,
    label: u32,
) -> Option<&'a KnownFlow> {
    let transport = at + I::HEADER;
    let ports = match I::protocol(frame, at) {
        TCP if !frame.has(transport + 20) || frame.get8(transport + 13) & SYN != 0 => return None,
        TCP | UDP | SCTP => frame.get32(transport),
        _ => 0,
    };
    let epoch = memory.epoch();
    let known = memory.known(place(I::ends(frame, at), ports ^ label))?;
    let first = first(frame.get32(at - 2)) & first_mask(I::FAMILY);
    let is_known = known.epoch() == epoch
        && I::is_of(known, frame, at, first, ports)
        && known.is_from(frame.get64(0), memory.ifindex());
    (is_known && !I::is_fragment(frame, at)).then_some(known)
}

/// Whether the packet is sound, fits, and its transport checksum is finished.
#[inline(always)]
pub(super) fn is_good<I: Inner>(known: &KnownFlow, frame: &impl Raw, at: usize) -> bool {
    if I::ttl(frame, at) < 2
        || I::total_len(frame, at) > known.most()
        || !I::is_plain(frame, at, u64::from(known.addresses_sum()))
    {
        return false;
    }
    is_finished::<I>(known, frame, at)
}

/// Whether the transport checksum is more than the sum of the pseudo-header (see
/// [`crate::packet::transport::Transport::has_partial_checksum`]).
#[inline(always)]
pub(super) fn is_finished<I: Inner>(known: &KnownFlow, frame: &impl Raw, at: usize) -> bool {
    let transport = at + I::HEADER;
    let sum = known.ends_sum() + u32::from(I::length(frame, at));
    match I::protocol(frame, at) {
        UDP => !folds_to(sum, frame.get16(transport + 6)),
        TCP => frame.has(transport + 20) && !folds_to(sum, frame.get16(transport + 16)),
        SCTP => frame.has(transport + 12) && frame.get32(transport + 8) != 0,
        _ => true,
    }
}

/// Whether the sum of two halves is this checksum with its carry added. A zero is also taken for all ones.
#[inline(always)]
fn folds_to(sum: u32, checksum: u16) -> bool {
    matches!(sum.wrapping_sub(u32::from(checksum)), 0 | 0xffff)
}

/// Whether two ECN fields that differ can be combined without anything to note (RFC 6040 4.2).
#[inline(always)]
pub(super) fn combines(inner: u8, outer: u8) -> bool {
    !ecn::is_odd(inner, outer) && ecn::combine(inner, outer).is_some()
}
