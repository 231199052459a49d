//! Out of the tunnel.

use super::{
    ETHERNET, Known,
    inner::{Inner, Load, V4, V6, combines, find, is_good},
};
use crate::{
    abi::{DECAPSULATED, Family, KnownFlow},
    env::Memory,
    frame::Raw,
    packet::ecn,
};

/// See [`DECAPSULATED`].
#[inline(always)]
fn decapsulated(first: u32) -> u32 {
    first & 0xffff_0000 | DECAPSULATED
}

/// Decapsulates from an IPv4 header.
#[inline(always)]
pub(super) fn of_v4<I: Inner>(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    const HEADER: usize = 20;
    const INNER: usize = ETHERNET + HEADER;
    if !frame.has(INNER + I::HEADER + 8) {
        return Known::Unknown;
    }
    let Some(known) = find::<I>(frame, memory, INNER, decapsulated, 0) else { return Known::Unknown };
    let total_len = I::total_len(frame, INNER);
    let is_accepted = is_accepted_v4(frame, known, total_len);
    if is_accepted && known.is_handed_over() {
        return Known::HandOver(known.way_out());
    }
    if !is_accepted || !is_good::<I>(known, frame, INNER) {
        return Known::Unknown;
    }
    carry_on::<I, HEADER>(frame, memory, known, V4::tos(frame, ETHERNET), total_len, Family::V4)
}

/// Decapsulates from an IPv6 header without extensions.
#[inline(always)]
pub(super) fn of_v6<I: Inner>(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    const HEADER: usize = 40;
    const INNER: usize = ETHERNET + HEADER;
    if !frame.has(INNER + I::HEADER + 8) {
        return Known::Unknown;
    }
    let Some(known) = find::<I>(frame, memory, INNER, decapsulated, 0) else { return Known::Unknown };
    let total_len = I::total_len(frame, INNER);
    let is_accepted = is_accepted_v6(frame, known, total_len);
    if is_accepted && known.is_handed_over() {
        return Known::HandOver(known.way_out());
    }
    if !is_accepted || !is_good::<I>(known, frame, INNER) {
        return Known::Unknown;
    }
    carry_on::<I, HEADER>(frame, memory, known, V6::tos(frame, ETHERNET), total_len, Family::V6)
}

/// Whether the outer header is the remote's, sound and plain, and says that it carries `total_len` bytes.
#[inline(always)]
pub(super) fn is_accepted_v4(frame: &impl Raw, known: &KnownFlow, total_len: u32) -> bool {
    known.accepts_v4(frame.get64(26))
        && frame.get8(ETHERNET) == 0x45
        && !V4::is_fragment(frame, ETHERNET)
        && V4::total_len(frame, ETHERNET) == total_len + V4::HEADER as u32
        && V4::is_plain(frame, ETHERNET, u64::from(known.outer_sum()))
}

/// The same over IPv6.
#[inline(always)]
pub(super) fn is_accepted_v6(frame: &impl Raw, known: &KnownFlow, total_len: u32) -> bool {
    known.accepts_v6(V6::ends(frame, ETHERNET))
        && frame.get8(ETHERNET) >> 4 == 6
        && V6::total_len(frame, ETHERNET) == total_len + V6::HEADER as u32
}

/// Takes the outer header of `HEADER` bytes away and writes what the packet leaves with.
#[inline(always)]
fn carry_on<I: Inner, const HEADER: usize>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    outer_tos: u8,
    total_len: u32,
    outer: Family,
) -> Known {
    let inner = ETHERNET + HEADER;
    let is_whole = frame.linear() == total_len + inner as u32;
    let marks = (I::ecn(frame, inner, 3) ^ outer_tos) & 3;
    if !is_whole || marks != 0 && !combines(I::ecn(frame, inner, 3), outer_tos) {
        return Known::Unknown;
    }
    let changes_tos = known.takes_dscp() || marks != 0;
    if frame.pull_front(HEADER as u32, outer, I::KIND).is_err() {
        return Known::NoRoom;
    }
    if !frame.has(ETHERNET + I::HEADER) {
        return Known::Torn;
    }
    if changes_tos {
        I::change_tos(frame, ETHERNET, |tos| {
            let combined = ecn::combine(tos, outer_tos).unwrap_or(tos);
            if known.takes_dscp() { outer_tos & 0xfc | combined & 3 } else { combined }
        });
    }
    leave::<I>(frame, memory, known, total_len)
}

/// Counts a decapsulated packet of `total_len` bytes, writes its link header, and forwards.
#[inline(always)]
pub(super) fn leave<L: Load>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    total_len: u32,
) -> Known {
    let now = memory.now();
    let _ = memory.with_traffic(known.tunnel(), |traffic| {
        traffic.heard = now;
        traffic.xdp.received_packets = traffic.xdp.received_packets.wrapping_add(1);
        traffic.xdp.received_bytes = traffic.xdp.received_bytes.wrapping_add(u64::from(total_len));
    });
    let head = known.head();
    frame.put64(0, head[0]);
    frame.put32(8, head[1] as u32);
    frame.put16(12, (head[1] >> 32) as u16);
    L::forward(frame, ETHERNET, known);
    Known::Carried(known.way_out())
}
