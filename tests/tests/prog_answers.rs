//! Answers to keepalive probes through the real program: which count, and what is measured of them.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use ipip_common::abi::{Answers, Family, Probing, Reason, Tier, TierTraffic};
use ipip_common::packet::flow::{Flow, Ports};
use ipip_common::packet::probe::{Key, LONGEST, Probe, Way};
use ipip_tests::bytes::{LOCAL, Packet, REMOTE};
use ipip_tests::case::{Case, Expected};
use ipip_tests::need;
use ipip_tests::outcome::{Fate, Outcome};
use ipip_tests::prog::{self, World};
use nix::time::{ClockId, clock_gettime};

const KEY: Key = [0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321];
const PATIENCE: Duration = Duration::from_secs(5);

fn now_ns() -> u64 {
    let now: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into();
    u64::try_from(now.as_nanos()).unwrap()
}

/// The reflection of a probe that was sent `age` ago, as it arrives.
fn reflection(sequence: u32, age: Duration, key: Key) -> Case {
    let sent_ns = now_ns() - u64::try_from(age.as_nanos()).unwrap();
    let probe = Probe { sequence, way: Way::Reflect as u32, sent_ns };
    let words = |address| [u32::from_be_bytes(address), 0, 0, 0];
    let flow = Flow {
        family: Family::V4,
        source: words(REMOTE),
        destination: words(LOCAL),
        protocol: 1,
        tos: 0,
        ports: Ports::default(),
    };
    let mut inner = [0; LONGEST];
    let (inner, _) = probe.write(key, &flow, &mut inner);
    let outer = Packet::new(4, inner).with(|outer| (outer.source, outer.destination) = (REMOTE, LOCAL));
    let case = Case::decap("an answer", &outer.bytes()).tunnel(|tunnel| tunnel.own = vec![LOCAL.into()]);
    case.tc(Expected::Drop(Reason::BadAnswer)).xdp(Expected::Pass(Reason::Local))
}

/// It ends in tier 2, and is counted as this, and as nothing else.
fn ends(world: &mut World, case: &Case, refused: &[Reason]) {
    let passed = world.run(case, Tier::Xdp).unwrap();
    assert_eq!((passed.fate, passed.refused), (Fate::Passed, vec![Reason::Local]));
    let bytes = case.input.clone();
    let (traffic, refused) = (TierTraffic::default(), refused.to_vec());
    assert_eq!(world.run(case, Tier::Tc).unwrap(), Outcome { fate: Fate::Dropped, bytes, traffic, refused });
}

fn answers_are_taken(world: &mut World) {
    let case = reflection(7, Duration::from_millis(20), KEY);
    ends(world, &case, &[Reason::BadAnswer]);
    let patience_ns = u64::try_from(PATIENCE.as_nanos()).unwrap();
    world.set_probing(Probing { key: KEY, patience_ns, sent: 7, state: 0 });
    assert_eq!(world.answers(), Answers::default());

    ends(world, &case, &[]);
    let first = world.answers();
    assert_eq!((first.count, first.latest, first.way(), first.seen), (1, 7, Some(Way::Reflect), 1));
    assert!(first.round_trip_ns > 20_000_000 && first.round_trip_ns < patience_ns, "{first:?}");
    assert!(first.last_ns <= now_ns() && first.last_ns + patience_ns > now_ns(), "{first:?}");
    // Repeated, late, and made with another key.
    ends(world, &case, &[]);
    ends(world, &reflection(8, PATIENCE + Duration::from_millis(1), KEY), &[Reason::BadAnswer]);
    ends(world, &reflection(8, Duration::ZERO, [KEY[0], 0]), &[Reason::BadAnswer]);
    assert_eq!(world.answers(), first);

    ends(world, &reflection(9, Duration::from_millis(30), KEY), &[]);
    let second = world.answers();
    assert_eq!((second.count, second.latest, second.seen), (2, 9, 0b101));
    assert_eq!((second.least_ns, second.most_ns), (first.round_trip_ns, second.round_trip_ns));
    assert!(second.jitter_ns > 0 && second.mean_ns > first.mean_ns, "{second:?}");
}

#[test]
fn k1_answers_are_taken_by_the_program() {
    let Some(object) = need::bpf() else { return };
    prog::inside(&object, answers_are_taken);
}
