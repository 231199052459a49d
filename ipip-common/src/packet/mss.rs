//! The maximum segment size of TCP handshakes: lowered to what fits the tunnel (RFC 9293 3.7.1, RFC 6691).
//!
//! The clamp only ever lowers. A SYN without the option is left alone (a missing one already means 536), and
//! so is one whose option list is cut short or contradicts itself.

use super::{PROTOCOL_TCP, ipv4::Ipv4};
use crate::frame::Frame;

/// Fixed TCP header, bytes.
const TCP_HEADER: u32 = 20;
/// IPv4 and TCP headers without options: what the MSS does not count (RFC 6691 2).
const FIXED_HEADERS: u16 = 40;
const SYN: u16 = 0x02;
const OFFSET_AND_FLAGS_AT: u32 = 12;
const CHECKSUM_AT: u32 = 16;

const END_OF_OPTIONS: u32 = 0;
const NO_OPERATION: u32 = 1;
const MAXIMUM_SEGMENT_SIZE: u32 = 2;
/// The longest TCP header, bytes.
const LONGEST_HEADER: u32 = 60;

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

/// The clamp that the inner packet at `at` needs for a tunnel of this MTU; [`Clamp::NONE`] if it needs none.
#[inline(always)]
pub fn find(frame: &mut impl Frame, at: u32, inner: &Ipv4, mtu: u16) -> Clamp {
    if inner.protocol() != PROTOCOL_TCP || inner.is_fragment() {
        return Clamp::NONE;
    }
    let tcp = inner.header_len();
    if inner.total_len() < tcp.wrapping_add(TCP_HEADER) {
        return Clamp::NONE;
    }
    let tcp_at = at.wrapping_add(tcp);
    let Some(flags) = frame.half(tcp_at.wrapping_add(OFFSET_AND_FLAGS_AT)) else { return Clamp::NONE };
    let options_end = u32::from(flags >> 10) & 0x3c;
    if flags & SYN == 0 || tcp.wrapping_add(options_end) > inner.total_len() {
        return Clamp::NONE;
    }
    frame.pull(tcp_at.wrapping_add(options_end));
    let value_at = find_option(frame, tcp_at, options_end);
    if value_at == 0 {
        return Clamp::NONE;
    }
    let Some(old) = frame.half(tcp_at.wrapping_add(value_at)) else { return Clamp::NONE };
    let new = mtu.saturating_sub(FIXED_HEADERS);
    if new >= old {
        return Clamp::NONE;
    }
    Clamp { value_at: tcp.wrapping_add(value_at), checksum_at: tcp.wrapping_add(CHECKSUM_AT), old, new }
}

/// Where the option's value stands, relative to the TCP header at `tcp_at`; 0 where there is none.
///
/// A state machine over the bytes in order, so that the packet is read at the same places whatever it says: a
/// cursor that jumps from option to option makes the kernel's verifier follow every way of jumping ("BPF program is
/// too large").
#[inline(always)]
fn find_option(frame: &impl Frame, tcp_at: u32, options_end: u32) -> u32 {
    // Without this the compiler sees that 60 bounds the header anyway and leaves the constant bound out of the
    // loop; Linux 6.1 then walks on for ever ("The sequence of 8193 jumps is too complex").
    let options_end = core::hint::black_box(options_end);
    let mut next = KIND;
    let mut value_left = 0;
    let mut at = TCP_HEADER;
    let mut word = 0;
    while at < LONGEST_HEADER && at < options_end {
        if at.is_multiple_of(4) {
            let Some([four]) = frame.words::<1>(tcp_at.wrapping_add(at)) else { return 0 };
            word = four;
        }
        let byte = word >> 24;
        word <<= 8;
        if value_left > 0 {
            value_left = u32::wrapping_sub(value_left, 1);
        } else if next == KIND {
            match byte {
                END_OF_OPTIONS => return 0,
                NO_OPERATION => {}
                MAXIMUM_SEGMENT_SIZE => next = LENGTH_OF_MSS,
                _ => next = LENGTH,
            }
        } else if byte < 2 {
            // A length below 2 would stand still or go back (RFC 9293 3.1): the list is broken.
            return 0;
        } else if next == LENGTH_OF_MSS && byte == 4 {
            // The option may claim more bytes than the header has.
            return if at.wrapping_add(3) <= options_end { at.wrapping_add(1) } else { 0 };
        } else {
            next = KIND;
            value_left = byte.wrapping_sub(2);
        }
        at = at.wrapping_add(1);
    }
    0
}

/// What the next byte is, outside of an option's value.
const KIND: u32 = 0;
const LENGTH: u32 = 1;
const LENGTH_OF_MSS: u32 = 2;

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
