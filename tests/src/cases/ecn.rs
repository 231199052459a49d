//! Congestion marks across the tunnel: RFC 6040, figure 3 (encapsulation) and figure 4 (decapsulation).

use super::{arriving, decapsulated, encapsulated, plain_outer, reply};
use crate::bytes::udp;
use crate::case::{Case, Expected};
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
    COLUMNS.into_iter().map(figure_3).chain(figure_4()).collect()
}

fn figure_3(field: u8) -> Case {
    let inner = udp(b"mark").with(|inner| inner.tos = DSCP | field);
    let outer = plain_outer(&inner).with(|outer| outer.tos = DSCP | field);
    encapsulated(&format!("E1 {} goes outside as it is", name(field)), &inner, &outer)
}

fn figure_4() -> Vec<Case> {
    let cell = |inner_field: u8, outer_field: u8, expected: Option<u8>| {
        let title = format!("E2 E3 inner {}, outer {}", name(inner_field), name(outer_field));
        let inner = reply(b"mark").with(|inner| inner.tos = DSCP | inner_field);
        let outer = arriving(&inner).with(|outer| outer.tos = 10 << 2 | outer_field);
        match expected {
            Some(field) => {
                decapsulated(&title, &outer, &inner.with(|inner| inner.tos = DSCP | field)).with(|case| {
                    case.note = MARKED.contains(&(inner_field, outer_field)).then_some(Reason::OddEcn);
                })
            }
            None => Case::decap(&title, &outer.bytes()).both(&Expected::Drop(Reason::BadEcn)),
        }
    };
    let row = |(inner, row): (u8, [Option<u8>; 4])| {
        COLUMNS.into_iter().zip(row).map(move |(outer, expected)| cell(inner, outer, expected))
    };
    FIGURE_4.into_iter().flat_map(row).collect()
}
