//! The seed corpus: one small input for each way through the code, so that a fuzzer need not find them first.
//!
//! `cargo run -p ipip-tests --bin ipip-corpus` writes it to `fuzz/corpus`.

use std::path::PathBuf;

use etherparse::{Ipv6Header, PacketBuilder};

use super::packet::{LOCAL_V6, REMOTE_V6};
use super::world::{LABELS, OWN, knob, switch};
use crate::bytes::{LOCAL, Packet, REMOTE, Segment, ethernet, ping, udp};

const V4: u16 = 0x0800;
const V6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;

const CLIENT_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const SERVER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
/// An MSS of 1460 behind a NOP, and the end of the options.
const MSS: [u8; 8] = [1, 2, 4, 5, 180, 0, 0, 0];
/// Tier 1 may forward anything.
const PLAIN: u16 = switch::CARRIES_ALL | switch::FAST_PATH;

/// An input with its target and its name.
pub type Seed = (&'static str, &'static str, Vec<u8>);

/// Where the corpus is.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"))
}

/// All of them.
pub fn all() -> Vec<Seed> {
    [encap(), decap(), mss(), config()].concat()
}

fn input(knobs: u8, switches: u16, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let [high, low] = switches.to_be_bytes();
    let [mtu_high, mtu_low] = 1480_u16.to_be_bytes();
    let frame = ethernet([2; 6], [4; 6], ethertype, packet);
    [&[knobs, high, low, mtu_high, mtu_low, 64, 10, 4], frame.as_slice()].concat()
}

fn ipv6(next: u8, source: [u8; 16], destination: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let payload_length = u16::try_from(payload.len()).unwrap();
    let header = Ipv6Header {
        payload_length,
        next_header: next.into(),
        hop_limit: 64,
        source,
        destination,
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], payload].concat()
}

fn udp_from(source: [u8; 4]) -> Vec<u8> {
    udp(b"seed").with(|packet| packet.source = source).bytes()
}

fn udp_to(destination: [u8; 4]) -> Vec<u8> {
    udp(b"seed").with(|packet| packet.destination = destination).bytes()
}

fn with_checksum_of_ones(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0xff);
    packet
}

fn udp_v6() -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6(CLIENT_V6, SERVER_V6, 64).udp(40_000, 53).write(&mut packet, b"seed").unwrap();
    packet
}

fn syn_v6() -> Vec<u8> {
    let mut packet = Vec::new();
    let tcp = PacketBuilder::ipv6(CLIENT_V6, SERVER_V6, 64).tcp(40_001, 443, 1, 64_240).syn();
    tcp.options_raw(&MSS).unwrap().write(&mut packet, &[]).unwrap();
    packet
}

fn syn() -> Vec<u8> {
    Segment::syn(&MSS).packet().bytes()
}

/// `packet` under this label, and under a second one where it is deep.
fn labelled(label: u32, is_deep: bool, packet: &[u8]) -> Vec<u8> {
    let entry = |label: u32, bottom: u32| (label << 12 | bottom << 8 | 64).to_be_bytes();
    let stack = if is_deep { [entry(label, 0), entry(99, 1)].concat() } else { entry(label, 1).to_vec() };
    [&stack, packet].concat()
}

/// From the remote.
fn over_v4(protocol: u8, inner: &[u8]) -> Packet {
    Packet::new(protocol, inner).with(|outer| (outer.source, outer.destination) = (REMOTE, LOCAL))
}

/// From the remote.
fn over_v6(next: u8, inner: &[u8]) -> Vec<u8> {
    ipv6(next, REMOTE_V6, LOCAL_V6, inner)
}

/// A destination options header with the limit 4, in front of `packet`.
fn limited(next: u8, packet: &[u8]) -> Vec<u8> {
    [&[next, 0, 4, 1, 4, 1, 1, 0], packet].concat()
}

fn encap() -> Vec<Seed> {
    let udp = udp(b"seed");
    let (v4, dscp) = (udp.bytes(), udp.clone().with(|packet| packet.tos = 0xb9).bytes());
    let whole = udp.clone().with(|packet| packet.dont_fragment = true).bytes();
    let expiring = udp.clone().with(|packet| packet.ttl = 1).bytes();
    let fragment = udp.clone().with(|packet| packet.more_fragments = true).bytes();
    let options = udp.with(|packet| packet.options = vec![1; 4]).bytes();
    let (own, looped) = (udp_from(OWN), udp_from(REMOTE));
    let many = udp_to([255; 4]);
    let reached_v6 = ipv6(60, CLIENT_V6, SERVER_V6, &[59, 0, 4, 1, 0, 1, 1, 0]);
    let limited_v6 = ipv6(60, CLIENT_V6, SERVER_V6, &limited(59, &[]));
    let (tc, six) = (knob::TC, knob::OVER_IPV6);
    let seed = |name, knobs, switches, ethertype, packet: &[u8]| {
        ("encap", name, input(knobs, PLAIN | switches, ethertype, packet))
    };
    vec![
        seed("4in4-udp", 0, 0, V4, &v4),
        seed("4in4-udp-behind-the-stack", tc, 0, V4, &v4),
        seed("4in4-dscp-and-ect1", 0, 0, V4, &dscp),
        seed("4in4-fixed-dscp", 0, switch::FIXED_DSCP, V4, &dscp),
        seed("4in4-ecn-compatibility", 0, switch::COMPATIBILITY, V4, &dscp),
        seed("4in4-inherited-df", 0, switch::DONT_FRAGMENT, V4, &whole),
        seed("4in4-inherited-ttl", tc, switch::INHERIT_TTL, V4, &expiring),
        seed("4in4-ttl-expires", 0, 0, V4, &expiring),
        seed("4in4-fragment-behind-the-stack", tc, 0, V4, &fragment),
        seed("4in4-options-inside", tc, 0, V4, &options),
        seed("4in4-padded", 0, 0, V4, &[&v4[..], &[0; 9]].concat()),
        seed("4in4-allowed-destination", 0, switch::ALLOWED, V4, &v4),
        seed("4in4-no-neighbour", knob::NO_WAY, 0, V4, &v4),
        seed("4in4-two-segments", tc | knob::SEGMENTS, 0, V4, &v4),
        seed("4in4-checksum-of-all-ones", tc, 0, V4, &with_checksum_of_ones(v4.clone())),
        seed("4in6-ping", six, 0, V4, &ping(b"seed").bytes()),
        seed("4in6-flow-label-and-limit", six, switch::FLOW_LABEL | switch::LIMIT, V4, &v4),
        seed("6in4-df-of-the-path", 0, switch::DONT_FRAGMENT | switch::PATH_MTU, V6, &udp_v6()),
        seed("6in4-forbidden-source", tc, 0, V6, &ipv6(59, [0xff; 16], SERVER_V6, &[])),
        seed("6in6-udp", six, switch::FLOW_LABEL, V6, &udp_v6()),
        seed("6in6-limit-inside", six | tc, 0, V6, &limited_v6),
        seed("6in6-limit-reached", six | tc, 0, V6, &reached_v6),
        seed("4in4-own-source", 0, 0, V4, &own),
        seed("4in4-from-the-remote", tc, 0, V4, &looped),
        seed("4in4-to-everybody", 0, 0, V4, &many),
        seed("mpls-multicast", tc, 0, 0x8848, &labelled(LABELS[0], false, &v4)),
        seed("mpls-in-4-ipv4", 0, switch::DONT_FRAGMENT, MPLS, &labelled(LABELS[0], false, &v4)),
        seed("mpls-in-6-deep-ipv6", six, 0, MPLS, &labelled(LABELS[0], true, &udp_v6())),
        seed("mpls-label-alone", six | tc, 0, MPLS, &labelled(LABELS[0], false, &[])),
        seed("mpls-no-ip-below", tc, 0, MPLS, &labelled(LABELS[0], false, b"seed")),
        seed("arp-is-foreign", 0, 0, 0x0806, &[0; 28]),
    ]
}

fn decap() -> Vec<Seed> {
    let inner = udp(b"seed").backwards();
    let (v4, v6) = (inner.bytes(), udp_v6());
    let marked = inner.with(|packet| packet.tos = 2).bytes();
    let probe = Packet::new(17, b"probe")
        .with(|packet| (packet.source, packet.destination) = (LOCAL, REMOTE))
        .bytes();
    let congested = over_v4(4, &marked).with(|outer| outer.tos = 0xbb).bytes();
    let dropped = over_v4(4, &v4).with(|outer| outer.tos = 3).bytes();
    let fragment = over_v4(4, &v4).with(|outer| outer.more_fragments = true).bytes();
    let options = over_v4(4, &v4).with(|outer| outer.options = vec![1; 4]).bytes();
    let wrong_sum = over_v4(4, &v4).with(|outer| outer.wrong_checksum = true).bytes();
    let labelled_v4 = labelled(LABELS[1], false, &v4);
    let (tc, six) = (knob::TC, knob::OVER_IPV6);
    let seed = |name, knobs, switches, ethertype, packet: &[u8]| {
        ("decap", name, input(knobs, PLAIN | switches, ethertype, packet))
    };
    vec![
        seed("4in4-udp", 0, 0, V4, &over_v4(4, &v4).bytes()),
        seed("4in4-udp-behind-the-stack", tc, 0, V4, &over_v4(4, &v4).bytes()),
        seed("4in4-congestion-comes-out", 0, 0, V4, &congested),
        seed("4in4-uniform-dscp", tc, switch::DECAP_DSCP, V4, &congested),
        seed("4in4-congestion-without-ect", 0, 0, V4, &dropped),
        seed("4in4-outer-fragment", 0, 0, V4, &fragment),
        seed("4in4-outer-options", 0, 0, V4, &options),
        seed("4in4-wrong-outer-checksum", 0, 0, V4, &wrong_sum),
        seed("4in4-bytes-behind", tc, 0, V4, &over_v4(4, &[&v4[..], &[0; 5]].concat()).bytes()),
        seed("4in4-allowed-source", 0, switch::ALLOWED, V4, &over_v4(4, &v4).bytes()),
        seed("4in4-own-source", 0, 0, V4, &over_v4(4, &udp_from(OWN)).bytes()),
        seed("4in4-to-a-group", 0, 0, V4, &over_v4(4, &udp_to([224, 0, 0, 5])).bytes()),
        seed("4in4-reflected-probe", tc, 0, V4, &over_v4(4, &probe).bytes()),
        seed("4in6-udp", six, 0, V6, &over_v6(4, &v4)),
        seed("6in4-udp", 0, 0, V4, &over_v4(41, &v6).bytes()),
        seed("6in4-ipv4-inside", 0, 0, V4, &over_v4(41, &[&v4[..], &v4].concat()).bytes()),
        seed("6in4-forbidden-source", 0, 0, V4, &over_v4(41, &ipv6(59, [0xff; 16], SERVER_V6, &[])).bytes()),
        seed("6in6-udp", six, 0, V6, &over_v6(41, &v6)),
        seed("6in6-limit-outside", six, 0, V6, &over_v6(60, &limited(41, &v6))),
        seed("mpls-in-4-ipv4", 0, 0, V4, &over_v4(137, &labelled_v4).bytes()),
        seed("mpls-in-6-deep-ipv6", six, 0, V6, &over_v6(137, &labelled(LABELS[1], true, &v6))),
        seed(
            "mpls-in-6-stack-in-the-padding",
            six,
            0,
            V6,
            &[over_v6(137, &[]), vec![0, 1, 0x10, 0x40, 0, 1, 0x21, 0x40]].concat(),
        ),
        seed(
            "mpls-in-4-stack-cut-short",
            tc,
            0,
            V4,
            &[over_v4(137, &[0, 1]).bytes(), vec![0x11, 0x40]].concat(),
        ),
        seed("gre-is-foreign", 0, 0, V4, &over_v4(47, &v4).bytes()),
    ]
}

fn mss() -> Vec<Seed> {
    let (v4, v6) = (syn(), syn_v6());
    let answer = Segment::syn(&MSS).with(|segment| segment.ack = true).packet().backwards().bytes();
    let data = Segment::syn(&MSS).with(|segment| segment.syn = false).packet().bytes();
    let broken = Segment::syn(&[2, 0, 5, 180]).packet().bytes();
    let (six, out) = (knob::OVER_IPV6, knob::OUT);
    let seed = |name, knobs, ethertype, packet: &[u8]| ("mss", name, input(knobs, PLAIN, ethertype, packet));
    vec![
        seed("4in4-syn-with-mss", 0, V4, &v4),
        seed("4in4-syn-ack-comes-out", out, V4, &over_v4(4, &answer).bytes()),
        seed("4in4-no-syn", 0, V4, &data),
        seed("4in4-syn-with-broken-options", 0, V4, &broken),
        seed("4in6-syn-with-mss", six, V4, &v4),
        seed("6in4-syn-with-mss", 0, V6, &v6),
        seed("6in6-syn-comes-out", six | out, V6, &over_v6(41, &v6)),
        seed("mpls-syn-with-mss", 0, MPLS, &labelled(LABELS[0], true, &v4)),
    ]
}

fn config() -> Vec<Seed> {
    let ends = "[[tunnel]]\nlocal-address = \"192.0.2.1\"\nremote-address = \"198.51.100.2\"\n";
    let six = "[[tunnel]]\nkind = \"6in6\"\nlocal-address = \"2001:db8::1\"\nremote-address = \"2001:db8::2\"\nencapsulation-limit = 4\n";
    let words = "mtu = 1400\ndscp = \"inherit\"\ndont-fragment = \"inherit\"\nclamp-tcp-mss = \"no\"\ncomment = \"to \\u00e5\"\n";
    let seed = |name, text: String| ("config", name, text.into_bytes());
    vec![
        seed("empty", "# nothing\n".to_owned()),
        seed(
            "two-tunnels",
            format!("interfaces = [\"eth0\"]\n{ends}{words}\n{}", ends.replace("100.2", "100.3")),
        ),
        seed(
            "names-and-switches",
            format!("{ends}name = \"a1\"\ndisabled = true\nallow-fast-path = false\nkeepalive = 0\n"),
        ),
        seed("over-ipv6", six.to_owned()),
        seed("unknown-key", format!("{ends}remote_adress = \"x\"\n")),
        seed("same-ends-twice", format!("{ends}{ends}")),
        seed("no-toml", "[[tunnel]\n".to_owned()),
    ]
}
