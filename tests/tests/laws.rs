//! Laws that hold for every packet, on the host.

use etherparse::{Ipv4HeaderSlice, PacketHeaders, TransportHeader};
use ipip_common::abi::Tier;
use ipip_tests::bytes::{LOCAL, Packet, REMOTE, Segment};
use ipip_tests::case::{Case, Direction};
use ipip_tests::host;
use ipip_tests::outcome::{Fate, Outcome};
use ipip_tests::tunnel::Tunnel;
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};

fn tiers() -> impl Strategy<Value = Tier> {
    prop_oneof![Just(Tier::Xdp), Just(Tier::Tc)]
}

fn tunnels() -> impl Strategy<Value = Tunnel> {
    (any::<[bool; 4]>(), 68_u16..1481, 1_u8.., 0_u8..64).prop_map(|(switches, mtu, ttl, dscp)| {
        let mut tunnel = Tunnel { mtu, ttl, dscp, ..Tunnel::default() };
        let flags = &mut tunnel.flags;
        [flags.clamp_tcp_mss, flags.inherit_dont_fragment, flags.fixed_dscp, flags.allow_fast_path] =
            switches;
        tunnel
    })
}

/// Sound IPv4 packets for the tunnel, of any contents.
fn packets() -> impl Strategy<Value = Packet> {
    let fields = (any::<u8>(), any::<u16>(), any::<bool>(), 2_u8.., any::<[u8; 2]>());
    (fields, prop::collection::vec(any::<u8>(), 0..120), 7_u8..).prop_map(|(fields, payload, protocol)| {
        let (tos, ident, dont_fragment, ttl, [network, host]) = fields;
        Packet::new(protocol, &payload).with(|packet| {
            (packet.tos, packet.ident, packet.dont_fragment, packet.ttl) = (tos, ident, dont_fragment, ttl);
            packet.source = [10, 1, network, host];
        })
    })
}

fn case(direction: Direction, packet: &[u8], tunnel: &Tunnel) -> Case {
    let case = match direction {
        Direction::Encap => Case::encap("law", packet),
        Direction::Decap => Case::decap("law", packet),
    };
    case.with(|case| case.tunnel = tunnel.clone())
}

/// The far end, to which the near end's packets are addressed.
fn far_end(tunnel: &Tunnel) -> Tunnel {
    Tunnel { local: tunnel.remote, remote: tunnel.local, ..tunnel.clone() }
}

fn carried(case: &Case, tier: Tier) -> Option<Vec<u8>> {
    let outcome = host::run(case, tier);
    (outcome.fate == Fate::Carried).then(|| outcome.bytes[14..].to_vec())
}

fn mss_of(packet: &[u8]) -> Option<u16> {
    let headers = PacketHeaders::from_ip_slice(packet).ok()?;
    let Some(TransportHeader::Tcp(tcp)) = headers.transport else { return None };
    tcp.options_iterator().find_map(|option| match option {
        Ok(etherparse::TcpOptionElement::MaximumSegmentSize(size)) => Some(size),
        _ => None,
    })
}

proptest! {
    // conformance: T1 T3
    #[test]
    fn a_packet_comes_out_as_it_went_in(packet in packets(), tunnel in tunnels(), tier in tiers()) {
        prop_assume!(packet.bytes().len() <= usize::from(tunnel.mtu));
        // Behind the stack on both ends nobody forwards, and the packet is the very same.
        let into = case(Direction::Encap, &packet.bytes(), &tunnel);
        let outer = carried(&into, Tier::Tc).expect("every sound packet is carried");
        let out = case(Direction::Decap, &outer, &far_end(&tunnel));
        prop_assert_eq!(carried(&out, Tier::Tc), Some(packet.bytes()));
        // In front of it the near end is a router, and the TTL is one less.
        if tier == Tier::Xdp && tunnel.flags.allow_fast_path {
            let outer = carried(&into, tier).expect("every sound packet is forwarded");
            let out = case(Direction::Decap, &outer, &far_end(&tunnel));
            prop_assert_eq!(carried(&out, Tier::Tc), Some(packet.with(|packet| packet.ttl -= 1).bytes()));
        }
    }

    // conformance: H1 H6 H11 H12 C1
    #[test]
    fn every_outer_header_is_right(packet in packets(), tunnel in tunnels(), tier in tiers(), ident in any::<u16>()) {
        let into = case(Direction::Encap, &packet.bytes(), &tunnel).with(|case| case.ident = ident);
        let Some(bytes) = carried(&into, tier) else { return Ok(()) };
        let outer = Ipv4HeaderSlice::from_slice(&bytes).expect("an IPv4 header").to_header();
        prop_assert_eq!(outer.header_checksum, outer.calc_header_checksum());
        prop_assert_eq!(usize::from(outer.total_len), bytes.len());
        prop_assert_eq!((outer.source, outer.destination, outer.time_to_live), (LOCAL, REMOTE, tunnel.ttl));
        prop_assert_eq!(outer.ecn.value(), packet.tos & 3);
        let dont_fragment = tunnel.flags.inherit_dont_fragment && packet.dont_fragment;
        let expected_ident = if dont_fragment { 0 } else { ident };
        prop_assert_eq!((outer.dont_fragment, outer.identification), (dont_fragment, expected_ident));
    }

    #[test]
    fn nothing_panics_and_what_is_refused_is_untouched(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        into in any::<bool>(),
        valid_start in any::<bool>(),
        tunnel in tunnels(),
        tier in tiers(),
    ) {
        let direction = if into { Direction::Encap } else { Direction::Decap };
        let mut input = case(direction, &bytes, &tunnel).input;
        // Half of them get further than the first checks.
        let start = if into { packet_to_server() } else { packet_from_remote() };
        if valid_start && input.len() >= 34 {
            input.splice(14..34, start);
        }
        let input = case(direction, &input[14..], &tunnel);
        let Outcome { fate, bytes, refused, traffic } = host::run(&input, tier);
        if fate == Fate::Carried {
            prop_assert!(refused.is_empty());
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
        tunnel in tunnels(), tier in tiers(),
    ) {
        let mut options = vec![1; nops];
        options.extend([2, 4]);
        options.extend(size.to_be_bytes());
        options.resize(8, 0);
        let segment = Segment { syn, ack, options, data: vec![0x5a; data] };
        let into = case(Direction::Encap, &segment.packet().bytes(), &tunnel);
        let Some(bytes) = carried(&into, tier) else { return Ok(()) };
        let limit = tunnel.mtu - 40;
        let expected = if syn && tunnel.flags.clamp_tcp_mss { size.min(limit) } else { size };
        prop_assert_eq!(mss_of(&bytes[20..]), Some(expected));
        let headers = PacketHeaders::from_ip_slice(&bytes[20..]).expect("a packet");
        let Some(TransportHeader::Tcp(tcp)) = headers.transport else { panic!("no TCP") };
        let (source, destination) = (segment.packet().source, segment.packet().destination);
        let right = tcp.calc_checksum_ipv4_raw(source, destination, headers.payload.slice());
        prop_assert_eq!(Ok(tcp.checksum), right);
    }
}

fn packet_to_server() -> Vec<u8> {
    Packet::new(6, &[0; 40]).bytes()[..20].to_vec()
}

fn packet_from_remote() -> Vec<u8> {
    Packet::around(&Packet::new(6, &[0; 20])).backwards().bytes()[..20].to_vec()
}
