//! Headers as values: what they say, and how new ones are built. Pure functions from words to words.

pub mod checksum;
pub mod ecn;
pub mod ipv4;
pub mod mss;
pub mod outer;

/// EtherType of IPv4 in host order; network-types keeps it in wire order.
pub const ETHERTYPE_IPV4: u16 = u16::from_be(network_types::eth::EtherType::Ipv4 as u16);
/// IP protocol number of IPv4 in IP (RFC 2003).
pub const PROTOCOL_IPV4: u8 = network_types::ip::IpProto::Ipv4 as u8;
/// IP protocol number of TCP.
pub const PROTOCOL_TCP: u8 = network_types::ip::IpProto::Tcp as u8;
/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = network_types::ip::IpProto::Udp as u8;
