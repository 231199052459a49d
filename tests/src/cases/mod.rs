//! The tables. A row's expectations come from etherparse or are spelled out, never from the code under test.
//!
//! Names carry the IDs of the facts they show: H (outer header), T (TTL), E (ECN), M (MTU and MSS), D
//! (acceptance), L (loops), C (checksums).

mod accept;
mod all_kinds;
mod allowed;
mod answers;
mod decap4;
mod ecn;
mod encap4;
mod header;
mod ipsec;
mod labels;
mod limit;
mod loops;
mod malformed;
mod martian;
mod mss;
mod mss_table;
mod refuse;
mod route;
mod route6;
mod ttl;

use crate::bytes::{Any, Packet};
use crate::case::{Case, Expected};
use crate::kind::Kind;

/// Every case.
pub fn all() -> Vec<Case> {
    [
        encap4::cases(),
        decap4::cases(),
        all_kinds::cases(),
        header::cases(),
        ttl::cases(),
        ecn::cases(),
        limit::cases(),
        loops::cases(),
        accept::cases(),
        allowed::cases(),
        answers::cases(),
        ipsec::cases(),
        labels::cases(),
        malformed::cases(),
        martian::cases(),
        mss_table::cases(),
        route6::cases(),
        mss::cases(),
        refuse::cases(),
        route::cases(),
    ]
    .concat()
}

/// A case where both tiers encapsulate `inner` behind the header of `outer` (its payload does not matter). Tier 1
/// stands in for the stack and lowers the inner TTL; tier 2 gets the packet after the stack did.
fn encapsulated(name: &str, inner: impl Into<Any>, outer: impl Into<Any>) -> Case {
    let (inner, outer) = (inner.into(), outer.into());
    let around = |inner: &Any| Expected::Carried(outer.clone().with_payload(inner.bytes()).bytes());
    Case::into_tunnel(name, &inner).tc(around(&inner)).with(|case| {
        case.inner_len = length(&inner);
        case.out_ethertype = outer.ethertype();
        case.xdp = around(&inner.forwarded());
    })
}

fn length(packet: &Any) -> u32 {
    u32::try_from(packet.bytes().len()).unwrap()
}

/// The outer header that the case's tunnel makes without special settings.
fn plain_outer(inner: &Packet) -> Packet {
    Packet::around(inner).with(|outer| (outer.ttl, outer.ident) = (255, 0x1234))
}

/// A case where both tiers decapsulate `outer` to `inner`.
fn decapsulated(name: &str, outer: impl Into<Any>, inner: impl Into<Any>) -> Case {
    let inner = inner.into();
    Case::out_of_tunnel(name, &outer.into()).tc(Expected::Carried(inner.bytes())).with(|case| {
        case.inner_len = length(&inner);
        case.out_ethertype = inner.ethertype();
        case.xdp = Expected::Carried(inner.forwarded().bytes());
    })
}

/// A packet from the far end with `inner` inside.
fn arriving(inner: &Packet) -> Packet {
    Packet::around(inner).backwards().with(|outer| outer.ident = 0x7a01)
}

/// A UDP datagram from the server to the client.
fn reply(data: &[u8]) -> Packet {
    // A swap of both addresses and nothing else leaves the checksum right.
    crate::bytes::udp(data).backwards()
}

/// As `encapsulated`, for any kind of tunnel.
fn into(kind: Kind, name: &str, inner: &Any, outer: &Any) -> Case {
    encapsulated(&format!("{name}, {kind}"), inner, outer).tunnel(|tunnel| *tunnel = kind.tunnel())
}

/// The same behind the outer header that no special setting changes.
fn plain(kind: Kind, name: &str, inner: &Any) -> Case {
    into(kind, name, inner, &kind.outer(inner))
}

/// As `decapsulated`, for any kind of tunnel.
fn out(kind: Kind, name: &str, outer: &Any, inner: &Any) -> Case {
    decapsulated(&format!("{name}, {kind}"), outer, inner).tunnel(|tunnel| *tunnel = kind.tunnel())
}

/// A packet that no tier lets into the tunnel.
fn refused(kind: Kind, name: &str, inner: &Any, expected: &Expected) -> Case {
    let name = format!("{name}, {kind}");
    Case::into_tunnel(&name, inner).tunnel(|tunnel| *tunnel = kind.tunnel()).both(expected)
}

/// A packet that no tier lets out of the tunnel.
fn rejected(kind: Kind, name: &str, outer: &Any, expected: &Expected) -> Case {
    let name = format!("{name}, {kind}");
    Case::out_of_tunnel(&name, outer).tunnel(|tunnel| *tunnel = kind.tunnel()).both(expected)
}
