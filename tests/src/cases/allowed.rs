//! Which inner addresses and which kinds of packets a tunnel is for.

use std::net::IpAddr;

use super::{out, plain, refused, rejected};
use crate::bytes::{Any, ethernet};
use crate::case::{Case, Expected, mac};
use crate::kind::Kind;
use crate::tunnel::Tunnel;
use ipip_common::abi::{Carried, Reason};

pub(super) fn cases() -> Vec<Case> {
    let ip = Kind::IP.into_iter().flat_map(prefixes);
    let all = Kind::ALL.into_iter().flat_map(|kind| [not_carried(kind), multicast(kind)].concat());
    ip.chain([Kind::MPLS4, Kind::MPLS6].into_iter().flat_map(labels)).chain(all).collect()
}

fn only(prefixes: &[(&str, u8)]) -> impl FnOnce(&mut Tunnel) {
    let prefixes: Vec<(IpAddr, u8)> =
        prefixes.iter().map(|(network, length)| (network.parse().unwrap(), *length)).collect();
    move |tunnel| {
        tunnel.flags.allowed_inner = true;
        tunnel.allowed = prefixes;
    }
}

/// Prefixes of both families, what they are of the packets' far end, 10.2.0.2 or `2001:db8:2::2`, and whether it is in.
type Row = (&'static str, [(&'static str, u8); 2], bool);

fn prefixes(kind: Kind) -> Vec<Case> {
    let rows: [Row; 9] = [
        ("the far network", [("10.2.0.0", 16), ("2001:db8:2::", 48)], true),
        ("the far host alone", [("10.2.0.2", 32), ("2001:db8:2::2", 128)], true),
        ("another far host", [("10.2.0.3", 32), ("2001:db8:2::3", 128)], false),
        ("its pair", [("10.2.0.2", 31), ("2001:db8:2::2", 127)], true),
        ("the pair below", [("10.2.0.0", 31), ("2001:db8:2::", 127)], false),
        ("the near network", [("10.1.0.0", 16), ("2001:db8:1::", 48)], false),
        ("everything", [("0.0.0.0", 0), ("::", 0)], true),
        ("half of everything", [("0.0.0.0", 1), ("::", 1)], true),
        ("the other half", [("128.0.0.0", 1), ("8000::", 1)], false),
    ];
    let by_row = rows
        .into_iter()
        .flat_map(|(what, prefixes, is_allowed)| both_ways(kind, what, &prefixes, is_allowed));
    let (mine, others) = if kind.inner == Carried::Ipv4 {
        (("10.2.0.0", 24), ("::", 0))
    } else {
        (("2001:db8:2::", 64), ("0.0.0.0", 0))
    };
    let narrow = if kind.inner == Carried::Ipv4 { ("10.2.0.3", 32) } else { ("2001:db8:2::3", 128) };
    by_row
        .chain(both_ways(kind, "the other family alone", &[others], false))
        .chain(both_ways(kind, "both families", &[others, mine], true))
        .chain(both_ways(kind, "a network and a host in it", &[mine, narrow], true))
        .chain(both_ways(kind, "nothing at all", &[], false))
        .collect()
}

fn both_ways(kind: Kind, what: &str, prefixes: &[(&str, u8)], is_allowed: bool) -> [Case; 2] {
    let drop = Expected::Drop(Reason::NotAllowed);
    let (inner, reply) = (kind.udp(b"there"), kind.reply(b"back"));
    let name = |way: &str| format!("allowed-inner of {what}, {way} the tunnel");
    let cases = if is_allowed {
        [plain(kind, &name("into"), &inner), out(kind, &name("out of"), &kind.arriving(&reply), &reply)]
    } else {
        [
            refused(kind, &name("into"), &inner, &drop),
            rejected(kind, &name("out of"), &kind.arriving(&reply), &drop),
        ]
    };
    cases.map(|case| case.tunnel(only(prefixes)))
}

/// Nothing says where a labelled packet goes in the end.
fn labels(kind: Kind) -> [Case; 2] {
    both_ways(kind, "everything", &[("0.0.0.0", 0), ("::", 0)], false)
}

/// What the tunnel does not carry is dropped where it was to go in, and foreign where it comes out.
fn not_carried(kind: Kind) -> Vec<Case> {
    let others = Kind::ALL.into_iter().filter(|other| other.outer == kind.outer && other.inner != kind.inner);
    let other = |other: Kind| {
        let (inner, reply) = (other.udp(b"other"), other.reply(b"other"));
        let name = |what: &str| format!("H1 H4 {what} of {other} is not carried");
        [
            refused(kind, &name("what is"), &inner, &Expected::Drop(Reason::NotCarried)),
            rejected(kind, &name("an outer packet"), &other.arriving(&reply), &Expected::Foreign),
        ]
    };
    let everything = |tunnel: &mut Tunnel| {
        (tunnel.flags.carries_ipv4, tunnel.flags.carries_ipv6, tunnel.flags.carries_mpls) =
            (true, true, true);
    };
    let (inner, reply): (Any, Any) = (kind.udp(b"all"), kind.reply(b"all"));
    let both = [
        plain(kind, "a tunnel for everything carries", &inner).tunnel(everything),
        out(kind, "a tunnel for everything lets out", &kind.arriving(&reply), &reply).tunnel(everything),
    ];
    others.flat_map(other).chain(both).collect()
}

/// RFC 4023 3 has no number for it that we use: a multicast label is nobody's in tier 1, and never carried.
fn multicast(kind: Kind) -> Vec<Case> {
    const MPLS_MULTICAST: u16 = 0x8848;
    let labelled = Kind::MPLS4.udp(b"many").bytes();
    let into = refused(kind, "H4 multicast labels are not carried", &kind.udp(b""), &Expected::Foreign)
        .tc(Expected::Drop(Reason::NotCarried))
        .with(|case| case.input = ethernet(mac::LAN, mac::CLIENT, MPLS_MULTICAST, &labelled));
    let out =
        rejected(kind, "H4 multicast labels on the underlay are foreign", &kind.udp(b""), &Expected::Foreign)
            .with(|case| case.input = ethernet(mac::WAN, mac::GATEWAY, MPLS_MULTICAST, &labelled));
    vec![into, out]
}
