//! A packet of any kind: what tables for all kinds of tunnels are made of.

use std::mem::swap;

use super::{LABEL_BACK, LABEL_THERE, Labelled, Packet, Packet6};
use crate::case::{IPV4, IPV6, MPLS};

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Any {
    /// IPv4.
    V4(Packet),
    /// IPv6.
    V6(Packet6),
    /// MPLS.
    Mpls(Labelled),
}

impl Any {
    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::V4(packet) => packet.bytes(),
            Self::V6(packet) => packet.bytes(),
            Self::Mpls(packet) => packet.bytes(),
        }
    }

    /// Its EtherType.
    pub fn ethertype(&self) -> u16 {
        match self {
            Self::V4(_) => IPV4,
            Self::V6(_) => IPV6,
            Self::Mpls(_) => MPLS,
        }
    }

    /// With another payload.
    #[must_use]
    pub fn with_payload(mut self, bytes: Vec<u8>) -> Self {
        *self.payload_mut() = bytes;
        self
    }

    /// Everything after the header.
    pub fn payload_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::V4(packet) => &mut packet.payload,
            Self::V6(packet) => &mut packet.payload,
            Self::Mpls(packet) => &mut packet.payload,
        }
    }

    /// As a router sends it on.
    #[must_use]
    pub fn forwarded(self) -> Self {
        match self {
            Self::V4(packet) => Self::V4(packet.with(|packet| packet.ttl -= 1)),
            Self::V6(packet) => Self::V6(packet.with(|packet| packet.hop_limit -= 1)),
            Self::Mpls(packet) => Self::Mpls(packet.forwarded()),
        }
    }

    /// The same packet from the server to the client.
    #[must_use]
    pub fn backwards(mut self) -> Self {
        match &mut self {
            Self::V4(packet) => swap(&mut packet.source, &mut packet.destination),
            Self::V6(packet) => swap(&mut packet.source, &mut packet.destination),
            Self::Mpls(packet) => {
                let top = &mut packet.entries[0].label;
                *top = if *top == LABEL_THERE { LABEL_BACK } else { LABEL_THERE };
                let (addresses, length) = if packet.payload[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
                packet.payload[addresses..addresses + 2 * length].rotate_left(length);
            }
        }
        self
    }

    /// DSCP and ECN; of a labelled packet its class as a class selector.
    pub fn tos(&self) -> u8 {
        match self {
            Self::V4(packet) => packet.tos,
            Self::V6(packet) => packet.traffic_class,
            Self::Mpls(packet) => packet.entries[0].class << 5,
        }
    }

    /// With another DSCP and ECN; a labelled packet has three bits of it.
    #[must_use]
    pub fn with_tos(mut self, tos: u8) -> Self {
        match &mut self {
            Self::V4(packet) => packet.tos = tos,
            Self::V6(packet) => packet.traffic_class = tos,
            Self::Mpls(packet) => packet.entries[0].class = tos >> 5,
        }
        self
    }

    /// With another TTL or hop limit; of a labelled packet the top one.
    #[must_use]
    pub fn with_ttl(mut self, ttl: u8) -> Self {
        match &mut self {
            Self::V4(packet) => packet.ttl = ttl,
            Self::V6(packet) => packet.hop_limit = ttl,
            Self::Mpls(packet) => packet.entries[0].ttl = ttl,
        }
        self
    }

    /// With something changed if it is IPv4.
    #[must_use]
    pub fn with_v4(mut self, change: impl FnOnce(&mut Packet)) -> Self {
        if let Self::V4(packet) = &mut self {
            change(packet);
        }
        self
    }

    /// With something changed if it is IPv6.
    #[must_use]
    pub fn with_v6(mut self, change: impl FnOnce(&mut Packet6)) -> Self {
        if let Self::V6(packet) = &mut self {
            change(packet);
        }
        self
    }
}

impl From<Packet> for Any {
    fn from(packet: Packet) -> Self {
        Self::V4(packet)
    }
}

impl From<Packet6> for Any {
    fn from(packet: Packet6) -> Self {
        Self::V6(packet)
    }
}

impl From<Labelled> for Any {
    fn from(packet: Labelled) -> Self {
        Self::Mpls(packet)
    }
}

impl<T: Clone + Into<Self>> From<&T> for Any {
    fn from(packet: &T) -> Self {
        packet.clone().into()
    }
}
