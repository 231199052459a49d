//! TTL and hop limit on their way through: decremented by whoever forwards, and by nobody else.

use super::{out, plain, refused, rejected};
use crate::bytes::{Any, udp};
use crate::case::{Case, Expected};
use crate::kind::Kind;
use ipip_common::abi::Reason;

pub(super) fn cases() -> Vec<Case> {
    Kind::ALL.into_iter().flat_map(|kind| [there(kind), back(kind)].concat()).chain(checksums()).collect()
}

fn there(kind: Kind) -> Vec<Case> {
    let with_ttl = |ttl| kind.udp(b"hops").with_ttl(ttl);
    vec![
        plain(kind, "T1 T4 a TTL of 255 is one less after forwarding", &with_ttl(255)),
        plain(kind, "T1 T4 a TTL of 2 is one less after forwarding", &with_ttl(2)),
        plain(kind, "T1 T4 a TTL of 1 expires in forwarding only", &with_ttl(1))
            .xdp(Expected::Pass(Reason::TtlExpired)),
        refused(kind, "T2 a TTL of 0 is never encapsulated", &with_ttl(0), &Expected::Drop(Reason::TtlZero)),
    ]
}

fn back(kind: Kind) -> Vec<Case> {
    let with_ttl = |ttl| kind.reply(b"hops").with_ttl(ttl);
    let simple = |name: &str, inner: &Any| out(kind, name, &kind.arriving(inner), inner);
    vec![
        simple("T3 a TTL of 255 is one less after forwarding", &with_ttl(255)),
        simple("T3 a TTL of 2 is one less after forwarding", &with_ttl(2)),
        simple("T3 a TTL of 1 expires in forwarding, not in decapsulation", &with_ttl(1))
            .xdp(Expected::Pass(Reason::TtlExpired)),
        rejected(
            kind,
            "T2 an inner TTL of 0 is discarded",
            &kind.arriving(&with_ttl(0)),
            &Expected::Drop(Reason::TtlZero),
        ),
        // RFC 4023 5.2 lets the exit copy an outer TTL that is lower, and Linux does not.
        out(kind, "T5 the outer TTL is not copied", &kind.arriving(&with_ttl(64)).with_ttl(3), &with_ttl(64)),
    ]
}

/// Header checksums around the two forms of zero (RFC 1624 4), with a TTL that is decremented.
fn checksums() -> Vec<Case> {
    let checksum = |packet: &crate::bytes::Packet| {
        let bytes = packet.bytes();
        u16::from_be_bytes([bytes[10], bytes[11]])
    };
    let with_ident = |ident| udp(b"sum").with(|inner| inner.ident = ident);
    let of = |wanted: u16| {
        // The sum over an end-around carry, from either side of it.
        let near = checksum(&with_ident(0)).wrapping_sub(wanted);
        let idents = [near, near.wrapping_sub(1), near.wrapping_add(1)].map(with_ident);
        idents
            .into_iter()
            .find(|packet| checksum(packet) == wanted)
            .expect("an identification for any checksum")
    };
    let kinds = [Kind::IN4, Kind::IPIP6];
    let sums = [0x0000, 0x0001, 0x00ff, 0xfeff, 0xff00, 0xfefe, 0xfffe];
    sums.into_iter()
        .flat_map(|sum| {
            kinds.map(|kind| plain(kind, &format!("C3 T1 a header checksum of {sum:#06x}"), &of(sum).into()))
        })
        .collect()
}
