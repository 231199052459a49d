//! The MSS of TCP handshakes, both ways and for every kind: conformance fact M13 (RFC 9293 3.7.1, RFC 6691).

use super::{out, plain};
use crate::bytes::{Any, Extension, Labelled, Packet, Segment, TCP, hex};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::{Carried, Reason};

/// Raw options of a SYN; MMMM is the MSS.
const LOWERED: [(&str, &str); 10] = [
    ("alone", "0204 MMMM"),
    ("first of many", "0204 MMMM 0402 0101 0303 0700"),
    ("behind one NOP, at an odd offset", "01 0204 MMMM 0000 00"),
    ("behind two NOPs", "0101 0204 MMMM 0000"),
    ("behind three NOPs, at an odd offset", "0101 01 0204 MMMM 00"),
    ("behind timestamps and window scale", "080a 0102 0304 0000 0000 0303 07 0204 MMMM 0000 00"),
    ("behind an unknown option", "fe05 0102 03 0204 MMMM 0000 00"),
    ("in front of a TCP Fast Open cookie", "0204 MMMM 220a 0102 0304 0506 0708 0101"),
    ("behind a TCP Fast Open cookie", "220a 0102 0304 0506 0708 0204 MMMM 0101"),
    (
        "at the end of the longest header",
        "0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0204 MMMM",
    ),
];

/// Raw options that are left alone; MMMM is an MSS that would be lowered.
const LEFT_ALONE: [(&str, &str); 13] = [
    ("1200, which fits", "0204 04b0"),
    ("absent, no options at all", ""),
    ("absent, other options only", "0402 080a 0000 0001 0000 0000 0103 0307"),
    ("behind the end of the list", "0000 0000 0204 MMMM"),
    ("of a wrong length 3", "0203 0501"),
    ("of a wrong length 6", "0206 MMMM 0000 0000"),
    ("of length 0", "0200 MMMM"),
    ("of length 1", "0201 MMMM"),
    ("behind an option of length 0", "0800 0204 MMMM 0000"),
    ("behind an option of length 1", "fe01 0204 MMMM 0000"),
    ("behind an option that claims more than there is", "fe28 0204 MMMM 0000"),
    ("cut short after its length", "0101 0204"),
    ("cut short inside its value", "0102 0405"),
];

pub(super) fn cases() -> Vec<Case> {
    let all = Kind::ALL
        .into_iter()
        .flat_map(|kind| [lists(kind), segments(kind), settings(kind), hidden(kind)].concat());
    all.collect()
}

/// The MSS that fits, by the table of section 1: MTU less the fixed headers of IP and TCP.
fn fitting(kind: Kind) -> u16 {
    match kind.to_string().as_str() {
        "4in4" => 1440,
        "6in4" | "4in6" => 1420,
        "6in6" => 1400,
        "MPLS over IPv4" => 1436,
        _ => 1416,
    }
}

fn options(template: &str, mss: u16) -> Vec<u8> {
    hex(&template.replace("MMMM", &format!("{mss:04x}")))
}

/// A SYN with an MSS alone.
fn syn(mss: u16) -> Segment {
    Segment::syn(&options("0204 MMMM", mss))
}

/// The case in both directions, with the clamp on.
fn both_ways(kind: Kind, name: &str, before: &Segment, after: &Segment) -> [Case; 2] {
    packets_both_ways(kind, &format!("M13 {name}"), &kind.tcp(before), &kind.tcp(after))
}

pub(super) fn packets_both_ways(kind: Kind, name: &str, before: &Any, after: &Any) -> [Case; 2] {
    let there = plain(kind, &format!("{name}, into the tunnel"), after)
        .with(|case| case.input.splice(14.., before.bytes()).for_each(drop));
    let outer = kind.arriving(&before.clone().backwards());
    let back = out(kind, &format!("{name}, out of the tunnel"), &outer, &after.clone().backwards());
    [there, back].map(|case| case.tunnel(|tunnel| tunnel.flags.clamp_tcp_mss = true))
}

fn lists(kind: Kind) -> Vec<Case> {
    let (fits, large) = (fitting(kind), fitting(kind) + 20);
    let lowered = LOWERED.iter().flat_map(|(what, template)| {
        let segment = |mss| Segment::syn(&options(template, mss));
        both_ways(kind, &format!("a SYN's MSS {what} is lowered"), &segment(large), &segment(fits))
    });
    let left_alone = LEFT_ALONE.iter().flat_map(|(what, template)| {
        let segment = Segment::syn(&options(template, large));
        both_ways(kind, &format!("a SYN's MSS {what} is left alone"), &segment, &segment)
    });
    let extremes = [0xffff, fits + 1]
        .into_iter()
        .flat_map(|mss| both_ways(kind, &format!("a SYN's MSS of {mss} is lowered"), &syn(mss), &syn(fits)));
    let small = [0, 536, fits - 1, fits].into_iter().flat_map(|mss| {
        both_ways(kind, &format!("a SYN's MSS of {mss} is left alone"), &syn(mss), &syn(mss))
    });
    lowered.chain(left_alone).chain(extremes).chain(small).collect()
}

fn segments(kind: Kind) -> Vec<Case> {
    let (large, fits) = (syn(1460), syn(fitting(kind)));
    let both = |what: &str, change: fn(&mut Segment), lowered: bool| {
        let after = if lowered { &fits } else { &large };
        both_ways(kind, what, &large.clone().with(change), &after.clone().with(change))
    };
    [
        both("a SYN-ACK's MSS is lowered", |segment| segment.ack = true, true),
        both("the MSS of a SYN with data is lowered", |segment| segment.data = b"fast open".to_vec(), true),
        both(
            "the MSS of a SYN with an odd length is lowered",
            |segment| segment.data = b"odd".to_vec(),
            true,
        ),
        both("the MSS of a full SYN is lowered", |segment| segment.data = vec![0x77; 1300], true),
        both("an MSS without SYN is left alone", |segment| (segment.syn, segment.ack) = (false, true), false),
        cut(kind, 19),
        cut(kind, 22),
        broken_offset(kind, 0x40),
        broken_offset(kind, 0xf0),
    ]
    .concat()
}

/// A SYN of which only the first bytes are there.
fn cut(kind: Kind, bytes: usize) -> [Case; 2] {
    let payload = syn(1460).packet().payload;
    let packet = kind.other(TCP, &payload[..bytes]);
    packets_both_ways(kind, &format!("M13 a SYN of {bytes} bytes is left alone"), &packet, &packet)
        .map(|case| case.with(|case| case.looks_broken = true))
}

/// A SYN whose data offset says too little, or more than there is.
fn broken_offset(kind: Kind, offset: u8) -> [Case; 2] {
    let mut payload = syn(1460).packet().payload;
    payload[12] = offset;
    let packet = kind.other(TCP, &payload);
    let name = format!("M13 a SYN with data offset {} is left alone", offset >> 4);
    packets_both_ways(kind, &name, &packet, &packet).map(|case| case.with(|case| case.looks_broken = true))
}

fn settings(kind: Kind) -> Vec<Case> {
    let fixed = kind.fixed_header() + 20;
    let off = both_ways(kind, "clamp-tcp-mss=no leaves an MSS alone", &syn(1460), &syn(1460))
        .map(|case| case.tunnel(|tunnel| tunnel.flags.clamp_tcp_mss = false));
    let lower = both_ways(kind, "a smaller MTU means a smaller MSS", &syn(1460), &syn(1280 - fixed))
        .map(|case| case.tunnel(|tunnel| tunnel.mtu = 1280));
    // Too small for any data: the arithmetic does not wrap around.
    let least = both_ways(kind, "an MTU below the headers means an MSS of 0", &syn(1460), &syn(0))
        .map(|case| case.tunnel(|tunnel| tunnel.mtu = 30).both(&Expected::Pass(Reason::TooBig)))
        .into_iter()
        .take(1);
    off.into_iter().chain(lower).chain(least).collect()
}

/// What hides the TCP header: fragments, and headers in between.
fn hidden(kind: Kind) -> Vec<Case> {
    let segment = syn(1460);
    let payload = segment.packet().payload;
    let broken = |cases: [Case; 2]| cases.map(|case| case.with(|case| case.looks_broken = true));
    let same =
        |name: &str, packet: Any| broken(packets_both_ways(kind, &format!("M13 {name}"), &packet, &packet));
    let to_stack = |cases: [Case; 2], reason| cases.map(|case| case.xdp(Expected::Pass(reason)));
    match kind.inner {
        Carried::Ipv4 => {
            let first = segment.packet().with(|packet| packet.more_fragments = true);
            let later = Packet::new(TCP, &payload).with(|packet| packet.fragment_offset = 3);
            let behind =
                |segment: &Segment| segment.packet().with(|packet| packet.options = hex("0101 0100")).into();
            let options = packets_both_ways(
                kind,
                "M13 a SYN behind IP options is lowered",
                &behind(&segment),
                &behind(&syn(fitting(kind))),
            );
            [
                to_stack(same("a SYN in a first fragment is left alone", first.into()), Reason::Fragment),
                to_stack(
                    same("what looks like a SYN in a later fragment is left alone", later.into()),
                    Reason::Fragment,
                ),
                to_stack(options, Reason::Options),
            ]
            .concat()
        }
        Carried::Ipv6 => {
            let behind = |extension| Any::from(segment.packet6().extended(extension));
            [
                to_stack(
                    same("a SYN behind hop-by-hop options is left alone", behind(Extension::hop_by_hop(&[]))),
                    Reason::Options,
                ),
                same("a SYN behind destination options is left alone", behind(Extension::destination(&[]))),
                same("a SYN behind a routing header is left alone", behind(Extension::routing())),
                same("a SYN in a first fragment is left alone", behind(Extension::fragment(0, true))),
                same("a SYN in an atomic fragment is left alone", behind(Extension::fragment(0, false))),
                same("a SYN in a later fragment is left alone", behind(Extension::fragment(9, false))),
            ]
            .concat()
        }
        Carried::Mpls => {
            let under = |packet: &[u8]| Any::from(Labelled::new(packet));
            let first = segment.packet().with(|packet| packet.more_fragments = true);
            let behind = segment.packet6().extended(Extension::destination(&[]));
            [
                same("a SYN in a first fragment under a label is left alone", under(&first.bytes())),
                same("a SYN behind destination options under a label is left alone", under(&behind.bytes())),
            ]
            .concat()
        }
    }
}
