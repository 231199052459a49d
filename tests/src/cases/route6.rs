//! What the kernel's routes and neighbours say of IPv6, and of the ways to remotes of every kind of tunnel.

use std::net::{IpAddr, Ipv6Addr};

use super::{into, out, refused};
use crate::bytes::{Any, udp6};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::routes::to;
use ipip_common::abi::{Carried, Family, Reason};

pub(super) fn cases() -> Vec<Case> {
    let remotes = Kind::ALL.into_iter().flat_map(remotes);
    remotes
        .chain([Kind::SIT, Kind::IN6].into_iter().flat_map(|kind| [there(kind), back(kind)].concat()))
        .collect()
}

/// The same answer over both families.
fn remotes(kind: Kind) -> Vec<Case> {
    let address = |over4: [u8; 4], over6: Ipv6Addr| -> IpAddr {
        if kind.outer == Family::V4 { over4.into() } else { over6.into() }
    };
    let inner = kind.udp(b"where");
    let tunnel = |name: &str, remote: IpAddr| {
        let outer = match remote {
            IpAddr::V4(remote) => kind.outer(&inner).with_v4(|outer| outer.destination = remote.octets()),
            IpAddr::V6(remote) => kind.outer(&inner).with_v6(|outer| outer.destination = remote),
        };
        into(kind, name, &inner, &outer).tunnel(|tunnel| tunnel.remote = remote)
    };
    // The kernel finds no neighbour for labels: tier 2 needs to know it, as tier 1 does.
    let is_mpls = kind.inner == Carried::Mpls;
    let nobody = tunnel("a remote whose neighbour is unknown", address(to::NOBODY, to::NOBODY6))
        .xdp(Expected::Pass(Reason::NoNeighbour));
    let through =
        tunnel("L6 a remote that is routed through its own tunnel", address(to::TUNNEL, to::TUNNEL6))
            .both(&Expected::Drop(Reason::Loop));
    let unknown = Expected::Pass(Reason::NoNeighbour);
    let none = Expected::Pass(Reason::NoRoute);
    let mut cases = vec![
        if is_mpls { nobody.tc(unknown.clone()) } else { nobody },
        if is_mpls { through.tc(unknown) } else { through },
        tunnel("an unreachable remote has no route", address(to::UNREACHABLE, to::UNREACHABLE6)).both(&none),
        tunnel("a remote without any route has none", address(to::NOWHERE, to::NOWHERE6))
            .xdp(Expected::Pass(Reason::Local))
            .tc(none.clone()),
        tunnel("a remote that is this host has no route", address(to::SELF, to::SELF6))
            .xdp(Expected::Pass(Reason::Local))
            .tc(none),
    ];
    if !is_mpls {
        cases.push(
            tunnel("a remote behind a slow port is tier 2's", address(to::SLOW, to::SLOW6))
                .xdp(Expected::Pass(Reason::SlowPort)),
        );
    }
    cases.extend(narrow(kind, address(to::NARROW, to::NARROW6)));
    cases
}

/// The routes' MTUs are 1000 and 1300 with the outer header.
fn narrow(kind: Kind, remote: IpAddr) -> [Case; 2] {
    let least = if kind.outer == Family::V4 { 1000 } else { 1300 };
    let of =
        |length: u16| kind.udp(&vec![3; usize::from(length - kind.overhead() - kind.fixed_header() - 8)]);
    let full = of(least);
    let outer = match remote {
        IpAddr::V4(remote) => kind.outer(&full).with_v4(|outer| outer.destination = remote.octets()),
        IpAddr::V6(remote) => kind.outer(&full).with_v6(|outer| outer.destination = remote),
    };
    [
        into(kind, "M1 M3 M4 an outer packet of exactly the route's MTU is carried", &full, &outer),
        refused(
            kind,
            "M1 M3 M4 an outer packet above the route's MTU",
            &of(least + 1),
            &Expected::Pass(Reason::TooBig),
        ),
    ]
    .map(|case| case.tunnel(|tunnel| tunnel.remote = remote))
}

fn there(kind: Kind) -> Vec<Case> {
    let between = |source: Option<&str>, destination: &str| {
        let (source, destination) =
            (source.map(|source| source.parse().unwrap()), destination.parse().unwrap());
        Any::from(udp6(b"route").with(|inner| {
            (inner.source, inner.destination) = (source.unwrap_or(inner.source), destination);
        }))
    };
    let case = |name: &str, inner: &Any, xdp| {
        into(kind, name, inner, &kind.outer(inner)).xdp(xdp).with(|case| case.looks_broken = true)
    };
    vec![
        case(
            "D11 IPv6 for elsewhere is foreign to tier 1",
            &between(None, "2001:db8:3::2"),
            Expected::Foreign,
        ),
        case(
            "D11 IPv6 for this host is foreign to tier 1",
            &between(None, "2001:db8:1::1"),
            Expected::Foreign,
        ),
        case("D11 IPv6 for a group is foreign to tier 1", &between(None, "ff0e::1"), Expected::Foreign),
        case("D11 IPv6 for a link is foreign to tier 1", &between(None, "fe80::2"), Expected::Foreign),
        // The kernel answers no question about them.
        case(
            "a link-local source is foreign to tier 1",
            &between(Some("fe80::1"), "2001:db8:2::2"),
            Expected::Foreign,
        ),
        case(
            "a multicast source is foreign to tier 1",
            &between(Some("ff02::1"), "2001:db8:2::2"),
            Expected::Foreign,
        ),
        case(
            "a loopback source is foreign to tier 1",
            &between(Some("::1"), "2001:db8:2::2"),
            Expected::Foreign,
        ),
        case(
            "an unspecified source is the stack's to judge",
            &between(Some("::"), "2001:db8:2::2"),
            Expected::Pass(Reason::Martian),
        ),
    ]
}

fn back(kind: Kind) -> Vec<Case> {
    let destination = |name: &str, destination: Ipv6Addr, reason| {
        let inner = kind.reply(b"whither").with_v6(|inner| inner.destination = destination);
        out(kind, name, &kind.arriving(&inner), &inner)
            .xdp(Expected::Pass(reason))
            .with(|case| case.looks_broken = true)
    };
    let narrow = kind.reply(&[7; 1253]).with_v6(|inner| inner.destination = to::NARROW6);
    let elsewhere = kind.reply(b"on").with_v6(|inner| inner.destination = to::ELSEWHERE6);
    vec![
        destination("what comes out for this host is tier 2's", to::SELF6, Reason::Local),
        destination("what comes out for a slow port is tier 2's", to::SLOW6, Reason::SlowPort),
        destination("what comes out for an unknown neighbour is tier 2's", to::NOBODY6, Reason::NoNeighbour),
        destination(
            "what comes out for an unreachable destination is the stack's",
            to::UNREACHABLE6,
            Reason::NoRoute,
        ),
        destination("what comes out for nowhere is the stack's", to::NOWHERE6, Reason::Local),
        destination("what comes out for the tunnel's far end is the stack's", to::TUNNEL6, Reason::SlowPort),
        out(kind, "M3 what comes out above the route's MTU is the stack's", &kind.arriving(&narrow), &narrow)
            .xdp(Expected::Pass(Reason::TooBig))
            .with(|case| case.looks_broken = true),
        out(kind, "what comes out for elsewhere is forwarded", &kind.arriving(&elsewhere), &elsewhere)
            .with(|case| case.looks_broken = true),
    ]
}
