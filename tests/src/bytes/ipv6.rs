//! IPv6 packets.

use std::net::Ipv6Addr;

use etherparse::{Ipv6FlowLabel, Ipv6Header, checksum::Sum16BitWords};

use super::{CLIENT6, Extension, LOCAL6, REMOTE6, SERVER6};

/// An IPv6 packet. All fields may be set to anything; what is not set is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet6 {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label.
    pub flow_label: u32,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Extension headers, first to last.
    pub extensions: Vec<Extension>,
    /// Protocol number of the payload.
    pub protocol: u8,
    /// Everything after the header and its extensions.
    pub payload: Vec<u8>,
    /// Payload length where it is not to be the right one.
    pub payload_len: Option<u16>,
    /// Version and the class's first half where they are not to be the right ones.
    pub first_byte: Option<u8>,
}

impl Packet6 {
    /// A packet from the client to the server.
    pub fn new(protocol: u8, payload: &[u8]) -> Self {
        Self {
            traffic_class: 0,
            flow_label: 0x5_4321,
            hop_limit: 64,
            source: CLIENT6,
            destination: SERVER6,
            extensions: Vec::new(),
            protocol,
            payload: payload.to_vec(),
            payload_len: None,
            first_byte: None,
        }
    }

    /// The outer packet that a tunnel makes of `inner`, before the tunnel's settings change anything.
    pub fn around(protocol: u8, class: u8, inner: &[u8]) -> Self {
        let mut outer = Self::new(protocol, inner);
        (outer.source, outer.destination) = (LOCAL6, REMOTE6);
        (outer.traffic_class, outer.flow_label) = (class, 0);
        outer
    }

    /// The packet with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The packet with one more extension header, behind those that it has.
    #[must_use]
    pub fn extended(self, extension: Extension) -> Self {
        self.with(|packet| packet.extensions.push(extension))
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let numbers = self.extensions.iter().map(|extension| extension.number).chain([self.protocol]);
        let numbers: Vec<u8> = numbers.collect();
        let mut rest: Vec<u8> = Vec::new();
        for (extension, next) in self.extensions.iter().zip(&numbers[1..]) {
            rest.extend(extension.in_front_of(*next));
        }
        rest.extend_from_slice(&self.payload);
        let header = Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Ipv6FlowLabel::try_new(self.flow_label).unwrap(),
            payload_length: self.payload_len.unwrap_or_else(|| u16::try_from(rest.len()).unwrap()),
            next_header: numbers[0].into(),
            hop_limit: self.hop_limit,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes[0] = self.first_byte.unwrap_or(bytes[0]);
        bytes.extend(rest);
        bytes
    }

    /// The pseudo-header of a transport of `length` bytes (RFC 8200 8.1).
    pub(super) fn pseudo_header(&self, length: usize) -> Sum16BitWords {
        Sum16BitWords::new()
            .add_16bytes(self.source.octets())
            .add_16bytes(self.destination.octets())
            .add_4bytes(u32::try_from(length).unwrap().to_be_bytes())
            .add_2bytes([0, self.protocol])
    }
}
