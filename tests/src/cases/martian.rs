//! IPv4 addresses that no router forwards to (RFC 1812 5.3.7). The kernel's routes lead there like anywhere else, and only its
//! stack knows better.

use std::net::Ipv4Addr;

use super::{into, out};
use crate::bytes::Any;
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::routes::to;
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    let all = [Kind::IN4, Kind::IPIP6].into_iter();
    all.flat_map(|kind| [there(kind), back(kind)].concat()).collect()
}

/// The packet for somebody else. Its transport checksum is still that of the old address.
fn towards(packet: Any, destination: [u8; 4]) -> Any {
    packet.with_v4(|packet| packet.destination = destination)
}

/// Tier 2 gets what the stack itself has sent into the tunnel.
fn there(kind: Kind) -> Vec<Case> {
    let case = |destination: [u8; 4], xdp| {
        let inner = towards(kind.udp(b"to many"), destination);
        let name = format!("D13 a packet for {} behind the tunnel", Ipv4Addr::from(destination));
        let case = into(kind, &name, &inner, &kind.outer(&inner));
        case.xdp(xdp).with(|case| case.looks_broken = true)
    };
    vec![
        case(to::GROUP, Expected::Pass(Reason::Martian)),
        // No route of theirs leads into the tunnel.
        case(to::OTHER_GROUP, Expected::Foreign),
        case([240, 0, 0, 1], Expected::Foreign),
        case([255; 4], Expected::Foreign),
    ]
}

fn back(kind: Kind) -> Vec<Case> {
    let case = |name: &str, destination: [u8; 4]| {
        let inner = towards(kind.reply(b"to many"), destination);
        let name = format!("D13 what comes out for {} {name}", Ipv4Addr::from(destination));
        out(kind, &name, &kind.arriving(&inner), &inner).with(|case| case.looks_broken = true)
    };
    let judged =
        |destination| case("is the stack's to judge", destination).xdp(Expected::Pass(Reason::Martian));
    let nowhere = [[0; 4], [0, 1, 2, 3], [127, 0, 0, 1], [127, 255, 0, 1]];
    let many = [[224, 0, 0, 1], to::OTHER_GROUP, to::GROUP, [239, 255, 255, 255], [240, 0, 0, 1], [255; 4]];
    let ordinary = [to::LAST].map(|destination| case("is forwarded", destination));
    nowhere.into_iter().chain(many).map(judged).chain(ordinary).collect()
}
