//! IPv4 out of an IPv4 tunnel: whom it is accepted from, and what comes out.

use super::{arriving, decapsulated, reply};
use crate::bytes::{ICMP, Packet, Segment, UDP, hex, ping};
use crate::case::{Case, Expected};
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    [plain(), ttl(), lengths(), acceptance(), outer_is_odd(), inner_is_odd()].concat()
}

fn simple(name: &str, inner: &Packet) -> Case {
    decapsulated(name, arriving(inner), inner)
}

fn refused(name: &str, outer: &Packet, expected: &Expected) -> Case {
    Case::decap(name, &outer.bytes()).both(expected)
}

fn plain() -> Vec<Case> {
    let answer = Segment { syn: false, ack: true, options: Vec::new(), data: vec![9; 77] };
    vec![
        spelled_out(),
        simple("D1 D2 UDP from the remote comes out", &reply(b"answer")),
        simple("a ping comes out", &ping(&[1; 30]).backwards()),
        simple("C2 TCP comes out, its checksum unchanged", &answer.packet().backwards()),
        simple("an unknown protocol comes out", &Packet::new(253, &[7; 33]).backwards()),
        simple("a packet without payload comes out", &Packet::new(UDP, &[]).backwards()),
        simple(
            "a tunnel in the tunnel comes out as such",
            &Packet::new(4, &reply(b"in").bytes()).backwards(),
        ),
        simple("H14 the inner DSCP is kept", &reply(b"voice").with(|inner| inner.tos = 46 << 2)),
        decapsulated(
            "H14 the outer DSCP is not copied",
            arriving(&reply(b"voice")).with(|outer| outer.tos = 46 << 2),
            reply(b"voice"),
        ),
        decapsulated(
            "H11 an outer DF changes nothing inside",
            arriving(&reply(b"df")).with(|outer| outer.dont_fragment = true),
            reply(b"df"),
        ),
        decapsulated(
            "an outer TTL of 1 is enough for what arrives",
            arriving(&reply(b"ttl")).with(|outer| outer.ttl = 1),
            reply(b"ttl"),
        ),
    ]
}

/// Byte by byte, made by scapy as in `encap4`.
fn spelled_out() -> Case {
    let outer = "4500 0034 7a01 0000 4004 148e c633 6402 c000 0201";
    let inner = "4500 0020 4d2a 0000 4011 199d 0a02 0002 0a01 0002 9c40 0035 000c 7c79 6970 6970";
    let less = "4500 0020 4d2a 0000 3f11 1a9d 0a02 0002 0a01 0002 9c40 0035 000c 7c79 6970 6970";
    Case::decap("D1 T3 C3 what comes out, byte by byte", &hex(&format!("{outer}{inner}")))
        .xdp(Expected::Carried(hex(less)))
        .tc(Expected::Carried(hex(inner)))
        .with(|case| case.inner_len = 32)
}

fn ttl() -> Vec<Case> {
    let with_ttl = |ttl| reply(b"hops").with(|inner| inner.ttl = ttl);
    vec![
        refused(
            "T2 an inner TTL of 0 is discarded",
            &arriving(&with_ttl(0)),
            &Expected::Drop(Reason::TtlZero),
        ),
        simple("T3 a TTL of 1 expires in forwarding, not in decapsulation", &with_ttl(1))
            .xdp(Expected::Pass(Reason::TtlExpired)),
        simple("T3 a TTL of 2 is one less after forwarding", &with_ttl(2)),
        simple("T3 a TTL of 255 is one less after forwarding", &with_ttl(255)),
    ]
}

fn lengths() -> Vec<Case> {
    let inner = reply(b"length");
    let trailing = |bytes: usize| arriving(&inner).with(|outer| outer.payload.extend(vec![0xee; bytes]));
    let frame_padding = |case: Case, bytes: usize| case.with(|case| case.input.extend(vec![0; bytes]));
    let too_long = |by: u16| inner.clone().with(|inner| inner.total_len = Some(34 + by));
    let too_short = |length| inner.clone().with(|inner| inner.total_len = Some(length));
    vec![
        frame_padding(simple("D4 Ethernet padding is cut", &Packet::new(ICMP, &[]).backwards()), 6),
        frame_padding(simple("D4 one byte of padding is cut", &inner), 1),
        decapsulated("D4 bytes behind the inner packet are cut", trailing(8), &inner),
        frame_padding(decapsulated("D4 both kinds of bytes behind it are cut", trailing(3), &inner), 5),
        refused(
            "D4 an inner packet one byte longer than the outer's is dropped",
            &arriving(&too_long(1)),
            &Expected::Drop(Reason::BadLength),
        ),
        refused(
            "D4 an inner packet of 65535 bytes in a small one is dropped",
            &arriving(&inner.clone().with(|inner| inner.total_len = Some(u16::MAX))),
            &Expected::Drop(Reason::BadLength),
        ),
        frame_padding(
            refused(
                "D4 padding does not lend length to the inner packet",
                &arriving(&too_long(4)),
                &Expected::Drop(Reason::BadLength),
            ),
            20,
        ),
        refused(
            "D9 an inner length below its header's is dropped",
            &arriving(&too_short(19)),
            &Expected::Drop(Reason::BadLength),
        ),
        refused(
            "D9 an inner length of 0 is dropped",
            &arriving(&too_short(0)),
            &Expected::Drop(Reason::BadLength),
        ),
        decapsulated("D4 an inner packet of exactly its header comes out", trailing_header(), &{
            Packet::new(UDP, &[]).backwards()
        }),
    ]
}

/// An outer packet with an inner header alone, and an outer length that says more.
fn trailing_header() -> Packet {
    arriving(&Packet::new(UDP, &[]).backwards()).with(|outer| outer.payload.extend([1, 2, 3]))
}

fn acceptance() -> Vec<Case> {
    let outer = arriving(&reply(b"who"));
    let refused = |name: &str, outer: Packet| Case::decap(name, &outer.bytes());
    let from = |source| outer.clone().with(|outer| outer.source = source);
    let to = |destination| outer.clone().with(|outer| outer.destination = destination);
    let protocol = |number| outer.clone().with(|outer| outer.protocol = number);
    vec![
        refused("D1 another source is not accepted", from([198, 51, 100, 3])),
        refused("D1 our own address as source is not accepted", from([192, 0, 2, 1])),
        refused("D2 another destination is not accepted", to([192, 0, 2, 77])),
        refused("D2 a broadcast destination is not accepted", to([255, 255, 255, 255])),
        refused("D2 a multicast destination is not accepted", to([224, 0, 0, 9])),
        refused("D1 D2 the ends the wrong way round are not accepted", outer.clone().backwards()),
        refused("D11 GRE between the same ends is foreign", protocol(47)),
        refused("D11 protocol 94, which also calls itself IPIP, is foreign", protocol(94)),
        refused("D11 IPv6 in IPv4 between the same ends is foreign", protocol(41)),
        refused("D11 UDP between the same ends is foreign", protocol(UDP)),
        refused("a disabled tunnel accepts nothing", outer.clone())
            .tunnel(|tunnel| tunnel.flags.enabled = false),
    ]
}

fn outer_is_odd() -> Vec<Case> {
    let outer = arriving(&reply(&[4; 40]));
    let with = |change: fn(&mut Packet)| outer.clone().with(change);
    let pass = |name: &str, outer: &Packet, reason| refused(name, outer, &Expected::Pass(reason));
    vec![
        pass(
            "D11 outer options are the stack's",
            &with(|outer| outer.options = hex("9404 0000")),
            Reason::Options,
        ),
        pass(
            "D11 a first outer fragment is the stack's",
            &with(|outer| outer.more_fragments = true),
            Reason::Fragment,
        ),
        pass(
            "D11 a last outer fragment is the stack's",
            &with(|outer| outer.fragment_offset = 8),
            Reason::Fragment,
        ),
        pass(
            "D9 a wrong outer checksum is the stack's to drop",
            &with(|outer| outer.wrong_checksum = true),
            Reason::OuterChecksum,
        ),
        pass(
            "D9 an outer length beyond the frame is malformed",
            &with(|outer| outer.total_len = Some(1000)),
            Reason::Malformed,
        ),
        pass(
            "D9 an outer length below its header's is malformed",
            &with(|outer| outer.total_len = Some(19)),
            Reason::Malformed,
        ),
        pass(
            "D9 an outer header length of 16 is malformed",
            &with(|outer| outer.first_byte = Some(0x44)),
            Reason::Malformed,
        ),
        Case::decap("D9 outer version 6 under IPv4's EtherType is foreign", &{
            with(|outer| outer.first_byte = Some(0x65)).bytes()
        }),
        pass(
            "D9 an outer packet without room for an inner header is malformed",
            &{ with(|outer| outer.payload.truncate(19)) },
            Reason::Malformed,
        ),
    ]
}

fn inner_is_odd() -> Vec<Case> {
    let with = |change: fn(&mut Packet)| reply(&[5; 24]).with(change);
    let drop = |name: &str, inner: &Packet, reason| refused(name, &arriving(inner), &Expected::Drop(reason));
    let options = with(|inner| inner.options = hex("0703 0400"));
    let first = with(|inner| inner.more_fragments = true);
    vec![
        drop(
            "D9 IPv6 inside protocol 4 is dropped",
            &with(|inner| inner.first_byte = Some(0x65)),
            Reason::InnerVersion,
        ),
        drop(
            "D9 an inner header length of 16 is dropped",
            &with(|inner| inner.first_byte = Some(0x44)),
            Reason::BadLength,
        ),
        simple("D11 inner options are the stack's to forward", &options).xdp(Expected::Pass(Reason::Options)),
        simple("D11 an inner fragment is the stack's to forward", &first)
            .xdp(Expected::Pass(Reason::Fragment)),
        simple(
            "an inner loopback source is the stack's to judge",
            &with(|inner| inner.source = [127, 0, 0, 1]),
        )
        .xdp(Expected::Pass(Reason::Martian))
        .with(|case| case.looks_broken = true),
        simple(
            "D9 a wrong inner checksum is the stack's to judge",
            &with(|inner| inner.wrong_checksum = true),
        )
        .xdp(Expected::Pass(Reason::Malformed))
        .with(|case| case.looks_broken = true),
        simple("allow-fast-path=no leaves what comes out to the stack", &reply(b"slow"))
            .xdp(Expected::Pass(Reason::FastPathOff))
            .tunnel(|tunnel| tunnel.flags.allow_fast_path = false),
        simple("M14 what arrives may be larger than the tunnel's MTU", &reply(&[6; 1400]))
            .tunnel(|tunnel| tunnel.mtu = 1280),
    ]
}
