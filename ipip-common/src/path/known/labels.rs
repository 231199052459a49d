//! Labelled packets, both ways: one or two labels with IP underneath, which says of which flow they are.

use super::{
    ETHERNET, Known,
    inner::{Inner, Load, V4, V6, find, is_finished},
    into::encapsulate,
    out::{is_accepted_v4, is_accepted_v6, leave},
};
use crate::{
    abi::{Carried, Family, KnownFlow, LABELLED, LABELLED_DECAPSULATED, Labels},
    env::Memory,
    frame::Raw,
    packet::mpls::{self, SHORTEST_PAYLOAD},
};

const ENTRY: usize = mpls::ENTRY as usize;

/// A label stack, which has no length of its own: it is all of the frame.
struct Stack;

impl Load for Stack {
    const HEADER: usize = ENTRY;
    const KIND: Carried = Carried::Mpls;

    #[inline(always)]
    fn ttl(frame: &impl Raw, at: usize) -> u8 {
        frame.get8(at + 3)
    }

    /// None: three bits of class are all that it has.
    #[inline(always)]
    fn ecn(_frame: &impl Raw, _at: usize, _mask: u8) -> u8 {
        0
    }

    #[inline(always)]
    fn total_len(frame: &impl Raw, at: usize) -> u32 {
        frame.linear() - at as u32
    }

    /// Whatever its tunnel says, which stands in the head.
    #[inline(always)]
    fn dont_fragment(_frame: &impl Raw, _at: usize) -> u16 {
        0
    }

    #[inline(always)]
    fn forward(frame: &mut impl Raw, at: usize, known: &KnownFlow) {
        frame.put32(at, Labels::forwarded(frame.get32(at), known.out_label()));
    }
}

/// Encapsulates the packet at the frame's network header.
#[inline(always)]
pub(super) fn tunnel(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    let Some(known) = find_under(frame, memory, ETHERNET, LABELLED) else { return Known::Unknown };
    let total_len = Stack::total_len(frame, ETHERNET);
    // Only the whole paths tell padding from the packet.
    let is_whole = total_len > SHORTEST_PAYLOAD && frame.length() == total_len;
    if !is_whole || total_len > known.most() || Stack::ttl(frame, ETHERNET) < 2 {
        return Known::Unknown;
    }
    encapsulate::<Stack>(frame, memory, known, total_len)
}

/// Decapsulates from an IPv4 header.
#[inline(always)]
pub(super) fn out_of_v4(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    const HEADER: usize = 20;
    const INNER: usize = ETHERNET + HEADER;
    let Some(known) = find_under(frame, memory, INNER, LABELLED_DECAPSULATED) else { return Known::Unknown };
    let total_len = Stack::total_len(frame, INNER);
    if !is_accepted_v4(frame, known, total_len) {
        return Known::Unknown;
    }
    carry_on::<HEADER>(frame, memory, known, total_len, Family::V4)
}

/// Decapsulates from an IPv6 header without extensions.
#[inline(always)]
pub(super) fn out_of_v6(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    const HEADER: usize = 40;
    const INNER: usize = ETHERNET + HEADER;
    let Some(known) = find_under(frame, memory, INNER, LABELLED_DECAPSULATED) else { return Known::Unknown };
    let total_len = Stack::total_len(frame, INNER);
    if !is_accepted_v6(frame, known, total_len) {
        return Known::Unknown;
    }
    carry_on::<HEADER>(frame, memory, known, total_len, Family::V6)
}

/// Takes the outer header of `HEADER` bytes away from a packet that is as long as that header says.
#[inline(always)]
fn carry_on<const HEADER: usize>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    total_len: u32,
    outer: Family,
) -> Known {
    if known.is_handed_over() {
        return Known::HandOver(known.way_out());
    }
    if total_len > known.most() || Stack::ttl(frame, ETHERNET + HEADER) < 2 {
        return Known::Unknown;
    }
    if frame.pull_front(HEADER as u32, outer, Carried::Mpls).is_err() {
        return Known::NoRoom;
    }
    if !frame.has(ETHERNET + ENTRY) {
        return Known::Torn;
    }
    leave::<Stack>(frame, memory, known, total_len)
}

/// The flow of the labelled packet at `at`, if it is known and what the key leaves open is as usual. `before` stands in the
/// key for what is in front of the IP header.
#[inline(always)]
fn find_under<'a>(
    frame: &impl Raw,
    memory: &'a impl Memory,
    at: usize,
    before: u32,
) -> Option<&'a KnownFlow> {
    if !frame.has(at + 2 * ENTRY) {
        return None;
    }
    let (top, second) = (frame.get32(at), frame.get32(at + ENTRY));
    if Labels::is_last(top) {
        find_at(frame, memory, at + ENTRY, before, [Labels::entry(top), 0])
    } else if Labels::is_last(second) {
        find_at(frame, memory, at + 2 * ENTRY, before, [Labels::entry(top), Labels::entry(second)])
    } else {
        None
    }
}

/// The same where the IP header is at `at`.
#[inline(always)]
fn find_at<'a>(
    frame: &impl Raw,
    memory: &'a impl Memory,
    at: usize,
    before: u32,
    labels: [u32; 2],
) -> Option<&'a KnownFlow> {
    if !frame.has(at + V4::HEADER + 8) {
        return None;
    }
    match frame.get8(at) >> 4 {
        4 => find_as::<V4>(frame, memory, at, before, labels),
        6 if frame.has(at + V6::HEADER + 8) => find_as::<V6>(frame, memory, at, before, labels),
        _ => None,
    }
}

#[inline(always)]
fn find_as<'a, I: Inner>(
    frame: &impl Raw,
    memory: &'a impl Memory,
    at: usize,
    before: u32,
    [top, second]: [u32; 2],
) -> Option<&'a KnownFlow> {
    let known = find::<I>(frame, memory, at, |first| first & 0xffff_0000 | before, top)?;
    let is_known = known.is_under(u64::from(second) << 32 | u64::from(top));
    // A shorter one is not taken for IP.
    let is_ip = I::total_len(frame, at) >= I::HEADER as u32;
    (is_known && is_ip && is_finished::<I>(known, frame, at)).then_some(known)
}
