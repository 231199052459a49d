//! IPv4 into an IPv4 tunnel: the outer header (RFC 2003 3.1) and what becomes of the inner one.

use super::{encapsulated, plain_outer};
use crate::bytes::{Packet, Segment, UDP, hex, ping, udp, udp_with_partial_checksum};
use crate::case::{Case, Expected};
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    [plain(), dscp(), dont_fragment(), ttl(), lengths(), left_to_the_stack()].concat()
}

fn simple(name: &str, inner: &Packet) -> Case {
    encapsulated(name, inner, plain_outer(inner))
}

fn plain() -> Vec<Case> {
    vec![
        spelled_out(),
        simple("H1 UDP is encapsulated", &udp(b"payload")),
        simple("H1 ping is encapsulated", &ping(&[0xa5; 56])),
        simple("H1 TCP is encapsulated, C2 its checksum unchanged", &data_segment().packet()),
        simple("H1 an unknown protocol is encapsulated", &Packet::new(253, &[7; 33])),
        simple("H1 a packet without payload is encapsulated", &Packet::new(UDP, &[])),
        simple("H1 a tunnel in the tunnel is encapsulated", &nested()),
        encapsulated("H11 C1 the identification is the next of this processor's", udp(b"x"), &{
            plain_outer(&udp(b"x")).with(|outer| outer.ident = 0x0f42)
        })
        .with(|case| case.ident = 0x0f42),
    ]
}

/// The frame and both results byte by byte. The bytes are scapy's:
/// `IP(src="192.0.2.1", dst="198.51.100.2", ttl=255, id=0x1234)/IP(src="10.1.0.2", dst="10.2.0.2", ttl=63,
/// id=0x4d2a)/UDP(sport=40000, dport=53)/b"ipip"`.
fn spelled_out() -> Case {
    let inner = "4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970";
    let less = "4500 0020 4d2a 0000 3f11 1a9d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970";
    let outer = "4500 0034 1234 0000 ff04 bd5a c000 0201 c633 6402";
    Case::encap("H1 H12 C1 C3 T1 the header is that of RFC 2003, byte by byte", &hex(inner))
        .xdp(Expected::Carried(hex(&format!("{outer}{less}"))))
        .tc(Expected::Carried(hex(&format!("{outer}{inner}"))))
        .with(|case| case.inner_len = 32)
}

fn data_segment() -> Segment {
    Segment { syn: false, ack: true, options: Vec::new(), data: vec![0x42; 100] }
}

fn nested() -> Packet {
    Packet::new(4, &udp(b"inside").bytes())
}

fn dscp() -> Vec<Case> {
    let expedited = udp(b"voice").with(|inner| inner.tos = 46 << 2);
    let fixed = plain_outer(&expedited).with(|outer| outer.tos = 10 << 2);
    let marked = udp(b"voice").with(|inner| inner.tos = 46 << 2 | 2);
    let fixed_and_marked = plain_outer(&marked).with(|outer| outer.tos = 10 << 2 | 2);
    let fix = |case: Case, dscp| {
        case.tunnel(|tunnel| {
            tunnel.flags.fixed_dscp = true;
            tunnel.dscp = dscp;
        })
    };
    vec![
        simple("H13 DSCP is inherited", &expedited),
        fix(encapsulated("H13 DSCP is fixed", &expedited, &fixed), 10),
        fix(encapsulated("H13 E1 a fixed DSCP leaves ECN alone", &marked, &fixed_and_marked), 10),
        fix(
            encapsulated(
                "H13 DSCP fixed to 0",
                &expedited,
                plain_outer(&expedited).with(|outer| outer.tos = 0),
            ),
            0,
        ),
        fix(
            encapsulated(
                "H13 DSCP fixed to 63",
                udp(b""),
                plain_outer(&udp(b"")).with(|outer| outer.tos = 0xfc),
            ),
            63,
        ),
    ]
}

fn dont_fragment() -> Vec<Case> {
    let whole = udp(b"do not cut").with(|inner| inner.dont_fragment = true);
    let inherited = plain_outer(&whole).with(|outer| (outer.dont_fragment, outer.ident) = (true, 0));
    let inherit = |case: Case| case.tunnel(|tunnel| tunnel.flags.inherit_dont_fragment = true);
    vec![
        simple("H6 DF is not inherited by default", &whole),
        inherit(encapsulated(
            "H6 H11 DF is inherited, and such a packet has identification 0",
            &whole,
            &inherited,
        )),
        inherit(simple("H7 an inner packet without DF gives none", &udp(b"cut me"))),
    ]
}

fn ttl() -> Vec<Case> {
    let with_ttl = |ttl| udp(b"hops").with(|inner| inner.ttl = ttl);
    let outer_one = plain_outer(&with_ttl(9)).with(|outer| outer.ttl = 1);
    vec![
        simple("T1 a TTL of 255 is one less after forwarding", &with_ttl(255)),
        simple("T1 a TTL of 2 is one less after forwarding", &with_ttl(2)),
        simple("T1 a TTL of 1 expires in forwarding only", &with_ttl(1))
            .xdp(Expected::Pass(Reason::TtlExpired)),
        Case::encap("T2 a TTL of 0 is never encapsulated", &with_ttl(0).bytes())
            .both(&Expected::Drop(Reason::TtlZero)),
        encapsulated("H12 the outer TTL is the tunnel's", with_ttl(9), &outer_one)
            .tunnel(|tunnel| tunnel.ttl = 1),
    ]
}

fn lengths() -> Vec<Case> {
    let full = udp(&[0x55; 1452]);
    let padded = |case: Case, bytes: usize| case.with(|case| case.input.extend(vec![0; bytes]));
    let over = udp(&[0x55; 1453]);
    vec![
        simple("M14 a packet of exactly the tunnel's MTU is carried", &full),
        Case::encap("M14 a packet of one byte more is left to the stack", &over.bytes())
            .both(&Expected::Pass(Reason::TooBig)),
        Case::encap("M14 DF changes nothing: too big is too big", &{
            over.with(|inner| inner.dont_fragment = true).bytes()
        })
        .both(&Expected::Pass(Reason::TooBig)),
        padded(simple("H2 Ethernet padding is not carried", &udp(b"x")), 17),
        padded(simple("H2 padding behind an odd length is not carried", &udp(b"xyz")), 1),
        padded(simple("H2 padding does not make a packet too big", &full), 20),
    ]
}

fn left_to_the_stack() -> Vec<Case> {
    let recorded = udp(b"route").with(|inner| inner.options = hex("0703 0400"));
    let long = udp(b"route").with(|inner| inner.options = vec![1; 40]);
    let first = udp(&[3; 24]).with(|inner| inner.more_fragments = true);
    let last = Packet::new(UDP, &[3; 24]).with(|inner| inner.fragment_offset = 4);
    let from = |source| udp(b"from").with(|inner| inner.source = source);
    let partial = Segment::syn(&[]).packet_with_partial_checksum();
    let fragment = |name: &str, inner: &Packet| simple(name, inner).xdp(Expected::Pass(Reason::Fragment));
    // Their UDP checksums are still those of the client's address.
    let martian = |name: &str, inner: &Packet| {
        simple(name, inner).xdp(Expected::Pass(Reason::Martian)).with(|case| case.looks_broken = true)
    };
    let incomplete = |name: &str, inner: &Packet| {
        simple(name, inner).xdp(Expected::Pass(Reason::PartialChecksum)).with(|case| case.looks_broken = true)
    };
    vec![
        simple("H5 D11 inner options stay inside", &recorded).xdp(Expected::Pass(Reason::Options)),
        simple("H5 D11 the longest inner header stays inside", &long).xdp(Expected::Pass(Reason::Options)),
        fragment("D11 a first fragment is the stack's to forward", &first),
        fragment("D11 a last fragment is the stack's to forward", &last),
        martian("a loopback source is the stack's to judge", &from([127, 0, 0, 1])),
        martian("a source of 0.0.0.0 is the stack's to judge", &from([0, 0, 0, 0])),
        martian("a multicast source is the stack's to judge", &from([224, 0, 0, 5])),
        incomplete("C2 a partial UDP checksum is not forwarded by XDP", &udp_with_partial_checksum(b"later")),
        incomplete("C2 a partial TCP checksum is not forwarded by XDP", &partial),
        simple("allow-fast-path=no leaves forwarding to the stack", &udp(b"slow"))
            .xdp(Expected::Pass(Reason::FastPathOff))
            .tunnel(|tunnel| tunnel.flags.allow_fast_path = false),
        simple(
            "a wrong inner checksum is not forwarded by XDP",
            &udp(b"?").with(|inner| inner.wrong_checksum = true),
        )
        .xdp(Expected::Pass(Reason::Malformed))
        .with(|case| case.looks_broken = true),
    ]
}
