//! A tunnel whose route leads through itself. Without carrier its routes may count no longer (`ignore_routes_with_linkdown`),
//! and with another way there is carrier again, and the route through itself: it would come and go for ever.

use std::time::{Duration, Instant};

/// How long it stays down once it was found so, unless a route changes; each time twice as long.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(10);

/// Whether it is, or was a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loop {
    until: Option<Instant>,
    hold: Duration,
}

impl Loop {
    /// Notes what the routes say now. Returns whether the tunnel is to be down for it.
    pub(super) fn look(&mut self, is_loop: bool, now: Instant) -> bool {
        let is_held = self.until.is_some_and(|until| now < until);
        if is_loop && !is_held {
            self.hold = (self.hold * 2).clamp(FIRST, LONGEST);
            self.until = Some(now + self.hold);
        }
        is_loop || is_held
    }

    /// A route changed: what they said before is worth nothing.
    pub(super) const fn forget(&mut self) {
        *self = Self { until: None, hold: Duration::ZERO };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_less_and_less_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut looped = Loop::default();
        assert!(!looped.look(false, start));
        assert!(looped.look(true, start));
        // Without carrier there is another way.
        assert!(looped.look(false, at(9)));
        assert!(!looped.look(false, at(10)));
        assert!(looped.look(true, at(11)));
        assert!(looped.look(false, at(30)) && !looped.look(false, at(31)));
        // It is one as long as it is one.
        assert!(looped.look(true, at(32)) && looped.look(true, at(300)));
        looped.forget();
        assert!(!looped.look(false, at(301)));
        assert!(looped.look(true, at(302)) && looped.look(false, at(311)) && !looped.look(false, at(312)));
    }
}
