//! Into the tunnel.

use super::{
    ETHERNET, Known,
    inner::{Inner, Load, find, is_good},
};
use crate::{
    abi::{Family, KnownFlow, Traffic},
    env::Memory,
    frame::Raw,
    packet::checksum,
};

/// Bytes of an outer IPv4 header.
const V4_HEADER: usize = 20;

/// Encapsulates the packet at the frame's network header.
#[inline(always)]
pub(super) fn tunnel<I: Inner>(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    let Some(known) = find::<I>(frame, memory, ETHERNET, |first| first, 0) else { return Known::Unknown };
    if known.tunnel() == 0 {
        return Known::Foreign;
    }
    let total_len = I::total_len(frame, ETHERNET);
    if !is_good::<I>(known, frame, ETHERNET) {
        return Known::Unknown;
    }
    if frame.linear() != total_len + ETHERNET as u32 && !trim::<I>(frame, total_len) {
        return Known::Unknown;
    }
    encapsulate::<I>(frame, memory, known, total_len)
}

/// Pushes the outer header in front of `total_len` bytes, and forwards.
#[inline(always)]
pub(super) fn encapsulate<L: Load>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    total_len: u32,
) -> Known {
    match known.overhead() {
        20 => under_v4::<L>(frame, memory, known, total_len),
        40 => under_v6::<L, 40>(frame, memory, known, total_len),
        _ => under_v6::<L, 48>(frame, memory, known, total_len),
    }
}

/// Cuts link padding. Whether the frame is longer than what can be read directly has to be asked for.
#[inline(always)]
fn trim<I: Inner>(frame: &mut impl Raw, total_len: u32) -> bool {
    let is_there = I::HEADER as u32 <= total_len && total_len <= frame.length();
    is_there && frame.trim(total_len).is_ok()
}

/// Counts a packet of `bytes`.
#[inline(always)]
fn count(traffic: &mut Traffic, bytes: u32) {
    traffic.xdp.sent_packets = traffic.xdp.sent_packets.wrapping_add(1);
    traffic.xdp.sent_bytes = traffic.xdp.sent_bytes.wrapping_add(u64::from(bytes));
}

#[inline(always)]
fn under_v4<L: Load>(frame: &mut impl Raw, memory: &impl Memory, known: &KnownFlow, total_len: u32) -> Known {
    if frame.push_front(V4_HEADER as u32, Family::V4).is_err() {
        return Known::NoRoom;
    }
    if !frame.has(ETHERNET + V4_HEADER + L::HEADER) {
        return Known::Torn;
    }
    if known.inherits_any() {
        write_v4::<L, true>(frame, memory, known, total_len);
    } else {
        write_v4::<L, false>(frame, memory, known, total_len);
    }
    L::forward(frame, ETHERNET + V4_HEADER, known);
    Known::Carried(known.way_out())
}

/// Writes the link header and the outer IPv4 header. `INHERITS`: its TTL or its DF may be the inner packet's.
#[inline(always)]
fn write_v4<L: Load, const INHERITS: bool>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    total_len: u32,
) {
    let inner = ETHERNET + V4_HEADER;
    // Zero, or DF of the inner packet; the header's own DF stands in the head.
    let fragment = if INHERITS && known.inherits_df() { L::dont_fragment(frame, inner) } else { 0 };
    let ttl = if INHERITS && known.inherits_ttl() { L::ttl(frame, inner).wrapping_sub(1) } else { 0 };
    let needs_ident = known.may_be_fragmented() && fragment == 0;
    let ident = memory.with_traffic(known.tunnel(), |traffic| {
        count(traffic, total_len);
        if needs_ident { traffic.take_ident(memory.ident_block()) } else { 0 }
    });
    let ident = ident.unwrap_or(0).to_be();
    let ecn = L::ecn(frame, inner, known.ecn_mask());
    let length = (total_len as u16).wrapping_add(V4_HEADER as u16).to_be();
    let sum = known.outer_sum() + u32::from(length) + u32::from(ident);
    let sum = sum + (u32::from(ecn) << 8) + u32::from(ttl) + u32::from(fragment);
    let checksum = checksum::finish_few(sum);
    let head = known.head();
    frame.put64(0, head[0]);
    frame.put64(8, head[1] | u64::from(ecn) << 56);
    let middle = head[2] | u64::from(length) | u64::from(ident) << 16;
    frame.put64(16, middle | u64::from(fragment) << 32 | u64::from(ttl) << 48);
    frame.put64(24, head[3]);
    frame.put16(24, checksum);
    frame.put16(32, head[4] as u16);
}

/// `HEADER` is 40, or 48 with an encapsulation limit.
#[inline(always)]
fn under_v6<L: Load, const HEADER: usize>(
    frame: &mut impl Raw,
    memory: &impl Memory,
    known: &KnownFlow,
    total_len: u32,
) -> Known {
    let inner = ETHERNET + HEADER;
    if frame.push_front(HEADER as u32, Family::V6).is_err() {
        return Known::NoRoom;
    }
    if !frame.has(inner + L::HEADER) {
        return Known::Torn;
    }
    let _ = memory.with_traffic(known.tunnel(), |traffic| count(traffic, total_len));
    let ecn = L::ecn(frame, inner, known.ecn_mask());
    let ttl = if known.inherits_ttl() { L::ttl(frame, inner).wrapping_sub(1) } else { 0 };
    let length = (total_len as u16).wrapping_add(HEADER as u16 - 40).to_be();
    let head = known.head();
    frame.put64(0, head[0]);
    frame.put64(8, head[1] | u64::from(ecn) << 60);
    frame.put64(16, head[2] | u64::from(length) << 16 | u64::from(ttl) << 40);
    frame.put64(24, head[3]);
    frame.put64(32, head[4]);
    frame.put64(40, head[5]);
    if HEADER == 48 {
        frame.put64(48, head[6]);
        frame.put32(56, head[7] as u32);
        frame.put16(60, (head[7] >> 32) as u16);
    } else {
        frame.put32(48, head[6] as u32);
        frame.put16(52, (head[6] >> 32) as u16);
    }
    L::forward(frame, inner, known);
    Known::Carried(known.way_out())
}
