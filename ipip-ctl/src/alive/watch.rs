//! One tunnel: what is known of its far end, when it is asked again, and its carrier.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipip_common::abi::{Answers, Probing, TunnelConfig, TunnelEntry};
use ipip_common::packet::flow::Flow;
use ipip_common::packet::probe::{Key, Probe, Way};

use super::flag::{Flag, Rule};
use super::pace;
use super::packet::outer_packet;
use super::peer::{fresh_key, peer};
use super::socket::{self, Sockets};
use super::view::Liveness;
use super::ways::{InterfaceAddress, ways};
use crate::dataplane::KeepaliveMaps;
use crate::ipsec::Carrier;
use crate::tun::Tun;
use crate::tunnel::{Keepalive, KeepaliveMode};

/// Bits of [`Probing::state`], which the next daemon reads: the far end is gone; it has answered before; the hook has been told
/// of the tunnel, and that it runs.
const GONE: u32 = 1;
const HAS_ANSWERED: u32 = 2;
const TOLD: u32 = 4;
const TOLD_UP: u32 = 8;
/// Above them, a number for the far end that all this is about.
const PEER_SHIFT: u32 = 4;
/// How soon an answer is looked for whose tunnel does not run.
const PEEK: Duration = Duration::from_millis(100);

/// After so many probes all ways are tried again: a better one may have come up.
const CURIOSITY: u32 = 32;

/// What the engine says of a tunnel.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Its interface.
    pub tun: Arc<Tun>,
    /// How often the far end is asked.
    pub keepalive: Keepalive,
    /// How it is asked.
    pub mode: KeepaliveMode,
    /// Its entry; `None` while there is no way to the remote.
    pub entry: Option<TunnelConfig>,
    /// What sends its packets where IPsec protects them.
    pub protected: Option<Arc<Carrier>>,
    /// What keeps it from running, whatever the far end does; empty where nothing does.
    pub obstacle: String,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.keepalive, it.mode, it.entry);
        let carrier = |it: &Self| it.protected.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.tun, &other.tun)
            && carrier(self) == carrier(other)
            && key(self) == key(other)
            && self.obstacle == other.obstacle
            && self.name == other.name
    }
}

/// What the far end is asked.
#[derive(Debug)]
pub(super) struct Ask {
    entry: TunnelEntry,
    ways: Vec<(Way, Flow)>,
}

/// A tunnel and its far end.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) id: u32,
    pub(super) watched: Watched,
    /// The addresses of its interface.
    addresses: Vec<InterfaceAddress>,
    /// Which of the wheel's entries is this tunnel's: an older one is nobody's.
    pub(super) ticket: u64,
    ask: Option<Ask>,
    flag: Flag,
    probing: Probing,
    answers: Answers,
    /// Packets received, where these count.
    received: u64,
    /// There may be a better way than the one that is known.
    is_curious: bool,
    /// A probe is out whose silence would mean something.
    is_out: bool,
    /// When the next probe is due.
    due: Instant,
    /// Why the last probe could not be sent.
    trouble: Option<String>,
    carrier: Option<bool>,
    /// Why it does not run; empty where it does.
    pub(super) reason: String,
    ups: u64,
    downs: u64,
}

/// What a look at a tunnel changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing that anybody has to know.
    Same,
    /// Its carrier.
    Carrier(bool),
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
        let rule = rule(&watched);
        let flag = Flag::known(rule, probing.state & GONE == 0, probing.state & HAS_ANSWERED != 0);
        let mut watch = Self {
            id,
            watched,
            addresses: addresses.to_vec(),
            ticket: 0,
            ask: None,
            flag,
            probing,
            answers,
            received: maps.received(id),
            is_curious: true,
            is_out: false,
            due: now,
            trouble: None,
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
        let (old_mode, old_rule) = (self.watched.mode, rule(&self.watched));
        let is_cleared = self.watched.obstacle.is_empty() != watched.obstacle.is_empty();
        self.watched = watched;
        let rule = rule(&self.watched);
        if rule != old_rule || is_cleared {
            self.flag.follow(rule);
        }
        if old_mode != self.watched.mode {
            // What came by itself proves nothing about answers; what was never answered is taken to be there.
            let has_answered = self.answers.count > 0;
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
        (self.watched.keepalive, self.watched.mode, self.is_active(), self.probing.key)
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
        self.is_curious = true;
        self.ask = self.watched.entry.map(|entry| Ask {
            entry: TunnelEntry::new(&entry),
            ways: ways(&entry, self.watched.mode, &self.addresses),
        });
    }

    /// What the programs are to count, and what is asked; a far end that is another one is unknown.
    fn prepare(&mut self, maps: &KeepaliveMaps) {
        self.choose();
        let Some(entry) = self.watched.entry else { return };
        let peer = peer(&entry) << PEER_SHIFT;
        let known = self.probing.state >> PEER_SHIFT << PEER_SHIFT;
        let told = self.probing.state & (TOLD | TOLD_UP);
        if known != peer {
            self.flag = Flag::new(rule(&self.watched));
            self.answers = Answers::default();
            maps.clear(self.id);
            self.probing = Probing { key: fresh_key(), sent: 0, state: peer | told, ..Probing::default() };
        }
        let (interval, retries) = match self.watched.keepalive {
            Keepalive::Off => (Duration::ZERO, 0),
            Keepalive::Every { interval, retries, .. } => (interval, retries),
        };
        if interval.is_zero() {
            // Whatever was known of it is not known any more.
            self.flag = Flag::new(rule(&self.watched));
        }
        self.probing.patience_ns = u64::try_from((interval * retries).as_nanos()).unwrap_or(u64::MAX);
        self.write(maps);
    }

    fn write(&mut self, maps: &KeepaliveMaps) {
        let gone = if self.flag.is_there() { 0 } else { GONE };
        let has_answered = if self.flag.has_answered() { HAS_ANSWERED } else { 0 };
        self.probing.state = self.probing.state & !(GONE | HAS_ANSWERED) | gone | has_answered;
        if let Err(failure) = maps.write(self.id, &self.probing) {
            log::error!("tunnel {}: {failure}", self.watched.name);
        }
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

    /// Whether it is asked, or listened to, at all.
    pub(super) fn is_active(&self) -> Option<Duration> {
        match self.watched.keepalive {
            Keepalive::Every { interval, .. } if self.watched.obstacle.is_empty() && self.ask.is_some() => {
                Some(interval)
            }
            Keepalive::Every { .. } | Keepalive::Off => None,
        }
    }

    /// Begins to ask, if there is anything to ask. Returns the interval.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Duration> {
        (self.is_out, self.due) = (false, now);
        self.is_active()
    }

    /// The next probe is due then.
    pub(super) const fn defer(&mut self, at: Instant) {
        self.due = at;
    }

    /// What the far end did since the last look, and, when that is due, the next probe. Returns when to look again.
    pub(super) fn look(&mut self, maps: &KeepaliveMaps, sockets: &Sockets, now: Instant) -> Option<Instant> {
        let interval = self.is_active()?;
        let was = (self.flag.is_there(), self.flag.has_answered());
        let answers = self.new_answers(maps);
        let is_due = now >= self.due;
        if answers > 0 {
            self.flag.answered(answers);
            self.is_out = false;
        } else if is_due && self.is_out {
            self.flag.silent();
        }
        match (was.0, self.flag.is_there()) {
            (true, false) => self.downs += 1,
            (false, true) => self.ups += 1,
            (true, true) | (false, false) => {}
        }
        if was != (self.flag.is_there(), self.flag.has_answered()) {
            self.write(maps);
        }
        if is_due {
            self.ask(maps, sockets);
            self.due = pace::next(self.id, self.due, now, interval);
            if !self.flag.is_there() && interval > PEEK * 2 {
                return Some(now + PEEK);
            }
        }
        Some(self.due)
    }

    /// How many answers came since the last look; of a far end that is not asked, whether anything came.
    fn new_answers(&mut self, maps: &KeepaliveMaps) -> u32 {
        if self.watched.mode == KeepaliveMode::Passive {
            let received = maps.received(self.id);
            return u32::from(std::mem::replace(&mut self.received, received) != received);
        }
        let before = self.answers.count;
        self.answers = maps.answers(self.id);
        u32::try_from(self.answers.count.wrapping_sub(before)).unwrap_or(u32::MAX)
    }

    /// Sends the probes of an interval: by the way that answered last, and by every way where that is not known, or no
    /// longer answers.
    fn ask(&mut self, maps: &KeepaliveMaps, sockets: &Sockets) {
        let Some(ask) = &self.ask else { return };
        if self.watched.mode == KeepaliveMode::Passive {
            self.is_out = true;
            return;
        }
        let known = self.answers.way().and_then(|best| ask.ways.iter().find(|(way, _)| *way == best));
        let is_curious = self.is_curious || self.probing.sent.is_multiple_of(CURIOSITY);
        let by_all = is_curious || known.is_none() || self.flag.missed() > 0 || !self.flag.is_there();
        let asked = ask.ways.iter().filter(|way| by_all || known == Some(way));
        self.probing.sent = self.probing.sent.wrapping_add(u32::from(!ask.ways.is_empty()));
        let (local, remote) = match self.watched.entry {
            Some(entry) => (entry.ends.local(), entry.ends.remote()),
            None => return,
        };
        // Whoever chose one way of asking relies on an answer.
        let cannot_ask = ask.ways.is_empty() && self.watched.mode != KeepaliveMode::Auto;
        let mut trouble = cannot_ask.then(|| "no address to ask from".to_owned());
        let mut is_out = cannot_ask;
        for (way, flow) in asked {
            let sent_ns = now_ns();
            let probe = Probe { sequence: self.probing.sent, way: *way as u32, sent_ns };
            let packet = outer_packet(&ask.entry, self.probing.key, &probe, flow);
            let sent = match &self.watched.protected {
                Some(carrier) => carrier.send(&packet),
                // Not in the clear.
                None if ask.entry.flags().ipsec => Err(std::io::ErrorKind::NotConnected.into()),
                None => sockets.send(&packet, local, remote),
            };
            is_out |= !sent.as_ref().is_err_and(socket::is_shortage);
            if let Err(error) = sent {
                trouble = Some(error.to_string());
            }
        }
        if trouble != self.trouble {
            if let Some(trouble) = &trouble {
                log::warn!("tunnel {}: sending a probe to {remote}: {trouble}", self.watched.name);
            }
            self.trouble = trouble;
        }
        self.is_out = is_out;
        self.is_curious = false;
        // While every probe is answered, the answers say which one is the last.
        if is_out && (self.flag.missed() > 0 || !self.flag.has_answered() || !self.flag.is_there()) {
            self.write(maps);
        }
    }

    /// Sets the carrier to what is known now.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub(super) fn settle(&mut self) -> std::io::Result<Turn> {
        self.reason =
            if self.watched.obstacle.is_empty() { self.silence() } else { self.watched.obstacle.clone() };
        let carrier = self.reason.is_empty();
        if self.carrier == Some(carrier) {
            return Ok(Turn::Same);
        }
        self.watched.tun.set_carrier(carrier)?;
        if !carrier && let Err(error) = self.watched.tun.tell_of_carrier() {
            // A second later it is known anyway.
            log::debug!("tunnel {}: telling of its carrier: {error}", self.watched.name);
        }
        self.carrier = Some(carrier);
        Ok(Turn::Carrier(carrier))
    }

    /// Why the far end is taken to be gone; empty where it is not.
    fn silence(&self) -> String {
        let (false, Keepalive::Every { interval, retries, .. }) =
            (self.flag.is_there(), self.watched.keepalive)
        else {
            return String::new();
        };
        let Some(entry) = self.watched.entry else { return String::new() };
        let remote = entry.ends.remote();
        let written = Keepalive::Every { interval, retries, answers: 1 };
        if self.watched.mode == KeepaliveMode::Passive {
            return format!("nothing comes from {remote} (keepalive {written})");
        }
        let trouble =
            self.trouble.as_ref().map(|trouble| format!("; sending fails: {trouble}")).unwrap_or_default();
        format!("{remote} does not answer (keepalive {written}){trouble}")
    }

    /// What clients see.
    pub(super) fn view(&self, maps: &KeepaliveMaps) -> Liveness {
        let answers = maps.answers(self.id);
        let is_asked = self.watched.mode != KeepaliveMode::Passive;
        let state = match (self.watched.keepalive, self.flag.is_there()) {
            (Keepalive::Off, _) => "off",
            (Keepalive::Every { .. }, false) => "dead",
            (Keepalive::Every { .. }, true) if !self.flag.has_answered() => "unproved",
            (Keepalive::Every { .. }, true) => "alive",
        };
        let (lost, lost_of) =
            if is_asked { answers.lost(self.probing.sent, u32::from(self.is_out)) } else { (0, 0) };
        let measured = |ns: u64| (answers.count > 0).then_some(ns / 1000);
        Liveness {
            state: state.to_owned(),
            answered_by: answers.way().map(|way| way.name().to_owned()),
            probes: self.probing.sent.into(),
            answers: answers.count,
            missed: self.flag.missed(),
            lost,
            lost_of,
            rtt_us: measured(answers.round_trip_ns),
            rtt_mean_us: measured(answers.mean_ns),
            rtt_min_us: measured(answers.least_ns),
            rtt_max_us: measured(answers.most_ns),
            jitter_us: measured(answers.jitter_ns),
            answered_us_ago: measured(now_ns().saturating_sub(answers.last_ns)),
            downs: self.downs,
            ups: self.ups,
        }
    }
}

/// The number of the last probe, as far as it was written or answered.
fn last_number(probing: &Probing, answers: &Answers) -> u32 {
    let is_later = answers.count > 0 && answers.latest.wrapping_sub(probing.sent) < 1 << 31;
    if is_later { answers.latest } else { probing.sent }
}

fn rule(watched: &Watched) -> Rule {
    let needs_proof = watched.mode == KeepaliveMode::Auto;
    match watched.keepalive {
        Keepalive::Every { retries, answers, .. } => Rule { retries, answers, needs_proof },
        Keepalive::Off => Rule { retries: u32::MAX, answers: 1, needs_proof },
    }
}

/// Now, as the programs know it.
fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
