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
const SYN: u8 = 0x02;
const FLAGS_AT: u32 = 13;
const CHECKSUM_AT: u32 = 16;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
/// The longest TCP header, bytes.
const LONGEST_HEADER: u32 = 60;

/// A lower MSS, decided but not yet written. Offsets count from the network header of the inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    value_at: u32,
    checksum_at: u32,
    old: u16,
    new: u16,
}

/// The clamp that the inner packet at `at` needs for a tunnel of this MTU, if it needs one.
#[inline(always)]
pub fn find(frame: &mut impl Frame, at: u32, inner: &Ipv4, mtu: u16) -> Option<Clamp> {
    if inner.protocol() != PROTOCOL_TCP || inner.is_fragment() {
        return None;
    }
    let tcp = inner.header_len();
    if inner.total_len() < tcp.wrapping_add(TCP_HEADER) {
        return None;
    }
    let flags = frame.half(at.wrapping_add(tcp).wrapping_add(FLAGS_AT).wrapping_sub(1))?;
    if flags as u8 & SYN == 0 {
        return None;
    }
    let options_end = u32::from(flags >> 10) & 0x3c;
    if tcp.wrapping_add(options_end) > inner.total_len() {
        return None;
    }
    let tcp_at = at.wrapping_add(tcp);
    frame.pull(tcp_at.wrapping_add(options_end));
    let value_at = tcp.wrapping_add(find_option(frame, tcp_at, options_end)?);
    let old = frame.half(at.wrapping_add(value_at))?;
    let new = mtu.saturating_sub(FIXED_HEADERS);
    (new < old).then_some(Clamp { value_at, checksum_at: tcp.wrapping_add(CHECKSUM_AT), old, new })
}

/// Where the option's value stands, relative to the TCP header at `tcp_at`.
///
/// A state machine over the bytes in order, so that the packet is read at the same places whatever it says: a
/// cursor that jumps from option to option makes the kernel's verifier follow every way of jumping ("BPF program is
/// too large").
#[inline(always)]
fn find_option(frame: &impl Frame, tcp_at: u32, options_end: u32) -> Option<u32> {
    let mut scan = Scan { next: Next::Kind, value_left: 0 };
    for word_at in (TCP_HEADER..LONGEST_HEADER).step_by(4) {
        if word_at >= options_end {
            return None;
        }
        let [word] = frame.words::<1>(tcp_at.wrapping_add(word_at))?;
        for (byte_at, byte) in (word_at..).zip(word.to_be_bytes()) {
            match scan.step(byte) {
                Step::On => {}
                Step::Stop => return None,
                // The option may claim more bytes than the header has.
                Step::Found => {
                    return (byte_at.wrapping_add(3) <= options_end).then_some(byte_at.wrapping_add(1));
                }
            }
        }
    }
    None
}

/// What the next byte is, outside of an option's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Kind,
    Length,
    LengthOfMss,
}

enum Step {
    On,
    Stop,
    Found,
}

struct Scan {
    next: Next,
    value_left: u8,
}

impl Scan {
    #[inline(always)]
    fn step(&mut self, byte: u8) -> Step {
        if self.value_left > 0 {
            self.value_left = self.value_left.wrapping_sub(1);
            return Step::On;
        }
        match (self.next, byte) {
            (Next::Kind, END_OF_OPTIONS) => return Step::Stop,
            (Next::Kind, NO_OPERATION) => {}
            (Next::Kind, MAXIMUM_SEGMENT_SIZE) => self.next = Next::LengthOfMss,
            (Next::Kind, _) => self.next = Next::Length,
            // A length below 2 would stand still or go back (RFC 9293 3.1): the list is broken.
            (Next::Length | Next::LengthOfMss, 0 | 1) => return Step::Stop,
            (Next::LengthOfMss, 4) => return Step::Found,
            (Next::Length | Next::LengthOfMss, length) => {
                self.next = Next::Kind;
                self.value_left = length.wrapping_sub(2);
            }
        }
        Step::On
    }
}

impl Clamp {
    /// Writes the MSS and mends the TCP checksum of the inner packet that now stands at `at`.
    #[inline(always)]
    pub fn write(&self, frame: &mut impl Frame, at: u32) -> Option<()> {
        frame.put_half(at.wrapping_add(self.value_at), self.new)?;
        // Behind an odd number of NOPs the value straddles two words of the sum, each half in the other's
        // place: the byte-swapped value stands for it (RFC 1071 2B).
        let is_odd = self.value_at.wrapping_sub(self.checksum_at) & 1 == 1;
        let (old, new) =
            if is_odd { (self.old.swap_bytes(), self.new.swap_bytes()) } else { (self.old, self.new) };
        frame.mend_transport_sum(at.wrapping_add(self.checksum_at), old, new)
    }
}
