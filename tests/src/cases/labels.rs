//! Label stacks: where labels lead, how deep they are, and what is underneath.

use std::net::IpAddr;

use super::{into, out, plain, refused, rejected};
use crate::bytes::{Any, CLIENT6, Entry, LABEL_BACK, Labelled, Segment, hex, udp, udp6};
use crate::case::{Case, Expected, Reach};
use crate::kind::Kind;
use crate::routes::to;
use crate::tunnel::{LabelRoute, Tunnel};
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    let kinds = [Kind::MPLS4, Kind::MPLS6];
    kinds
        .into_iter()
        .flat_map(|kind| {
            let handshake = vec![cut_handshake(kind)];
            [depths(kind), contents(kind), long(kind), there(kind), back(kind), cut(kind), handshake].concat()
        })
        .collect()
}

fn there_and_back(kind: Kind, name: &str, packet: &Labelled) -> [Case; 2] {
    let returning = packet.clone().with(|packet| packet.entries[0].label = LABEL_BACK).into();
    [
        plain(kind, &format!("{name}, into the tunnel"), &packet.into()),
        out(kind, &format!("{name}, out of the tunnel"), &kind.arriving(&returning), &returning),
    ]
}

fn depths(kind: Kind) -> Vec<Case> {
    let deep = |labels: u32| {
        let packet = Labelled::new(&udp(b"deep").bytes()).deeper(labels - 1);
        there_and_back(kind, &format!("H4 a stack of {labels} labels"), &packet)
    };
    let extremes = |label: u32| {
        let packet = Labelled::new(&udp(b"deep").bytes()).with(|packet| {
            packet.entries.push(Entry { label, class: 7, ttl: 255 });
        });
        there_and_back(kind, &format!("H4 an inner label of {label}"), &packet)
    };
    (1..=7).flat_map(deep).chain([0, 2, 3, 15, 0xf_ffff].into_iter().flat_map(extremes)).collect()
}

/// Whatever is underneath goes along whole.
fn contents(kind: Kind) -> Vec<Case> {
    let over = |name: &str, payload: &[u8]| there_and_back(kind, name, &Labelled::new(payload));
    let padded = |cases: [Case; 2]| cases.map(|case| case.with(|case| case.input.extend([0; 12])));
    let broken = |cases: [Case; 2]| cases.map(|case| case.with(|case| case.looks_broken = true));
    // The kernel takes no header away in front of less than an IPv4 header.
    let tiny = |[there, back]: [Case; 2]| {
        let back = back.tc(Expected::Pass(Reason::NoRoom)).with(|case| case.reach = Reach::Programs);
        [there, back]
    };
    let segment = Segment::data(&[0x42; 99]);
    [
        over("H4 IPv4 under a label", &udp(b"four").bytes()),
        over("H4 IPv6 under a label", &udp6(b"six").bytes()),
        over("C2 TCP over IPv6 under a label", &segment.packet6().bytes()),
        padded(over("H4 D4 IPv4 under a label, padding cut", &udp(b"f").bytes())),
        there_and_back(
            kind,
            "H4 D4 IPv4 under four labels, padding cut",
            &Labelled::new(&udp(b"f").bytes()).deeper(3),
        )
        .map(|case| case.with(|case| case.input.push(0))),
        // An Ethernet address that begins like an IPv4 header, with a length that is none (RFC 4928 3).
        broken(over(
            "H4 a pseudowire to 46:00:00:1c:00:01 is carried whole",
            &[hex("4600 001c 0001 0200 0000 0002 88b5"), vec![0x5a; 54]].concat(),
        )),
        broken(over(
            "H4 a pseudowire's control word under a label",
            &hex("0000 0007 0200 0000 0001 0200 0000 0002 88b5 aaaa"),
        )),
        tiny(broken(over("H4 nothing under a label", &[]))),
        tiny(broken(over("H4 one byte under a label", &[0x11]))),
        tiny(broken(over("H4 half an IPv4 header under a label", &udp(b"").bytes()[..12]))),
        broken(over(
            "H4 an IPv4 header of no length under a label",
            &hex("4000 0000 0000 0000 0000 0000 0000 0000 0000 0000"),
        )),
    ]
    .concat()
    .into_iter()
    .chain([padding_stays(kind)])
    .collect()
}

/// Packets that no padding makes longer: the next ones of their flows take the short way of tier 1.
fn long(kind: Kind) -> Vec<Case> {
    let data = [0x42; 99];
    let payloads = [
        ("UDP", udp(&data).bytes()),
        ("UDP over IPv6", udp6(&data).bytes()),
        ("TCP", Segment::data(&data).packet().bytes()),
        ("TCP over IPv6", Segment::data(&data).packet6().bytes()),
    ];
    let mut cases = Vec::new();
    for (name, payload) in &payloads {
        for labels in 1..=3 {
            let packet = Labelled::new(payload).deeper(labels - 1).with(|packet| {
                let top = &mut packet.entries[0];
                (top.class, top.ttl) = (5, 2);
            });
            cases.extend(there_and_back(kind, &format!("H4 {name} under {labels} labels"), &packet));
            let padded = there_and_back(kind, &format!("H4 {name} under {labels} labels, and more"), &packet);
            // Nothing in a long frame says that what follows is padding; an outer header does.
            cases.extend(padded.into_iter().skip(1).map(|case| case.with(|case| case.input.extend([0; 4]))));
        }
    }
    let partial = Segment::data(&data).packet_with_partial_checksum().bytes();
    let partial6 = Segment::data(&data).packet6_with_partial_checksum().bytes();
    for (name, payload) in [("IPv4", partial), ("IPv6", partial6)] {
        let packet = Labelled::new(&payload).deeper(1);
        cases.extend(incomplete(kind, &format!("C2 a partial checksum over {name} under labels"), &packet));
    }
    cases
}

fn incomplete(kind: Kind, name: &str, packet: &Labelled) -> [Case; 2] {
    there_and_back(kind, name, packet)
        .map(|case| case.xdp(Expected::Pass(Reason::PartialChecksum)).with(|case| case.looks_broken = true))
}

/// Nothing says where a packet under a label ends that is not IP.
fn padding_stays(kind: Kind) -> Case {
    let packet: Any = Labelled::new(&[0, 0, 0, 1, 0xaa, 0xbb, 0, 0, 0, 0]).into();
    plain(kind, "H4 padding behind what is not IP cannot be told from it", &packet)
        .with(|case| case.looks_broken = true)
}

fn route(label: u32, out: u32, via: Option<IpAddr>) -> impl FnOnce(&mut Tunnel) {
    move |tunnel| tunnel.labels.insert(0, LabelRoute { label, out, via })
}

/// Where labels lead that come from the client. Behind the stack, the label routes have been followed.
fn there(kind: Kind) -> Vec<Case> {
    let with_label =
        |label| Labelled::new(&udp(b"where").bytes()).with(|packet| packet.entries[0].label = label);
    let swapped = |label: u32, out: u32| {
        let inner: Any = with_label(label).into();
        let sent = with_label(out).with(|packet| packet.entries[0].ttl -= 1);
        let name = format!("H4 label {label} is swapped for {out} by tier 1");
        plain(kind, &name, &inner)
            .xdp(Expected::Carried(kind.outer(&inner).with_payload(sent.bytes()).bytes()))
            .tunnel(route(label, out, None))
    };
    vec![
        swapped(16, 17),
        swapped(0xf_ffff, 16),
        swapped(16, 0xf_ffff),
        swapped(500, 500),
        swapped(0, 0),
        plain(kind, "H4 a label that leads nowhere is foreign to tier 1", &with_label(777).into())
            .xdp(Expected::Foreign),
        plain(
            kind,
            "H4 a label that leads to a neighbour is foreign to tier 1",
            &with_label(LABEL_BACK).into(),
        )
        .xdp(Expected::Foreign),
    ]
}

/// Where labels lead that come out of the tunnel.
fn back(kind: Kind) -> Vec<Case> {
    let with_label = |label| {
        Any::from(Labelled::new(&udp(b"where").bytes()).with(|packet| packet.entries[0].label = label))
    };
    let simple = |name: &str, label| out(kind, name, &kind.arriving(&with_label(label)), &with_label(label));
    let refused = |name: &str, via: IpAddr, reason| {
        simple(name, 600).xdp(Expected::Pass(reason)).tunnel(route(600, 601, Some(via)))
    };
    let large =
        Any::from(Labelled::new(&udp(&[7; 1300]).bytes()).with(|packet| packet.entries[0].label = 600));
    vec![
        simple("H4 a label that leads nowhere is the stack's", 777).xdp(Expected::Pass(Reason::NoRoute)),
        simple("H4 a label that leads back into a tunnel is the stack's", 100)
            .xdp(Expected::Pass(Reason::SlowPort)),
        simple("H4 a label that leads to an IPv6 neighbour", 600).tunnel(route(
            600,
            700,
            Some(CLIENT6.into()),
        )),
        refused("H4 a label to an unknown neighbour is the stack's", to::NOBODY.into(), Reason::NoNeighbour),
        refused(
            "H4 a label to an unknown IPv6 neighbour is the stack's",
            to::NOBODY6.into(),
            Reason::NoNeighbour,
        ),
        out(kind, "H4 a large packet under a label", &kind.arriving(&large), &large).tunnel(route(
            600,
            700,
            Some(CLIENT6.into()),
        )),
    ]
}

/// Stacks that end too early.
fn cut(kind: Kind) -> Vec<Case> {
    let endless = |labels: u32| Labelled { has_bottom: false, ..Labelled::new(&[]).deeper(labels - 1) };
    let partial = Labelled::new(&Segment::syn(&[]).packet_with_partial_checksum().bytes());
    let partial6 = Labelled::new(&Segment::syn(&[]).packet6_with_partial_checksum().bytes());
    let short = |bytes: usize| {
        let packet = Labelled::new(&[]).into();
        refused(kind, &format!("H4 a stack of {bytes} bytes is foreign"), &packet, &Expected::Foreign)
            .with(|case| case.input.truncate(14 + bytes))
    };
    let mut cases = vec![
        short(0),
        short(3),
        refused(kind, "H4 a stack without a bottom is foreign", &endless(3).into(), &Expected::Foreign),
        rejected(
            kind,
            "H4 a stack without a bottom is malformed behind an outer header",
            &kind.arriving(&endless(3).into()),
            &Expected::Pass(Reason::Malformed),
        ),
        into(
            kind,
            "H4 a deep stack without a bottom is carried as it is",
            &endless(5).into(),
            &kind.outer(&endless(5).into()),
        )
        .with(|case| case.looks_broken = true),
    ];
    cases.extend(incomplete(kind, "C2 a partial checksum under a label", &partial));
    cases.extend(incomplete(kind, "C2 a partial checksum over IPv6 under a label", &partial6));
    cases
}

/// A handshake whose option stands behind the end of the outer packet, in the padding.
fn cut_handshake(kind: Kind) -> Case {
    let syn = Segment::syn(&hex("0204 05b4")).packet().bytes();
    let packet = Labelled::new(&syn[..syn.len() - 4]).with(|packet| packet.entries[0].label = LABEL_BACK);
    let inner: Any = (&packet).into();
    out(
        kind,
        "M13 an option behind the end of a labelled packet is not touched",
        &kind.arriving(&inner),
        &inner,
    )
    .tunnel(|tunnel| tunnel.flags.clamp_tcp_mss = true)
    .with(|case| {
        case.input.extend(hex("0204 05b4"));
        case.looks_broken = true;
    })
}
