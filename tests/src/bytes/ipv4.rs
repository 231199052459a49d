//! IPv4 packets.

use etherparse::{IpFragOffset, Ipv4Header, Ipv4Options, checksum::Sum16BitWords};

use super::{CLIENT, IPIP, LOCAL, REMOTE, SERVER};

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

impl Packet {
    /// The pseudo-header of a transport of `length` bytes.
    pub(super) fn pseudo_header(&self, length: usize) -> Sum16BitWords {
        Sum16BitWords::new()
            .add_4bytes(self.source)
            .add_4bytes(self.destination)
            .add_2bytes([0, self.protocol])
            .add_2bytes(u16::try_from(length).unwrap().to_be_bytes())
    }
}
