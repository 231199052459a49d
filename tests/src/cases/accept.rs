//! Whom a tunnel of any kind accepts, and what it makes of headers that contradict themselves.

use std::net::Ipv6Addr;

use super::{out, rejected};
use crate::bytes::{Any, GRE, IPIP, IPV6, MPLS, UDP};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::{Carried, Family, Reason};

pub(super) fn cases() -> Vec<Case> {
    let all = Kind::ALL
        .into_iter()
        .flat_map(|kind| [peers(kind), protocols(kind), outer_lengths(kind), inner_lengths(kind)].concat());
    let sources = [Kind::SIT, Kind::IN6].into_iter().flat_map(sources);
    all.chain(Kind::IP.into_iter().map(version)).chain(sources).collect()
}

fn peers(kind: Kind) -> Vec<Case> {
    let outer = kind.arriving(&kind.reply(b"who"));
    let foreign = |name: &str, outer: Any| rejected(kind, name, &outer, &Expected::Foreign);
    let from = |over4: [u8; 4], over6: &str| {
        let over6: Ipv6Addr = over6.parse().unwrap();
        outer.clone().with_v4(|outer| outer.source = over4).with_v6(|outer| outer.source = over6)
    };
    let to = |over4: [u8; 4], over6: &str| {
        let over6: Ipv6Addr = over6.parse().unwrap();
        outer.clone().with_v4(|outer| outer.destination = over4).with_v6(|outer| outer.destination = over6)
    };
    vec![
        foreign("D1 a neighbour of the remote is not accepted", from([198, 51, 100, 3], "2001:db8:b::3")),
        foreign(
            "D1 a remote that differs in its first bits is not accepted",
            from([70, 51, 100, 2], "a001:db8:b::2"),
        ),
        foreign(
            "D1 a remote that differs in the middle is not accepted",
            from([198, 52, 100, 2], "2001:db8:b:0:1::2"),
        ),
        foreign("D1 our own address as source is not accepted", from([192, 0, 2, 1], "2001:db8:a::1")),
        foreign("D2 another destination is not accepted", to([192, 0, 2, 77], "2001:db8:a::77")),
        foreign("D2 another address of this host is not accepted", to([10, 1, 0, 1], "2001:db8:1::1")),
        foreign("D2 a multicast destination is not accepted", to([224, 0, 0, 9], "ff02::9")),
        foreign("D1 D2 the ends the wrong way round are not accepted", outer.clone().backwards()),
    ]
}

/// Everything else between the same ends, also what another tunnel could carry.
fn protocols(kind: Kind) -> Vec<Case> {
    let outer = kind.arriving(&kind.reply(b"what"));
    let others = [IPIP, IPV6, MPLS, GRE, UDP, 94, 50, 0, 255];
    let other = |protocol| {
        let outer = outer
            .clone()
            .with_v4(|outer| outer.protocol = protocol)
            .with_v6(|outer| outer.protocol = protocol);
        let name = format!("D11 protocol {protocol} between the same ends is foreign");
        rejected(kind, &name, &outer, &Expected::Foreign)
    };
    others.into_iter().filter(|protocol| *protocol != kind.protocol()).map(other).collect()
}

fn outer_lengths(kind: Kind) -> Vec<Case> {
    let outer = kind.arriving(&kind.reply(&[4; 40]));
    let malformed = |name: &str, outer: &Any| rejected(kind, name, outer, &Expected::Pass(Reason::Malformed));
    let length = |total: u16| {
        let over6 = total.saturating_sub(40);
        outer
            .clone()
            .with_v4(|outer| outer.total_len = Some(total))
            .with_v6(|outer| outer.payload_len = Some(over6))
    };
    let cut = |bytes: usize| {
        let mut outer = outer.clone();
        outer.payload_mut().truncate(bytes);
        outer
    };
    let first_byte = if kind.outer == Family::V4 { 0x65 } else { 0x45 };
    let other_version = outer
        .clone()
        .with_v4(|outer| outer.first_byte = Some(first_byte))
        .with_v6(|outer| outer.first_byte = Some(first_byte));
    let least = match kind.inner {
        Carried::Ipv4 => 20,
        Carried::Ipv6 => 40,
        Carried::Mpls => 4,
    };
    let like_a_header = if kind.inner == Carried::Ipv6 { 0x60 } else { 0x45 };
    let padded = |name: &str, bytes: usize| {
        rejected(kind, name, &cut(bytes), &Expected::Drop(Reason::BadLength))
            .with(|case| case.input.extend([like_a_header; 64]))
    };
    let mut cases = vec![
        malformed("D9 an outer length beyond the frame is malformed", &length(1000)),
        malformed("D9 an outer packet without room for an inner header is malformed", &cut(least - 1)),
        malformed("D9 an outer packet of a header alone is malformed", &cut(0)),
        padded("D4 padding lends no bytes to an inner header that is cut short", least - 1),
        padded("D4 padding does not stand for an inner header", 0),
        rejected(kind, "D9 another outer version is foreign", &other_version, &Expected::Foreign),
    ];
    if kind.inner != Carried::Mpls {
        cases.push(rejected(
            kind,
            "D4 an outer length that cuts the inner packet",
            &length(kind.overhead() + u16::try_from(least).unwrap() + 1),
            &Expected::Drop(Reason::BadLength),
        ));
    }
    cases
}

/// Nothing says how long a labelled packet is.
fn inner_lengths(kind: Kind) -> Vec<Case> {
    if kind.inner == Carried::Mpls {
        return Vec::new();
    }
    let inner = kind.reply(b"length");
    let drop = |name: &str, outer: &Any| rejected(kind, name, outer, &Expected::Drop(Reason::BadLength));
    let cut = |bytes: usize| {
        let mut outer = kind.arriving(&inner);
        let length = outer.payload_mut().len();
        outer.payload_mut().truncate(length - bytes);
        outer
    };
    let padded = |case: Case, bytes: usize| case.with(|case| case.input.extend(vec![0; bytes]));
    vec![
        drop("D4 an inner packet one byte longer than the outer's is dropped", &cut(1)),
        drop("D4 an inner packet that lost its transport is dropped", &cut(14)),
        padded(drop("D4 padding does not lend length to the inner packet", &cut(4)), 20),
    ]
}

/// The inner version is the one that the protocol number says.
fn version(kind: Kind) -> Case {
    let wrong = if kind.inner == Carried::Ipv4 { 0x65 } else { 0x45 };
    let inner = kind
        .reply(&[5; 24])
        .with_v4(|inner| inner.first_byte = Some(wrong))
        .with_v6(|inner| inner.first_byte = Some(wrong));
    let name = "D9 another inner version is dropped";
    rejected(kind, name, &kind.arriving(&inner), &Expected::Drop(Reason::InnerVersion))
}

/// RFC 4213 3.6: sources that no tunnel may bring in.
fn sources(kind: Kind) -> Vec<Case> {
    let from = |source: &str| {
        let source: Ipv6Addr = source.parse().unwrap();
        kind.reply(b"from").with_v6(|inner| inner.source = source)
    };
    let to = |destination: &str| {
        let destination: Ipv6Addr = destination.parse().unwrap();
        kind.reply(b"to").with_v6(|inner| inner.destination = destination)
    };
    let drop = |source: &str| {
        let name = format!("D3 an inner source of {source} is dropped");
        rejected(kind, &name, &kind.arriving(&from(source)), &Expected::Drop(Reason::BadSource))
    };
    let scoped = |name: String, inner: &Any| {
        out(kind, &name, &kind.arriving(inner), inner)
            .xdp(Expected::Pass(Reason::Martian))
            .with(|case| case.looks_broken = true)
    };
    let carried = |source: &str| {
        let name = format!("D3 an inner source of {source} is carried");
        let inner = from(source);
        out(kind, &name, &kind.arriving(&inner), &inner).with(|case| case.looks_broken = true)
    };
    let dropped =
        ["ff02::1", "ffff::1", "::1", "::2", "::10.1.0.2", "::ffff:10.1.0.2", "::ffff:0.0.0.0"].map(drop);
    let by_source = ["::", "fe80::1", "febf::1"].map(|source| {
        scoped(format!("D3 an inner source of {source} is the stack's to judge"), &from(source))
    });
    let by_destination = ["::1", "fe80::1", "ff02::1", "ff0e::1"].map(|address| {
        scoped(format!("an inner destination of {address} is the stack's to judge"), &to(address))
    });
    let others =
        ["::1:10.1.0.2", "::fffe:10.1.0.2", "64:ff9b::a01:2", "fec0::1", "fd00::1", "fe00::1"].map(carried);
    [dropped.to_vec(), by_source.to_vec(), by_destination.to_vec(), others.to_vec()].concat()
}
