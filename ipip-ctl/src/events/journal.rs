//! Takes events from the daemon's parts, keeps the last ones, and hands each to every subscriber.
//!
//! Neither history nor a subscriber's queue grows without bound, and nobody who emits an event waits: a subscriber that is
//! too slow misses events, and learns that it did.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{Timestamp, Unit};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Event, Told};

/// How many events are kept, and how many a subscriber may be behind.
pub const KEPT_MAX: usize = 512;

/// The way to tell an event, and to hear of them. A copy is the same journal.
#[derive(Clone, Debug)]
pub struct Events {
    journal: Arc<Mutex<Journal>>,
}

#[derive(Debug)]
struct Journal {
    kept: VecDeque<Arc<Told>>,
    /// The number of the last event; before the first, the one that it would follow.
    last: u64,
    sender: broadcast::Sender<Arc<Told>>,
}

/// What a subscriber gets: events that were kept, and those to come, with none between them missing.
#[derive(Debug)]
pub struct Subscription {
    /// The events that were asked for and are kept, the oldest first.
    pub kept: Vec<Arc<Told>>,
    /// The number of the last event until now; before the first, the one that it would follow.
    pub last: u64,
    coming: broadcast::Receiver<Arc<Told>>,
}

/// Why no event follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The subscriber was too slow: this many events are lost to it.
    Some(u64),
    /// There will be none: nobody emits events any more.
    End,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// A journal whose numbers are above all that an earlier daemon gave, unless the clock was set back: no daemon tells an
    /// event each microsecond. They fit into the 53 bits of a number in JSON until the year 2255.
    #[must_use]
    pub fn new() -> Self {
        Self::after(u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default())
    }

    /// A journal whose first event has the number after this one.
    fn after(last: u64) -> Self {
        let (sender, _) = broadcast::channel(KEPT_MAX);
        Self { journal: Arc::new(Mutex::new(Journal { kept: VecDeque::new(), last, sender })) }
    }

    /// Tells of an event: to the log, to the subscribers, and to those who ask later. Never waits.
    pub fn emit(&self, event: Event) {
        if event.is_bad() {
            log::warn!("{event}");
        } else {
            log::info!("{event}");
        }
        let now = Timestamp::now();
        let mut journal = self.lock();
        journal.last += 1;
        let told = Told { sequence: journal.last, time: now.round(Unit::Millisecond).unwrap_or(now), event };
        let told = Arc::new(told);
        if journal.kept.len() == KEPT_MAX {
            journal.kept.pop_front();
        }
        journal.kept.push_back(Arc::clone(&told));
        // Nobody listens.
        let _ = journal.sender.send(told);
    }

    /// Subscribes to what comes, and with a number also to what is kept of the events after that one.
    #[must_use]
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let journal = self.lock();
        // The clock was set back, and the number is of an earlier daemon: all of this one's events are new.
        let after = after.map(|after| if after > journal.last { 0 } else { after });
        let kept = journal.kept.iter().filter(|told| after.is_some_and(|after| told.sequence > after));
        Subscription { kept: kept.cloned().collect(), last: journal.last, coming: journal.sender.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// There is none, or some were missed.
    pub async fn next(&mut self) -> Result<Arc<Told>, Missed> {
        self.coming.recv().await.map_err(|error| match error {
            RecvError::Lagged(count) => Missed::Some(count),
            RecvError::Closed => Missed::End,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event::Added { tunnel: format!("t{number}") }
    }

    fn numbers(kept: &[Arc<Told>]) -> Vec<u64> {
        kept.iter().map(|told| told.sequence).collect()
    }

    #[tokio::test]
    async fn nothing_is_missing_between_history_and_what_comes() {
        let events = Events::after(0);
        for number in 1..=3 {
            events.emit(event(number));
        }
        let mut all = events.subscribe(Some(0));
        let mut later = events.subscribe(Some(2));
        let mut new = events.subscribe(None);
        assert_eq!(numbers(&all.kept), [1, 2, 3]);
        assert_eq!((numbers(&later.kept), later.last), (vec![3], 3));
        assert!(new.kept.is_empty());
        events.emit(event(4));
        for subscription in [&mut all, &mut later, &mut new] {
            assert_eq!(subscription.next().await.unwrap().sequence, 4);
        }
    }

    #[test]
    fn history_is_bounded_and_a_number_of_an_earlier_daemon_means_all_of_it() {
        let events = Events::after(0);
        assert_eq!(events.subscribe(Some(0)).last, 0);
        for number in 0..KEPT_MAX + 5 {
            events.emit(event(number));
        }
        let kept = numbers(&events.subscribe(Some(0)).kept);
        assert_eq!((kept.len(), kept[0]), (KEPT_MAX, 6));
        assert_eq!(numbers(&events.subscribe(Some(9_999)).kept), kept);
    }

    #[test]
    fn all_of_a_daemon_is_after_the_last_event_of_an_earlier_one() {
        let earlier = Events::new();
        earlier.emit(event(1));
        let last = earlier.subscribe(None).last;
        std::thread::sleep(std::time::Duration::from_millis(2));
        let later = Events::new();
        for number in 1..=3 {
            later.emit(event(number));
        }
        assert_eq!(later.subscribe(Some(last)).kept.len(), 3);
        assert!(later.subscribe(None).last < 1 << 53);
    }

    #[tokio::test]
    async fn a_subscriber_that_does_not_read_misses_events_and_holds_up_nobody() {
        let events = Events::after(0);
        let mut slow = events.subscribe(None);
        for number in 0..KEPT_MAX + 3 {
            events.emit(event(number));
        }
        assert_eq!(slow.next().await.unwrap_err(), Missed::Some(3));
        drop(events);
        for _ in 0..KEPT_MAX {
            slow.next().await.unwrap();
        }
        assert_eq!(slow.next().await.unwrap_err(), Missed::End);
    }
}
