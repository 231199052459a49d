//! IPv6 that contradicts itself or needs the host's stack, tags, partial checksums, and flow labels.

use super::{into, out, plain, refused, rejected};
use crate::bytes::{Any, Extension, Packet6, Segment, ethernet, udp6, udp6_with_partial_checksum};
use crate::case::{Case, Expected, IPV6, mac};
use crate::kind::Kind;
use ipip_common::abi::{Family, Reason};

pub(super) fn cases() -> Vec<Case> {
    let carrying6 =
        [Kind::SIT, Kind::IN6].into_iter().flat_map(|kind| [malformed(kind), stack(kind)].concat());
    let all = Kind::ALL.into_iter().flat_map(|kind| [tags(kind), flow_label(kind), outer_v4(kind)].concat());
    carrying6.chain(all).collect()
}

fn malformed(kind: Kind) -> Vec<Case> {
    let pass = Expected::Pass(Reason::Malformed);
    let bad = |name: &str, change: fn(&mut Packet6)| {
        refused(kind, name, &udp6(&[8; 40]).with(change).into(), &pass)
    };
    let cut = |bytes: usize, expected: &Expected| {
        let name = format!("D9 an IPv6 header of {bytes} bytes");
        refused(kind, &name, &udp6(b"").into(), expected).with(|case| case.input.truncate(14 + bytes))
    };
    let drop = |name: &str, change: fn(&mut Packet6)| {
        let inner: Any = kind.reply(&[8; 40]).with_v6(change);
        rejected(kind, name, &kind.arriving(&inner), &Expected::Drop(Reason::BadLength))
    };
    let short = udp6(&[1]).with(|inner| inner.payload_len = Some(0));
    vec![
        bad("D9 a payload length one byte beyond the frame", |inner| inner.payload_len = Some(49)),
        bad("D9 a payload length of 65535", |inner| inner.payload_len = Some(0xffff)),
        bad("D9 version 4 under IPv6's EtherType", |inner| inner.first_byte = Some(0x45)),
        cut(39, &Expected::Foreign),
        cut(0, &Expected::Foreign),
        cut(40, &pass),
        drop("D4 an inner payload length one byte beyond the outer's", |inner| inner.payload_len = Some(49)),
        drop("D4 an inner payload length of 65535", |inner| inner.payload_len = Some(0xffff)),
        into(
            kind,
            "D4 a payload length of 0 leaves a header",
            &Packet6::new(17, &[]).into(),
            &kind.outer(&Packet6::new(17, &[]).into()),
        )
        .with(|case| {
            case.input.splice(14.., short.bytes()).for_each(drop_byte);
            case.looks_broken = true;
        }),
    ]
}

fn drop_byte(_: u8) {}

/// What a router does not forward on the fast path.
fn stack(kind: Kind) -> Vec<Case> {
    let there_and_back = |name: &str, inner: Packet6, reason| {
        let inner = Any::from(inner);
        let reply = inner.clone().backwards();
        [
            plain(kind, &format!("{name}, into the tunnel"), &inner),
            out(kind, &format!("{name}, out of the tunnel"), &kind.arriving(&reply), &reply),
        ]
        .map(|case| case.xdp(Expected::Pass(reason)).with(|case| case.looks_broken = true))
    };
    let alert = udp6(b"alert").extended(Extension::hop_by_hop(&[5, 2, 0, 0]));
    let fragment = |offset, more| Any::from(udp6(&[3; 24]).extended(Extension::fragment(offset, more)));
    let carried = |name: &str, inner: &Any| {
        [
            plain(kind, &format!("{name}, into the tunnel"), inner),
            out(
                kind,
                &format!("{name}, out of the tunnel"),
                &kind.arriving(&inner.clone().backwards()),
                &inner.clone().backwards(),
            ),
        ]
        .map(|case| case.with(|case| case.looks_broken = true))
    };
    [
        there_and_back("H5 D11 hop-by-hop options are the stack's to forward", alert, Reason::Options),
        there_and_back(
            "C2 a partial UDP checksum is not forwarded by XDP",
            udp6_with_partial_checksum(b"later"),
            Reason::PartialChecksum,
        ),
        there_and_back(
            "C2 a partial TCP checksum is not forwarded by XDP",
            Segment::syn(&[]).packet6_with_partial_checksum(),
            Reason::PartialChecksum,
        ),
        carried(
            "H5 inner destination options stay inside",
            &udp6(b"x").extended(Extension::destination(&[])).into(),
        ),
        carried("H5 an inner routing header stays inside", &udp6(b"x").extended(Extension::routing()).into()),
        carried("D11 a first IPv6 fragment is forwarded, nobody cuts it again", &fragment(0, true)),
        carried("D11 a later IPv6 fragment is forwarded, nobody cuts it again", &fragment(9, false)),
    ]
    .concat()
}

/// Tagged frames exist on ports only.
fn tags(kind: Kind) -> Vec<Case> {
    let tagged =
        |packet: &Any| [&[0, 100], packet.ethertype().to_be_bytes().as_slice(), &packet.bytes()].concat();
    let (inner, outer) = (kind.udp(b"tag"), kind.arriving(&kind.reply(b"tag")));
    let into = |name: &str, ethertype| {
        refused(kind, name, &inner, &Expected::Foreign)
            .tc(Expected::Drop(Reason::NotCarried))
            .with(|case| case.input = ethernet(mac::LAN, mac::CLIENT, ethertype, &tagged(&inner)))
    };
    let out = |name: &str, ethertype| {
        rejected(kind, name, &outer, &Expected::Foreign)
            .with(|case| case.input = ethernet(mac::WAN, mac::GATEWAY, ethertype, &tagged(&outer)))
    };
    let other_family = if kind.outer == Family::V4 { IPV6 } else { crate::case::IPV4 };
    vec![
        into("D11 a VLAN tag is foreign", 0x8100),
        into("D11 a provider's tag is foreign", 0x88a8),
        out("D11 a tunnel's packet with a VLAN tag is foreign", 0x8100),
        out("D11 a tunnel's packet with a provider's tag is foreign", 0x88a8),
        rejected(
            kind,
            "D11 a tunnel's packet under another EtherType is foreign",
            &outer,
            &Expected::Foreign,
        )
        .with(|case| case.input[12..14].copy_from_slice(&other_family.to_be_bytes())),
    ]
}

/// Any label but none; which one is for the laws and for the flows of `prog`.
fn flow_label(kind: Kind) -> Vec<Case> {
    let on = |case: Case| {
        case.tunnel(|tunnel| tunnel.flags.flow_label = true)
            .with(|case| case.has_any_label = kind.outer == Family::V6)
    };
    vec![
        on(plain(kind, "H15 a flow has a label", &kind.udp(b"flow"))),
        on(plain(kind, "H15 a flow without ports has a label", &kind.other(253, b"flow"))),
        plain(kind, "H15 there is no label where it is off", &kind.udp(b"flow")),
    ]
}

/// Outer IPv4 headers that are the stack's.
fn outer_v4(kind: Kind) -> Vec<Case> {
    if kind.outer == Family::V6 {
        return Vec::new();
    }
    let outer = kind.arriving(&kind.reply(&[4; 40]));
    let pass = |name: &str, change: fn(&mut crate::bytes::Packet), reason| {
        rejected(kind, name, &outer.clone().with_v4(change), &Expected::Pass(reason))
    };
    vec![
        pass(
            "D11 outer options are the stack's",
            |outer| outer.options = vec![0x94, 4, 0, 0],
            Reason::Options,
        ),
        pass(
            "D11 a first outer fragment is the stack's",
            |outer| outer.more_fragments = true,
            Reason::Fragment,
        ),
        pass("D11 a last outer fragment is the stack's", |outer| outer.fragment_offset = 8, Reason::Fragment),
        pass(
            "D9 C1 a wrong outer checksum is the stack's",
            |outer| outer.wrong_checksum = true,
            Reason::OuterChecksum,
        ),
        pass(
            "D9 an outer header length of 16 is malformed",
            |outer| outer.first_byte = Some(0x44),
            Reason::Malformed,
        ),
    ]
}
