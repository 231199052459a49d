//! A packet of a flow that has been decided about: the same bytes as [`super::encap`] and [`super::decap`] give, without
//! asking for anything again, and in as few steps as can be.
//!
//! Here is checked whatever can differ between two packets of a flow. A packet that has anything about it (options,
//! a fragment, a handshake, a flaw, a mark that no sound path makes) is left to the whole paths, which decide and count.
//! Values are as they stand in memory, and read where they are used: the registers of BPF are few, and every helper call
//! empties five of them (docs/adr/0013).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "offsets stay below 200, sums of 16-bit terms far below 32 bits, and words are cut on purpose"
)]

mod inner;
mod into;
mod labels;
mod out;

use crate::{env::Memory, frame::Raw, packet::PROTOCOL_MPLS};

/// What becomes of a packet whose flow is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Known {
    /// Nothing here: its flow is not known, or there is something about it. It is untouched and uncounted.
    Unknown,
    /// Not a tunnel's packet: goes on untouched and uncounted.
    Foreign,
    /// Carried; it leaves by this interface, or by the one that it came in by where that is 0.
    Carried(u32),
    /// The CPU of this number is to carry it. It is untouched and uncounted.
    HandOver(u32),
    /// The kernel gave no room. It is untouched and uncounted: the whole paths say so.
    NoRoom,
    /// Half changed, because the kernel refused a step that it never refuses; it ends here.
    Torn,
}

/// `EtherType`s as they stand in memory.
const IPV4: u16 = 0x0008;
const IPV6: u16 = 0xdd86;
const MPLS: u16 = 0x4788;
/// Bytes of the Ethernet header.
const ETHERNET: usize = 14;

/// Carries the packet if its flow is known and nothing is about it.
#[inline(always)]
pub fn carry(frame: &mut impl Raw, memory: &impl Memory) -> Known {
    // The shortest header, and eight bytes behind it.
    if !frame.has(ETHERNET + 20 + 8) {
        return Known::Unknown;
    }
    match frame.get16(12) {
        IPV4 => {
            let out = match frame.get8(23) {
                4 => out::of_v4::<inner::V4>(frame, memory),
                41 => out::of_v4::<inner::V6>(frame, memory),
                PROTOCOL_MPLS => labels::out_of_v4(frame, memory),
                _ => Known::Unknown,
            };
            if out == Known::Unknown { into::tunnel::<inner::V4>(frame, memory) } else { out }
        }
        IPV6 => {
            if !frame.has(ETHERNET + 40 + 8) {
                return Known::Unknown;
            }
            let out = match frame.get8(20) {
                4 => out::of_v6::<inner::V4>(frame, memory),
                41 => out::of_v6::<inner::V6>(frame, memory),
                PROTOCOL_MPLS => labels::out_of_v6(frame, memory),
                _ => Known::Unknown,
            };
            if out == Known::Unknown { into::tunnel::<inner::V6>(frame, memory) } else { out }
        }
        MPLS => labels::tunnel(frame, memory),
        _ => Known::Unknown,
    }
}
