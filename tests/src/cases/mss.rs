//! The MSS of TCP handshakes, both ways: conformance fact M13 (RFC 9293 3.7.1, RFC 6691).

use super::{arriving, decapsulated, encapsulated, plain_outer};
use crate::bytes::{Packet, Segment, TCP, hex};
use crate::case::{Case, Expected};
use ipip_common::abi::Reason;

/// Raw options of a SYN before, and after a tunnel with an MTU of 1480: 1460 becomes 1440.
const LOWERED: [(&str, &str, &str); 9] = [
    ("alone", "0204 05b4", "0204 05a0"),
    ("first of many", "0204 05b4 0402 0101 0303 0700", "0204 05a0 0402 0101 0303 0700"),
    ("behind one NOP, at an odd offset", "0102 0405 b400 0000", "0102 0405 a000 0000"),
    ("behind two NOPs", "0101 0204 05b4 0000", "0101 0204 05a0 0000"),
    ("behind three NOPs, at an odd offset", "0101 0102 0405 b400", "0101 0102 0405 a000"),
    (
        "behind timestamps and window scale",
        "080a 0102 0304 0000 0000 0303 0702 0405 b400 0000",
        "080a 0102 0304 0000 0000 0303 0702 0405 a000 0000",
    ),
    ("behind an unknown option", "fe05 0102 0302 0405 b400 0000", "fe05 0102 0302 0405 a000 0000"),
    (
        "at the end of the longest header",
        "0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0204 05b4",
        "0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0101 0204 05a0",
    ),
    ("of 65535", "0204 ffff", "0204 05a0"),
];

/// Raw options that are left alone.
const LEFT_ALONE: [(&str, &str); 14] = [
    ("1200, which fits", "0204 04b0"),
    ("1440, which just fits", "0204 05a0"),
    ("absent, no options at all", ""),
    ("absent, other options only", "0402 080a 0000 0001 0000 0000 0103 0307"),
    ("behind the end of the list", "0000 0000 0204 05b4"),
    ("of a wrong length 3", "0203 0501"),
    ("of a wrong length 6", "0206 05b4 0000 0000"),
    ("of length 0", "0200 05b4"),
    ("of length 1", "0201 05b4"),
    ("behind an option of length 0", "0800 0204 05b4 0000"),
    ("behind an option of length 1", "fe01 0204 05b4 0000"),
    ("behind an option that claims more than there is", "fe28 0204 05b4 0000"),
    ("cut short after its length", "0101 0204"),
    ("cut short inside its value", "0102 0405"),
];

pub(super) fn cases() -> Vec<Case> {
    let lowered = LOWERED.iter().flat_map(|(what, before, after)| {
        let name = format!("M13 a SYN's MSS {what} is lowered");
        both_ways(&name, &Segment::syn(&hex(before)), &Segment::syn(&hex(after)))
    });
    let left_alone = LEFT_ALONE.iter().flat_map(|(what, options)| {
        let name = format!("M13 a SYN's MSS {what} is left alone");
        both_ways(&name, &Segment::syn(&hex(options)), &Segment::syn(&hex(options)))
    });
    lowered.chain(left_alone).chain(segments()).chain(settings()).collect()
}

/// The case in both directions, with the clamp on.
fn both_ways(name: &str, before: &Segment, after: &Segment) -> [Case; 2] {
    packets_both_ways(name, &before.packet(), &after.packet())
}

fn packets_both_ways(name: &str, before: &Packet, after: &Packet) -> [Case; 2] {
    let into = encapsulated(&format!("{name}, into the tunnel"), after, &plain_outer(after))
        .with(|case| case.input.splice(14.., before.bytes()).for_each(drop));
    let out = decapsulated(
        &format!("{name}, out of the tunnel"),
        &arriving(&before.clone().backwards()),
        &after.clone().backwards(),
    );
    [into, out].map(|case| case.tunnel(|tunnel| tunnel.flags.clamp_tcp_mss = true))
}

fn segments() -> Vec<Case> {
    let (large, clamped) = (hex("0204 05b4"), hex("0204 05a0"));
    let answer = |options: &[u8]| Segment::syn(options).with(|segment| segment.ack = true);
    let loaded = |options: &[u8]| Segment::syn(options).with(|segment| segment.data = b"fast open".to_vec());
    let odd = |options: &[u8]| Segment::syn(options).with(|segment| segment.data = b"odd".to_vec());
    let no_syn = |options: &[u8]| answer(options).with(|segment| segment.syn = false);
    let first = |options| Segment::syn(options).packet().with(|packet| packet.more_fragments = true);
    let later =
        Packet::new(TCP, &Segment::syn(&large).packet().payload).with(|packet| packet.fragment_offset = 3);
    let with_options =
        |options| Segment::syn(options).packet().with(|packet| packet.options = hex("0101 0100"));
    let to_stack = |cases: [Case; 2], reason| cases.map(|case| case.xdp(Expected::Pass(reason)));
    let broken = |cases: [Case; 2]| cases.map(|case| case.with(|case| case.looks_broken = true));
    [
        both_ways("M13 a SYN-ACK's MSS is lowered", &answer(&large), &answer(&clamped)),
        both_ways("M13 the MSS of a SYN with data is lowered", &loaded(&large), &loaded(&clamped)),
        both_ways("M13 the MSS of a SYN with an odd length is lowered", &odd(&large), &odd(&clamped)),
        both_ways("M13 an MSS without SYN is left alone", &no_syn(&large), &no_syn(&large)),
        to_stack(
            packets_both_ways("M13 a SYN in a first fragment is left alone", &first(&large), &first(&large)),
            Reason::Fragment,
        ),
        to_stack(
            broken(packets_both_ways(
                "M13 what looks like a SYN in a later fragment is left alone",
                &later,
                &later,
            )),
            Reason::Fragment,
        ),
        to_stack(
            packets_both_ways(
                "M13 a SYN behind IP options is lowered",
                &with_options(&large),
                &with_options(&clamped),
            ),
            Reason::Options,
        ),
        broken(packets_both_ways(
            "M13 a TCP header that is cut short is left alone",
            &cut(&large, 19),
            &cut(&large, 19),
        )),
        broken(packets_both_ways(
            "M13 TCP options that are cut short are left alone",
            &cut(&large, 22),
            &cut(&large, 22),
        )),
        broken_offset(0x40),
        broken_offset(0xf0),
    ]
    .concat()
}

/// A SYN of which only the first bytes are there.
fn cut(options: &[u8], bytes: usize) -> Packet {
    Segment::syn(options).packet().with(|packet| packet.payload.truncate(bytes))
}

/// A SYN whose data offset says too little, or more than there is.
fn broken_offset(offset: u8) -> [Case; 2] {
    let packet = Segment::syn(&hex("0204 05b4")).packet().with(|packet| packet.payload[12] = offset);
    packets_both_ways(&format!("M13 a SYN with data offset {} is left alone", offset >> 4), &packet, &packet)
        .map(|case| case.with(|case| case.looks_broken = true))
}

fn settings() -> Vec<Case> {
    let (large, small) = (Segment::syn(&hex("0204 05b4")), Segment::syn(&hex("0204 04d8")));
    let off = both_ways("M13 clamp-tcp-mss=no leaves an MSS alone", &large, &large)
        .map(|case| case.tunnel(|tunnel| tunnel.flags.clamp_tcp_mss = false));
    let lower = both_ways("M13 an MTU of 1280 means an MSS of 1240", &large, &small)
        .map(|case| case.tunnel(|tunnel| tunnel.mtu = 1280));
    [off, lower].concat()
}
