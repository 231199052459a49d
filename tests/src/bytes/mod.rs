//! Packets made without the code under test: by etherparse, or byte by byte.

mod any;
mod extension;
mod ipv4;
mod ipv6;
mod mpls;
mod transport;

use std::net::Ipv6Addr;

pub use any::Any;
pub use extension::Extension;
pub use ipv4::Packet;
pub use ipv6::Packet6;
pub use mpls::{Entry, Labelled};
pub use transport::{Segment, ping, ping6, udp, udp_with_partial_checksum, udp6, udp6_with_partial_checksum};

/// A host of the private network behind the tunnel's near end.
pub const CLIENT: [u8; 4] = [10, 1, 0, 2];
/// A host behind the tunnel's far end.
pub const SERVER: [u8; 4] = [10, 2, 0, 2];
/// The tunnel's near end.
pub const LOCAL: [u8; 4] = [192, 0, 2, 1];
/// The tunnel's far end.
pub const REMOTE: [u8; 4] = [198, 51, 100, 2];

/// As [`CLIENT`].
pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
/// As [`SERVER`].
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2);
/// As [`LOCAL`].
pub const LOCAL6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1);
/// As [`REMOTE`].
pub const REMOTE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 2);

/// The label that leads into the tunnel.
pub const LABEL_THERE: u32 = 100;
/// The label that leads to the client.
pub const LABEL_BACK: u32 = 300;

/// ICMP, TCP, UDP, IPv4, IPv6 and MPLS in IP, GRE, `ICMPv6`: protocol numbers as IANA lists them.
pub const ICMP: u8 = 1;
/// See [`ICMP`].
pub const IPIP: u8 = 4;
/// See [`ICMP`].
pub const TCP: u8 = 6;
/// See [`ICMP`].
pub const UDP: u8 = 17;
/// See [`ICMP`].
pub const IPV6: u8 = 41;
/// See [`ICMP`].
pub const GRE: u8 = 47;
/// See [`ICMP`].
pub const ICMPV6: u8 = 58;
/// See [`ICMP`].
pub const MPLS: u8 = 137;

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
