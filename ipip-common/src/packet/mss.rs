//! The maximum segment size of TCP handshakes: lowered to what fits the tunnel (RFC 9293 3.7.1, RFC 6691).
//!
//! The clamp only ever lowers. A SYN without the option is left alone (a missing one already means 536), and
//! so is one whose option list is cut short or contradicts itself.

use super::{PROTOCOL_TCP, cursor, transport::Transport};
use crate::frame::Frame;

/// Fixed TCP header, bytes.
const TCP_HEADER: u32 = 20;
const SYN: u32 = 0x02;
const OFFSET_AND_FLAGS_AT: u32 = 12;
const CHECKSUM_AT: u32 = 16;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
/// A TCP header has room for 40 bytes of options: as many of one byte.
const MOST_OPTIONS: u32 = 40;
/// All ones above every offset in a TCP header, which has 60 bytes at most.
const LONGEST_OFFSET: u32 = 0x3f;

/// A lower MSS, decided but not yet written. Offsets count from the network header of the inner packet.
///
/// That there is none is a value too, and not the absence of one: what an `Option` leaves unset is, at the end of a
/// loop, a spilled register that the kernel's verifier rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// 0 for no clamp.
    value_at: u32,
    checksum_at: u32,
    old: u16,
    new: u16,
}

/// The clamp that the packet at `start` needs for a tunnel of this MTU; [`Clamp::NONE`] if it needs none. The MSS does
/// not count the fixed headers of IP and TCP, nor labels (RFC 9293 3.7.1, RFC 6691 2).
#[inline(always)]
pub fn find(frame: &mut impl Frame, start: u32, transport: &Transport, mtu: u16) -> Clamp {
    if transport.protocol != PROTOCOL_TCP || transport.room < TCP_HEADER {
        return Clamp::NONE;
    }
    let tcp_at = start.wrapping_add(transport.at);
    frame.pull(tcp_at.wrapping_add(TCP_HEADER));
    let Some(flags) = frame.half(tcp_at.wrapping_add(OFFSET_AND_FLAGS_AT)).map(u32::from) else {
        return Clamp::NONE;
    };
    let options_end = flags >> 10 & 0x3c;
    if flags & SYN == 0 || options_end > transport.room {
        return Clamp::NONE;
    }
    frame.pull(tcp_at.wrapping_add(options_end));
    let value_at = find_option(frame, tcp_at, options_end, flags);
    if value_at == 0 {
        return Clamp::NONE;
    }
    let Some(old) = frame.half(tcp_at.wrapping_add(value_at)) else { return Clamp::NONE };
    let fixed_headers = transport.fixed_header.wrapping_add(TCP_HEADER);
    let new = u32::from(mtu).saturating_sub(fixed_headers) as u16;
    if new >= old {
        return Clamp::NONE;
    }
    let tcp = transport.at;
    Clamp { value_at: tcp.wrapping_add(value_at), checksum_at: tcp.wrapping_add(CHECKSUM_AT), old, new }
}

/// Where the option's value stands, relative to the TCP header at `tcp_at`; 0 where there is none. `unknown` is for
/// [`cursor::forget`].
#[inline(always)]
fn find_option(frame: &impl Frame, tcp_at: u32, options_end: u32, unknown: u32) -> u32 {
    let mut at = TCP_HEADER;
    let mut options = 0;
    while options < MOST_OPTIONS && at < options_end {
        at = cursor::forget(at, unknown) & LONGEST_OFFSET;
        let here = tcp_at.wrapping_add(at);
        // Kind and length at once. Where the packet ends behind a kind, no MSS can follow.
        let Some(both) = frame.half(here) else { return 0 };
        let (kind, length) = ((both >> 8) as u8, u32::from(both & 0xff));
        if kind == NO_OPERATION {
            at = at.wrapping_add(1);
        } else {
            let next = at.wrapping_add(length);
            // A length below 2 would stand still or go back (RFC 9293 3.1), and no option reaches behind the header:
            // the list is broken.
            if kind == END_OF_OPTIONS || length < 2 || next > options_end {
                return 0;
            }
            if kind == MAXIMUM_SEGMENT_SIZE && length == 4 {
                return at.wrapping_add(2);
            }
            at = next;
        }
        options = u32::wrapping_add(options, 1);
    }
    0
}

impl Clamp {
    /// No clamp.
    pub const NONE: Self = Self { value_at: 0, checksum_at: 0, old: 0, new: 0 };

    /// Writes the MSS and mends the TCP checksum of the inner packet that now stands at `at`.
    #[inline(always)]
    pub fn write(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        if self.value_at == 0 {
            return Some(());
        }
        frame.put_half(at.wrapping_add(self.value_at), self.new)?;
        // Behind an odd number of NOPs the value straddles two words of the sum, each half in the other's
        // place: the byte-swapped value stands for it (RFC 1071 2B).
        let is_odd = self.value_at.wrapping_sub(self.checksum_at) & 1 == 1;
        let (old, new) =
            if is_odd { (self.old.swap_bytes(), self.new.swap_bytes()) } else { (self.old, self.new) };
        frame.mend_transport_sum(at.wrapping_add(self.checksum_at), old, new)
    }
}
