//! Frames of the benchmark, by etherparse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};

use crate::case::{IPV4, IPV6, mac};

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

/// The packet inside an outer header.
pub(super) fn outer(source: IpAddr, destination: IpAddr, inner: &[u8]) -> Vec<u8> {
    let protocol = if inner[0] >> 4 == 4 { 4 } else { 41 };
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
pub(super) fn frame(destination: [u8; 6], source: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { IPV4 } else { IPV6 };
    [&destination, &source, &ethertype.to_be_bytes()[..], packet].concat()
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
pub(super) fn into_tunnel(is_v6: bool, payload: Payload, length: usize) -> Vec<u8> {
    let ip = if is_v6 { 40 } else { 20 };
    let shortest = ip + if payload == Payload::Udp { 8 } else { 20 };
    let packet = inner(client(is_v6), server(is_v6), payload, (length - 14).max(shortest));
    frame(mac::LAN, mac::CLIENT, &packet)
}

/// A frame of the server as it arrives from the far end.
pub(super) fn out_of_tunnel(is_v6: bool, is_over_v6: bool, payload: Payload, length: usize) -> Vec<u8> {
    let ip = if is_v6 { 40 } else { 20 };
    let shortest = ip + if payload == Payload::Udp { 8 } else { 20 };
    let packet = inner(server(is_v6), somebody(is_v6), payload, (length - 14).max(shortest));
    frame(mac::WAN, mac::GATEWAY, &outer(remote(is_over_v6), local(is_over_v6), &packet))
}
