//! The transport header of an inner packet, as far as a tunnel looks at it: ports, and the checksum's state.

use super::{
    PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP, checksum,
    flow::{Flow, Ports},
    ipv4::{self, Ipv4},
    ipv6::{self, Ipv6},
};
use crate::frame::Frame;

/// Where the transport header stands, if it directly follows the IP header of a whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// TCP, UDP or SCTP; 0 for anything else, for fragments, and behind extension headers.
    pub protocol: u8,
    /// Bytes from the inner packet's start.
    pub at: u32,
    /// Bytes from there to the packet's end.
    pub room: u32,
    /// Bytes of the fixed IP header, which the MSS does not count (RFC 9293 3.7.1).
    pub fixed_header: u32,
}

impl Transport {
    /// None that a tunnel cares about.
    pub const NONE: Self = Self { protocol: 0, at: 0, room: 0, fixed_header: 0 };

    /// Of a sound IPv4 packet.
    #[must_use]
    #[inline(always)]
    pub const fn of_ipv4(header: &Ipv4) -> Self {
        let protocol = if header.is_fragment() { 0 } else { known(header.protocol()) };
        let at = header.header_len();
        Self { protocol, at, room: header.total_len().wrapping_sub(at), fixed_header: ipv4::HEADER }
    }

    /// Of an IPv6 packet.
    #[must_use]
    #[inline(always)]
    pub const fn of_ipv6(header: &Ipv6) -> Self {
        Self {
            protocol: known(header.next_header()),
            at: ipv6::HEADER,
            room: header.payload_len(),
            fixed_header: ipv6::HEADER,
        }
    }

    /// The same, behind a label stack of `bytes`.
    #[must_use]
    #[inline(always)]
    pub const fn behind(mut self, bytes: u32) -> Self {
        self.at = self.at.wrapping_add(bytes);
        self.fixed_header = self.fixed_header.wrapping_add(bytes);
        self
    }

    /// Ports, of the packet that starts at `start`.
    #[inline(always)]
    pub fn ports(&self, frame: &mut impl Frame, start: u32) -> Ports {
        if self.protocol == 0 {
            return Ports::default();
        }
        let at = start.wrapping_add(self.at);
        frame.pull(at.wrapping_add(4));
        let Some([both]) = frame.words::<1>(at) else { return Ports::default() };
        Ports::of(both)
    }

    /// Whether the sender left the checksum to an offload: the field then holds the pseudo-header's sum alone, and that of
    /// SCTP nothing (RFC 9260 6.8). One good packet in 65,536 looks the same, and only loses speed.
    #[inline(always)]
    pub fn has_partial_checksum(&self, frame: &impl Frame, start: u32, flow: &Flow) -> bool {
        let field_at: u32 = match self.protocol {
            PROTOCOL_TCP => 16,
            PROTOCOL_UDP => 6,
            PROTOCOL_SCTP => {
                let at = start.wrapping_add(self.at).wrapping_add(8);
                return frame.words::<1>(at) == Some([0]);
            }
            _ => return false,
        };
        let at = start.wrapping_add(self.at).wrapping_add(field_at);
        let Some(field) = frame.half(at) else { return false };
        field == checksum::fold(checksum::pseudo_header_sum(flow, self.protocol, self.room))
    }
}

#[inline(always)]
const fn known(protocol: u8) -> u8 {
    if matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_SCTP) { protocol } else { 0 }
}
