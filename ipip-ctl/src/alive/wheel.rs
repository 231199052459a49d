//! What is due when: a timer wheel, whose turns serve many tunnels at once. Waking up costs more than a probe. Pure.

use std::time::{Duration, Instant};

/// The wheel turns by this.
pub(super) const TURN: Duration = Duration::from_millis(5);
/// Slots of the wheel: it is around after 20 s.
const SLOTS: usize = 4096;
/// After that many entries, or that part of all that are due, those that are late together wait for the rest of them to
/// pass the queues of interfaces, which are as short as 256 packets.
const BURST: usize = 64;
const BURST_PART: usize = 8;

/// An entry of the wheel: whose, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The tunnel's ID.
    pub(super) id: u32,
    /// Which of the tunnel's entries it is.
    pub(super) ticket: u32,
}

/// The wheel. An entry that is due in a later time around stays in its slot until then.
#[derive(Debug)]
pub(super) struct Wheel {
    start: Instant,
    /// The first turn that has not been taken.
    turn: u64,
    /// Entries with the turns that they are due in.
    slots: Box<[Vec<(u64, Entry)>]>,
    /// A bit for each slot with an entry.
    used: [u64; SLOTS / 64],
    /// What is due and was not given yet; from `given` on.
    due: Vec<Entry>,
    given: usize,
}

impl Wheel {
    /// An empty wheel whose first turn is at `start`.
    pub(super) fn new(start: Instant) -> Self {
        let slots = std::iter::repeat_with(Vec::new).take(SLOTS).collect();
        Self { start, turn: 0, slots, used: [0; SLOTS / 64], due: Vec::new(), given: 0 }
    }

    /// Adds an entry. It is due in the first turn that is not before `at`, and has not been taken.
    pub(super) fn insert(&mut self, entry: Entry, at: Instant) {
        let after = at.saturating_duration_since(self.start).as_nanos();
        let turn = u64::try_from(after.div_ceil(TURN.as_nanos())).unwrap_or(u64::MAX).max(self.turn);
        let slot = slot(turn);
        if let Some(entries) = self.slots.get_mut(slot) {
            entries.push((turn, entry));
        }
        if let Some(word) = self.used.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// When something more may be due; `None`: nothing will be.
    pub(super) fn next(&self) -> Option<Instant> {
        let first = slot(self.turn);
        let words = self.used.len();
        // The word of the first slot counts twice: from that slot on, and at last up to it.
        let ahead = (0..=words).find_map(|step| {
            let word = (first / 64 + step) % words;
            let from = if step == 0 { u64::MAX << (first % 64) } else { u64::MAX };
            let bits = self.used.get(word).copied().unwrap_or_default() & from;
            let found = word * 64 + usize::try_from(bits.trailing_zeros()).unwrap_or_default();
            (bits != 0).then(|| (found + SLOTS - first) % SLOTS)
        })?;
        Some(self.time_of(self.turn.saturating_add(u64::try_from(ahead).unwrap_or_default())))
    }

    /// Whether more is due than was taken.
    pub(super) fn has_more(&self) -> bool {
        self.given < self.due.len()
    }

    fn time_of(&self, turn: u64) -> Instant {
        let nanos = u64::try_from(TURN.as_nanos()).unwrap_or_default().saturating_mul(turn);
        self.start + Duration::from_nanos(nanos)
    }

    /// What is due `now`, those that are due longest first: all of it unless that is many. Then the rest comes with the next
    /// calls, a moment apart.
    pub(super) fn take(&mut self, now: Instant) -> &[Entry] {
        if self.given == self.due.len() {
            self.due.clear();
            self.given = 0;
        }
        self.collect(now);
        let left = self.due.len() - self.given;
        let from = self.given;
        self.given += left.min(BURST.max(left / BURST_PART));
        self.due.get(from..self.given).unwrap_or_default()
    }

    /// Moves what is due out of the slots.
    fn collect(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.start).as_nanos() / TURN.as_nanos();
        let end = u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1);
        // Once around, and every slot has been looked at.
        let from = self.turn.max(end.saturating_sub(u64::try_from(SLOTS).unwrap_or_default()));
        for turn in from..end {
            let slot = slot(turn);
            let Some(word) = self.used.get_mut(slot / 64).filter(|word| **word & 1 << (slot % 64) != 0)
            else {
                continue;
            };
            let Some(entries) = self.slots.get_mut(slot) else { continue };
            let due = &mut self.due;
            entries.retain(|(at, entry)| {
                if *at < end {
                    due.push(*entry);
                }
                *at >= end
            });
            if entries.is_empty() {
                *word &= !(1 << (slot % 64));
            }
        }
        self.turn = self.turn.max(end);
    }
}

fn slot(turn: u64) -> usize {
    usize::try_from(turn).unwrap_or_default() % SLOTS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn entry(id: u32) -> Entry {
        Entry { id, ticket: 0 }
    }

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn taken(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        wheel.take(now).iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn what_is_due_between_two_turns_waits_for_the_second() {
        for months in [0_u64, 20_000_000_000] {
            let start = Instant::now();
            let mut wheel = Wheel::new(start);
            let now = |time: u64| ms(start, months + time);
            assert!(taken(&mut wheel, now(0)).is_empty());
            for (id, at) in [(1, 5), (2, 6), (3, 10), (4, 11)] {
                wheel.insert(entry(id), now(at));
            }
            assert_eq!(wheel.next(), Some(now(5)));
            assert!(taken(&mut wheel, now(4)).is_empty());
            assert_eq!(taken(&mut wheel, now(9)), [1]);
            assert_eq!(wheel.next(), Some(now(10)));
            assert_eq!(taken(&mut wheel, now(12)), [2, 3]);
            assert_eq!(taken(&mut wheel, now(15)), [4]);
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn an_hour_is_many_times_around() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(entry(1), ms(start, 3_600_000));
        let mut wakes = 0;
        loop {
            let now = wheel.next().unwrap();
            wakes += 1;
            if !wheel.take(now).is_empty() {
                assert_eq!(now, ms(start, 3_600_000));
                break;
            }
        }
        assert!(wakes <= 180, "{wakes}");
    }

    #[test]
    fn what_is_due_already_comes_with_the_next_turn() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.take(ms(start, 100));
        wheel.insert(entry(1), ms(start, 3));
        assert_eq!(wheel.next(), Some(ms(start, 105)));
        assert_eq!(taken(&mut wheel, ms(start, 105)), [1]);
    }

    #[test]
    fn many_that_are_late_come_in_bursts_that_a_queue_holds_in_the_order_that_they_were_due_in() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for id in 0..2000 {
            wheel.insert(entry(id), ms(start, u64::from(id)));
        }
        let late = ms(start, 60_000);
        let (mut all, mut most, mut calls) = (Vec::new(), 0, 0);
        while calls == 0 || wheel.has_more() {
            let some = taken(&mut wheel, late);
            (most, calls) = (most.max(some.len()), calls + 1);
            all.extend(some);
        }
        assert_eq!(all, (0..2000).collect::<Vec<u32>>());
        assert!(most <= 250 && calls < 25, "{most} of {calls}");
    }

    proptest! {
        /// Each entry comes once, not before its time, and in the first turn that is not before it.
        #[test]
        fn each_entry_comes_once_and_in_time(
            delays in prop::collection::vec(0..50_000_u64, 1..60),
            steps in prop::collection::vec(1..9_000_u64, 1..60),
        ) {
            let start = Instant::now();
            let (mut wheel, mut now) = (Wheel::new(start), start);
            let mut out: Vec<(u32, Instant)> = Vec::new();
            let mut steps = steps.into_iter().cycle();
            let mut delays = delays.into_iter().zip(0..);
            loop {
                if let Some((delay, id)) = delays.next() {
                    wheel.insert(entry(id), now + Duration::from_millis(delay));
                    out.push((id, now + Duration::from_millis(delay)));
                } else if out.is_empty() {
                    break;
                }
                let first = out.iter().map(|(_, at)| *at).min();
                if let (Some(first), Some(next)) = (first, wheel.next()) {
                    prop_assert!(next < first.max(now) + TURN * 2, "it would be slept through");
                }
                now += Duration::from_millis(steps.next().unwrap_or(1));
                for id in taken(&mut wheel, now) {
                    let place = out.iter().position(|(it, _)| *it == id).expect("once");
                    prop_assert!(out.swap_remove(place).1 <= now);
                }
                prop_assert!(out.iter().all(|(_, at)| *at + TURN * 2 > now));
            }
            prop_assert_eq!(wheel.next(), None);
        }
    }
}
