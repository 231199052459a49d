//! A tunnel whose route leads through itself. Without carrier its routes may count no longer (`ignore_routes_with_linkdown`),
//! and with another way there is carrier again, and the route through itself: it would come and go for ever.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long it stays down once it was found so, unless a route changes; each time twice as long.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(1);

/// Whether it is, or was a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loop {
    /// The ends that all this is about: the local one if it is set, and the remote.
    ends: Option<(Option<IpAddr>, IpAddr)>,
    /// It was one at the last look.
    was_one: bool,
    until: Option<Instant>,
    hold: Duration,
}

impl Loop {
    /// Notes what the routes say now of the tunnel with these ends. Returns whether it is to be down for it.
    pub(super) fn look(&mut self, is_one: bool, ends: (Option<IpAddr>, IpAddr), now: Instant) -> bool {
        if self.ends != Some(ends) {
            *self = Self { ends: Some(ends), ..Self::default() };
        }
        let is_held = self.until.is_some_and(|until| now < until);
        if is_one && !self.was_one {
            self.hold = (self.hold * 2).clamp(FIRST, LONGEST);
            self.until = Some(now + self.hold);
        }
        self.was_one = is_one;
        is_one || is_held
    }

    /// A route to the remote changed: what they said before is worth nothing.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_less_and_less_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ends = (None, IpAddr::from([192, 0, 2, 1]));
        let mut looped = Loop::default();
        assert!(!looped.look(false, ends, start));
        assert!(looped.look(true, ends, start));
        // Without carrier there is another way.
        assert!(looped.look(false, ends, at(9)));
        assert!(!looped.look(false, ends, at(10)));
        assert!(looped.look(true, ends, at(11)));
        assert!(looped.look(false, ends, at(30)) && !looped.look(false, ends, at(31)));
        // As long as it is one it is found but once.
        assert!(looped.look(true, ends, at(32)) && looped.look(true, ends, at(300)));
        assert!(!looped.look(false, ends, at(301)));
        looped.forget();
        assert!(looped.look(true, ends, at(302)) && looped.look(false, ends, at(311)));
        assert!(!looped.look(false, ends, at(312)));
        // Other ends are another matter.
        assert!(looped.look(true, ends, at(313)));
        assert!(!looped.look(false, (None, IpAddr::from([192, 0, 2, 2])), at(314)));
    }
}
