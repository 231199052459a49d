//! Packets made without the code under test: by etherparse, or byte by byte.

use etherparse::{IpFragOffset, Ipv4Header, Ipv4Options, TcpHeader, UdpHeader, checksum::Sum16BitWords};

/// A host of the private network behind the tunnel's near end.
pub const CLIENT: [u8; 4] = [10, 1, 0, 2];
/// A host behind the tunnel's far end.
pub const SERVER: [u8; 4] = [10, 2, 0, 2];
/// The tunnel's near end.
pub const LOCAL: [u8; 4] = [192, 0, 2, 1];
/// The tunnel's far end.
pub const REMOTE: [u8; 4] = [198, 51, 100, 2];

/// ICMP, TCP, UDP, IPv4 in IP: protocol numbers as IANA lists them.
pub const ICMP: u8 = 1;
/// See [`ICMP`].
pub const IPIP: u8 = 4;
/// See [`ICMP`].
pub const TCP: u8 = 6;
/// See [`ICMP`].
pub const UDP: u8 = 17;

/// An IPv4 packet. All fields may be set to anything; what is not set is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// DSCP and ECN.
    pub tos: u8,
    /// Identification.
    pub ident: u16,
    /// The DF bit.
    pub dont_fragment: bool,
    /// The MF bit.
    pub more_fragments: bool,
    /// Fragment offset in units of 8 bytes.
    pub fragment_offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// Everything after the header.
    pub payload: Vec<u8>,
    /// Total length where it is not to be the right one.
    pub total_len: Option<u16>,
    /// Version and header length where they are not to be the right ones.
    pub first_byte: Option<u8>,
    /// Whether the header checksum is to be wrong.
    pub wrong_checksum: bool,
}

impl Packet {
    /// A packet from the client to the server.
    pub fn new(protocol: u8, payload: &[u8]) -> Self {
        Self {
            tos: 0,
            ident: 0x4d2a,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            protocol,
            source: CLIENT,
            destination: SERVER,
            options: Vec::new(),
            payload: payload.to_vec(),
            total_len: None,
            first_byte: None,
            wrong_checksum: false,
        }
    }

    /// The outer packet that a tunnel makes of `inner`, before the tunnel's settings change anything.
    pub fn around(inner: &Self) -> Self {
        let mut outer = Self::new(IPIP, &inner.bytes());
        (outer.source, outer.destination, outer.tos) = (LOCAL, REMOTE, inner.tos);
        outer
    }

    /// The packet with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same packet from the server to the client.
    #[must_use]
    pub fn backwards(self) -> Self {
        self.with(|packet| (packet.source, packet.destination) = (packet.destination, packet.source))
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let options = Ipv4Options::try_from(self.options.as_slice()).expect("options of whole words");
        let length = 20 + self.options.len() + self.payload.len();
        let mut header = Ipv4Header {
            dscp: (self.tos >> 2).try_into().unwrap(),
            ecn: (self.tos & 3).try_into().unwrap(),
            total_len: self.total_len.unwrap_or_else(|| u16::try_from(length).unwrap()),
            identification: self.ident,
            dont_fragment: self.dont_fragment,
            more_fragments: self.more_fragments,
            fragment_offset: IpFragOffset::try_new(self.fragment_offset).unwrap(),
            time_to_live: self.ttl,
            protocol: self.protocol.into(),
            header_checksum: 0,
            source: self.source,
            destination: self.destination,
            options,
        };
        header.header_checksum = header.calc_header_checksum();
        let mut bytes = header.to_bytes().to_vec();
        if let Some(first) = self.first_byte {
            bytes[0] = first;
            bytes[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        if self.wrong_checksum {
            bytes[11] ^= 0x10;
        }
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// A UDP datagram from the client to the server.
pub fn udp(data: &[u8]) -> Packet {
    let header =
        UdpHeader::with_ipv4_checksum(40_000, 53, &Packet::new(UDP, &[]).etherparse(), data).unwrap();
    Packet::new(UDP, &[&header.to_bytes(), data].concat())
}

/// A UDP datagram whose sender left the checksum to an offload: its field holds the pseudo-header's sum.
pub fn udp_with_partial_checksum(data: &[u8]) -> Packet {
    let mut packet = udp(data);
    let length = u16::try_from(packet.payload.len()).unwrap();
    let sum = pseudo_header(&packet, length).ones_complement();
    packet.payload[6..8].copy_from_slice(&(!sum).to_ne_bytes());
    packet
}

/// An ICMP echo request from the client to the server.
pub fn ping(data: &[u8]) -> Packet {
    let mut message = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat();
    let sum = Sum16BitWords::new().add_slice(&message).ones_complement();
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    Packet::new(ICMP, &message)
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

    /// The segment with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// From the client to the server.
    pub fn packet(&self) -> Packet {
        let mut header = TcpHeader::new(40_001, 443, 0x0102_0304, 64_240);
        (header.syn, header.ack) = (self.syn, self.ack);
        header.acknowledgment_number = if self.ack { 0x0a0b_0c0d } else { 0 };
        header.set_options_raw(&self.options).unwrap();
        let mut packet = Packet::new(TCP, &[]);
        header.checksum =
            header.calc_checksum_ipv4_raw(packet.source, packet.destination, &self.data).unwrap();
        packet.payload = [&header.to_bytes(), self.data.as_slice()].concat();
        packet
    }

    /// From the client to the server, with the checksum left to an offload.
    pub fn packet_with_partial_checksum(&self) -> Packet {
        let mut packet = self.packet();
        let length = u16::try_from(packet.payload.len()).unwrap();
        let sum = pseudo_header(&packet, length).ones_complement();
        packet.payload[16..18].copy_from_slice(&(!sum).to_ne_bytes());
        packet
    }
}

impl Packet {
    fn etherparse(&self) -> Ipv4Header {
        Ipv4Header { source: self.source, destination: self.destination, ..Ipv4Header::default() }
    }
}

fn pseudo_header(packet: &Packet, length: u16) -> Sum16BitWords {
    Sum16BitWords::new()
        .add_4bytes(packet.source)
        .add_4bytes(packet.destination)
        .add_2bytes([0, packet.protocol])
        .add_2bytes(length.to_be_bytes())
}

/// An Ethernet frame.
pub fn ethernet(destination: [u8; 6], source: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [destination.as_slice(), &source, &ethertype.to_be_bytes(), payload].concat()
}

/// Bytes from hexadecimal digits; white space does not count.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(|two| pair(two).expect("hexadecimal digits")).collect()
}
