//! What IP packets carry: UDP, TCP and echo requests, with checksums right or left to an offload.

use etherparse::{TcpHeader, UdpHeader, checksum::Sum16BitWords};

use super::{ICMP, ICMPV6, Packet, Packet6, TCP, UDP};

/// Where the checksum stands in a TCP header.
const TCP_CHECKSUM: usize = 16;
/// Where the checksum stands in a UDP header.
const UDP_CHECKSUM: usize = 6;

/// A UDP header without a checksum, and data.
fn datagram(data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(40_000, 53, data.len()).unwrap();
    [header.to_bytes().as_slice(), data].concat()
}

/// Fills in the checksum at `at`, after the pseudo-header's sum.
fn complete(mut payload: Vec<u8>, at: usize, pseudo_header: Sum16BitWords) -> Vec<u8> {
    let sum = pseudo_header.add_slice(&payload).ones_complement();
    // Zero stands for no checksum in UDP, and its other form for zero (RFC 768).
    let sum = if sum == 0 && at == UDP_CHECKSUM { u16::MAX } else { sum };
    payload[at..at + 2].copy_from_slice(&sum.to_ne_bytes());
    payload
}

/// Leaves the checksum at `at` to an offload: the field holds the pseudo-header's sum.
fn postpone(payload: &mut [u8], at: usize, pseudo_header: &Sum16BitWords) {
    payload[at..at + 2].copy_from_slice(&(!pseudo_header.ones_complement()).to_ne_bytes());
}

/// An IPv4 packet around a transport whose checksum is at `at`.
fn packet(protocol: u8, payload: Vec<u8>, at: usize) -> Packet {
    let packet = Packet::new(protocol, &[]);
    let sum = packet.pseudo_header(payload.len());
    let payload = complete(payload, at, sum);
    packet.with(|packet| packet.payload = payload)
}

/// The same over IPv6.
fn packet6(protocol: u8, payload: Vec<u8>, at: usize) -> Packet6 {
    let packet = Packet6::new(protocol, &[]);
    let sum = packet.pseudo_header(payload.len());
    let payload = complete(payload, at, sum);
    packet.with(|packet| packet.payload = payload)
}

/// A UDP datagram from the client to the server.
pub fn udp(data: &[u8]) -> Packet {
    packet(UDP, datagram(data), UDP_CHECKSUM)
}

/// A UDP datagram from the client to the server over IPv6.
pub fn udp6(data: &[u8]) -> Packet6 {
    packet6(UDP, datagram(data), UDP_CHECKSUM)
}

/// A UDP datagram whose sender left the checksum to an offload.
pub fn udp_with_partial_checksum(data: &[u8]) -> Packet {
    let mut packet = udp(data);
    let sum = packet.pseudo_header(packet.payload.len());
    postpone(&mut packet.payload, UDP_CHECKSUM, &sum);
    packet
}

/// The same over IPv6.
pub fn udp6_with_partial_checksum(data: &[u8]) -> Packet6 {
    let mut packet = udp6(data);
    let sum = packet.pseudo_header(packet.payload.len());
    postpone(&mut packet.payload, UDP_CHECKSUM, &sum);
    packet
}

/// An ICMP echo request from the client to the server.
pub fn ping(data: &[u8]) -> Packet {
    let message = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat();
    Packet::new(ICMP, &complete(message, 2, Sum16BitWords::new()))
}

/// An `ICMPv6` echo request from the client to the server.
pub fn ping6(data: &[u8]) -> Packet6 {
    packet6(ICMPV6, [&[128, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat(), 2)
}

/// A TCP segment. Its options are raw bytes, a multiple of four.
#[derive(Clone, Debug)]
pub struct Segment {
    /// SYN flag.
    pub syn: bool,
    /// ACK flag.
    pub ack: bool,
    /// Options, any bytes.
    pub options: Vec<u8>,
    /// What follows the header.
    pub data: Vec<u8>,
}

impl Segment {
    /// A SYN with these options.
    pub fn syn(options: &[u8]) -> Self {
        Self { syn: true, ack: false, options: options.to_vec(), data: Vec::new() }
    }

    /// A segment in the middle of a connection.
    pub fn data(data: &[u8]) -> Self {
        Self { syn: false, ack: true, options: Vec::new(), data: data.to_vec() }
    }

    /// The segment with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Header and data, without a checksum.
    fn bytes(&self) -> Vec<u8> {
        let mut header = TcpHeader::new(40_001, 443, 0x0102_0304, 64_240);
        (header.syn, header.ack) = (self.syn, self.ack);
        header.acknowledgment_number = if self.ack { 0x0a0b_0c0d } else { 0 };
        header.set_options_raw(&self.options).unwrap();
        [&header.to_bytes(), self.data.as_slice()].concat()
    }

    /// From the client to the server.
    pub fn packet(&self) -> Packet {
        packet(TCP, self.bytes(), TCP_CHECKSUM)
    }

    /// From the client to the server over IPv6.
    pub fn packet6(&self) -> Packet6 {
        packet6(TCP, self.bytes(), TCP_CHECKSUM)
    }

    /// From the client to the server, with the checksum left to an offload.
    pub fn packet_with_partial_checksum(&self) -> Packet {
        let mut packet = self.packet();
        let sum = packet.pseudo_header(packet.payload.len());
        postpone(&mut packet.payload, TCP_CHECKSUM, &sum);
        packet
    }

    /// The same over IPv6.
    pub fn packet6_with_partial_checksum(&self) -> Packet6 {
        let mut packet = self.packet6();
        let sum = packet.pseudo_header(packet.payload.len());
        postpone(&mut packet.payload, TCP_CHECKSUM, &sum);
        packet
    }
}
