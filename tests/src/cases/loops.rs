//! Packets that have been here before, and those that only look like it.

use std::net::{IpAddr, Ipv6Addr};

use super::{decapsulated, out, plain, refused, rejected};
use crate::bytes::{Any, CLIENT, CLIENT6, LOCAL, LOCAL6, REMOTE, REMOTE6, SERVER, SERVER6};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::routes::to;
use crate::tunnel::Tunnel;
use ipip_common::abi::{Carried, Reason};

pub(super) fn cases() -> Vec<Case> {
    let all = Kind::ALL.into_iter().flat_map(|kind| [own_source(kind), ends(kind)].concat());
    all.chain([Kind::IN4, Kind::IN6].into_iter().flat_map(reflected)).collect()
}

/// The packet from and to other addresses. Its transport checksum is still that of the old ones.
fn between(packet: Any, over4: ([u8; 4], [u8; 4]), over6: (Ipv6Addr, Ipv6Addr)) -> Any {
    packet
        .with_v4(|packet| (packet.source, packet.destination) = over4)
        .with_v6(|packet| (packet.source, packet.destination) = over6)
}

fn from(kind: Kind, over4: [u8; 4], over6: Ipv6Addr) -> Any {
    between(kind.udp(b"round"), (over4, SERVER), (over6, SERVER6))
}

fn own_source(kind: Kind) -> Vec<Case> {
    let mine = |tunnel: &mut Tunnel| tunnel.own = vec![CLIENT.into(), CLIENT6.into()];
    let others = |tunnel: &mut Tunnel| tunnel.own = vec![LOCAL.into(), LOCAL6.into()];
    let transit = |case: Case| case.with(|case| case.is_transit = true);
    let inner = kind.udp(b"mine");
    let mut cases = vec![
        transit(plain(kind, "L1 what others send is forwarded", &inner).tunnel(others)),
        plain(kind, "L1 what the host sends is carried", &inner).tunnel(mine),
    ];
    if kind.inner == Carried::Mpls {
        cases.push(transit(plain(kind, "L1 a source under a label is not looked at", &inner).tunnel(mine)));
    } else {
        // Behind the stack it is one that the host masqueraded.
        cases[1].xdp = Expected::Drop(Reason::OwnSource);
        let masqueraded = plain(kind, "L1 a forwarded packet that the host masqueraded is carried", &inner);
        cases.push(transit(masqueraded.tunnel(mine).xdp(Expected::Drop(Reason::OwnSource))));
    }
    cases.extend(own_source_comes_out(kind));
    cases
}

/// The stack never forwards such an IPv4 packet (a martian source); tier 1 forwards in front of it.
fn own_source_comes_out(kind: Kind) -> Vec<Case> {
    let mine = |tunnel: &mut Tunnel| {
        tunnel.own = vec![SERVER.into(), SERVER6.into(), to::SELF.into(), to::SELF6.into()];
    };
    let case = |name: &str, inner: &Any| out(kind, name, &kind.arriving(inner), inner).tunnel(mine);
    let inner = kind.reply(b"mine");
    if kind.inner == Carried::Mpls {
        return vec![case("L1 a source under a label is not looked at when it comes out", &inner)];
    }
    let refused = case("L1 our own source does not come out to be forwarded", &inner);
    let to_host = between(kind.reply(b"mine"), (SERVER, to::SELF), (SERVER6, to::SELF6));
    let to_slow = between(kind.reply(b"mine"), (SERVER, to::SLOW), (SERVER6, to::SLOW6));
    let stack = |name: &str, inner: &Any, reason| {
        case(name, inner).xdp(Expected::Pass(reason)).with(|case| case.looks_broken = true)
    };
    vec![
        refused.xdp(Expected::Drop(Reason::OwnSource)),
        // So come answers to this host's probes of itself (RFC 5969 8).
        stack("L1 our own source comes out for this host itself", &to_host, Reason::Local),
        stack(
            "L1 our own source is the stack's to judge where the stack forwards",
            &to_slow,
            Reason::SlowPort,
        ),
    ]
}

fn ends(kind: Kind) -> Vec<Case> {
    let broken = |case: Case| case.with(|case| case.looks_broken = true);
    let from_remote = from(kind, REMOTE, REMOTE6);
    let from_local = from(kind, LOCAL, LOCAL6);
    let local_to_remote = between(kind.udp(b"round"), (LOCAL, REMOTE), (LOCAL6, REMOTE6));
    let drop = Expected::Drop(Reason::Loop);
    let mut cases =
        vec![broken(plain(kind, "L3 the tunnel's local address may talk to others", &from_local))];
    if [Kind::IN4, Kind::IN6].contains(&kind) {
        cases.extend([
            refused(kind, "L2 a packet from the tunnel's remote is dropped", &from_remote, &drop),
            // Its route does not lead into the tunnel: only a packet that was forced there looks like this.
            refused(
                kind,
                "L3 a packet from the tunnel's local to its remote is dropped",
                &local_to_remote,
                &drop,
            )
            .xdp(Expected::Foreign),
        ]);
    } else {
        cases.push(broken(plain(
            kind,
            "L2 an address of another kind is not the tunnel's remote",
            &from_remote,
        )));
    }
    cases
}

/// RFC 7676 3.2 and RFC 5969 8: what comes out for the far end itself goes back to it.
fn reflected(kind: Kind) -> Vec<Case> {
    let probe = |ttl| between(kind.udp(b"probe"), (LOCAL, REMOTE), (LOCAL6, REMOTE6)).with_ttl(ttl);
    let back = |name: &str, ttl| {
        let (inner, name) = (probe(ttl), format!("D12 {name}, {kind}"));
        decapsulated(&name, kind.arriving(&inner), inner).tunnel(|tunnel| *tunnel = kind.tunnel()).with(
            |case| {
                // Nobody else decrements the TTL of what goes back, in front of the stack or not.
                case.tc = case.xdp.clone();
                (case.is_reflected, case.looks_broken) = (true, true);
            },
        )
    };
    let expired = Expected::Pass(Reason::TtlExpired);
    let allow = |network: IpAddr| {
        move |tunnel: &mut Tunnel| {
            tunnel.flags.allowed_inner = true;
            tunnel.allowed.push((network, 16));
        }
    };
    let mine: IpAddr = if kind == Kind::IN4 { LOCAL.into() } else { LOCAL6.into() };
    let theirs: IpAddr = if kind == Kind::IN4 { [10, 9, 0, 0].into() } else { "2002::".parse().unwrap() };
    vec![
        back("a reflected probe goes back", 64),
        back("a reflected probe with a TTL of 2 goes back", 2),
        back("a reflected probe whose TTL expires is the stack's", 1).both(&expired),
        back("a reflected probe does not take a fast path that is off", 64)
            .xdp(Expected::Pass(Reason::FastPathOff))
            .tunnel(|tunnel| tunnel.flags.allow_fast_path = false),
        back("a reflected probe from an allowed address goes back", 64).tunnel(allow(mine)),
        back("L1 a reflected probe goes back from an address of this host", 64)
            .tunnel(|tunnel| tunnel.own = vec![LOCAL.into(), LOCAL6.into()]),
        back("a reflected probe goes back whatever prefixes are allowed", 64).tunnel(allow(theirs)),
        rejected(
            kind,
            "D12 T2 a reflected probe with a TTL of 0 is dropped",
            &kind.arriving(&probe(0)),
            &Expected::Drop(Reason::TtlZero),
        ),
    ]
}
