//! Outer flow labels over many flows: conformance fact H15 (RFC 6437 3, RFC 6438 3).

use std::collections::BTreeSet;

use crate::bytes::{Any, Extension, Labelled, Packet, Packet6, UDP, udp, udp6};
use crate::case::Case;
use crate::kind::Kind;
use ipip_common::abi::Carried;

const FLOWS: u16 = 1000;

/// The flow label of an outer packet, from its network header on.
pub fn label(outer: &[u8]) -> u32 {
    u32::from_be_bytes([0, outer[1] & 0x0f, outer[2], outer[3]])
}

/// The packet of a flow by its number: neighbouring addresses and ports, as they are in use.
fn flow(kind: Kind, number: u16, data: &[u8]) -> Any {
    let ([_, host], port) = ((number % 10 + 2).to_be_bytes(), 40_000 + number / 10);
    let over4 = |packet: Packet| {
        packet.with(|packet| {
            packet.source[3] = host;
            packet.payload[..2].copy_from_slice(&port.to_be_bytes());
        })
    };
    let over6 = |packet: Packet6| {
        packet.with(|packet| {
            packet.source = (packet.source.to_bits() + u128::from(host)).into();
            packet.payload[..2].copy_from_slice(&port.to_be_bytes());
        })
    };
    match kind.inner {
        Carried::Ipv4 => over4(udp(data)).into(),
        Carried::Ipv6 => over6(udp6(data)).into(),
        Carried::Mpls => Labelled::new(&over4(udp(data)).bytes()).into(),
    }
}

fn case(kind: Kind, packet: &Any, is_on: bool) -> Case {
    Case::into_tunnel(&format!("H15 {kind}"), packet)
        .tunnel(|tunnel| *tunnel = kind.tunnel())
        .tunnel(|tunnel| tunnel.flags.flow_label = is_on)
}

/// Checks the labels that `run` gives; it returns the outer packet from its network header on, where there is one.
pub fn check(mut run: impl FnMut(&Case) -> Option<Vec<u8>>) {
    for kind in [Kind::IPIP6, Kind::IN6, Kind::MPLS6] {
        let mut label_of =
            |packet: &Any, is_on: bool| run(&case(kind, packet, is_on)).map(|outer| label(&outer));
        check_flows(kind, |packet| label_of(packet, true));
        check_fragments(kind, |packet| label_of(packet, true));
        assert_eq!(label_of(&flow(kind, 1, b"off"), false), Some(0), "{kind}: a label where they are off");
    }
}

/// A thousand flows have a thousand labels, roughly uniform; the packets of one have one.
fn check_flows(kind: Kind, mut label_of: impl FnMut(&Any) -> Option<u32>) {
    let (mut high, mut low, mut all) = ([0; 16], [0; 16], BTreeSet::new());
    for number in 0..FLOWS {
        let label = label_of(&flow(kind, number, b"one")).expect("every flow is carried");
        assert!(label > 0 && label < 1 << 20, "{kind}: label {label:#x}");
        high[usize::try_from(label >> 16).unwrap()] += 1;
        low[usize::try_from(label & 15).unwrap()] += 1;
        all.insert(label);
        if number % 10 == 0 {
            let another = flow(kind, number, b"another, longer one").with_ttl(7).with_tos(0xb8);
            let again = label_of(&another.with_v4(|packet| packet.ident ^= 0xffff));
            assert_eq!(again, Some(label), "{kind}: a flow changed its label");
        }
    }
    // 62 in each on average, with a standard deviation of 8.
    for buckets in [high, low] {
        assert!(buckets.iter().all(|count| (30..100).contains(count)), "{kind}: {buckets:?}");
    }
    assert!(all.len() > 990, "{kind}: {} labels for {FLOWS} flows", all.len());
}

/// All fragments of a datagram agree, whatever bytes they begin with.
fn check_fragments(kind: Kind, mut label_of: impl FnMut(&Any) -> Option<u32>) {
    let payload = |first: u8| [first; 48];
    let of4 = |first, offset, more| {
        Packet::new(UDP, &payload(first)).with(|packet| {
            (packet.fragment_offset, packet.more_fragments) = (offset, more);
        })
    };
    let of6 =
        |first, offset, more| Packet6::new(UDP, &payload(first)).extended(Extension::fragment(offset, more));
    let rows = [(1, 0, true), (2, 6, true), (3, 12, false)];
    let labels: Vec<Option<u32>> = rows
        .into_iter()
        .map(|(first, offset, more)| match kind.inner {
            Carried::Ipv4 => label_of(&of4(first, offset, more).into()),
            Carried::Ipv6 => label_of(&of6(first, offset, more).into()),
            Carried::Mpls => label_of(&Labelled::new(&of4(first, offset, more).bytes()).into()),
        })
        .collect();
    assert!(
        labels.iter().all(|label| *label == labels[0]),
        "{kind}: fragments of one datagram have {labels:?}"
    );
}
