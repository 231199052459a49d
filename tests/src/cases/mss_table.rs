//! The table of MTU and MSS for every kind, over Ethernet and `PPPoE`, with an encapsulation limit and under labels.

use super::mss::packets_both_ways;
use super::{into, out};
use crate::bytes::{Any, Extension, Labelled, Segment};
use crate::case::Case;
use crate::kind::Kind;
use crate::tunnel::Tunnel;
use ipip_common::abi::Carried;

/// Kind, path MTU less the overhead, MSS.
const PLAIN: [(Kind, u16, u16); 9] = [
    (Kind::IN4, 1480, 1440),
    (Kind::IN4, 1472, 1432),
    (Kind::SIT, 1480, 1420),
    (Kind::SIT, 1472, 1412),
    (Kind::SIT, 1280, 1220),
    (Kind::IPIP6, 1460, 1420),
    (Kind::IPIP6, 1452, 1412),
    (Kind::IN6, 1460, 1400),
    (Kind::IN6, 1452, 1392),
];

/// The same with the option, which takes 8 bytes more.
const LIMITED: [(Kind, u16, u16); 4] =
    [(Kind::IPIP6, 1452, 1412), (Kind::IPIP6, 1444, 1404), (Kind::IN6, 1452, 1392), (Kind::IN6, 1444, 1384)];

/// Kind, MTU with the labels included, MSS over IPv4 and over IPv6 without any label.
const LABELLED: [(Kind, u16, u16, u16); 5] = [
    (Kind::MPLS4, 1480, 1440, 1420),
    (Kind::MPLS4, 1472, 1432, 1412),
    (Kind::MPLS6, 1460, 1420, 1400),
    (Kind::MPLS6, 1452, 1412, 1392),
    (Kind::MPLS6, 1444, 1404, 1384),
];

pub(super) fn cases() -> Vec<Case> {
    let plain = PLAIN.into_iter().flat_map(|row| ip(row, false));
    let limited = LIMITED.into_iter().flat_map(|row| ip(row, true));
    plain.chain(limited).chain(LABELLED.into_iter().flat_map(labelled)).collect()
}

/// A SYN with the MSS of Ethernet, and one with what fits.
fn segments(mss: u16) -> [Segment; 2] {
    [1460, mss].map(|mss| Segment::syn(&[&[2, 4], mss.to_be_bytes().as_slice()].concat()))
}

fn ip((kind, mtu, mss): (Kind, u16, u16), is_limited: bool) -> [Case; 2] {
    let name = format!("M13 an MTU of {mtu} means an MSS of {mss}");
    let [before, after] = segments(mss).map(|segment| kind.tcp(&segment));
    if is_limited {
        with_limit(kind, &name, &before, &after)
    } else {
        packets_both_ways(kind, &name, &before, &after)
    }
    .map(|case| case.tunnel(|tunnel| tunnel.mtu = mtu))
}

/// The case in both directions, with an encapsulation limit in the outer header.
fn with_limit(kind: Kind, name: &str, before: &Any, after: &Any) -> [Case; 2] {
    let limit = |outer: Any| outer.with_v6(|outer| outer.extensions.push(Extension::limit(4)));
    let set = |tunnel: &mut Tunnel| {
        (tunnel.flags.encapsulation_limit, tunnel.encapsulation_limit) = (true, 4);
        tunnel.flags.clamp_tcp_mss = true;
    };
    let there =
        into(kind, &format!("{name} with a limit, into the tunnel"), after, &limit(kind.outer(after)))
            .with(|case| case.input.splice(14.., before.bytes()).for_each(drop));
    let (before, after) = (before.clone().backwards(), after.clone().backwards());
    let back =
        out(kind, &format!("{name} with a limit, out of the tunnel"), &limit(kind.arriving(&before)), &after);
    [there, back].map(|case| case.tunnel(set))
}

fn labelled((kind, mtu, over4, over6): (Kind, u16, u16, u16)) -> Vec<Case> {
    debug_assert_eq!(kind.inner, Carried::Mpls);
    let under = |labels: u32, payload: &[u8]| Any::from(Labelled::new(payload).deeper(labels - 1));
    let both = |labels: u32| {
        let less = 4 * u16::try_from(labels).unwrap();
        let name = |version, mss| {
            format!("M13 an MTU of {mtu} means an MSS of {mss} over IPv{version} under {labels} labels")
        };
        let [before4, after4] =
            segments(over4 - less).map(|segment| under(labels, &segment.packet().bytes()));
        let [before6, after6] =
            segments(over6 - less).map(|segment| under(labels, &segment.packet6().bytes()));
        [
            packets_both_ways(kind, &name(4, over4 - less), &before4, &after4),
            packets_both_ways(kind, &name(6, over6 - less), &before6, &after6),
        ]
        .concat()
    };
    (1..=4).flat_map(both).map(|case| case.tunnel(|tunnel| tunnel.mtu = mtu)).collect()
}
