//! Headers as values: what they say, and how new ones are built. Pure functions from words to words.

pub mod checksum;
pub mod cursor;
pub mod ecn;
pub mod extension;
pub mod flow;
pub mod inner;
pub mod ipv4;
pub mod ipv6;
pub mod mpls;
pub mod mss;
pub mod outer;
pub mod probe;
pub mod transport;

use network_types::{eth::EtherType, ip::IpProto};

/// EtherType of IPv4 in host order; network-types keeps it in wire order.
pub const ETHERTYPE_IPV4: u16 = u16::from_be(EtherType::Ipv4 as u16);
/// EtherType of IPv6 in host order.
pub const ETHERTYPE_IPV6: u16 = u16::from_be(EtherType::Ipv6 as u16);
/// EtherType of MPLS unicast (RFC 5332 3), which network-types does not know.
pub const ETHERTYPE_MPLS: u16 = 0x8847;
/// IP protocol number of IPv4 in IP (RFC 2003).
pub const PROTOCOL_IPV4: u8 = IpProto::Ipv4 as u8;
/// IP protocol number of IPv6 in IP (RFC 4213, RFC 2473).
pub const PROTOCOL_IPV6: u8 = IpProto::Ipv6 as u8;
/// IP protocol number of MPLS in IP (RFC 4023 3).
pub const PROTOCOL_MPLS: u8 = IpProto::Mpls as u8;
/// IP protocol number of TCP.
pub const PROTOCOL_TCP: u8 = IpProto::Tcp as u8;
/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = IpProto::Udp as u8;
/// IP protocol number of SCTP.
pub const PROTOCOL_SCTP: u8 = IpProto::Sctp as u8;
