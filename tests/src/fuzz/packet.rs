//! Packets as plain bytes, read without the code under test.

use ipip_common::abi::Carried;

/// The tunnel's near end over IPv6.
pub(crate) const LOCAL_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The tunnel's far end over IPv6.
pub(crate) const REMOTE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// What the EtherType announces.
pub(crate) fn kind_of(ethertype: &[u8]) -> Carried {
    let known = |kind: &Carried| kind.ethertype().to_be_bytes() == ethertype;
    Carried::ALL.into_iter().find(known).expect("only these are carried")
}

/// What an outer header's protocol number announces.
pub(crate) fn kind_of_protocol(protocol: u8) -> Carried {
    match protocol {
        4 => Carried::Ipv4,
        41 => Carried::Ipv6,
        137 => Carried::Mpls,
        other => panic!("protocol {other} is of no tunnel"),
    }
}

/// Bytes and inner protocol of the outer header in front of `packet`.
pub(crate) fn outer(packet: &[u8]) -> (usize, u8) {
    match (packet[0] >> 4, packet[6]) {
        (4, _) => (20, packet[9]),
        (6, 60) => (48, packet[40]),
        (_, next) => (40, next),
    }
}

/// Whether the whole packet says that it is this long; labels say nothing.
pub(crate) fn says_its_length(kind: Carried, packet: &[u8]) -> bool {
    let number = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    match kind {
        Carried::Ipv4 => number(2) == packet.len(),
        Carried::Ipv6 => number(4) + 40 == packet.len(),
        Carried::Mpls => true,
    }
}

/// DSCP and ECN; a label stack has none.
pub(crate) fn tos(kind: Carried, packet: &[u8]) -> Option<u8> {
    match kind {
        Carried::Ipv4 => Some(packet[1]),
        Carried::Ipv6 => Some(packet[0] << 4 | packet[1] >> 4),
        Carried::Mpls => None,
    }
}

/// TTL or hop limit.
pub(crate) fn ttl(kind: Carried, packet: &[u8]) -> u8 {
    match kind {
        Carried::Ipv4 => packet[8],
        Carried::Ipv6 => packet[7],
        Carried::Mpls => packet[3],
    }
}

/// Everything but ToS, TTL, the header's checksum and the top label.
pub(crate) fn essence(kind: Carried, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    match kind {
        Carried::Ipv4 => [1, 8, 10, 11].into_iter().for_each(|at| packet[at] = 0),
        Carried::Ipv6 => {
            packet[0] &= 0xf0;
            packet[1] &= 0x0f;
            packet[7] = 0;
        }
        // All but the traffic class and the bottom of the stack.
        Carried::Mpls => (packet[0], packet[1], packet[2], packet[3]) = (0, 0, packet[2] & 0x0f, 0),
    }
    packet
}

/// The sum of RFC 1071 over the bytes, 0 and 65,535 being the same.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let pair = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    bytes.chunks(2).map(pair).sum::<u64>() % 0xffff
}

/// The packet with an IPv4 checksum of 0 where it is 65,535, which says the same and which no sender computes: an edit
/// that changes nothing writes the other (RFC 1624 3).
pub(crate) fn with_one_zero(kind: Carried, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if kind == Carried::Ipv4 && packet[10..12] == [0xff; 2] {
        packet[10..12].fill(0);
    }
    packet
}

/// The bytes that an IPv4 header's checksum is about; none for others.
pub(crate) fn summed_header(kind: Carried, packet: &[u8]) -> &[u8] {
    if kind == Carried::Ipv4 { &packet[..usize::from(packet[0] & 0xf) * 4] } else { &[] }
}

/// Source and destination; a label stack has none.
pub(crate) fn addresses(kind: Carried, packet: &[u8]) -> Option<(&[u8], &[u8])> {
    match kind {
        Carried::Ipv4 => Some((&packet[12..16], &packet[16..20])),
        Carried::Ipv6 => Some((&packet[8..24], &packet[24..40])),
        Carried::Mpls => None,
    }
}

/// Whether an IPv4 packet is between addresses that a router forwards to and from (RFC 1812 5.3.7).
pub(crate) fn is_between_hosts(packet: &[u8]) -> bool {
    [packet[12], packet[16]].into_iter().all(|first| matches!(first, 1..=126 | 128..=223))
}

/// Where the TCP header of the packet starts, which has one, and the bytes in front of it that no MSS counts: all but
/// IPv4 options (RFC 6691 2).
pub(crate) fn tcp_at(kind: Carried, packet: &[u8]) -> (usize, usize) {
    match kind {
        Carried::Ipv4 => (usize::from(packet[0] & 0xf) * 4, 20),
        Carried::Ipv6 => (40, 40),
        Carried::Mpls => {
            let entries = packet.chunks(4).position(|entry| entry[2] & 1 == 1).expect("a last label") + 1;
            let below = &packet[4 * entries..];
            let kind = if below[0] >> 4 == 4 { Carried::Ipv4 } else { Carried::Ipv6 };
            let (at, fixed_headers) = tcp_at(kind, below);
            (4 * entries + at, 4 * entries + fixed_headers)
        }
    }
}
