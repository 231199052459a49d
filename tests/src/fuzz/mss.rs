//! Target `mss`: the same packet with and without `clamp-tcp-mss`.

use ipip_common::abi::TunnelFlags;
use ipip_common::path::{decap::decap, encap::encap};
use ipip_common::testing::{ETHERNET, VecFrame};
use ipip_common::verdict::Verdict;

use super::Seen;
use super::packet::{kind_of, kind_of_protocol, outer, sum, tcp_at};
use super::world::{World, env};

const SYN: u8 = 2;

/// Runs one input.
pub(super) fn run(input: &[u8]) -> Seen {
    let Some(mut world) = World::read(input) else { return Seen::Nothing };
    let (without, _) = carry(&mut world, false);
    let (with, seen) = carry(&mut world, true);
    assert_eq!(with.bytes.len(), without.bytes.len());
    if with == without {
        return Seen::Refusal;
    }
    assert_eq!(seen, Seen::Success);
    check_clamp(&world, &without.bytes[ETHERNET..], &with.bytes[ETHERNET..]);
    Seen::Success
}

/// What becomes of the frame.
fn carry(world: &mut World, clamp: bool) -> (VecFrame, Seen) {
    world.config.flags = TunnelFlags { clamp_tcp_mss: clamp, ..world.config.flags };
    let (outer, inner) = (world.env.outer, world.env.inner);
    world.env = env(world.env.tier, &world.config);
    (world.env.outer, world.env.inner) = (outer, inner);
    let mut frame = world.frame.clone();
    let verdict: Verdict =
        if world.is_out { decap(&mut frame, &world.env) } else { encap(&mut frame, &world.env) };
    let seen = world.judge(verdict, &frame);
    (frame, seen)
}

/// Nothing differs but a lower MSS in a SYN, and the checksum that it needs (RFC 9293 3.7.1).
fn check_clamp(world: &World, without: &[u8], with: &[u8]) {
    let (at, kind) = if world.is_out {
        let (_, protocol) = outer(world.packet());
        (0, kind_of_protocol(protocol))
    } else {
        (outer(with).0, kind_of(&world.frame.bytes[12..ETHERNET]))
    };
    assert_eq!(with[..at], without[..at]);
    let (with, without) = (&with[at..], &without[at..]);
    let (tcp, fixed_headers) = tcp_at(kind, without);
    assert_eq!(without[tcp + 13] & SYN, SYN, "a segment that is no SYN was changed");
    assert_eq!(sum(with), sum(without), "the checksum was not mended");
    let is_checksum = |at: usize| (tcp + 16..tcp + 18).contains(&at);
    let changed: Vec<usize> =
        (0..with.len()).filter(|at| with[*at] != without[*at] && !is_checksum(*at)).collect();
    let (first, last) = (changed[0], changed[changed.len() - 1]);
    // Where one byte differs, it may be either one of the value.
    let value = [first, first - 1].into_iter().find(|at| last < at + 2 && without[at - 2..*at] == [2, 4]);
    let value = value.expect("what differs is the value of an MSS option");
    let options_end = tcp + usize::from(without[tcp + 12] >> 4) * 4;
    assert!(value >= tcp + 22 && value + 2 <= options_end);
    let number = |packet: &[u8]| u16::from_be_bytes([packet[value], packet[value + 1]]);
    assert!(number(with) < number(without), "the MSS was raised");
    assert_eq!(usize::from(number(with)), usize::from(world.config.mtu).saturating_sub(fixed_headers + 20));
}
