//! Frames of the benchmark, by etherparse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};

use ipip_common::abi::Carried;

use crate::case::mac;

/// What is carried over what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) inner: Carried,
    pub(super) is_over_v6: bool,
}

impl Kind {
    const fn new(name: &'static str, inner: Carried, is_over_v6: bool) -> Self {
        Self { name, inner, is_over_v6 }
    }

    /// Bytes of the outer header.
    pub(super) fn overhead(self) -> i32 {
        if self.is_over_v6 { 40 } else { 20 }
    }
}

/// All of them; labels stand above IPv4.
pub(super) const KINDS: [Kind; 6] = [
    Kind::new("ipip", Carried::Ipv4, false),
    Kind::new("6in4", Carried::Ipv6, false),
    Kind::new("4in6", Carried::Ipv4, true),
    Kind::new("6in6", Carried::Ipv6, true),
    Kind::new("mpls4", Carried::Mpls, false),
    Kind::new("mpls6", Carried::Mpls, true),
];
/// IPv4 in IPv4.
pub(super) const IPIP: Kind = KINDS[0];

/// The label that leads into the tunnel, and the one that leads to the gateway from there.
pub(super) const LABEL_INTO: u32 = 100;
pub(super) const LABEL_OUT: u32 = 300;
/// Class 5, the bottom of the stack, TTL 64.
const BELOW_LABEL: u32 = 0xb40;

/// What is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Udp,
    Tcp,
    /// A handshake with an MSS of 1460.
    Syn,
}

/// An IP packet of `length` bytes between two hosts.
pub(super) fn inner(source: IpAddr, destination: IpAddr, payload: Payload, length: usize) -> Vec<u8> {
    let step = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4Header {
                source: source.octets(),
                destination: destination.octets(),
                time_to_live: 64,
                protocol: IpNumber::UDP,
                dont_fragment: false,
                fragment_offset: IpFragOffset::ZERO,
                ..Ipv4Header::default()
            };
            PacketBuilder::ip(etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                source: source.octets(),
                destination: destination.octets(),
                hop_limit: 64,
                ..Ipv6Header::default()
            };
            PacketBuilder::ip(etherparse::IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default()))
        }
        _ => panic!("two families in one packet"),
    };
    let mut packet = Vec::new();
    let ip = if source.is_ipv4() { 20 } else { 40 };
    match payload {
        Payload::Udp => {
            let data = vec![0x5a; length - ip - 8];
            step.udp(4000, 53).write(&mut packet, &data).expect("writing to a vector");
        }
        Payload::Tcp => {
            let data = vec![0x5a; length - ip - 20];
            step.tcp(4000, 443, 1, 1000).ack(1).write(&mut packet, &data).expect("writing to a vector");
        }
        Payload::Syn => {
            use etherparse::TcpOptionElement::{
                MaximumSegmentSize, Noop, SelectiveAcknowledgementPermitted, Timestamp, WindowScale,
            };
            // As Linux sends them.
            let options = [
                MaximumSegmentSize(1460),
                SelectiveAcknowledgementPermitted,
                Timestamp(1, 0),
                Noop,
                WindowScale(7),
            ];
            let step = step.tcp(4000, 443, 1, 1000).syn().options(&options).expect("options fit");
            step.write(&mut packet, &[]).expect("writing to a vector");
        }
    }
    packet
}

/// The packet inside an outer header of this protocol.
fn outer(source: IpAddr, destination: IpAddr, protocol: u8, inner: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(inner.len()).expect("a short packet");
            Ipv4Header::new(length, 64, IpNumber(protocol), source.octets(), destination.octets())
                .expect("a sound header")
                .write(&mut packet)
                .expect("writing to a vector");
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                source: source.octets(),
                destination: destination.octets(),
                payload_length: u16::try_from(inner.len()).expect("a short packet"),
                next_header: IpNumber(protocol),
                hop_limit: 64,
                ..Ipv6Header::default()
            };
            header.write(&mut packet).expect("writing to a vector");
        }
        _ => panic!("two families in one packet"),
    }
    packet.extend_from_slice(inner);
    packet
}

/// The packet in an Ethernet frame.
fn frame(destination: [u8; 6], source: [u8; 6], kind: Carried, packet: &[u8]) -> Vec<u8> {
    [&destination, &source, &kind.ethertype().to_be_bytes()[..], packet].concat()
}

/// A packet of so many bytes; labelled ones have the label above an IPv4 packet.
fn carried(
    kind: Carried,
    [source, destination]: [fn(bool) -> IpAddr; 2],
    label: u32,
    payload: Payload,
    length: usize,
) -> Vec<u8> {
    let is_v6 = kind == Carried::Ipv6;
    let shortest = if is_v6 { 40 } else { 20 } + if payload == Payload::Udp { 8 } else { 20 };
    let stack =
        if kind == Carried::Mpls { (label << 12 | BELOW_LABEL).to_be_bytes().to_vec() } else { Vec::new() };
    let length = length.saturating_sub(stack.len()).max(shortest);
    [stack, inner(source(is_v6), destination(is_v6), payload, length)].concat()
}

/// The client, on the port `lan0`.
pub(super) fn client(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2).into()
    } else {
        Ipv4Addr::new(10, 1, 0, 2).into()
    }
}

/// Somebody whose way leads by the client or by the gateway, as the world is told.
pub(super) fn somebody(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2).into()
    } else {
        Ipv4Addr::new(10, 3, 0, 2).into()
    }
}

/// The server, behind the tunnel.
pub(super) fn server(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2).into()
    } else {
        Ipv4Addr::new(10, 2, 0, 2).into()
    }
}

/// This host's end of a tunnel.
pub(super) fn local(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(192, 0, 2, 1).into()
    }
}

/// The far end.
pub(super) fn remote(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 2).into()
    } else {
        Ipv4Addr::new(198, 51, 100, 2).into()
    }
}

/// A frame of the client for the server, of `length` bytes with its Ethernet header.
pub(super) fn into_tunnel(kind: Carried, payload: Payload, length: usize) -> Vec<u8> {
    let packet = carried(kind, [client, server], LABEL_INTO, payload, length - 14);
    frame(mac::LAN, mac::CLIENT, kind, &packet)
}

/// A frame of the server as it arrives from the far end; `length` is without the outer header.
pub(super) fn out_of_tunnel(kind: Kind, payload: Payload, length: usize) -> Vec<u8> {
    from_far_end([mac::WAN, mac::GATEWAY], kind, payload, length)
}

/// The same as it arrives from the client's side.
pub(super) fn out_of_tunnel_from_lan(kind: Kind, payload: Payload, length: usize) -> Vec<u8> {
    from_far_end([mac::LAN, mac::CLIENT], kind, payload, length)
}

fn from_far_end([to, from]: [[u8; 6]; 2], kind: Kind, payload: Payload, length: usize) -> Vec<u8> {
    let packet = carried(kind.inner, [server, somebody], LABEL_OUT, payload, length - 14);
    let packet = outer(remote(kind.is_over_v6), local(kind.is_over_v6), kind.inner.protocol(), &packet);
    let family = if kind.is_over_v6 { Carried::Ipv6 } else { Carried::Ipv4 };
    frame(to, from, family, &packet)
}
