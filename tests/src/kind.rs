//! The six kinds of tunnels, and the packets that tables for all of them are made of.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use ipip_common::abi::{Carried, Family};

use crate::bytes::{
    Any, IPIP, IPV6, LOCAL, LOCAL6, Labelled, MPLS, Packet, Packet6, REMOTE, REMOTE6, Segment, ping, ping6,
    udp, udp6,
};
use crate::tunnel::Tunnel;

/// What is carried over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What is carried.
    pub inner: Carried,
    /// The family of the outer header.
    pub outer: Family,
}

impl Display for Kind {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let (inner, outer) = match (self.inner, self.outer) {
            (Carried::Ipv4, Family::V4) => ("4in", "4"),
            (Carried::Ipv6, Family::V4) => ("6in", "4"),
            (Carried::Ipv4, Family::V6) => ("4in", "6"),
            (Carried::Ipv6, Family::V6) => ("6in", "6"),
            (Carried::Mpls, Family::V4) => ("MPLS over IPv", "4"),
            (Carried::Mpls, Family::V6) => ("MPLS over IPv", "6"),
        };
        write!(text, "{inner}{outer}")
    }
}

impl Kind {
    /// IPv4 over IPv4.
    pub const IN4: Self = Self { inner: Carried::Ipv4, outer: Family::V4 };
    /// IPv6 over IPv4.
    pub const SIT: Self = Self { inner: Carried::Ipv6, outer: Family::V4 };
    /// IPv4 over IPv6.
    pub const IPIP6: Self = Self { inner: Carried::Ipv4, outer: Family::V6 };
    /// IPv6 over IPv6.
    pub const IN6: Self = Self { inner: Carried::Ipv6, outer: Family::V6 };
    /// MPLS over IPv4.
    pub const MPLS4: Self = Self { inner: Carried::Mpls, outer: Family::V4 };
    /// MPLS over IPv6.
    pub const MPLS6: Self = Self { inner: Carried::Mpls, outer: Family::V6 };
    /// All of them.
    pub const ALL: [Self; 6] = [Self::IN4, Self::SIT, Self::IPIP6, Self::IN6, Self::MPLS4, Self::MPLS6];
    /// Those that carry IP.
    pub const IP: [Self; 4] = [Self::IN4, Self::SIT, Self::IPIP6, Self::IN6];

    /// The IP protocol number of what is carried.
    pub fn protocol(self) -> u8 {
        match self.inner {
            Carried::Ipv4 => IPIP,
            Carried::Ipv6 => IPV6,
            Carried::Mpls => MPLS,
        }
    }

    /// Bytes of the outer header.
    pub fn overhead(self) -> u16 {
        if self.outer == Family::V4 { 20 } else { 40 }
    }

    /// Bytes of the fixed headers in front of a TCP header: MSS and they are the tunnel's MTU, but for TCP's own 20.
    pub fn fixed_header(self) -> u16 {
        match self.inner {
            Carried::Ipv4 => 20,
            Carried::Ipv6 => 40,
            Carried::Mpls => 24,
        }
    }

    /// Near and far end.
    pub fn ends(self) -> (IpAddr, IpAddr) {
        match self.outer {
            Family::V4 => (LOCAL.into(), REMOTE.into()),
            Family::V6 => (LOCAL6.into(), REMOTE6.into()),
        }
    }

    /// The tunnel without special settings, over a path of 1500 bytes.
    pub fn tunnel(self) -> Tunnel {
        let (local, remote) = self.ends();
        Tunnel { local, remote, mtu: 1500 - self.overhead(), ..Tunnel::default() }.with(|tunnel| {
            tunnel.flags.carries_ipv4 = self.inner == Carried::Ipv4;
            tunnel.flags.carries_ipv6 = self.inner == Carried::Ipv6;
            tunnel.flags.carries_mpls = self.inner == Carried::Mpls;
        })
    }

    fn inner(self, over4: impl FnOnce() -> Packet, over6: impl FnOnce() -> Packet6) -> Any {
        match self.inner {
            Carried::Ipv4 => over4().into(),
            Carried::Ipv6 => over6().into(),
            Carried::Mpls => Labelled::new(&over4().bytes()).into(),
        }
    }

    /// A UDP datagram from the client to the server; where labels are carried, IPv4 under one of them.
    pub fn udp(self, data: &[u8]) -> Any {
        self.inner(|| udp(data), || udp6(data))
    }

    /// An echo request.
    pub fn ping(self, data: &[u8]) -> Any {
        self.inner(|| ping(data), || ping6(data))
    }

    /// A TCP segment.
    pub fn tcp(self, segment: &Segment) -> Any {
        self.inner(|| segment.packet(), || segment.packet6())
    }

    /// Any protocol.
    pub fn other(self, protocol: u8, payload: &[u8]) -> Any {
        self.inner(|| Packet::new(protocol, payload), || Packet6::new(protocol, payload))
    }

    /// A UDP datagram from the server to the client.
    pub fn reply(self, data: &[u8]) -> Any {
        // A swap of both addresses and nothing else leaves the checksum right.
        self.udp(data).backwards()
    }

    /// The outer packet that the tunnel without special settings makes.
    pub fn outer(self, inner: &Any) -> Any {
        let bytes = inner.bytes();
        match self.outer {
            Family::V4 => Packet::new(self.protocol(), &bytes)
                .with(|outer| {
                    (outer.source, outer.destination, outer.tos) = (LOCAL, REMOTE, inner.tos());
                    (outer.ttl, outer.ident) = (255, 0x1234);
                })
                .into(),
            Family::V6 => Packet6::around(self.protocol(), inner.tos(), &bytes)
                .with(|outer| outer.hop_limit = 255)
                .into(),
        }
    }

    /// A packet from the far end with `inner` inside.
    pub fn arriving(self, inner: &Any) -> Any {
        self.outer(inner).backwards().with_ttl(61).with_v4(|outer| outer.ident = 0x7a01)
    }
}
