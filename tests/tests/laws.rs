//! Laws that hold for every packet of every kind of tunnel, on the host.

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, NetHeaders, PacketHeaders, TransportHeader};
use ipip_common::abi::{Carried, Tier};
use ipip_tests::bytes::{Any, LOCAL, LOCAL6, REMOTE, REMOTE6, Segment};
use ipip_tests::case::{Case, Direction, IPV4, IPV6, MPLS};
use ipip_tests::kind::Kind;
use ipip_tests::outcome::{Fate, Outcome};
use ipip_tests::tunnel::Tunnel;
use ipip_tests::{flows, host};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};

fn tiers() -> impl Strategy<Value = Tier> {
    prop_oneof![Just(Tier::Xdp), Just(Tier::Tc)]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.as_slice())
}

/// Settings of a tunnel, to be given ends and a kind by [`tunnel`].
fn settings() -> impl Strategy<Value = Tunnel> {
    (any::<[bool; 10]>(), 68_u16..1453, 1_u8.., 0_u8..64, any::<u8>()).prop_map(
        |(switches, mtu, ttl, dscp, limit)| {
            let mut tunnel = Tunnel { mtu, ttl, dscp, encapsulation_limit: limit, ..Tunnel::default() };
            let flags = &mut tunnel.flags;
            [
                flags.clamp_tcp_mss,
                flags.inherit_dont_fragment,
                flags.fixed_dscp,
                flags.allow_fast_path,
                flags.inherit_ttl,
                flags.ecn_compatibility,
                flags.decap_dscp,
                flags.flow_label,
                flags.encapsulation_limit,
                flags.path_mtu,
            ] = switches;
            tunnel
        },
    )
}

/// A tunnel of this kind with these settings.
fn tunnel(kind: Kind, settings: &Tunnel) -> Tunnel {
    let plain = kind.tunnel();
    settings.clone().with(|tunnel| {
        (tunnel.local, tunnel.remote) = (plain.local, plain.remote);
        tunnel.flags.carries_ipv4 = plain.flags.carries_ipv4;
        tunnel.flags.carries_ipv6 = plain.flags.carries_ipv6;
        tunnel.flags.carries_mpls = plain.flags.carries_mpls;
    })
}

/// A sound packet for a tunnel, but for its kind.
#[derive(Clone, Debug)]
struct Content {
    protocol: u8,
    payload: Vec<u8>,
    tos: u8,
    ttl: u8,
    dont_fragment: bool,
}

impl Content {
    fn packet(&self, kind: Kind) -> Any {
        let packet = kind.other(self.protocol, &self.payload).with_tos(self.tos).with_ttl(self.ttl);
        packet.with_v4(|packet| packet.dont_fragment = self.dont_fragment)
    }
}

/// IANA's number.
const SCTP: u8 = 132;

/// Any contents but TCP, which the clamp may change, UDP and SCTP, of which tier 1 leaves some to the stack, and IPv6's
/// extension headers, which may say where to stop.
fn contents() -> impl Strategy<Value = Content> {
    let payload = prop::collection::vec(any::<u8>(), 0..120);
    let protocol = prop_oneof![61_u8..SCTP, SCTP + 1..=255];
    (protocol, payload, any::<u8>(), 2_u8.., any::<bool>()).prop_map(
        |(protocol, payload, tos, ttl, dont_fragment)| Content { protocol, payload, tos, ttl, dont_fragment },
    )
}

fn case(direction: Direction, ethertype: u16, packet: &[u8], tunnel: &Tunnel) -> Case {
    let case = match direction {
        Direction::Encap => Case::encap("law", packet),
        Direction::Decap => Case::decap("law", packet),
    };
    case.with(|case| {
        case.tunnel = tunnel.clone();
        case.input[12..14].copy_from_slice(&ethertype.to_be_bytes());
    })
}

fn into(packet: &Any, tunnel: &Tunnel) -> Case {
    case(Direction::Encap, packet.ethertype(), &packet.bytes(), tunnel)
}

/// The far end, to which the near end's packets are addressed.
fn far_end(kind: Kind, outer: &[u8], tunnel: &Tunnel) -> Case {
    let tunnel = Tunnel { local: tunnel.remote, remote: tunnel.local, ..tunnel.clone() };
    case(Direction::Decap, if kind.overhead() == 20 { IPV4 } else { IPV6 }, outer, &tunnel)
}

fn carried(case: &Case, tier: Tier) -> Option<Vec<u8>> {
    let outcome = host::run(case, tier);
    (outcome.fate == Fate::Carried).then(|| outcome.bytes[14..].to_vec())
}

/// Bytes of the outer header.
fn outer_len(kind: Kind, tunnel: &Tunnel) -> usize {
    let is_limited = kind.overhead() == 40 && tunnel.flags.encapsulation_limit;
    usize::from(kind.overhead()) + if is_limited { 8 } else { 0 }
}

/// What comes out: at the exit of a uniform tunnel, the DSCP is the outer one.
fn behind(kind: Kind, packet: Any, tunnel: &Tunnel) -> Vec<u8> {
    let is_copied = tunnel.flags.decap_dscp && tunnel.flags.fixed_dscp && kind.inner != Carried::Mpls;
    let tos = if is_copied { tunnel.dscp << 2 | packet.tos() & 3 } else { packet.tos() };
    let packet = if kind.inner == Carried::Mpls { packet } else { packet.with_tos(tos) };
    packet.bytes()
}

proptest! {
    // conformance: T1 T3
    #[test]
    fn a_packet_comes_out_as_it_went_in(content in contents(), kind in kinds(), settings in settings()) {
        let (packet, tunnel) = (content.packet(kind), tunnel(kind, &settings));
        prop_assume!(packet.bytes().len() <= usize::from(tunnel.mtu));
        // Behind the stack on both ends nobody forwards, and the packet is the very same.
        let outer = carried(&into(&packet, &tunnel), Tier::Tc).expect("every sound packet is carried");
        prop_assert_eq!(carried(&far_end(kind, &outer, &tunnel), Tier::Tc), Some(behind(kind, packet.clone(), &tunnel)));
        // In front of it the near end is a router, and the TTL is one less.
        if tunnel.flags.allow_fast_path {
            let outer = carried(&into(&packet, &tunnel), Tier::Xdp).expect("every sound packet is forwarded");
            let expected = behind(kind, packet.forwarded(), &tunnel);
            prop_assert_eq!(carried(&far_end(kind, &outer, &tunnel), Tier::Tc), Some(expected));
        }
    }

    // conformance: H1 H6 H11 H12 C1
    #[test]
    fn every_outer_header_is_right(
        content in contents(), kind in kinds(), settings in settings(), tier in tiers(), ident in any::<u16>(),
    ) {
        let (packet, tunnel) = (content.packet(kind), tunnel(kind, &settings));
        let into = into(&packet, &tunnel).with(|case| case.ident = ident);
        let Some(bytes) = carried(&into, tier) else { return Ok(()) };
        prop_assert_eq!(bytes.len(), packet.bytes().len() + outer_len(kind, &tunnel));
        let leaving = if tier == Tier::Xdp { content.ttl - 1 } else { content.ttl };
        let ttl = if tunnel.flags.inherit_ttl { leaving } else { tunnel.ttl };
        let field = if tunnel.flags.ecn_compatibility { 0 } else { packet.tos() & 3 };
        let dscp = if tunnel.flags.fixed_dscp { tunnel.dscp } else { packet.tos() >> 2 };
        if kind.overhead() == 20 {
            let outer = Ipv4HeaderSlice::from_slice(&bytes).expect("an IPv4 header").to_header();
            prop_assert_eq!(outer.header_checksum, outer.calc_header_checksum());
            prop_assert_eq!(usize::from(outer.total_len), bytes.len());
            prop_assert_eq!((outer.source, outer.destination, outer.time_to_live), (LOCAL, REMOTE, ttl));
            prop_assert_eq!((outer.dscp.value(), outer.ecn.value(), outer.protocol.0), (dscp, field, kind.protocol()));
            prop_assert_eq!(outer.identification, if outer.dont_fragment { 0 } else { ident });
            let from_inner = match kind.inner {
                Carried::Ipv4 => content.dont_fragment,
                Carried::Ipv6 => tunnel.flags.path_mtu && tunnel.mtu >= 1280,
                Carried::Mpls => true,
            };
            prop_assert_eq!(outer.dont_fragment, tunnel.flags.inherit_dont_fragment && from_inner);
        } else {
            let outer = Ipv6HeaderSlice::from_slice(&bytes).expect("an IPv6 header").to_header();
            prop_assert_eq!(usize::from(outer.payload_length) + 40, bytes.len());
            prop_assert_eq!((outer.source, outer.destination), (LOCAL6.octets(), REMOTE6.octets()));
            prop_assert_eq!((outer.traffic_class, outer.hop_limit), (dscp << 2 | field, ttl));
            prop_assert_eq!(outer.flow_label.value() != 0, tunnel.flags.flow_label);
            if tunnel.flags.encapsulation_limit {
                let option = [kind.protocol(), 0, 4, 1, tunnel.encapsulation_limit, 1, 1, 0];
                prop_assert_eq!((outer.next_header.0, &bytes[40..48]), (60, option.as_slice()));
            } else {
                prop_assert_eq!(outer.next_header.0, kind.protocol());
            }
        }
    }

    #[test]
    fn nothing_panics_and_what_is_refused_is_untouched(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        into in any::<bool>(),
        valid in 0_usize..110,
        kind in kinds(),
        settings in settings(),
        tier in tiers(),
        ethertype in prop::sample::select([IPV4, IPV6, MPLS, 0x8848, 0x0806].as_slice()),
    ) {
        let direction = if into { Direction::Encap } else { Direction::Decap };
        // Most of them get further than the first checks: they begin as a sound packet does.
        let segment = Segment::syn(&[2, 4, 5, 0xb4]);
        let start = if into { kind.tcp(&segment) } else { kind.arriving(&kind.tcp(&segment).backwards()) };
        let (mut packet, mut ethertype) = (bytes, ethertype);
        if valid > 0 {
            let known = start.bytes();
            let length = valid.min(known.len()).min(packet.len());
            packet[..length].copy_from_slice(&known[..length]);
            ethertype = start.ethertype();
        }
        let input = case(direction, ethertype, &packet, &tunnel(kind, &settings));
        let Outcome { fate, bytes, refused, traffic } = host::run(&input, tier);
        if fate == Fate::Carried {
            prop_assert!(refused.iter().all(|reason| reason.action() == ipip_common::abi::Action::Note));
            prop_assert_eq!(traffic.sent_packets + traffic.received_packets, 1);
        } else {
            prop_assert_eq!(bytes, input.input);
            prop_assert_eq!(traffic.sent_packets + traffic.received_packets, 0);
        }
    }

    // conformance: M13 C2
    #[test]
    fn the_clamp_never_raises_and_never_breaks(
        size in any::<u16>(), nops in 0_usize..4, syn in any::<bool>(), ack in any::<bool>(), data in 0_usize..3,
        kind in kinds(), settings in settings(), tier in tiers(), into_tunnel in any::<bool>(),
    ) {
        let mut options = vec![1; nops];
        options.extend([2, 4]);
        options.extend(size.to_be_bytes());
        options.resize(8, 0);
        let tunnel = tunnel(kind, &settings);
        let packet = kind.tcp(&Segment { syn, ack, options, data: vec![0x5a; data] });
        let (case, front) = if into_tunnel {
            (into(&packet, &tunnel), outer_len(kind, &tunnel))
        } else {
            let outer = kind.arriving(&packet.clone().backwards());
            (case(Direction::Decap, outer.ethertype(), &outer.bytes(), &tunnel), 0)
        };
        let Some(bytes) = carried(&case, tier) else { return Ok(()) };
        let limit = tunnel.mtu.saturating_sub(kind.fixed_header() + 20);
        let expected = if syn && tunnel.flags.clamp_tcp_mss { size.min(limit) } else { size };
        let labels = if kind.inner == Carried::Mpls { 4 } else { 0 };
        prop_assert_eq!(mss_and_checksum(&bytes[front + labels..]), (Some(expected), true));
    }

    #[test]
    fn a_flow_has_one_label(
        first in contents(), second in contents(), tier in tiers(), settings in settings(),
        kind in prop::sample::select([Kind::IPIP6, Kind::IN6, Kind::MPLS6].as_slice()),
    ) {
        let tunnel = tunnel(kind, &settings).with(|tunnel| {
            (tunnel.flags.flow_label, tunnel.flags.allow_fast_path, tunnel.mtu) = (true, true, 1400);
        });
        // Of a flow are the addresses and the protocol; these have no ports.
        let second = Content { protocol: first.protocol, ..second };
        let label = |content: &Content| carried(&into(&content.packet(kind), &tunnel), tier).map(|bytes| flows::label(&bytes));
        prop_assert!(label(&first).is_some_and(|label| label != 0));
        prop_assert_eq!(label(&first), label(&second));
    }
}

/// The MSS of a TCP segment, and whether its checksum is right.
fn mss_and_checksum(packet: &[u8]) -> (Option<u16>, bool) {
    let Ok(headers) = PacketHeaders::from_ip_slice(packet) else { panic!("no packet: {packet:02x?}") };
    let Some(TransportHeader::Tcp(tcp)) = headers.transport else { panic!("no TCP") };
    let mss = tcp.options_iterator().find_map(|option| match option {
        Ok(etherparse::TcpOptionElement::MaximumSegmentSize(size)) => Some(size),
        _ => None,
    });
    let payload = headers.payload.slice();
    let right = match headers.net {
        Some(NetHeaders::Ipv4(header, _)) => tcp.calc_checksum_ipv4(&header, payload),
        Some(NetHeaders::Ipv6(header, _)) => tcp.calc_checksum_ipv6(&header, payload),
        Some(NetHeaders::Arp(_)) | None => panic!("no IP"),
    };
    (mss, right == Ok(tcp.checksum))
}

#[test]
fn flow_labels_are_stable_and_spread() {
    for tier in [Tier::Xdp, Tier::Tc] {
        flows::check(|case| carried(case, tier));
    }
}
