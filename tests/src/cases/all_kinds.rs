//! Every kind of tunnel, plainly: what goes in, what comes out, byte by byte and by protocol.

use super::{into, out, plain};
use crate::bytes::{Any, IPIP, IPV6, Labelled, MPLS, Segment, hex, udp, udp6};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::{Carried, Reason};

/// IANA's number of SCTP.
const SCTP: u8 = 132;
/// IPv6's number for no payload (RFC 8200 4.7).
const NOTHING: u8 = 59;

pub(super) fn cases() -> Vec<Case> {
    let all = Kind::ALL.into_iter().flat_map(|kind| [protocols(kind), lengths(kind), back(kind)].concat());
    all.chain(spelled_out()).collect()
}

fn protocols(kind: Kind) -> Vec<Case> {
    let inside = [
        (IPIP, udp(b"inside").bytes()),
        (IPV6, udp6(b"inside").bytes()),
        (MPLS, Labelled::new(&udp(b"inside").bytes()).bytes()),
        (94, vec![7; 48]),
    ];
    let nested = inside.map(|(protocol, payload)| {
        let name = format!("H1 H3 H4 a packet of protocol {protocol} is encapsulated");
        plain(kind, &name, &kind.other(protocol, &payload))
    });
    let chosen = vec![
        plain(kind, "H1 H2 H3 H4 UDP is encapsulated", &kind.udp(b"payload")),
        plain(kind, "H1 H3 C2 a ping is encapsulated", &kind.ping(&[0xa5; 56])),
        plain(
            kind,
            "H1 H3 C2 TCP is encapsulated, its checksum unchanged",
            &kind.tcp(&Segment::data(&[0x42; 101])),
        ),
        plain(
            kind,
            "H1 H3 C2 SCTP is encapsulated, its checksum unchanged",
            &kind.other(SCTP, &hex(SCTP_DATA)),
        ),
        plain(
            kind,
            "C2 a partial SCTP checksum is not forwarded by XDP",
            &kind.other(SCTP, &without_checksum()),
        )
        .xdp(Expected::Pass(Reason::PartialChecksum)),
        plain(kind, "H1 H3 an unknown protocol is encapsulated", &kind.other(253, &[7; 33])),
        plain(kind, "H1 H3 a packet without payload is encapsulated", &kind.other(NOTHING, &[])),
    ];
    [chosen, nested.to_vec()].concat()
}

fn lengths(kind: Kind) -> Vec<Case> {
    let padded = |case: Case, bytes: usize| case.with(|case| case.input.extend(vec![0; bytes]));
    let mtu = usize::from(kind.tunnel().mtu);
    let headers = usize::from(kind.fixed_header()) + 8;
    let full = kind.udp(&vec![0x55; mtu - headers]);
    let over = kind.udp(&vec![0x55; mtu - headers + 1]);
    let mut cases = vec![
        padded(plain(kind, "H2 H3 padding is not carried", &kind.udp(b"x")), 13),
        padded(plain(kind, "H2 H3 one byte of padding is not carried", &kind.udp(b"xyz")), 1),
        plain(kind, "M14 a packet of exactly the tunnel's MTU is carried", &full),
        Case::into_tunnel(&format!("M14 a packet of one byte more is the stack's, {kind}"), &over)
            .tunnel(|tunnel| *tunnel = kind.tunnel())
            .both(&Expected::Pass(Reason::TooBig)),
    ];
    // Labels have no length: behind them, padding of a long frame is no padding.
    if kind.inner != Carried::Mpls {
        cases.push(padded(plain(kind, "M14 padding does not make a packet too big", &full), 20));
    }
    cases
}

fn back(kind: Kind) -> Vec<Case> {
    let simple = |name: &str, inner: &Any| out(kind, name, &kind.arriving(inner), inner);
    let padded = |case: Case, bytes: usize| case.with(|case| case.input.extend(vec![0xee; bytes]));
    let reply = kind.reply(b"answer");
    let mut trailing = kind.arriving(&reply);
    trailing.payload_mut().extend([0xee; 8]);
    // Behind labels, all that the outer packet has is the inner one.
    let mut expected = reply.clone();
    if kind.inner == Carried::Mpls {
        expected.payload_mut().extend([0xee; 8]);
    }
    vec![
        simple("D1 D2 UDP from the remote comes out", &reply),
        simple("D1 D2 a ping comes out", &kind.ping(&[1; 30]).backwards()),
        simple(
            "D1 C2 TCP comes out, its checksum unchanged",
            &kind.tcp(&Segment::data(&[9; 77])).backwards(),
        ),
        simple(
            "D1 C2 SCTP comes out, its checksum unchanged",
            &kind.other(SCTP, &hex(SCTP_DATA)).backwards(),
        ),
        simple(
            "C2 a partial SCTP checksum comes out, and is not forwarded by XDP",
            &kind.other(SCTP, &without_checksum()).backwards(),
        )
        .xdp(Expected::Pass(Reason::PartialChecksum)),
        simple("an unknown protocol comes out", &kind.other(253, &[7; 33]).backwards()),
        simple("a packet without payload comes out", &kind.other(NOTHING, &[]).backwards()),
        simple(
            "a tunnel in the tunnel comes out as such",
            &kind.other(IPIP, &udp(b"inside").bytes()).backwards(),
        ),
        padded(simple("D4 padding is cut", &kind.other(253, &[1]).backwards()), 6),
        out(kind, "D4 bytes behind an inner length are cut", &trailing, &expected),
        padded(out(kind, "D4 both kinds of bytes behind it are cut", &trailing, &expected), 5),
        out(kind, "an outer TTL of 1 is enough for what arrives", &kind.arriving(&reply).with_ttl(1), &reply),
        out(
            kind,
            "an outer TTL of 0 is nobody's business at the end",
            &kind.arriving(&reply).with_ttl(0),
            &reply,
        ),
        out(
            kind,
            "H15 an outer flow label changes nothing inside",
            &kind.arriving(&reply).with_v6(|outer| outer.flow_label = 0xf_ffff),
            &reply,
        ),
        out(
            kind,
            "H11 an outer DF changes nothing inside",
            &kind.arriving(&reply).with_v4(|outer| outer.dont_fragment = true),
            &reply,
        ),
        simple("M14 what arrives may be larger than the tunnel's MTU", &kind.reply(&[6; 1380]))
            .tunnel(|tunnel| tunnel.mtu = 1280),
        into(kind, "a disabled tunnel carries nothing", &kind.udp(b"off"), &kind.outer(&kind.udp(b"off")))
            .both(&Expected::Foreign)
            .tunnel(|tunnel| tunnel.flags.enabled = false),
        simple("a disabled tunnel accepts nothing", &reply)
            .both(&Expected::Foreign)
            .tunnel(|tunnel| tunnel.flags.enabled = false),
        plain(kind, "allow-fast-path=no leaves forwarding to the stack", &kind.udp(b"slow"))
            .xdp(Expected::Pass(Reason::FastPathOff))
            .tunnel(|tunnel| tunnel.flags.allow_fast_path = false),
        simple("allow-fast-path=no leaves what comes out to the stack", &reply)
            .xdp(Expected::Pass(Reason::FastPathOff))
            .tunnel(|tunnel| tunnel.flags.allow_fast_path = false),
    ]
}

/// Inner packet, outer header, and inner packet after forwarding. The bytes are scapy's, such as
/// `IP(src="192.0.2.1", dst="198.51.100.2", ttl=255, id=0x1234, proto=137, tos=0xa0)/MPLS(label=200, cos=5, s=0,
/// ttl=63)/MPLS(label=1000, cos=1, s=1, ttl=9)/IP(src="10.1.0.2", dst="10.2.0.2", id=0x4d2a)/UDP(sport=40000,
/// dport=53)/b"ipip"`; 4in4 is spelled out in `encap4`.
const SPELLED_OUT: [(Kind, &str, &str, &str); 5] = [
    (
        Kind::SIT,
        "6005 4321 000c 1140 2001 0db8 0001 0000 0000 0000 0000 0002 2001 0db8 0002 0000 0000 0000 0000 0002
         9c40 0035 000c 3507 6970 6970",
        "4500 0048 1234 0000 ff29 bd21 c000 0201 c633 6402",
        "6005 4321 000c 113f 2001 0db8 0001 0000 0000 0000 0000 0002 2001 0db8 0002 0000 0000 0000 0000 0002
         9c40 0035 000c 3507 6970 6970",
    ),
    (
        Kind::IPIP6,
        "4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
        "6000 0000 0020 04ff 2001 0db8 000a 0000 0000 0000 0000 0001 2001 0db8 000b 0000 0000 0000 0000 0002",
        "4500 0020 4d2a 0000 3f11 1a9d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
    ),
    (
        Kind::IN6,
        "6005 4321 000c 1140 2001 0db8 0001 0000 0000 0000 0000 0002 2001 0db8 0002 0000 0000 0000 0000 0002
         9c40 0035 000c 3507 6970 6970",
        "6000 0000 0034 29ff 2001 0db8 000a 0000 0000 0000 0000 0001 2001 0db8 000b 0000 0000 0000 0000 0002",
        "6005 4321 000c 113f 2001 0db8 0001 0000 0000 0000 0000 0002 2001 0db8 0002 0000 0000 0000 0000 0002
         9c40 0035 000c 3507 6970 6970",
    ),
    (
        Kind::MPLS4,
        "0006 4a40 003e 8309 4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
        "45a0 003c 1234 0000 ff89 bc2d c000 0201 c633 6402",
        "000c 8a3f 003e 8309 4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
    ),
    (
        Kind::MPLS6,
        "0006 4a40 003e 8309 4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
        "6a00 0000 0028 89ff 2001 0db8 000a 0000 0000 0000 0000 0001 2001 0db8 000b 0000 0000 0000 0000 0002",
        "000c 8a3f 003e 8309 4500 0020 4d2a 0000 4011 199d 0a01 0002 0a02 0002 9c40 0035 000c 7c79 6970 6970",
    ),
];

fn spelled_out() -> Vec<Case> {
    let row = |(kind, inner, outer, less): (Kind, &str, &str, &str)| {
        let (inner, less) = (hex(inner), hex(less));
        let around = |inner: &[u8]| Expected::Carried([&hex(outer), inner].concat());
        plain(kind, "H1 H2 H3 H4 H12 H13 T1 C1 the header byte by byte", &kind.udp(b"ipip")).with(|case| {
            case.input.splice(14.., inner.iter().copied()).for_each(drop);
            (case.xdp, case.tc) = (around(&less), around(&inner));
            case.inner_len = u32::try_from(inner.len()).unwrap();
        })
    };
    SPELLED_OUT.into_iter().map(row).collect()
}

/// Scapy: `SCTP(sport=40000, dport=5000, tag=0x01020304)/SCTPChunkData(tsn=1, stream_id=0, stream_seq=0, proto_id=0,
/// data=b"sctp", beginning=1, ending=1)`.
const SCTP_DATA: &str = "9c40 1388 0102 0304 37fc 282f 0003 0014 0000 0001 0000 0000 0000 0000 7363 7470";

/// The same as a sender leaves it to an offload (RFC 9260 6.8: the field is zero before the sum is taken).
fn without_checksum() -> Vec<u8> {
    let mut packet = hex(SCTP_DATA);
    packet[8..12].fill(0);
    packet
}
