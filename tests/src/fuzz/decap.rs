//! Target `decap`: a packet out of the tunnel.

use std::net::Ipv6Addr;

use etherparse::Ipv4HeaderSlice;
use ipip_common::abi::{Carried, Tier};
use ipip_common::path::decap::decap;
use ipip_common::testing::ETHERNET;

use super::Seen;
use super::packet::{
    LOCAL_V6, REMOTE_V6, addresses, essence, is_between_hosts, kind_of, kind_of_protocol, outer,
    says_its_length, sum, summed_header, tos, ttl,
};
use super::world::{OWN, World};
use crate::bytes::{LOCAL, REMOTE};

/// RFC 6040 figure 4: rows are the inner field, columns the outer one, both Not-ECT, ECT(1), ECT(0), CE as they are
/// numbered on the wire; 4 is a drop.
const FIGURE_4: [[u8; 4]; 4] = [[0, 0, 0, 4], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];

/// Runs one input.
pub(super) fn run(input: &[u8]) -> Seen {
    let Some(world) = World::read(input) else { return Seen::Nothing };
    let mut frame = world.frame.clone();
    let verdict = decap(&mut frame, &world.env);
    let seen = world.judge(verdict, &frame);
    if seen == Seen::Success && world.is_single() {
        let kind = kind_of(&frame.bytes[12..ETHERNET]);
        check_outer(&world, kind);
        check_inner(&world, kind, &frame.bytes[ETHERNET..]);
    }
    seen
}

/// The outer header was from the remote, for this end, whole and right (RFC 4213 3.6).
fn check_outer(world: &World, kind: Carried) {
    let packet = world.packet();
    assert_eq!(kind_of_protocol(outer(packet).1), kind);
    assert!(world.config.flags.carries(kind));
    if packet[0] >> 4 == 4 {
        let header = Ipv4HeaderSlice::from_slice(packet).expect("an IPv4 header").to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!((header.source, header.destination, header.header_len()), (REMOTE, LOCAL, 20));
        assert!(!header.is_fragmenting_payload(), "a fragment was decapsulated");
        assert!(usize::from(header.total_len) <= packet.len());
    } else {
        let ends = addresses(Carried::Ipv6, packet).expect("an IPv6 header");
        assert_eq!(ends, (&REMOTE_V6[..], &LOCAL_V6[..]));
    }
}

/// What came out is what was inside, after the forwarding step where there is one.
fn check_inner(world: &World, kind: Carried, after: &[u8]) {
    let (header_len, _) = outer(world.packet());
    let before = &world.packet()[header_len..][..after.len()];
    assert!(says_its_length(kind, after));
    let ends =
        if world.packet()[0] >> 4 == 4 { (&LOCAL[..], &REMOTE[..]) } else { (&LOCAL_V6[..], &REMOTE_V6[..]) };
    let is_reflected = addresses(kind, after) == Some(ends);
    let step = u8::from(world.env.tier == Tier::Xdp || is_reflected);
    assert_eq!(ttl(kind, after), ttl(kind, before) - step);
    assert_ne!(ttl(kind, before), 0);
    assert_eq!(sum(summed_header(kind, after)), sum(summed_header(kind, before)));
    if !world.config.flags.clamp_tcp_mss {
        assert_eq!(essence(kind, after), essence(kind, before));
    }
    check_tos(world, kind, before, after);
    let Some((source, _)) = addresses(kind, after) else { return };
    if kind == Carried::Ipv6 {
        check_source(after);
    }
    if world.env.tier == Tier::Xdp {
        assert!(kind != Carried::Ipv4 || is_between_hosts(after), "what no router forwards came out");
        assert!(source != OWN || is_reflected, "our own source came out");
    }
}

/// ECN is that of RFC 6040 4.2; DSCP is the inner one, or the outer one in the uniform model (RFC 2983 5).
fn check_tos(world: &World, kind: Carried, before: &[u8], after: &[u8]) {
    let family = if world.packet()[0] >> 4 == 4 { Carried::Ipv4 } else { Carried::Ipv6 };
    let outer = tos(family, world.packet()).expect("an IP header");
    let (Some(before), Some(after)) = (tos(kind, before), tos(kind, after)) else { return };
    assert_eq!(after & 3, FIGURE_4[usize::from(before & 3)][usize::from(outer & 3)]);
    let dscp = if world.config.flags.decap_dscp { outer } else { before };
    assert_eq!(after >> 2, dscp >> 2);
}

/// No source that RFC 4213 3.6 forbids.
fn check_source(packet: &[u8]) {
    let source: [u8; 16] = packet[8..24].try_into().unwrap();
    let source = Ipv6Addr::from(source);
    let holds_ipv4 = !source.is_unspecified() && source.to_ipv4().is_some();
    assert!(!source.is_multicast() && !source.is_loopback() && !holds_ipv4, "{source} came out");
}
