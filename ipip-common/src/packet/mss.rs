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
/// An option list is at most 40 bytes long, and each option at least one.
const MOST_OPTIONS: u32 = 40;

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
    let options_end = tcp.wrapping_add(u32::from(flags >> 10) & 0x3c);
    if options_end > inner.total_len() {
        return None;
    }
    frame.pull(at.wrapping_add(options_end));
    let value_at = find_option(frame, at, tcp.wrapping_add(TCP_HEADER), options_end)?;
    let old = frame.half(at.wrapping_add(value_at))?;
    let new = mtu.saturating_sub(FIXED_HEADERS);
    (new < old).then_some(Clamp { value_at, checksum_at: tcp.wrapping_add(CHECKSUM_AT), old, new })
}

/// Where the option's value stands, relative to the inner packet.
#[inline(always)]
fn find_option(frame: &impl Frame, at: u32, start: u32, end: u32) -> Option<u32> {
    let mut option = start;
    for _ in 0..MOST_OPTIONS {
        // Two bytes are left at least, or there is no room for a value.
        if option.wrapping_add(2) > end {
            return None;
        }
        let [kind, length] = frame.half(at.wrapping_add(option))?.to_be_bytes();
        let length = match kind {
            END_OF_OPTIONS => return None,
            NO_OPERATION => 1,
            MAXIMUM_SEGMENT_SIZE if length == 4 && option.wrapping_add(4) <= end => {
                return Some(option.wrapping_add(2));
            }
            // A length below 2 would stand still or go back (RFC 9293 3.1): the list is broken.
            _ if length < 2 => return None,
            _ => u32::from(length),
        };
        option = option.wrapping_add(length);
    }
    None
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
