//! The Tunnel Encapsulation Limit (RFC 2473 4.1.1 and 5.1) and outer extension headers (RFC 2473 3.3).

use super::{into, out, plain, refused, rejected};
use crate::bytes::{Any, Extension, Packet6, udp6};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use crate::tunnel::Tunnel;
use ipip_common::abi::{Family, Reason};

/// No next header (RFC 8200 4.7).
const NOTHING: u8 = 59;

pub(super) fn cases() -> Vec<Case> {
    let over6 = Kind::ALL.into_iter().filter(|kind| kind.outer == Family::V6);
    let all = over6.flat_map(|kind| [configured(kind), arriving(kind)].concat());
    all.chain(nested()).chain(search()).chain(not_found()).collect()
}

fn inner(extensions: &[Extension]) -> Packet6 {
    udp6(b"nested").with(|inner| inner.extensions = extensions.to_vec())
}

/// The case with a limit outside, if there is one.
fn limited(kind: Kind, name: &str, inner: &Any, limit: Option<u8>) -> Case {
    let outer = kind.outer(inner).with_v6(|outer| outer.extensions.extend(limit.map(Extension::limit)));
    into(kind, name, inner, &outer)
}

fn set(limit: u8) -> impl FnOnce(&mut Tunnel) {
    move |tunnel| (tunnel.flags.encapsulation_limit, tunnel.encapsulation_limit) = (true, limit)
}

fn configured(kind: Kind) -> Vec<Case> {
    let with = |limit| {
        let name = format!("L4 H3 a configured limit of {limit} is sent");
        limited(kind, &name, &kind.udp(b"limit"), Some(limit)).tunnel(set(limit))
    };
    vec![
        limited(kind, "L4 no limit is sent where none is set", &kind.udp(b"limit"), None),
        with(0),
        with(4),
        with(255),
    ]
}

fn nested() -> Vec<Case> {
    let from = |limit| Any::from(inner(&[Extension::limit(limit)]));
    let less = |limit: u8| {
        limited(
            Kind::IN6,
            &format!("L4 an inner limit of {limit} is one less outside"),
            &from(limit),
            Some(limit - 1),
        )
    };
    vec![
        less(1),
        less(5),
        less(255),
        limited(Kind::IN6, "L4 an inner limit counts, not the configured one", &from(3), Some(2))
            .tunnel(set(9)),
        refused(
            Kind::IN6,
            "L4 an inner limit of 0 is reached",
            &from(0),
            &Expected::Pass(Reason::NestingLimit),
        ),
        refused(
            Kind::IN6,
            "L4 an inner limit of 0 is reached, whatever is set",
            &from(0),
            &Expected::Pass(Reason::NestingLimit),
        )
        .tunnel(set(4)),
        plain(Kind::SIT, "L4 over IPv4 an inner limit of 0 is nobody's business", &from(0)),
        plain(Kind::SIT, "L4 over IPv4 no limit is sent", &Kind::SIT.udp(b"limit")).tunnel(set(4)),
    ]
}

/// Where the option may stand.
fn search() -> Vec<Case> {
    let found = |what: &str, extensions: &[Extension]| {
        limited(Kind::IN6, &format!("L4 an inner limit is found {what}"), &inner(extensions).into(), Some(6))
    };
    let limit = Extension::limit(7);
    let router_alert = Extension::hop_by_hop(&[5, 2, 0, 0]);
    vec![
        found("behind hop-by-hop options", &[router_alert.clone(), limit.clone()])
            .xdp(Expected::Pass(Reason::Options)),
        found("behind a routing header", &[Extension::routing(), limit.clone()]),
        found("behind other destination options", &[Extension::destination(&[0x1e, 2, 1, 2]), limit.clone()]),
        found(
            "behind hop-by-hop options and a routing header",
            &[router_alert, Extension::routing(), limit.clone()],
        )
        .xdp(Expected::Pass(Reason::Options)),
        found("behind a first fragment's header", &[Extension::fragment(0, true), limit.clone()])
            .with(|case| case.looks_broken = true),
        found("in front of a fragment header", &[limit, Extension::fragment(0, false)]),
        found("behind a Pad1", &[Extension::destination(&[0, 4, 1, 7])]),
        found("behind a PadN", &[Extension::destination(&[1, 3, 0, 0, 0, 4, 1, 7])]),
        found("behind another option", &[Extension::destination(&[0x1e, 5, 1, 2, 3, 4, 5, 4, 1, 7])]),
        found("behind five Pad1", &[Extension::destination(&[0, 0, 0, 0, 0, 4, 1, 7])]),
        found(
            "at the end of its header",
            &[Extension::destination(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 7])],
        ),
        found(
            "at the end of what is looked through",
            &[Extension::destination(&[&[1, 121], [0; 121].as_slice(), &[4, 1, 7]].concat())],
        ),
    ]
}

fn not_found() -> Vec<Case> {
    let none = |what: &str, packet: Packet6| {
        limited(Kind::IN6, &format!("L4 there is no inner limit {what}"), &packet.into(), None)
            .with(|case| case.looks_broken = true)
    };
    let zero = Extension::limit(0);
    let deeper = inner(std::slice::from_ref(&zero)).bytes();
    let behind = |number: u8, bytes: &[u8]| Packet6::new(number, bytes);
    vec![
        none("in the packet inside of another", behind(41, &deeper)),
        none("behind an encapsulating security payload", behind(50, &deeper[40..])),
        none("behind an authentication header", behind(51, &deeper[40..])),
        none("behind a header that nobody knows", behind(253, &deeper[40..])),
        none("behind the last header", behind(NOTHING, &deeper[40..])),
        none(
            "in a later fragment, which begins with any bytes",
            inner(&[Extension::fragment(9, true), zero.clone()]),
        ),
        none("in a last fragment", inner(&[Extension::fragment(9, false), zero.clone()])),
        none("of two bytes", inner(&[Extension::destination(&[4, 2, 0, 0])])),
        none("of no bytes", inner(&[Extension::destination(&[4, 0, 1, 0])])),
        none("among hop-by-hop options", inner(&[Extension::hop_by_hop(&[4, 1, 0])]))
            .xdp(Expected::Pass(Reason::Options)),
        none(
            "behind an option that is longer than its header",
            inner(&[Extension::destination(&[0x1e, 9, 4, 1, 0])]),
        ),
        none("in a header that is cut short", behind(60, &[17, 0, 4])),
        none("in another option's data, 128 bytes in front of its end", inner(&[inside_of_another()])),
        none(
            "behind 128 bytes of options",
            inner(&[Extension::destination(&[&[1, 124], [0; 124].as_slice(), &[4, 1, 0]].concat())]),
        ),
    ]
}

/// A header of 256 bytes whose first option, of 200 bytes, holds what looks like a limit of 0. It begins at byte 76; the next
/// option begins at byte 204, 128 farther.
fn inside_of_another() -> Extension {
    let mut data = [0; 200];
    data[72..75].copy_from_slice(&[4, 1, 0]);
    Extension::destination(&[&[0x1e, 200], data.as_slice(), &[1, 50], &[0; 50]].concat())
}

/// What may stand in front of the inner packet when it arrives.
fn arriving(kind: Kind) -> Vec<Case> {
    let reply = kind.reply(b"answer");
    let with = |extensions: &[Extension]| {
        kind.arriving(&reply).with_v6(|outer| outer.extensions = extensions.to_vec())
    };
    let skipped = |name: &str, extension: Extension| out(kind, name, &with(&[extension]), &reply);
    let pass = |name: &str, extension: Extension, reason| {
        rejected(kind, name, &with(&[extension]), &Expected::Pass(reason))
    };
    let foreign =
        |name: &str, extensions: &[Extension]| rejected(kind, name, &with(extensions), &Expected::Foreign);
    let limit = Extension::limit(4);
    vec![
        skipped("D8 L4 a limit is skipped", limit.clone()),
        skipped("D8 L4 a limit of 0 is skipped", Extension::limit(0)),
        skipped("D8 a limit with three Pad1 is skipped", Extension::new(60, &[0, 4, 1, 4, 0, 0, 0])),
        skipped("D8 nothing but padding is skipped", Extension::new(60, &[0, 1, 4, 0, 0, 0, 0])),
        pass(
            "D8 other destination options are the stack's",
            Extension::destination(&[0x1e, 4, 1, 2, 3, 4]),
            Reason::Options,
        ),
        pass(
            "D8 a longer header is the stack's",
            Extension::destination(&[4, 1, 4, 0x1e, 6, 1, 2, 3, 4, 5, 6]),
            Reason::Options,
        ),
        pass(
            "D8 a limit of two bytes is the stack's",
            Extension::new(60, &[0, 4, 2, 4, 4, 1, 0]),
            Reason::Options,
        ),
        pass("D8 D11 a first fragment is the stack's", Extension::fragment(0, true), Reason::Fragment),
        pass("D8 D11 a last fragment is the stack's", Extension::fragment(9, false), Reason::Fragment),
        pass("D8 D11 an atomic fragment is the stack's", Extension::fragment(0, false), Reason::Fragment),
        foreign("D8 hop-by-hop options are the stack's", &[Extension::hop_by_hop(&[])]),
        foreign("D8 a routing header is the stack's", &[Extension::routing()]),
        foreign("D8 two headers are the stack's", &[limit.clone(), limit.clone()]),
        foreign("D8 a limit behind hop-by-hop options is the stack's", &[Extension::hop_by_hop(&[]), limit]),
    ]
}
