//! Target `encap`: a packet into the tunnel, and out of it again at the far end.

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use ipip_common::abi::{Carried, Ends, Reason, Tier, TunnelConfig, TunnelFlags};
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::testing::{ETHERNET, VecFrame};
use ipip_common::verdict::Verdict;

use super::Seen;
use super::packet::{
    LOCAL_V6, REMOTE_V6, addresses, essence, is_between_hosts, kind_of, kind_of_protocol, outer,
    says_its_length, sum, summed_header, tos, ttl, with_one_zero,
};
use super::world::{OWN, World, env};
use crate::bytes::{LOCAL, REMOTE};

/// Runs one input.
pub(super) fn run(input: &[u8]) -> Seen {
    let Some(world) = World::read(input) else { return Seen::Nothing };
    let mut frame = world.frame.clone();
    let verdict = encap(&mut frame, &world.env);
    let seen = world.judge(verdict, &frame);
    // The lengths of a segmentation-offload packet are the kernel's to put right, segment by segment.
    if seen == Seen::Success && world.is_single() {
        let packet = &frame.bytes[ETHERNET..];
        let kind = kind_of(&world.frame.bytes[12..ETHERNET]);
        let (header_len, protocol) = outer(packet);
        assert_eq!(kind_of_protocol(protocol), kind);
        check_outer(&world, packet);
        check_tos(&world, kind, packet);
        check_dont_fragment(&world, kind, packet);
        check_limit(&world, kind, packet);
        check_ends(&world, kind);
        check_inner(&world, kind, &packet[header_len..]);
        check_return(&world, &frame, header_len);
    }
    seen
}

/// The outer header is right, as etherparse reads it (RFC 2003 3.1, RFC 2473 5.1, RFC 4213 3.5).
fn check_outer(world: &World, packet: &[u8]) {
    if let Ends::V4 { .. } = world.config.ends {
        let header = Ipv4HeaderSlice::from_slice(packet).expect("an IPv4 header").to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!(usize::from(header.total_len), packet.len());
        assert_eq!((header.source, header.destination, header.header_len()), (LOCAL, REMOTE, 20));
        assert_ne!(header.time_to_live, 0);
    } else {
        let header = Ipv6HeaderSlice::from_slice(packet).expect("an IPv6 header").to_header();
        assert_eq!(usize::from(header.payload_length) + 40, packet.len());
        assert_eq!((header.source, header.destination), (LOCAL_V6, REMOTE_V6));
        assert_ne!(header.hop_limit, 0);
    }
}

/// ECN is copied, or Not-ECT in compatibility mode (RFC 6040 4.1); DSCP is copied unless it is fixed.
fn check_tos(world: &World, kind: Carried, packet: &[u8]) {
    let family = if packet[0] >> 4 == 4 { Carried::Ipv4 } else { Carried::Ipv6 };
    let outer = tos(family, packet).expect("an IP header");
    let flags = world.config.flags;
    let inner = tos(kind, world.packet());
    let ecn = if flags.ecn_compatibility { 0 } else { inner.unwrap_or(0) & 3 };
    assert_eq!(outer & 3, ecn);
    if flags.fixed_dscp {
        assert_eq!(outer >> 2, world.config.dscp);
    } else if let Some(inner) = inner {
        assert_eq!(outer >> 2, inner >> 2);
    }
}

/// DF is the inner one (RFC 2003 3.1); for IPv6 it is set where the MTU follows the path and the packet need not pass
/// whatever the path (RFC 4213 3.2.2), for MPLS always (RFC 4023 5.1). All that only under `dont-fragment=inherit`.
fn check_dont_fragment(world: &World, kind: Carried, packet: &[u8]) {
    if packet[0] >> 4 == 6 {
        return;
    }
    let flags = world.config.flags;
    let must_pass = world.config.mtu < 1280 && packet.len() - 20 <= 1280;
    let inherited = match kind {
        Carried::Ipv4 => world.packet()[6] & 0x40 != 0,
        Carried::Ipv6 => flags.path_mtu && !must_pass,
        Carried::Mpls => true,
    };
    assert_eq!(packet[6] & 0x40 != 0, flags.inherit_dont_fragment && inherited);
}

/// The encapsulation limit is one less than the inner one, or the tunnel's (RFC 2473 4.1.1).
fn check_limit(world: &World, kind: Carried, packet: &[u8]) {
    if packet[0] >> 4 == 4 {
        return;
    }
    let written = (packet[6] == 60).then(|| packet[44]);
    let inner = world.packet();
    let flags = world.config.flags;
    let configured = flags.encapsulation_limit.then_some(world.config.encapsulation_limit);
    match (kind, inner.get(6).copied().unwrap_or_default()) {
        (Carried::Ipv6, 60) if inner.len() >= 48 && inner[41..44] == [0, 4, 1] => {
            let limit = inner[44].checked_sub(1).expect("a limit of 0 was carried");
            assert_eq!(written, Some(limit));
        }
        // The limit may stand farther back.
        (Carried::Ipv6, 0 | 43 | 44 | 60) => {}
        _ => assert_eq!(written, configured),
    }
}

/// No packet that has been in the tunnel before (RFC 2003 3.2, RFC 2473 4.1.2).
fn check_ends(world: &World, kind: Carried) {
    let Some((source, _)) = addresses(kind, world.packet()) else { return };
    match world.config.ends {
        Ends::V4 { .. } => assert_ne!(source, REMOTE),
        Ends::V6 { .. } => assert_ne!(source, REMOTE_V6),
    }
    if world.env.tier == Tier::Xdp {
        assert!(source != OWN, "our own source came for forwarding");
        assert!(kind != Carried::Ipv4 || is_between_hosts(world.packet()), "no router forwards it");
    }
}

/// The inner packet is the one that came, whole, after the forwarding step where there is one (RFC 2003 3.1).
fn check_inner(world: &World, kind: Carried, inner: &[u8]) {
    let before = &world.packet()[..inner.len()];
    assert!(says_its_length(kind, inner));
    let step = u8::from(world.env.tier == Tier::Xdp);
    assert_eq!(ttl(kind, inner), ttl(kind, before) - step);
    assert_eq!(tos(kind, inner), tos(kind, before));
    assert_eq!(sum(summed_header(kind, inner)), sum(summed_header(kind, before)));
    if !world.config.flags.clamp_tcp_mss {
        assert_eq!(essence(kind, inner), essence(kind, before));
    }
}

/// The far end takes the packet and gives back every byte of the inner one.
fn check_return(world: &World, frame: &VecFrame, header_len: usize) {
    let far = env(Tier::Tc, &far_end(&world.config));
    let mut back = frame.clone();
    match decap(&mut back, &far) {
        Verdict::Forward(_) => {
            let kind = kind_of(&back.bytes[12..ETHERNET]);
            let sent = &frame.bytes[ETHERNET + header_len..];
            assert_eq!(with_one_zero(kind, &back.bytes[ETHERNET..]), with_one_zero(kind, sent));
            assert_eq!(back.bytes[12..ETHERNET], world.frame.bytes[12..ETHERNET]);
            assert!(far.refused.borrow().is_empty(), "{:?}", far.refused);
        }
        // RFC 4213 3.6 is the exit's alone to keep.
        Verdict::Drop(Reason::BadSource) => assert_eq!(frame.bytes[ETHERNET + header_len] >> 4, 6),
        verdict @ (Verdict::Foreign
        | Verdict::Pass(_)
        | Verdict::Drop(_)
        | Verdict::Taken
        | Verdict::HandOver(_)) => {
            panic!("the far end does not take the packet: {verdict:?}")
        }
    }
}

/// The far end of the same tunnel, with nothing set that changes a packet.
fn far_end(near: &TunnelConfig) -> TunnelConfig {
    let ends = match near.ends {
        Ends::V4 { local, remote } => Ends::V4 { local: remote, remote: local },
        Ends::V6 { local, remote } => Ends::V6 { local: remote, remote: local },
    };
    let flags = TunnelFlags { clamp_tcp_mss: false, allowed_inner: false, decap_dscp: false, ..near.flags };
    TunnelConfig { ends, flags, ..*near }
}
