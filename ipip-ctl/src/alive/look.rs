//! A look at a tunnel: what its far end did, and what that means for its carrier.

use std::io;
use std::time::{Duration, Instant};

use super::pace;
use super::socket::Sockets;
use super::watch::Watch;
use crate::dataplane::KeepaliveMaps;
use crate::tunnel::Keepalive;

/// How soon an answer is looked for whose tunnel does not run.
const PEEK: Duration = Duration::from_millis(100);

/// What a look at a tunnel changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing that anybody has to know.
    Same,
    /// Its carrier.
    Carrier(bool),
}

impl Watch {
    /// What the far end did since the last look, and, when that is due, the next probe. Returns when to look again.
    pub(super) fn look(&mut self, maps: &KeepaliveMaps, sockets: &Sockets, now: Instant) -> Option<Instant> {
        let interval = self.interval?;
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
            self.is_settled = false;
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
        if self.is_passive {
            let received = maps.received(self.id);
            return u32::from(std::mem::replace(&mut self.received, received) != received);
        }
        let count = maps.count(self.id);
        let before = std::mem::replace(&mut self.count, count);
        u32::try_from(count.wrapping_sub(before)).unwrap_or(u32::MAX)
    }

    /// Sets the carrier to what is known now, if that is not what was known when it was set.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub(super) fn settle(&mut self) -> io::Result<Turn> {
        if self.is_settled {
            return Ok(Turn::Same);
        }
        self.reason =
            if self.watched.obstacle.is_empty() { self.silence() } else { self.watched.obstacle.clone() };
        let carrier = self.reason.is_empty();
        if self.carrier == Some(carrier) {
            self.is_settled = true;
            return Ok(Turn::Same);
        }
        self.watched.tun.set_carrier(carrier)?;
        (self.carrier, self.is_settled) = (Some(carrier), true);
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
        if self.is_passive {
            return format!("nothing comes from {remote} (keepalive {written})");
        }
        let trouble =
            self.failed.as_ref().map(|trouble| format!("; sending fails: {trouble}")).unwrap_or_default();
        format!("{remote} does not answer (keepalive {written}){trouble}")
    }
}
