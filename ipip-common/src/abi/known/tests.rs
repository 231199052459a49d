use bytemuck::Zeroable as _;

use super::*;
use crate::packet::flow::Ports;

const ARRIVAL: Arrival = Arrival { ifindex: 3, address: 0x0807_0605_0403_0201, epoch: 7, turned: 3 };

fn flow(family: Family) -> Flow {
    Flow {
        family,
        source: [0x0a00_0001, 1, 2, 3],
        destination: [0x0a00_0002, 4, 5, 6],
        protocol: 6,
        tos: 0xb8,
        ports: Ports { source: 1000, destination: 443 },
    }
}

fn filled(flow: &Flow) -> KnownFlow {
    let mut known = KnownFlow::zeroed();
    known.fill(&ARRIVAL, flow, &Labels::NONE, &Course::Foreign);
    known
}

/// Whether `known` is about packets of this flow, in this direction.
fn is_for(known: &KnownFlow, flow: &Flow, is_decapsulated: bool) -> bool {
    let first = first_word(flow.family, false, is_decapsulated, flow.tos);
    let (ends, ports) = (ends_of(flow), flow.ports.both().to_be());
    match flow.family {
        Family::V4 => known.is_for_v4(first, ends[0], ports, flow.protocol),
        Family::V6 => known.is_for_v6(first, ends, ports, flow.protocol),
    }
}

#[test]
fn every_part_of_a_flow_is_in_its_key() {
    for family in [Family::V4, Family::V6] {
        let flow = flow(family);
        let known = filled(&flow);
        assert!(is_for(&known, &flow, false));
        assert!(!is_for(&known, &flow, true), "the direction");
        assert!(is_for(&known, &Flow { tos: 0xbb, ..flow }, false), "congestion marks are none");
        let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
        let mut others = std::vec![
            Flow { family: other, ..flow },
            Flow { protocol: 17, ..flow },
            Flow { tos: 0, ..flow },
            Flow { tos: 0xbc, ..flow },
            Flow { ports: Ports { source: 1001, ..flow.ports }, ..flow },
            Flow { ports: Ports { destination: 444, ..flow.ports }, ..flow },
        ];
        let words: &[usize] = if family == Family::V4 { &[0] } else { &[0, 1, 2, 3] };
        for word in words {
            let (mut near, mut far) = (flow, flow);
            near.source[*word] ^= 1;
            far.destination[*word] ^= 1;
            others.extend([near, far]);
        }
        for other in others {
            assert!(!is_for(&known, &other, false), "{other:?}");
        }
    }
}

#[test]
fn where_a_packet_arrives_is_in_the_key() {
    let known = filled(&flow(Family::V4));
    assert!(known.is_from(ARRIVAL.address, ARRIVAL.ifindex));
    assert!(!known.is_from(ARRIVAL.address, 4));
    for byte in 0..8 {
        assert!(!known.is_from(ARRIVAL.address ^ 1 << (8 * byte), ARRIVAL.ifindex), "byte {byte}");
    }
    assert_eq!(known.epoch(), ARRIVAL.epoch);
}

#[test]
fn an_epoch_ends_with_a_change_and_with_time() {
    let now = epoch(7, 1 << EPOCH_SHIFT);
    assert_eq!(now, epoch(7, (2 << EPOCH_SHIFT) - 1));
    for (generation, jiffies) in [(8, 1 << EPOCH_SHIFT), (7, 2 << EPOCH_SHIFT), (9, 5 << EPOCH_SHIFT)] {
        assert_ne!(now, epoch(generation, jiffies));
    }
}

#[test]
fn an_epoch_does_not_come_again_when_32_bits_of_jiffies_are_full() {
    // Where the kernel's clock stands after five minutes: it starts at -300 s, cut to 32 bits.
    let (last, next) = (epoch(7, 0xffff_ffff), epoch(7, 1 << 32));
    assert_eq!(next, last + 1);
    for jiffies in [0, 1 << EPOCH_SHIFT, 0xffff_ffff] {
        assert_ne!(epoch(7, jiffies), epoch(7, jiffies + (1 << 32)), "{jiffies}");
    }
}

#[test]
fn flows_are_spread_over_the_table() {
    // A thousand flows of neighbouring addresses and ports. By chance alone some 888 places of 4096 would be taken.
    for family in [Family::V4, Family::V6] {
        let mut places = std::collections::BTreeSet::new();
        for number in 0..1000_u32 {
            let mut flow = flow(family);
            flow.source[3 * usize::from(family == Family::V6)] += number % 10;
            flow.ports.source += u16::try_from(number / 10).unwrap();
            places.insert(place_of(&flow, &Labels::NONE) >> (64 - LEAST_FLOW_BITS));
        }
        assert!(places.len() > 800, "{family:?}: {}", places.len());
    }
}

#[test]
fn the_table_grows_with_the_memory_and_shrinks_with_the_cpus() {
    const GIB: u64 = 1 << 30;
    for (memory, cpus, bits) in [
        (0, 0, 12),
        (GIB, 4, 12),
        (2 * GIB, 4, 13),
        (4 * GIB, 4, 14),
        (24 * GIB, 2, 14),
        (32 * GIB, 128, 12),
        (u64::MAX, 1, 14),
    ] {
        assert_eq!(flow_bits(memory, cpus), bits, "{memory} bytes, {cpus} CPUs");
        let size = (u64::from(cpus) * size_of::<KnownFlow>() as u64) << bits;
        assert!(bits == LEAST_FLOW_BITS || size <= memory / 256);
    }
}

/// Label 100, class 5, bottom of the stack, TTL 64; label 16 above it with class 3 and TTL 9.
const BOTTOM: u32 = 0x0006_4b40;
const ABOVE: u32 = 0x0001_0609;

#[test]
fn labels_and_classes_are_in_the_key_and_their_ttls_are_not() {
    let key = |entries| Labels::new(entries, 200).key();
    assert_eq!(key([ABOVE, BOTTOM]), u64::from_le_bytes([0x00, 0x01, 0x06, 0, 0x00, 0x06, 0x4b, 0]));
    assert_eq!(key([BOTTOM, 0]), u64::from_le_bytes([0x00, 0x06, 0x4b, 0, 0, 0, 0, 0]));
    assert_eq!(key([ABOVE, BOTTOM]), key([ABOVE + 1, BOTTOM - 1]), "TTLs");
    for bit in 8..32 {
        assert_ne!(key([ABOVE, BOTTOM]), key([ABOVE ^ 1 << bit, BOTTOM]), "bit {bit} of the first");
        assert_ne!(key([ABOVE, BOTTOM]), key([ABOVE, BOTTOM ^ 1 << bit]), "bit {bit} of the second");
    }
    assert!(!Labels::NONE.are_some() && Labels::new([BOTTOM, 0], 0).are_some());
    // Explicit null on top of another label.
    assert!(Labels::new([0, BOTTOM], 0).are_some());
    let flow = flow(Family::V4);
    let (mut with, mut without) = (KnownFlow::zeroed(), KnownFlow::zeroed());
    with.fill(&ARRIVAL, &flow, &Labels::new([BOTTOM, 0], 200), &Course::Foreign);
    without.fill(&ARRIVAL, &flow, &Labels::NONE, &Course::Foreign);
    assert!(with.is_under(key([BOTTOM, 0])) && !with.is_under(key([ABOVE, BOTTOM])));
    assert!(is_for(&without, &flow, false) && !is_for(&with, &flow, false) && !is_for(&with, &flow, true));
}

#[test]
fn a_label_is_swapped_and_its_ttl_is_one_less() {
    let out = Labels::new([BOTTOM, 0], 200).out();
    // Label 100 becomes 200; class and bottom of the stack stay; TTL 64 becomes 63.
    let swapped = Labels::forwarded(u32::from_le_bytes([0x00, 0x06, 0x4b, 0x40]), out);
    assert_eq!(swapped.to_le_bytes(), [0x00, 0x0c, 0x8b, 0x3f]);
    let lowest = Labels::forwarded(u32::from_le_bytes([0xff, 0xff, 0xf0, 2]), out);
    assert_eq!(lowest.to_le_bytes(), [0x00, 0x0c, 0x80, 1]);
}
