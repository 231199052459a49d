#![expect(clippy::arithmetic_side_effects, reason = "test code: a panic is a failed test")]

use proptest::prelude::*;

use super::*;

const KEY: Key = [1, 2];
const PATIENCE: u64 = 1000;

fn probing() -> Probing {
    Probing { key: KEY, patience_ns: PATIENCE, sent: 0, state: 0 }
}

/// The answer to probe `sequence`, sent at 100 times its number, after `round_trip`.
fn answer(answers: &mut Answers, sequence: u32, round_trip: u64) -> Worth {
    let probe = Probe { sequence, way: 1, sent_ns: u64::from(sequence) * 100 };
    answers.take(&probing(), &probe, probe.nonce(KEY), probe.sent_ns + round_trip)
}

#[test]
fn answers_are_counted_once() {
    let mut answers = Answers::default();
    for sequence in [1, 3, 2, 70] {
        assert_eq!(answer(&mut answers, sequence, 50), Worth::Counted, "{sequence}");
        let before = answers;
        assert_eq!(answer(&mut answers, sequence, 60), Worth::Repeated, "{sequence} again");
        assert_eq!(answers, before);
    }
    // Probe 70 may be answered 63 probes later, and no more.
    assert_eq!(answer(&mut answers, 6, 50), Worth::Late);
    assert_eq!(answer(&mut answers, 7, 50), Worth::Counted);
    assert_eq!((answers.count, answers.latest, answers.way()), (5, 70, Some(Way::Reflect)));
}

#[test]
fn the_best_way_is_remembered_whichever_answer_came_first() {
    let mut answers = Answers::default();
    let mut by = |sequence, way: Way| {
        let probe = Probe { sequence, way: way as u32, sent_ns: 0 };
        (answers.take(&probing(), &probe, probe.nonce(KEY), 1), answers.way())
    };
    assert_eq!(by(5, Way::Outer), (Worth::Counted, Some(Way::Outer)));
    assert_eq!(by(5, Way::Neighbour), (Worth::Repeated, Some(Way::Neighbour)));
    assert_eq!(by(5, Way::Reflect), (Worth::Repeated, Some(Way::Neighbour)));
    // An older probe's says nothing of now.
    assert_eq!(by(4, Way::Itself), (Worth::Counted, Some(Way::Neighbour)));
    assert_eq!(by(6, Way::Reflect), (Worth::Counted, Some(Way::Reflect)));
}

#[test]
fn forged_and_late_answers_change_nothing() {
    let mut answers = Answers::default();
    assert_eq!(answer(&mut answers, 5, 50), Worth::Counted);
    let before = answers;
    let probe = Probe { sequence: 6, way: 1, sent_ns: 600 };
    let nonce = probe.nonce(KEY);
    for (probing, probe, nonce, now, worth) in [
        (probing(), probe, nonce ^ 1, 650, Worth::Forged),
        (probing(), Probe { sequence: 7, ..probe }, nonce, 650, Worth::Forged),
        (probing(), Probe { sent_ns: 601, ..probe }, nonce, 650, Worth::Forged),
        (Probing { key: [0; 2], ..probing() }, probe, probe.nonce([0; 2]), 650, Worth::Forged),
        (probing(), probe, nonce, 600 + PATIENCE + 1, Worth::Late),
        // From the future.
        (probing(), probe, nonce, 599, Worth::Late),
    ] {
        assert_eq!(answers.take(&probing, &probe, nonce, now), worth);
        assert_eq!(answers, before);
    }
    assert_eq!(answers.take(&probing(), &probe, nonce, 600 + PATIENCE), Worth::Counted);
}

#[test]
fn round_trips_are_measured() {
    let mut answers = Answers::default();
    for sequence in 1..=100 {
        answer(&mut answers, sequence, 800);
    }
    assert_eq!((answers.least_ns, answers.most_ns, answers.mean_ns, answers.jitter_ns), (800, 800, 800, 0));
    for sequence in 101..=400 {
        answer(&mut answers, sequence, if sequence % 2 == 0 { 300 } else { 500 });
    }
    assert_eq!((answers.least_ns, answers.most_ns, answers.round_trip_ns), (300, 800, 300));
    // Between the two, and the change from one to the next; both are cut down by less than what a step adds.
    assert!((370..=430).contains(&answers.mean_ns), "{}", answers.mean_ns);
    assert!((180..=200).contains(&answers.jitter_ns), "{}", answers.jitter_ns);
}

#[test]
fn losses_are_those_of_the_last_probes() {
    let mut answers = Answers::default();
    assert_eq!((answers.lost(0, 0), answers.lost(5, 1), answers.lost(1000, 0)), ((0, 0), (4, 4), (64, 64)));
    for sequence in [1, 2, 4, 6] {
        answer(&mut answers, sequence, 1);
    }
    assert_eq!(answers.lost(6, 0), (2, 6));
    // The last one is not due yet, answered or not.
    assert_eq!((answers.lost(6, 1), answers.lost(7, 1), answers.lost(8, 1)), ((2, 5), (2, 6), (3, 7)));
    assert_eq!(answers.lost(200, 0), (64, 64));
    for sequence in 7..=300 {
        answer(&mut answers, sequence, 1);
    }
    assert_eq!(
        (answers.lost(300, 0), answers.lost(300, 1), answers.lost(301, 1)),
        ((0, 64), (0, 63), (0, 64))
    );
}

proptest! {
    /// Against a set of all numbers that were ever taken.
    #[test]
    fn a_number_counts_once_whatever_the_order(start: u32, steps in prop::collection::vec(0..90_u32, 1..200)) {
        let (mut answers, mut taken) = (Answers::default(), std::collections::BTreeSet::new());
        let mut latest = start;
        for step in steps {
            // Around the latest: up to 69 back, up to 20 ahead.
            let sequence = latest.wrapping_add(step).wrapping_sub(69);
            let probe = Probe { sequence, way: 1, sent_ns: 0 };
            let is_counted = answers.take(&probing(), &probe, probe.nonce(KEY), 0) == Worth::Counted;
            let is_recent = taken.is_empty() || latest.wrapping_sub(sequence).cast_signed() < 64;
            prop_assert_eq!(is_counted, is_recent && taken.insert(sequence));
            if is_counted && (taken.len() == 1 || sequence.wrapping_sub(latest).cast_signed() > 0) {
                latest = sequence;
            }
        }
        prop_assert_eq!(answers.count, taken.len() as u64);
    }
}
