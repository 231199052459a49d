//! The fields of the outer header that settings decide: DF, identification, TTL, DSCP.

use super::{into, out, plain, refused};
use crate::bytes::{Any, Entry, Labelled, udp};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::tunnel::Tunnel;
use ipip_common::abi::{Carried, Reason};

pub(super) fn cases() -> Vec<Case> {
    let all = Kind::ALL
        .into_iter()
        .flat_map(|kind| [dont_fragment(kind), ttl(kind), dscp(kind), dscp_behind(kind)].concat());
    all.chain(sit_mtu()).chain(classes()).collect()
}

fn inherit(tunnel: &mut Tunnel) {
    tunnel.flags.inherit_dont_fragment = true;
}

fn path(tunnel: &mut Tunnel) {
    (tunnel.flags.inherit_dont_fragment, tunnel.flags.path_mtu) = (true, true);
}

/// The outer header with DF, and so without an identification, if it is IPv4.
fn atomic(outer: Any) -> Any {
    outer.with_v4(|outer| (outer.dont_fragment, outer.ident) = (true, 0))
}

fn dont_fragment(kind: Kind) -> Vec<Case> {
    let whole = kind.udp(b"do not cut").with_v4(|inner| inner.dont_fragment = true);
    let cut = kind.udp(b"cut me");
    let (marked, unmarked) = (atomic(kind.outer(&whole)), kind.outer(&whole));
    // What has no DF of its own: IPv6 goes as if it had one where the path's MTU is known, labels always.
    let [by_static, by_path] = match kind.inner {
        Carried::Ipv4 => [kind.outer(&cut), kind.outer(&cut)],
        Carried::Ipv6 => [kind.outer(&cut), atomic(kind.outer(&cut))],
        Carried::Mpls => [atomic(kind.outer(&cut)), atomic(kind.outer(&cut))],
    };
    let inherited = if kind.inner == Carried::Ipv6 { &unmarked } else { &marked };
    vec![
        into(kind, "H6 H9 DF is not inherited by default", &whole, &unmarked),
        into(kind, "H6 H9 H11 an inner DF is inherited", &whole, inherited).tunnel(inherit),
        into(kind, "H7 H8 H9 no inner DF, dont-fragment=inherit", &cut, &by_static).tunnel(inherit),
        into(kind, "H7 H8 H9 no inner DF, dont-fragment=inherit, mtu=auto", &cut, &by_path).tunnel(path),
        into(kind, "H8 mtu=auto alone sets no DF", &cut, &kind.outer(&cut))
            .tunnel(|tunnel| tunnel.flags.path_mtu = true),
        into(kind, "H11 the identification is the next of this processor's", &cut, &{
            kind.outer(&cut).with_v4(|outer| outer.ident = 0x7ffe)
        })
        .with(|case| case.ident = 0x7ffe),
    ]
}

/// RFC 4213 3.2.2: what has to pass whatever the path goes without DF.
fn sit_mtu() -> Vec<Case> {
    let kind = Kind::SIT;
    let of = |length: usize| kind.udp(&vec![0x5a; length - 48]);
    let carried = |name: &str, length, mtu, outer: fn(Any) -> Any| {
        into(kind, name, &of(length), &outer(kind.outer(&of(length))))
            .tunnel(path)
            .tunnel(|tunnel| tunnel.mtu = mtu)
    };
    let same = |outer| outer;
    let too_big = |name: &str, length, mtu| {
        refused(kind, name, &of(length), &Expected::Pass(Reason::TooBig))
            .tunnel(path)
            .tunnel(|tunnel| tunnel.mtu = mtu)
    };
    vec![
        carried("H8 M5 an MTU of 1280 and a packet of 1280: DF", 1280, 1280, atomic),
        carried("H8 M5 an MTU of 1480 and a packet of 1480: DF", 1480, 1480, atomic),
        carried("H8 M5 an MTU of 1279 and a packet of 1279: no DF", 1279, 1279, same),
        carried("H8 M5 an MTU of 1000 and a packet of 60: no DF", 60, 1000, same),
        too_big("H8 M5 an MTU of 1280 and a packet of 1281: the stack's", 1281, 1280),
        too_big("H8 M5 an MTU of 1000 and a packet of 1281: the stack's", 1281, 1000),
    ]
}

fn ttl(kind: Kind) -> Vec<Case> {
    let fixed = |name: &str, outer_ttl| {
        let inner = kind.udp(b"hops").with_ttl(9);
        into(kind, name, &inner, &kind.outer(&inner).with_ttl(outer_ttl))
            .tunnel(|tunnel| tunnel.ttl = outer_ttl)
    };
    let inherited = |ttl: u8| {
        let inner = kind.udp(b"hops").with_ttl(ttl);
        let outer = |ttl, inner: Any| kind.outer(&inner).with_ttl(ttl).with_payload(inner.bytes()).bytes();
        into(kind, &format!("H12 the inner TTL {ttl} is inherited as it leaves"), &inner, &kind.outer(&inner))
            .xdp(Expected::Carried(outer(ttl - 1, inner.clone().forwarded())))
            .tc(Expected::Carried(outer(ttl, inner)))
            .tunnel(|tunnel| tunnel.flags.inherit_ttl = true)
    };
    vec![
        fixed("H12 the outer TTL is the tunnel's, 1", 1),
        fixed("H12 the outer TTL is the tunnel's, 64", 64),
        fixed("H12 the outer TTL is the tunnel's, 255", 255),
        inherited(2),
        inherited(64),
        inherited(255),
        inherited(1).xdp(Expected::Pass(Reason::TtlExpired)),
    ]
}

fn dscp(kind: Kind) -> Vec<Case> {
    let fixed = |dscp: u8, tos: u8| {
        let inner = kind.udp(b"voice").with_tos(tos);
        // Labels have no ECN field.
        let field = if kind.inner == Carried::Mpls { 0 } else { tos & 3 };
        let name = format!("H13 E1 DSCP is fixed to {dscp}, whatever {tos:#04x} says");
        into(kind, &name, &inner, &kind.outer(&inner).with_tos(dscp << 2 | field)).tunnel(|tunnel| {
            (tunnel.flags.fixed_dscp, tunnel.dscp) = (true, dscp);
        })
    };
    let inherited = |tos: u8| {
        plain(kind, &format!("H13 DSCP of {tos:#04x} is inherited"), &kind.udp(b"voice").with_tos(tos))
    };
    vec![
        inherited(46 << 2),
        inherited(0x20),
        inherited(0xfc),
        fixed(10, 46 << 2),
        fixed(10, 46 << 2 | 2),
        fixed(0, 0xff),
        fixed(63, 0),
    ]
}

/// RFC 2983 5: the pipe model by default, the uniform model with `decap-dscp=yes`.
fn dscp_behind(kind: Kind) -> Vec<Case> {
    let case = |name: &str, outer_tos: u8, inner_tos: u8, expected: u8| {
        let inner = kind.reply(b"voice").with_tos(inner_tos);
        // A label's class is nobody's DSCP.
        let expected =
            if kind.inner == Carried::Mpls { inner.clone() } else { inner.clone().with_tos(expected) };
        out(kind, name, &kind.arriving(&inner).with_tos(outer_tos), &expected)
    };
    let uniform = |tunnel: &mut Tunnel| tunnel.flags.decap_dscp = true;
    vec![
        case("H14 pipe: the inner DSCP is kept", 10 << 2, 46 << 2, 46 << 2),
        case("H14 pipe: an inner DSCP of 0 is kept", 46 << 2, 0, 0),
        case("H14 uniform: the outer DSCP is copied", 10 << 2, 46 << 2, 10 << 2).tunnel(uniform),
        case("H14 uniform: an outer DSCP of 0 is copied", 0, 0xfc, 0).tunnel(uniform),
        case("H14 E2 uniform: ECN is that of both", 0xb8 | 3, 0x28 | 2, 0xb8 | 3).tunnel(uniform),
        case("H14 E2 uniform: an outer Not-ECT leaves ECT(0)", 0xb8, 0x28 | 2, 0xb8 | 2).tunnel(uniform),
    ]
}

/// Every traffic class of a label (RFC 5462) as the class selector of the outer DSCP (RFC 2474 4.2.2).
fn classes() -> Vec<Case> {
    let case = |kind: Kind, class: u8| {
        let inner = Any::from(Labelled::new(&udp(b"class").bytes()).with(|inner| {
            inner.entries[0].class = class;
            inner.entries.push(Entry { label: 17, class: 7 - class, ttl: 3 });
        }));
        let name = format!("H13 E5 the top label's class {class} is the outer class selector, Not-ECT");
        into(kind, &name, &inner, &kind.outer(&inner).with_tos(class * 32))
    };
    [Kind::MPLS4, Kind::MPLS6]
        .into_iter()
        .flat_map(|kind| (0..8).map(move |class| case(kind, class)))
        .collect()
}
