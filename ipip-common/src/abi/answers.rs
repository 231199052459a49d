//! Keepalive: what the daemon lets count as a probe's answer, and what the programs saw of answers.

use bytemuck::{Pod, Zeroable};

use crate::packet::probe::{Key, Probe, Way};

/// Value of the map `PROBES`: a tunnel's keepalive, as the daemon writes it for the programs and for the next daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Probing {
    /// The key of the nonces; zeros while there are no probes, so that no answer counts.
    pub key: Key,
    /// How old a probe may be when its answer comes, nanoseconds.
    pub patience_ns: u64,
    /// The number of the last probe, unless a later one was answered.
    pub sent: u32,
    /// What the daemon knows of the far end; the programs do not look at it.
    pub state: u32,
}

const _: () = assert!(size_of::<Probing>() == 32);

/// Value of the map `ANSWERS`: what the programs saw of the answers of a tunnel's far end. All zeros before the first.
///
/// Written by whichever CPU an answer arrives on, without a lock: the answers of a tunnel are of one flow, which the kernel
/// does not spread. Where two came at once all the same, one of them may go uncounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Answers {
    /// How many counted.
    pub count: u64,
    /// When the last one came, nanoseconds of `CLOCK_MONOTONIC`.
    pub last_ns: u64,
    /// The round-trip time of the last one, nanoseconds.
    pub round_trip_ns: u64,
    /// The mean of the round-trip time, nanoseconds, in which a new one weighs an eighth (RFC 6298 2).
    pub mean_ns: u64,
    /// The mean deviation from one to the next, nanoseconds, in which a new one weighs a sixteenth (RFC 3550 6.4.1).
    pub jitter_ns: u64,
    /// The shortest, nanoseconds.
    pub least_ns: u64,
    /// The longest, nanoseconds.
    pub most_ns: u64,
    /// Which of the last 64 probes up to `latest` were answered, the latest in the lowest bit.
    pub seen: u64,
    /// The highest number of a probe that was answered.
    pub latest: u32,
    /// The ways that the latest probe was answered by, each as the bit of its number.
    pub ways: u32,
}

const _: () = assert!(size_of::<Answers>() == 72);

/// How many probes back an answer may be.
const WINDOW: u32 = 64;

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It counts.
    Counted,
    /// It is true, but its probe was answered before: a far end may answer by more ways than one.
    Repeated,
    /// It is true, but its probe is too old.
    Late,
    /// It is none of our probes'.
    Forged,
}

impl Answers {
    /// Notes the answer to a probe that came at `now_ns` with this nonce.
    #[inline(always)]
    pub fn take(&mut self, probing: &Probing, probe: &Probe, nonce: u64, now_ns: u64) -> Worth {
        if probing.key[0] | probing.key[1] == 0 || probe.nonce(probing.key) != nonce {
            return Worth::Forged;
        }
        let round_trip_ns = now_ns.wrapping_sub(probe.sent_ns);
        if round_trip_ns > probing.patience_ns {
            return Worth::Late;
        }
        match self.place(probe.sequence) {
            Worth::Counted => {}
            worth @ (Worth::Repeated | Worth::Late | Worth::Forged) => {
                if probe.sequence == self.latest {
                    self.ways |= bit(probe.way);
                }
                return worth;
            }
        }
        if probe.sequence == self.latest {
            self.ways = bit(probe.way);
        }
        self.measure(round_trip_ns);
        self.count = self.count.wrapping_add(1);
        self.last_ns = now_ns;
        Worth::Counted
    }

    /// What an answer to this probe is worth by its number alone; it is answered now.
    #[inline(always)]
    fn place(&mut self, sequence: u32) -> Worth {
        let ahead = sequence.wrapping_sub(self.latest);
        if self.count == 0 || (ahead != 0 && ahead < 1 << 31) {
            let moved = if ahead < WINDOW { self.seen << ahead } else { 0 };
            self.seen = moved | 1;
            self.latest = sequence;
            return Worth::Counted;
        }
        let behind = self.latest.wrapping_sub(sequence);
        if behind >= WINDOW {
            return Worth::Late;
        }
        let bit = 1 << behind;
        if self.seen & bit != 0 {
            return Worth::Repeated;
        }
        self.seen |= bit;
        Worth::Counted
    }

    #[inline(always)]
    fn measure(&mut self, round_trip_ns: u64) {
        if self.count == 0 {
            (self.mean_ns, self.least_ns, self.most_ns) = (round_trip_ns, round_trip_ns, round_trip_ns);
        } else {
            let change = self.round_trip_ns.abs_diff(round_trip_ns);
            self.jitter_ns = drawn(self.jitter_ns, change, 4);
            self.mean_ns = drawn(self.mean_ns, round_trip_ns, 3);
            self.least_ns = self.least_ns.min(round_trip_ns);
            self.most_ns = self.most_ns.max(round_trip_ns);
        }
        self.round_trip_ns = round_trip_ns;
    }

    /// The best of the ways that the latest probe was answered by.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        Way::ALL.into_iter().find(|way| self.ways & bit(*way as u32) != 0)
    }

    /// How many of the last probes up to `sent`, 64 at most, were not answered, and how many these were. One that is not
    /// older than the last answer's probe may be answered yet; `pending` of the last ones are left out.
    #[must_use]
    pub fn lost(&self, sent: u32, pending: u32) -> (u32, u32) {
        let due = sent.saturating_sub(pending);
        let (ahead, behind) = (due.wrapping_sub(self.latest), self.latest.wrapping_sub(due));
        // Where the latest answer is to a probe that is not due, the window reaches less far back.
        let (seen, window) = if self.count == 0 {
            (0, WINDOW)
        } else if ahead < 1 << 31 {
            (self.seen.checked_shl(ahead).unwrap_or(0), WINDOW)
        } else {
            (self.seen.checked_shr(behind).unwrap_or(0), WINDOW.saturating_sub(behind))
        };
        let asked = due.min(window);
        let mask = if asked >= WINDOW { u64::MAX } else { (1_u64 << asked).wrapping_sub(1) };
        (asked.saturating_sub((seen & mask).count_ones()), asked)
    }
}

/// The bit of a way's number, of which there are few.
#[inline(always)]
const fn bit(way: u32) -> u32 {
    1 << (way & 31)
}

/// `mean` drawn towards `value` by 1 / 2^`shift` of the way.
#[inline(always)]
const fn drawn(mean: u64, value: u64, shift: u32) -> u64 {
    mean.wrapping_sub(mean >> shift).wrapping_add(value >> shift)
}

#[cfg(test)]
mod tests;
