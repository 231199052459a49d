//! Answers to keepalive probes, and packets that only look like one. The tunnels of the tables send no probes, so that
//! every answer is forged.

use std::net::{IpAddr, Ipv6Addr};

use super::{out, rejected};
use crate::bytes::{Any, LOCAL, LOCAL6, REMOTE, REMOTE6, ping, ping6};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::routes::to;
use ipip_common::abi::{Carried, Reason};

/// "ipipkeep", a sequence number, the way's number, a time, a nonce.
fn data(way: u8) -> Vec<u8> {
    let mut data = b"ipipkeep\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x09\x01\x02\x03\x04\x05\x06\x07\x08".to_vec();
    data[15] = way;
    data
}

fn between(packet: Any, over4: [[u8; 4]; 2], over6: [Ipv6Addr; 2]) -> Any {
    packet
        .with_v4(|packet| [packet.source, packet.destination] = over4)
        .with_v6(|packet| [packet.source, packet.destination] = over6)
}

fn echo(kind: Kind, data: &[u8]) -> Any {
    if kind.inner == Carried::Ipv6 { ping6(data).into() } else { ping(data).into() }
}

/// The same as a reply. Nobody looks at its checksum.
fn reply(echo: Any) -> Any {
    let kind = if matches!(echo, Any::V4(_)) { 0 } else { 129 };
    let mut reply = echo;
    reply.payload_mut()[0] = kind;
    reply
}

pub(super) fn cases() -> Vec<Case> {
    Kind::IP.into_iter().flat_map(of_kind).collect()
}

fn of_kind(kind: Kind) -> Vec<Case> {
    let local = |case: Case| case.xdp(Expected::Pass(Reason::Local));
    let own: [IpAddr; 4] = [LOCAL.into(), LOCAL6.into(), to::SELF.into(), to::SELF6.into()];
    let forged = |name: &str, inner: &Any| {
        let case = rejected(kind, name, &kind.arriving(inner), &Expected::Drop(Reason::BadAnswer));
        local(case).tunnel(|tunnel| tunnel.own = own.to_vec())
    };
    let mine = |inner: Any| between(inner, [REMOTE, to::SELF], [REMOTE6, to::SELF6]);
    let goes_on = |name: &str, inner: &Any| {
        let case = local(out(kind, name, &kind.arriving(inner), inner));
        case.tunnel(|tunnel| tunnel.own = own.to_vec()).with(|case| case.looks_broken = true)
    };
    let mut cases = vec![
        forged("K1 a forged reply ends here", &mine(reply(echo(kind, &data(3))))),
        forged(
            "K1 a forged reflection of an own address ends here",
            &between(echo(kind, &data(2)), [to::SELF; 2], [to::SELF6; 2]),
        ),
        goes_on("K1 the far end's own echo is answered by the stack", &mine(echo(kind, &data(3)))),
        goes_on("K1 an echo between two addresses is no reflection", &mine(echo(kind, &data(2)))),
        goes_on("K1 a ping is no probe", &mine(reply(echo(kind, b"somebody's ping, of some length.")))),
        goes_on("K1 a short reply is no probe's", &mine(reply(echo(kind, &data(3)[..31])))),
    ];
    // To a host behind this one: its reply goes on like any packet.
    let behind = reply(echo(kind, &data(3))).backwards();
    cases.push(
        out(kind, "K1 a reply to another host goes on", &kind.arriving(&behind), &behind)
            .tunnel(|tunnel| tunnel.own = own.to_vec())
            .with(|case| case.looks_broken = true),
    );
    if [Kind::IN4, Kind::IN6].contains(&kind) {
        let reflected = between(echo(kind, &data(1)), [REMOTE, LOCAL], [REMOTE6, LOCAL6]);
        cases.push(forged("K1 a forged reflection ends here", &reflected));
        cases.push(goes_on("K1 an echo from the remote is no reflection", &{
            between(echo(kind, &data(4)), [REMOTE, LOCAL], [REMOTE6, LOCAL6])
        }));
        cases.extend(outside(kind));
    }
    cases
}

/// What comes back outside of the tunnel.
fn outside(kind: Kind) -> Vec<Case> {
    let case = |name: &str, packet: &Any, tc| {
        let case = Case::out_of_tunnel(&format!("{name}, {kind}"), packet).tc(tc);
        case.tunnel(|tunnel| *tunnel = kind.tunnel())
    };
    let remote = |packet: Any| between(packet, [REMOTE, LOCAL], [REMOTE6, LOCAL6]);
    let somebody = |packet: Any| between(packet, [to::SLOW, LOCAL], [to::SLOW6, LOCAL6]);
    let forged = Expected::Drop(Reason::BadAnswer);
    vec![
        case("K1 a forged reflection outside ends here", &remote(echo(kind, &data(1))), forged.clone()),
        case("K1 a forged reply outside ends here", &remote(reply(echo(kind, &data(6)))), forged),
        case("K1 an echo outside is foreign", &remote(echo(kind, &data(6))), Expected::Foreign),
        case("K1 a ping's reply is foreign", &remote(reply(echo(kind, &[7; 32]))), Expected::Foreign),
        case(
            "K1 a reply from somebody else is foreign",
            &somebody(reply(echo(kind, &data(6)))),
            Expected::Foreign,
        ),
    ]
}
