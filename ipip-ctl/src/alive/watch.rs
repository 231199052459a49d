//! One tunnel: what is known of its far end, and what the engine says of it.

use std::time::{Duration, Instant};

use ipip_common::abi::{Answers, Probing};
use ipip_common::packet::probe::Key;

use super::ask::Ask;
use super::flag::Flag;
use super::peer::{fresh_key, peer};
use super::watched::Watched;
use super::ways::InterfaceAddress;
use crate::dataplane::KeepaliveMaps;
use crate::tunnel::{Keepalive, KeepaliveMode};

/// Bits of [`Probing::state`], which the next daemon reads: the far end is gone; it has answered before; the hook has been told
/// of the tunnel, and that it runs.
const GONE: u32 = 1;
const HAS_ANSWERED: u32 = 2;
const TOLD: u32 = 4;
const TOLD_UP: u32 = 8;
/// Above them, a number for the far end that all this is about.
const PEER_SHIFT: u32 = 4;

/// A tunnel and its far end. What each look touches stands in front, in few cache lines: there are thousands of them, and none
/// is still in the cache when it is looked at again.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Watch {
    pub(super) id: u32,
    /// Which of the wheel's entries is this tunnel's: an older one is nobody's.
    pub(super) ticket: u32,
    /// How often it is asked, or listened to; `None`: not at all.
    pub(super) interval: Option<Duration>,
    /// When the next probe is due.
    pub(super) due: Instant,
    pub(super) flag: Flag,
    /// Only listened to.
    pub(super) is_passive: bool,
    /// There may be a better way than the one that is known.
    pub(super) is_curious: bool,
    /// A probe is out whose silence would mean something.
    pub(super) is_out: bool,
    /// The carrier is what it is to be.
    pub(super) is_settled: bool,
    /// Answers that counted.
    pub(super) count: u64,
    pub(super) probing: Probing,
    pub(super) ask: Option<Ask>,
    /// Why the last probe could not be sent.
    pub(super) failed: Option<String>,
    pub(super) watched: Watched,
    /// The addresses of its interface.
    addresses: Vec<InterfaceAddress>,
    /// Packets received, where these count.
    pub(super) received: u64,
    pub(super) carrier: Option<bool>,
    /// Why it does not run; empty where it does.
    pub(super) reason: String,
    pub(super) ups: u64,
    pub(super) downs: u64,
}

impl Watch {
    /// A tunnel as an earlier daemon knew it, or one of which nothing is known.
    pub(super) fn new(
        id: u32,
        watched: Watched,
        addresses: &[InterfaceAddress],
        maps: &KeepaliveMaps,
        now: Instant,
    ) -> Self {
        let (mut probing, answers) = maps.read(id);
        probing.sent = last_number(&probing, &answers);
        let flag = Flag::known(watched.rule(), probing.state & GONE == 0, probing.state & HAS_ANSWERED != 0);
        let mut watch = Self {
            id,
            ticket: 0,
            interval: None,
            due: now,
            flag,
            is_passive: false,
            is_curious: true,
            is_out: false,
            is_settled: false,
            count: answers.count,
            probing,
            ask: None,
            failed: None,
            watched,
            addresses: addresses.to_vec(),
            received: maps.received(id),
            carrier: None,
            reason: String::new(),
            ups: 0,
            downs: 0,
        };
        watch.prepare(maps);
        watch
    }

    /// Takes over what the engine says now. Returns whether the far end is to be asked anew: a way that is another and leads to
    /// the same far end changes nothing about the probe that is out.
    pub(super) fn follow(&mut self, watched: Watched, maps: &KeepaliveMaps) -> bool {
        if self.watched == watched {
            return false;
        }
        let before = self.course();
        let (old_mode, old_rule) = (self.watched.mode, self.watched.rule());
        let is_cleared = self.watched.obstacle.is_empty() != watched.obstacle.is_empty();
        (self.watched, self.is_settled) = (watched, false);
        let rule = self.watched.rule();
        if rule != old_rule || is_cleared {
            self.flag.follow(rule);
        }
        if old_mode != self.watched.mode {
            // What came by itself proves nothing about answers; what was never answered is taken to be there.
            let has_answered = self.count > 0;
            let is_there = self.flag.is_there() || (rule.needs_proof && !has_answered);
            self.flag = Flag::known(rule, is_there, has_answered);
        }
        self.prepare(maps);
        let is_anew = before != self.course();
        if is_anew {
            self.is_out = false;
            self.received = maps.received(self.id);
        }
        is_anew
    }

    /// What a probe's silence depends on.
    fn course(&self) -> (Keepalive, KeepaliveMode, Option<Duration>, Key) {
        (self.watched.keepalive, self.watched.mode, self.interval, self.probing.key)
    }

    /// Takes over the addresses of its interface.
    pub(super) fn readdress(&mut self, addresses: &[InterfaceAddress]) {
        if self.addresses != addresses {
            addresses.clone_into(&mut self.addresses);
            self.choose();
        }
    }

    /// The interface that it has, as far as it is known.
    pub(super) fn ifindex(&self) -> Option<u32> {
        self.watched.entry.map(|entry| entry.ifindex)
    }

    fn choose(&mut self) {
        let entry = self.watched.entry;
        self.is_curious = true;
        self.is_passive = self.watched.mode == KeepaliveMode::Passive;
        self.ask = entry.map(|entry| Ask::new(&entry, self.watched.mode, &self.addresses));
        self.interval = match self.watched.keepalive {
            Keepalive::Every { interval, .. } if self.watched.obstacle.is_empty() => entry.map(|_| interval),
            Keepalive::Every { .. } | Keepalive::Off => None,
        };
    }

    /// What the programs are to count, and what is asked; a far end that is another one is unknown.
    fn prepare(&mut self, maps: &KeepaliveMaps) {
        self.choose();
        let Some(entry) = self.watched.entry else { return };
        let peer = peer(&entry) << PEER_SHIFT;
        let known = self.probing.state >> PEER_SHIFT << PEER_SHIFT;
        let told = self.probing.state & (TOLD | TOLD_UP);
        if known != peer {
            self.flag = Flag::new(self.watched.rule());
            self.count = 0;
            maps.clear(self.id);
            self.probing = Probing { key: fresh_key(), sent: 0, state: peer | told, ..Probing::default() };
        }
        let (interval, retries) = match self.watched.keepalive {
            Keepalive::Off => (Duration::ZERO, 0),
            Keepalive::Every { interval, retries, .. } => (interval, retries),
        };
        if interval.is_zero() {
            // Whatever was known of it is not known any more.
            self.flag = Flag::new(self.watched.rule());
        }
        self.probing.patience_ns = u64::try_from((interval * retries).as_nanos()).unwrap_or(u64::MAX);
        self.write(maps);
    }

    pub(super) fn write(&mut self, maps: &KeepaliveMaps) {
        let gone = if self.flag.is_there() { 0 } else { GONE };
        let has_answered = if self.flag.has_answered() { HAS_ANSWERED } else { 0 };
        self.probing.state = self.probing.state & !(GONE | HAS_ANSWERED) | gone | has_answered;
        maps.write(self.id, &self.probing);
    }

    /// What the hook was told of it last, by this daemon or an earlier one.
    pub(super) const fn told(&self) -> Option<bool> {
        if self.probing.state & TOLD == 0 { None } else { Some(self.probing.state & TOLD_UP != 0) }
    }

    /// Notes what the hook was told.
    pub(super) fn note_told(&mut self, running: bool, maps: &KeepaliveMaps) {
        let told = if running { TOLD | TOLD_UP } else { TOLD };
        self.probing.state = self.probing.state & !(TOLD | TOLD_UP) | told;
        self.write(maps);
    }

    /// Begins to ask, if there is anything to ask. Returns the interval.
    pub(super) const fn begin(&mut self, now: Instant) -> Option<Duration> {
        (self.is_out, self.due) = (false, now);
        self.interval
    }

    /// The next probe is due then.
    pub(super) const fn defer(&mut self, at: Instant) {
        self.due = at;
    }
}

/// The number of the last probe, as far as it was written or answered.
fn last_number(probing: &Probing, answers: &Answers) -> u32 {
    let is_later = answers.count > 0 && answers.latest.wrapping_sub(probing.sent) < 1 << 31;
    if is_later { answers.latest } else { probing.sent }
}
