//! Where numbers and events come from: the daemon, asked by threads of their own, so that the view answers keys also while
//! the daemon does not answer.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::rates::Sample;
use crate::api::client::{call, follow};
use crate::api::protocol::{Reply, Request, TunnelView};
use crate::events::Told;
use crate::failure::{Failure, FailureKind};
use crate::select::select;

/// How many messages may wait for the view.
const QUEUE: usize = 64;
/// Between two attempts to listen to a daemon that is gone.
const RETRY: Duration = Duration::from_secs(1);

/// The daemon, and the tunnels of it that are meant.
#[derive(Clone, Debug)]
pub struct Source {
    socket: PathBuf,
    /// Their names; nothing is all.
    names: Option<Vec<String>>,
}

/// What there is to show.
#[derive(Debug)]
pub(super) enum News {
    Sample(Result<Sample, Failure>),
    Event(Told),
}

impl Source {
    /// The daemon at this socket; tunnels are written as names, numbers, or beginnings of names, and none is all.
    ///
    /// # Errors
    ///
    /// It does not answer, or there is no such tunnel.
    pub fn new(socket: PathBuf, written: &[String]) -> Result<Self, Failure> {
        let all = Self { socket, names: None };
        if written.is_empty() {
            return Ok(all);
        }
        let tunnels = all.tunnels()?;
        let names: Vec<&str> = tunnels.iter().map(|tunnel| tunnel.name.as_str()).collect();
        Ok(Self { names: Some(select(&names, written)?), ..all })
    }

    /// The one tunnel that is meant.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match self.names.as_deref() {
            Some([name]) => Some(name),
            _ => None,
        }
    }

    /// Looks at the counters.
    ///
    /// # Errors
    ///
    /// The daemon does not answer.
    pub fn sample(&self) -> Result<Sample, Failure> {
        let tunnels = self.tunnels()?;
        let (at, time) = (Instant::now(), Timestamp::now());
        let is_meant = |(_, tunnel): &(usize, TunnelView)| {
            self.names.as_ref().is_none_or(|names| names.contains(&tunnel.name))
        };
        Ok(Sample { at, time, tunnels: tunnels.into_iter().enumerate().filter(is_meant).collect() })
    }

    fn tunnels(&self) -> Result<Vec<TunnelView>, Failure> {
        let Reply::Tunnels { tunnels } = call(&self.socket, &Request::Print)? else {
            return Err(Failure::new(FailureKind::Failed, "the daemon answered something else than tunnels"));
        };
        Ok(tunnels)
    }

    /// Tells of samples, the first after an interval, and of events from now on, until nobody listens.
    pub(super) fn news(&self, interval: Duration) -> std::sync::mpsc::Receiver<News> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (sampler, listener) = (self.clone(), self.clone());
        let copy = sender.clone();
        thread::spawn(move || sampler.keep_sampling(interval, &copy));
        thread::spawn(move || listener.keep_listening(&sender));
        receiver
    }

    fn keep_sampling(&self, interval: Duration, sender: &SyncSender<News>) {
        let mut due = Instant::now();
        loop {
            // After a pause, as of a laptop that slept, it does not catch up.
            due = (due + interval).max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(News::Sample(self.sample())).is_err() {
                return;
            }
        }
    }

    fn keep_listening(&self, sender: &SyncSender<News>) {
        let mut heard = 0;
        loop {
            // What goes wrong here goes wrong for samples too, which say so.
            for told in follow(&self.socket, Some(heard)).into_iter().flatten() {
                let Ok(told) = told else { break };
                heard = told.sequence;
                if sender.send(News::Event(told)).is_err() {
                    return;
                }
            }
            thread::sleep(RETRY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_an_interval_after_the_one_before() {
        let source = Source { socket: PathBuf::from("/nonexistent/ipip.sock"), names: None };
        let (start, interval) = (Instant::now(), Duration::from_millis(40));
        let news = source.news(interval);
        for number in 1..=3 {
            assert!(matches!(news.recv().unwrap(), News::Sample(Err(_))), "nobody answers");
            assert!(start.elapsed() >= interval * number, "sample {number}");
        }
    }
}
