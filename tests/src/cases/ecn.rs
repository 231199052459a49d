//! Congestion marks across the tunnel: RFC 6040, figure 3 (encapsulation) and figure 4 (decapsulation).

use super::{into, out, rejected};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::Reason;

const NOT_ECT: u8 = 0b00;
const ECT1: u8 = 0b01;
const ECT0: u8 = 0b10;
const CE: u8 = 0b11;

/// Figure 4: for an inner field (rows) and an outer one (columns Not-ECT, ECT(0), ECT(1), CE) what comes out.
const FIGURE_4: [(u8, [Option<u8>; 4]); 4] = [
    (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
    (ECT0, [Some(ECT0), Some(ECT0), Some(ECT1), Some(CE)]),
    (ECT1, [Some(ECT1), Some(ECT1), Some(ECT1), Some(CE)]),
    (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
];
/// The cells with exclamation marks where the packet lives, which are counted.
const MARKED: [(u8, u8); 4] = [(NOT_ECT, ECT0), (NOT_ECT, ECT1), (ECT1, ECT0), (CE, ECT1)];
const COLUMNS: [u8; 4] = [NOT_ECT, ECT0, ECT1, CE];
/// Some DSCP, to see that it stays.
const DSCP: u8 = 18 << 2;

fn name(field: u8) -> &'static str {
    match field {
        NOT_ECT => "Not-ECT",
        ECT0 => "ECT(0)",
        ECT1 => "ECT(1)",
        _ => "CE",
    }
}

pub(super) fn cases() -> Vec<Case> {
    let ip = Kind::IP.into_iter().flat_map(|kind| [figure_3(kind), figure_4(kind)].concat());
    ip.chain([Kind::MPLS4, Kind::MPLS6].into_iter().flat_map(labels)).collect()
}

fn figure_3(kind: Kind) -> Vec<Case> {
    let cell = |field: u8| {
        let inner = kind.udp(b"mark").with_tos(DSCP | field);
        let normal = format!("E1 {} goes outside as it is", name(field));
        let compatible = format!("E1 E4 {} stays inside in compatibility mode", name(field));
        [
            into(kind, &normal, &inner, &kind.outer(&inner).with_tos(DSCP | field)),
            into(kind, &compatible, &inner, &kind.outer(&inner).with_tos(DSCP))
                .tunnel(|tunnel| tunnel.flags.ecn_compatibility = true),
        ]
    };
    COLUMNS.into_iter().flat_map(cell).collect()
}

fn figure_4(kind: Kind) -> Vec<Case> {
    let cell = |inner_field: u8, outer_field: u8, expected: Option<u8>| {
        let title = format!("E2 E3 inner {}, outer {}", name(inner_field), name(outer_field));
        let inner = kind.reply(b"mark").with_tos(DSCP | inner_field);
        let outer = kind.arriving(&inner).with_tos(10 << 2 | outer_field);
        match expected {
            Some(field) => out(kind, &title, &outer, &inner.with_tos(DSCP | field)).with(|case| {
                case.note = MARKED.contains(&(inner_field, outer_field)).then_some(Reason::OddEcn);
            }),
            None => rejected(kind, &title, &outer, &Expected::Drop(Reason::BadEcn)),
        }
    };
    let row = |(inner, row): (u8, [Option<u8>; 4])| {
        COLUMNS.into_iter().zip(row).map(move |(outer, expected)| cell(inner, outer, expected))
    };
    FIGURE_4.into_iter().flat_map(row).collect()
}

/// Labels have no ECN field: nothing goes outside, and whatever arrives changes nothing.
fn labels(kind: Kind) -> Vec<Case> {
    let cell = |field: u8| {
        let inner = kind.reply(b"mark");
        let outer = kind.arriving(&inner).with_tos(DSCP | field);
        out(kind, &format!("E5 {} outside changes nothing inside", name(field)), &outer, &inner)
    };
    COLUMNS.into_iter().map(cell).collect()
}
