//! When probes are due, so that thousands of tunnels make no bursts. Pure.

use std::time::{Duration, Instant};

/// Tunnels are told apart by so many places within a span of time.
const PLACES: u32 = 1024;

/// A tunnel's own place within `span`: neighbouring tunnels have neighbouring ones, and the first of them is at its start.
pub(super) fn place(id: u32, span: Duration) -> Duration {
    span.mul_f64(f64::from(id.wrapping_sub(1) % PLACES) / f64::from(PLACES))
}

/// When the probe is due that follows the one of `due`, which was sent `now`: there are as many as there are intervals, unless
/// that was late. Then its answer has most of an interval, and tunnels that were late together do not stay together.
pub(super) fn next(id: u32, due: Instant, now: Instant, interval: Duration) -> Instant {
    let (next, least) = (due + interval, now + interval * 3 / 4);
    if next < least { least + place(id, interval / 4) } else { next }
}

#[cfg(test)]
mod tests {
    use super::super::wheel::TURN;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn probes_keep_their_time_unless_they_are_late() {
        let due = Instant::now();
        for late in [0, 1, 100, 250] {
            assert_eq!(next(7, due, due + Duration::from_millis(late), SECOND), due + SECOND);
        }
        let late = due + SECOND * 5;
        assert_eq!(next(1, due, late, SECOND), late + SECOND * 3 / 4);
    }

    #[test]
    fn tunnels_that_were_late_together_are_spread_over_a_quarter_of_the_interval() {
        let due = Instant::now();
        let late = due + SECOND * 5;
        let all: Vec<Instant> = (1..=PLACES).map(|id| next(id, due, late, SECOND)).collect();
        assert!(all.iter().all(|at| (late + SECOND * 3 / 4..late + SECOND).contains(at)));
        let most =
            all.iter().map(|at| all.iter().filter(|it| *at <= **it && **it < *at + TURN).count()).max();
        assert!(most <= Some(25), "{most:?} in one turn");
    }
}
