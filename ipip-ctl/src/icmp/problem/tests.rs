use ipip_common::packet::extension::find_limit as find_limit_of_programs;
use ipip_common::testing::{ETHERNET, VecFrame};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::*;

/// `2001:db8::a` to `2001:db8::b`, hop limit 64, a payload length of `length` and this first next header.
fn header(length: u16, next: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a]);
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b]);
    packet
}

fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = header(u16::try_from(payload.len()).unwrap(), next);
    packet.extend(payload);
    packet
}

/// Destination options: next header, length 0, the option (type 4, length 1, the limit), `PadN` of one byte.
fn limited(next: u8, limit: u8, rest: &[u8]) -> Vec<u8> {
    let mut payload = vec![next, 0, 4, 1, limit, 1, 1, 0];
    payload.extend(rest);
    packet(60, &payload)
}

#[test]
fn answer_is_the_one_of_the_rfc() {
    let about = limited(59, 0, &[]);
    let problem = nesting_limit(&about).unwrap();
    assert_eq!(problem.to.to_string(), "2001:db8::a");
    let mut expected = vec![4, 0, 0, 0, 0, 0, 0, 44];
    expected.extend([0x60, 0, 0, 0, 0, 8, 60, 64]);
    expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a]);
    expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b]);
    expected.extend([59, 0, 4, 1, 0, 1, 1, 0]);
    assert_eq!(problem.message, expected);
}

#[test]
fn pointer_follows_other_headers_and_padding() {
    // Hop-by-hop with PadN of four, routing with segments left 0; then Pad1, Pad1, the option, Pad1.
    let about = packet(0, &[43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 59, 0, 0, 0, 4, 1, 0, 0]);
    let problem = nesting_limit(&about).unwrap();
    assert_eq!(problem.message[4..8], [0, 0, 0, 62]);
    // A first fragment of UDP.
    let about = packet(44, &[60, 0, 0, 1, 0, 0, 0, 7, 17, 0, 4, 1, 0, 1, 1, 0, 0, 53, 0, 53, 0, 8, 0, 0]);
    assert_eq!(nesting_limit(&about).unwrap().message[4..8], [0, 0, 0, 52]);
}

#[test]
fn quote_is_the_packet_and_fits_the_least_mtu() {
    let long = limited(17, 0, &[7; 3000]);
    let message = nesting_limit(&long).unwrap().message;
    assert_eq!(message.len() + 40, 1280);
    assert_eq!(message[8..], long[..1232]);
    let mut padded = limited(17, 0, &[7; 8]);
    padded.extend([0; 6]);
    assert_eq!(nesting_limit(&padded).unwrap().message.len(), 8 + 40 + 16);
}

#[test]
fn other_packets_have_no_answer() {
    let without = packet(17, &[0; 8]);
    let mut four = limited(17, 0, &[]);
    four[0] = 0x45;
    let mut from_many = limited(17, 0, &[]);
    from_many[8] = 0xff;
    let mut to_many = limited(17, 0, &[]);
    to_many[24] = 0xff;
    let mut from_nobody = limited(17, 0, &[]);
    from_nobody[8..24].fill(0);
    for about in [without, limited(17, 1, &[]), limited(17, 255, &[]), four, from_many, to_many, from_nobody]
    {
        assert_eq!(nesting_limit(&about), None, "{about:x?}");
    }
}

#[test]
fn errors_have_no_answer_but_echoes_do() {
    for kind in [1, 2, 3, 4, 127, 137] {
        assert_eq!(nesting_limit(&limited(58, 0, &[kind, 0, 0, 0])), None, "{kind}");
    }
    assert!(nesting_limit(&limited(58, 0, &[128, 0, 0, 0])).is_some());
    assert_eq!(nesting_limit(&limited(58, 0, &[])), None);
    // The option in front of a later fragment of an ICMPv6 message, whose type is in the first.
    assert_eq!(nesting_limit(&limited(44, 0, &[58, 0, 0, 8, 0, 0, 0, 7, 128, 0, 0, 0])), None);
    assert!(nesting_limit(&limited(44, 0, &[17, 0, 0, 8, 0, 0, 0, 7])).is_some());
}

/// An extension header: its kind, and what follows its first byte.
fn extension() -> impl Strategy<Value = (u8, Vec<u8>)> {
    // Short ones around a limit of 0, long ones whose data holds others.
    let option = prop_oneof![
        Just(vec![0]),
        Just(vec![4, 1, 0]),
        Just(vec![4, 2, 0, 0]),
        (0_u8..8).prop_map(|length| [vec![1, length], vec![0; usize::from(length)]].concat()),
        (0_u8..=255).prop_map(|length| {
            let data = [4, 1, 0, 0].into_iter().cycle().take(usize::from(length));
            [0x1e, length].into_iter().chain(data).collect()
        }),
    ];
    let options = prop::collection::vec(option, 0..8).prop_map(|options| {
        let mut bytes = options.concat();
        bytes.resize((bytes.len() + 2).next_multiple_of(8) - 2, 0);
        [vec![u8::try_from((bytes.len() + 2) / 8 - 1).unwrap_or(255)], bytes].concat()
    });
    let fragment = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    prop_oneof![
        4 => (Just(60), options.clone()),
        1 => (prop_oneof![Just(0), Just(43)], options),
        1 => fragment.prop_map(|offset| (44, vec![0, 0, offset, 0, 0, 0, 7])),
    ]
}

proptest! {
    #[test]
    fn a_limit_is_reached_for_the_programs_and_for_the_daemon(
        extensions in prop::collection::vec(extension(), 0..6),
    ) {
        let kinds = extensions.iter().map(|(kind, _)| *kind).chain([17]);
        let kinds: Vec<u8> = kinds.collect();
        let mut payload = Vec::new();
        for ((_, rest), next) in extensions.iter().zip(&kinds[1..]) {
            payload.extend([&[*next], rest.as_slice()].concat());
        }
        let about = packet(kinds[0], &[payload, vec![0; 8]].concat());
        let mut frame = VecFrame::new(&[vec![0; ETHERNET], about.clone()].concat());
        let limit = find_limit_of_programs(&mut frame, kinds[0], 40);
        prop_assert_eq!(nesting_limit(&about).is_some(), limit.is_reached(), "{:x?}", about);
    }
}

#[test]
fn no_cut_and_no_byte_panics() {
    let whole =
        packet(0, &[43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 58, 0, 0, 0, 4, 1, 0, 0, 128, 0, 0, 0]);
    for length in 0..whole.len() {
        let _ = nesting_limit(&whole[..length]);
        for byte in [0, 1, 44, 60, 255] {
            let mut other = whole.clone();
            other[length] = byte;
            let _ = nesting_limit(&other);
        }
    }
}
