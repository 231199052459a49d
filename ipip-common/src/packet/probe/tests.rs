#![expect(clippy::arithmetic_side_effects, reason = "test code: a panic is a failed test")]

use proptest::prelude::*;

use super::*;
use crate::packet::flow::Ports;

const KEY: Key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

/// The reference implementation's output for the key 00 01 .. 0f and the input 00 01 .. 0f.
#[test]
fn siphash_gives_the_reference_value() {
    let input = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    assert_eq!(siphash(KEY, input), u64::from_le_bytes([0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f]));
}

/// The same function from the standard library, over many inputs.
#[test]
#[expect(deprecated, reason = "the only SipHash-2-4 with a key in the standard library")]
fn siphash_is_that_of_the_standard_library() {
    use core::hash::{Hasher as _, SipHasher};
    proptest!(|(key: [u64; 2], input: [u64; 2])| {
        let mut hasher = SipHasher::new_with_keys(key[0], key[1]);
        hasher.write(&input[0].to_le_bytes());
        hasher.write(&input[1].to_le_bytes());
        prop_assert_eq!(siphash(key, input), hasher.finish());
    });
}

fn flow(family: Family) -> Flow {
    let (source, destination) = match family {
        Family::V4 => ([0xc633_6401, 0, 0, 0], [0xcb00_7102, 0, 0, 0]),
        Family::V6 => ([0x2001_0db8, 0, 0, 1], [0x2001_0db8, 0, 0, 2]),
    };
    Flow { family, source, destination, protocol: 0, tos: 0, ports: Ports::default() }
}

fn words_of(bytes: &[u8]) -> std::vec::Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
}

/// Lengths, addresses and checksums as RFC 791, RFC 792, RFC 8200 and RFC 4443 say, from the bytes alone.
#[test]
fn a_probe_is_a_sound_echo_request() {
    let probe = Probe { sequence: 7, way: Way::Reflect as u32, sent_ns: 1_000_000_007 };
    let mut packet = [0; LONGEST];
    let (bytes, tos) = probe.write(KEY, &flow(Family::V4), &mut packet);
    assert_eq!((bytes.len(), bytes[0], bytes[1], tos, bytes[8], bytes[9]), (60, 0x45, 0xc0, 0xc0, 64, 1));
    assert_eq!((&bytes[2..4], &bytes[12..20]), (&[0, 60][..], &[198, 51, 100, 1, 203, 0, 113, 2][..]));
    assert_eq!(bytes[20], 8);
    let sum = |bytes: &[u8]| words_of(bytes).into_iter().fold(0, checksum::add_word);
    assert_eq!((checksum::fold(sum(&bytes[..20])), checksum::fold(sum(&bytes[20..]))), (0xffff, 0xffff));

    let (bytes, _) = probe.write(KEY, &flow(Family::V6), &mut packet);
    assert_eq!((bytes.len(), &bytes[..8]), (80, &[0x6c, 0, 0, 0, 0, 40, 58, 64][..]));
    assert_eq!(bytes[40], 128);
    let pseudo = checksum::pseudo_header_sum(&flow(Family::V6), 58, 40);
    assert_eq!(checksum::fold(pseudo + sum(&bytes[40..])), 0xffff);
}

proptest! {
    #[test]
    fn a_probe_reads_as_it_was_written(sequence: u32, way in 1..6_u32, sent_ns: u64, key: [u64; 2]) {
        let probe = Probe { sequence, way, sent_ns };
        let mut packet = [0; LONGEST];
        let (bytes, _) = probe.write(key, &flow(Family::V4), &mut packet);
        let data: [u32; 8] = words_of(&bytes[28..]).try_into().unwrap();
        prop_assert_eq!(Probe::read(data), Some((probe, probe.nonce(key))));
    }

    /// Whatever is changed of a probe, its nonce is another.
    #[test]
    fn nothing_of_a_probe_can_be_changed(sequence: u32, way: u32, sent_ns: u64, bit in 0..128_u32) {
        let probe = Probe { sequence, way, sent_ns };
        let other = match bit {
            0..32 => Probe { sequence: sequence ^ 1 << bit, ..probe },
            32..64 => Probe { way: way ^ 1 << (bit - 32), ..probe },
            _ => Probe { sent_ns: sent_ns ^ 1 << (bit - 64), ..probe },
        };
        prop_assert_ne!(probe.nonce(KEY), other.nonce(KEY));
        prop_assert_ne!(probe.nonce(KEY), probe.nonce([KEY[0], KEY[1] ^ 1]));
    }
}
