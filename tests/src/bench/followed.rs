//! Routes that change: how many packets of a known flow still take the old way, with a daemon and without.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Options;
use super::rows::Rows;
use crate::two_ways::{TwoWays, stale_without_daemon, until_the_last_arrives, while_sending};
use crate::wait;

/// Between two packets.
const PAUSE: Duration = Duration::from_micros(500);
/// Packets in the ten milliseconds that a change may take.
const GRACE: u64 = 20;
/// How many changes there are, each after the packets of this time have shown what the one before did: a hundred a second, less
/// what it takes to make them.
const CHANGES: usize = 100;
const BETWEEN: Duration = Duration::from_millis(10);

pub(super) fn measure(options: &Options, rows: &mut Rows) {
    let rounds = if options.quick { 1 } else { 3 };
    let (mut stale, mut lost, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rates, mut dead) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = with_daemon(options);
        stale.push(round.late);
        lost.push(round.lost);
        slowest.push(round.slowest);
        rates.push(round.rate);
        dead.push(without_daemon(options));
    }
    rows.add("scale", "by the old way 10 ms after 100 route changes", "packets", None, stale);
    rows.add("scale", "lost in 100 route changes", "packets", None, lost);
    rows.add("scale", "until the new way is taken, at most", "ms", None, slowest);
    rows.add("scale", "until the new way is taken, daemon dead", "ms", None, dead);
    rows.add("scale", "route changes meanwhile", "a second", None, rates);
}

struct Round {
    late: f64,
    lost: f64,
    slowest: f64,
    rate: f64,
}

#[expect(clippy::cast_precision_loss, reason = "numbers of packets stay below 2^52")]
fn with_daemon(options: &Options) -> Round {
    let world = TwoWays::new();
    let _daemon = world.tunnel(&options.ctl);
    let (mut late, mut slowest, mut rate) = (0, 0, 0.0);
    let (sent, arrived) = while_sending(&world, PAUSE, |sent, takers| {
        let started = Instant::now();
        for change in 1..=CHANGES {
            let way = change % 2;
            world.lead(way);
            let changed = sent.load(Ordering::Relaxed);
            std::thread::sleep(BETWEEN);
            wait::until_true("packets take the new way", Duration::from_secs(2), || {
                takers[way].last.load(Ordering::Relaxed) > changed + GRACE
            });
            let old = takers[1 - way].last.load(Ordering::Relaxed).saturating_sub(changed);
            slowest = slowest.max(old);
            late += old.saturating_sub(GRACE);
        }
        rate = CHANGES as f64 / started.elapsed().as_secs_f64();
        until_the_last_arrives(sent, takers);
    });
    // The very last one may still be on its way.
    let lost = (sent - arrived.iter().sum::<u64>()).saturating_sub(1);
    Round { late: late as f64, lost: lost as f64, slowest: milliseconds(slowest), rate }
}

fn without_daemon(options: &Options) -> f64 {
    let world = TwoWays::new();
    let mut daemon = world.tunnel(&options.ctl);
    let (old, _) = stale_without_daemon(&world, &mut daemon, PAUSE);
    milliseconds(old)
}

/// So many packets take so long.
#[expect(clippy::cast_precision_loss, reason = "numbers of packets stay below 2^52")]
fn milliseconds(packets: u64) -> f64 {
    packets as f64 * PAUSE.as_secs_f64() * 1e3
}
