//! What the kernel's routes and neighbours say, in the world of `prog`: addresses there stand for answers.

use super::{arriving, decapsulated, encapsulated, plain_outer, reply};
use crate::bytes::udp;
use crate::case::{Case, Expected};
use crate::routes::to;
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    [outer(), inner()].concat()
}

/// A tunnel to a remote to which tier 1 has no way, while tier 2 has one.
fn remote(name: &str, remote: [u8; 4], reason: Reason) -> Case {
    let inner = udp(b"where");
    let outer = plain_outer(&inner).with(|outer| outer.destination = remote);
    encapsulated(name, &inner, &outer)
        .xdp(Expected::Pass(reason))
        .tunnel(|tunnel| tunnel.remote = remote.into())
}

fn outer() -> Vec<Case> {
    let inner = udp(b"where");
    let nobody = |name: &str, address, xdp, tc| remote(name, address, xdp).tc(Expected::Pass(tc));
    let large = udp(&[2; 953]);
    vec![
        remote("a remote behind a slow port is tier 2's", to::SLOW, Reason::SlowPort),
        remote("a remote whose neighbour is unknown is tier 2's", to::NOBODY, Reason::NoNeighbour),
        nobody("an unreachable remote has no route", to::UNREACHABLE, Reason::NoRoute, Reason::NoRoute),
        nobody("a remote without any route has none", to::NOWHERE, Reason::Local, Reason::NoRoute),
        nobody(
            "L6 a remote that is routed through its own tunnel is a loop",
            to::TUNNEL,
            Reason::Loop,
            Reason::Loop,
        )
        .both(&Expected::Drop(Reason::Loop)),
        Case::encap("M1 an outer packet above the route's MTU is too big", &large.bytes())
            .both(&Expected::Pass(Reason::TooBig))
            .tunnel(|tunnel| tunnel.remote = to::NARROW.into()),
        encapsulated("M1 an outer packet of exactly the route's MTU is carried", udp(&[2; 952]), &{
            plain_outer(&udp(&[2; 952])).with(|outer| outer.destination = to::NARROW)
        })
        .tunnel(|tunnel| tunnel.remote = to::NARROW.into()),
        encapsulated("a known remote is tier 1's", &inner, plain_outer(&inner)),
    ]
}

/// A packet out of the tunnel to a destination that tier 1 cannot forward to; tier 2 gives it to the stack.
fn destination(name: &str, destination: [u8; 4], reason: Reason) -> Case {
    let inner = reply(b"whither").with(|inner| inner.destination = destination);
    decapsulated(name, arriving(&inner), &inner)
        .xdp(Expected::Pass(reason))
        .with(|case| case.looks_broken = true)
}

fn inner() -> Vec<Case> {
    let narrow = reply(&[7; 973]).with(|inner| inner.destination = to::NARROW);
    vec![
        destination("what comes out for this host is tier 2's", to::SELF, Reason::Local),
        destination("what comes out for a slow port is tier 2's", to::SLOW, Reason::SlowPort),
        destination("what comes out for an unknown neighbour is tier 2's", to::NOBODY, Reason::NoNeighbour),
        destination(
            "what comes out for an unreachable destination is the stack's",
            to::UNREACHABLE,
            Reason::NoRoute,
        ),
        destination("what comes out for nowhere is the stack's", to::NOWHERE, Reason::Local),
        destination(
            "D12 what comes out for the tunnel's far end is the stack's",
            to::TUNNEL,
            Reason::SlowPort,
        ),
        decapsulated("M2 what comes out above the route's MTU is the stack's", arriving(&narrow), &narrow)
            .xdp(Expected::Pass(Reason::TooBig))
            .with(|case| case.looks_broken = true),
    ]
}
