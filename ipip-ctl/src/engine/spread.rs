//! `spread=auto`: all CPUs share what one of them is too slow for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Engine;
use crate::tunnel::Spread;

/// Time between two looks, at least.
const PAUSE: Duration = Duration::from_millis(900);
/// Packets per second that are worth the way to another CPU.
const MANY: f64 = 100_000.0;
/// Packets per second that one CPU carries without trouble.
const FEW: f64 = 50_000.0;
/// Share of a tunnel's packets on one CPU from which on it carries them alone.
const MOST: f64 = 0.75;
/// Share of its time that a CPU is idle, below which it is too slow.
const BUSY: f64 = 0.1;
/// The same of another one that can help.
const IDLE: f64 = 0.3;
/// Looks in a row that agree before the work is shared, and before it is not any more.
const LOOKS_ON: u32 = 2;
const LOOKS_OFF: u32 = 10;

/// Times of each CPU since the start: idle, and all.
type Times = Vec<(u64, u64)>;

/// What the CPUs did when they were looked at last.
#[derive(Debug, Default)]
pub(super) struct CpuWatch {
    times: Times,
    at: Option<Instant>,
    /// By tunnel ID: all that `spread=auto` is for while some CPU is busy, else those that are too much for one.
    tunnels: BTreeMap<u32, BusyWatch>,
}

/// Whether a tunnel is too much for one CPU.
#[derive(Clone, Debug, Default, PartialEq)]
struct BusyWatch {
    is_busy: bool,
    looks: u32,
    received: Vec<u64>,
}

impl CpuWatch {
    /// Whether this tunnel is too much for one CPU.
    pub(super) fn is_busy(&self, id: u32) -> bool {
        self.tunnels.get(&id).is_some_and(|watch| watch.is_busy)
    }

    /// The tunnel is gone.
    pub(super) fn forget(&mut self, id: u32) {
        self.tunnels.remove(&id);
    }

    /// The share of its time that each CPU was idle since the last look, and how long ago that was, if it is time again.
    fn look(&mut self, now: Instant, times: Times) -> Option<(Vec<f64>, f64)> {
        let passed = self.at.map(|at| now.saturating_duration_since(at));
        if passed.is_some_and(|passed| passed < PAUSE) {
            return None;
        }
        self.at = Some(now);
        let before = std::mem::replace(&mut self.times, times);
        let idle = before.iter().zip(&self.times).map(|((idle, all), (idle_now, all_now))| {
            let all = all_now.saturating_sub(*all);
            if all == 0 { 1.0 } else { part(idle_now.saturating_sub(*idle), all) }
        });
        Some((idle.collect(), passed?.as_secs_f64()))
    }
}

impl BusyWatch {
    /// Looks at how many packets each CPU has received by now. True: something has changed.
    fn look(&mut self, received: Vec<u64>, idle: &[f64], seconds: f64) -> bool {
        let before = std::mem::replace(&mut self.received, received);
        if before.len() != self.received.len() {
            return false;
        }
        let grown: Vec<u64> =
            self.received.iter().zip(&before).map(|(now, before)| now.saturating_sub(*before)).collect();
        let all: u64 = grown.iter().sum();
        let rate = to_float(all) / seconds;
        let (busiest, most) = grown.iter().enumerate().max_by_key(|(_, count)| **count).unwrap_or((0, &0));
        let idle_of = |cpu: usize| idle.get(cpu).copied().unwrap_or(0.0);
        let can_help = (0..grown.len()).any(|cpu| cpu != busiest && idle_of(cpu) > IDLE);
        let (disagrees, enough) = if self.is_busy {
            (rate < FEW, LOOKS_OFF)
        } else {
            (rate > MANY && part(*most, all) > MOST && idle_of(busiest) < BUSY && can_help, LOOKS_ON)
        };
        self.looks = if disagrees { self.looks.saturating_add(1) } else { 0 };
        if self.looks < enough {
            return false;
        }
        self.looks = 0;
        self.is_busy = !self.is_busy;
        true
    }
}

impl Engine {
    /// Looks which tunnels are too much for one CPU, and gives those for which that has changed. Their counters are read
    /// only while some CPU is busy.
    pub(super) fn watch_load(&mut self) -> Vec<String> {
        let mut changed = Vec::new();
        let Some(times) = cpu_times() else { return changed };
        let Some((idle, seconds)) = self.cpus.look(Instant::now(), times) else { return changed };
        let is_busy = idle.len() > 1 && idle.iter().any(|idle| *idle < BUSY);
        let ids: Vec<u32> = if is_busy {
            self.by_id.keys().copied().collect()
        } else {
            self.cpus.tunnels.retain(|_, watch| watch.is_busy);
            self.cpus.tunnels.keys().copied().collect()
        };
        for id in ids {
            let tunnel = self.by_id.get(&id).and_then(|name| self.table.get(name));
            let Some(tunnel) = tunnel.filter(|it| it.spread == Spread::Auto && it.allow_fast_path) else {
                self.cpus.forget(id);
                continue;
            };
            let Ok(received) = self.kernel.received_by_cpu(id) else { continue };
            let watch = self.cpus.tunnels.entry(id).or_default();
            if watch.look(received, &idle, seconds) {
                let state = if watch.is_busy { "all CPUs share" } else { "one CPU does" };
                log::info!("tunnel {}: {state} the decapsulation (spread=auto)", tunnel.name);
                changed.push(tunnel.name.clone());
            }
        }
        changed
    }
}

fn part(of: u64, all: u64) -> f64 {
    to_float(of) / to_float(all.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "shares and rates need no more than a few digits")]
const fn to_float(number: u64) -> f64 {
    number as f64
}

/// What each CPU that is online has done so far, by its number. `None`: the kernel does not say.
fn cpu_times() -> Option<Times> {
    std::fs::read_to_string("/proc/stat").ok().map(|text| read_times(&text))
}

/// The lines `cpuN user nice system idle iowait irq softirq steal ...` of `proc_stat(5)`.
fn read_times(text: &str) -> Times {
    let mut times = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let number =
            words.next().and_then(|name| name.strip_prefix("cpu")).and_then(|n| n.parse::<usize>().ok());
        let Some(number) = number else { continue };
        let spent: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
        let idle = spent.iter().skip(3).take(2).sum();
        if times.len() <= number {
            times.resize(number.saturating_add(1), (0, 0));
        }
        if let Some(place) = times.get_mut(number) {
            *place = (idle, spent.iter().sum());
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn times_are_read_by_the_number_of_the_cpu() {
        let text =
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 40 5 6 7 8 0 0\ncpu2 0 0 10 30 0 0 0 0 0 0\nintr 5\n";
        assert_eq!(read_times(text), [(45, 72), (0, 0), (30, 40)]);
    }

    #[test]
    fn idle_shares_are_those_since_the_last_look() {
        let (start, mut watch) = (Instant::now(), CpuWatch::default());
        assert_eq!(watch.look(start, vec![(50, 100), (10, 100)]), None);
        assert_eq!(watch.look(start + SECOND / 2, vec![(50, 150), (60, 150)]), None);
        let (idle, seconds) = watch.look(start + SECOND * 2, vec![(50, 200), (110, 200)]).unwrap();
        assert_eq!((idle, seconds), (vec![0.0, 1.0], 2.0));
    }

    /// Looks once a second at a tunnel that has grown by this since the last time.
    fn after(watch: &mut BusyWatch, grown: [u64; 2], idle: [f64; 2]) -> bool {
        let received = match watch.received.as_slice() {
            [a, b] => vec![a + grown[0], b + grown[1]],
            _ => vec![0, 0],
        };
        watch.look(received, &idle, 1.0);
        watch.is_busy
    }

    #[test]
    fn a_tunnel_that_keeps_one_cpu_busy_is_shared_after_two_looks() {
        let mut watch = BusyWatch::default();
        let load = ([900_000, 0], [0.02, 0.9]);
        assert!(!after(&mut watch, load.0, load.1), "the first look only counts");
        assert!(!after(&mut watch, load.0, load.1));
        assert!(after(&mut watch, load.0, load.1));
        assert!(after(&mut watch, [450_000, 450_000], [0.5, 0.5]), "shared, nobody is busy");
    }

    #[test]
    fn nothing_is_shared_that_one_cpu_can_do_or_that_nobody_can_help_with() {
        for (grown, idle) in [
            ([900_000, 0], [0.3, 0.9]),
            ([900_000, 0], [0.02, 0.1]),
            ([450_000, 450_000], [0.02, 0.9]),
            ([60_000, 0], [0.02, 0.9]),
        ] {
            let mut watch = BusyWatch::default();
            for _ in 0..20 {
                assert!(!after(&mut watch, grown, idle), "{grown:?} {idle:?}");
            }
        }
    }

    #[test]
    fn sharing_ends_after_ten_quiet_looks_in_a_row() {
        let mut watch = BusyWatch { is_busy: true, received: vec![0, 0], ..BusyWatch::default() };
        for _ in 0..9 {
            assert!(after(&mut watch, [1000, 1000], [0.9, 0.9]));
        }
        assert!(after(&mut watch, [100_000, 0], [0.9, 0.9]), "one that is not quiet begins the count anew");
        for _ in 0..9 {
            assert!(after(&mut watch, [1000, 1000], [0.9, 0.9]));
        }
        assert!(!after(&mut watch, [1000, 1000], [0.9, 0.9]));
    }
}
