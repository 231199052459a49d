//! One thread for the probes of all tunnels, and one timer wheel.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::hook::Change;
use super::look::Turn;
use super::pace;
use super::socket::Sockets;
use super::view::Liveness;
use super::watch::Watch;
use super::watched::Watched;
use super::ways::InterfaceAddress;
use super::wheel::{Entry, Wheel};
use crate::dataplane::KeepaliveMaps;
use crate::failure::Failure;
use crate::tun::Tun;

/// The first probes of many tunnels that begin at once are spread over this time, or over an interval where that is less.
const SPREAD: Duration = Duration::from_secs(1);
/// Where more tunnels than this fall together, the kernel acts on all of them within the second that it takes by itself.
const TOLD_AT_ONCE: usize = 32;
/// Between two bursts of probes that are late.
const PAUSE: Duration = Duration::from_millis(1);

/// The far ends of all tunnels.
#[derive(Clone, Debug)]
pub struct Alive {
    shared: Arc<Shared>,
    wakes: Sender<(Entry, Instant)>,
}

#[derive(Debug)]
struct Shared {
    maps: KeepaliveMaps,
    sockets: Sockets,
    state: Mutex<State>,
    changes: UnboundedSender<Change>,
}

#[derive(Debug, Default)]
struct State {
    watches: Watches,
    /// The addresses of every interface.
    addresses: BTreeMap<u32, Vec<InterfaceAddress>>,
    tickets: u32,
    /// No probe is sent: the programs that answers come to have other maps.
    is_held: bool,
}

/// Tunnels by their IDs, of which the lowest ones are given: found without a search, whose steps would all be misses of the
/// processor's cache.
#[derive(Debug, Default)]
struct Watches(Vec<Option<Box<Watch>>>);

impl Watches {
    fn place(id: u32) -> usize {
        usize::try_from(id).unwrap_or(usize::MAX)
    }

    fn get(&self, id: u32) -> Option<&Watch> {
        self.0.get(Self::place(id))?.as_deref()
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Watch> {
        self.0.get_mut(Self::place(id))?.as_deref_mut()
    }

    fn insert(&mut self, id: u32, watch: Box<Watch>) {
        let place = Self::place(id);
        if self.0.len() <= place {
            self.0.resize_with(place.saturating_add(1), || None);
        }
        if let Some(free) = self.0.get_mut(place) {
            *free = Some(watch);
        }
    }

    fn remove(&mut self, id: u32) -> Option<Box<Watch>> {
        self.0.get_mut(Self::place(id))?.take()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.0.iter_mut().filter_map(Option::as_deref_mut)
    }
}

impl Alive {
    /// Starts the thread. What it finds goes to `changes`.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn start(maps: KeepaliveMaps, changes: UnboundedSender<Change>) -> Result<Self, Failure> {
        let (wakes, entries) = channel();
        let shared = Arc::new(Shared { maps, sockets: Sockets::open(), state: Mutex::default(), changes });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("keepalive".to_owned())
            .spawn(move || turn(&theirs, &entries))
            .map_err(|error| Failure::io("starting a thread", &error))?;
        Ok(Self { shared, wakes })
    }

    /// Follows what the engine says of a tunnel, sets its carrier, and returns why it does not run; empty where it does.
    ///
    /// # Errors
    ///
    /// The kernel does not set the carrier.
    pub fn follow(&self, id: u32, watched: Watched) -> Result<String, Failure> {
        let now = Instant::now();
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let maps = &self.shared.maps;
        let addresses = watched.entry.and_then(|entry| state.addresses.get(&entry.ifindex));
        let addresses = addresses.map(Vec::as_slice).unwrap_or_default();
        // An interface that was made anew is another tunnel's, whatever its number.
        let known = state.watches.remove(id).filter(|watch| Arc::ptr_eq(&watch.watched.tun, &watched.tun));
        let (mut watch, is_changed) = match known {
            Some(mut watch) => {
                let is_changed = watch.follow(watched, maps);
                watch.readdress(addresses);
                (watch, is_changed)
            }
            None => (Box::new(Watch::new(id, watched, addresses, maps, now)), true),
        };
        if is_changed && !state.is_held {
            self.begin(&mut watch, &mut state.tickets, now);
        }
        let settled = self.shared.settle(&mut watch);
        let reason = watch.reason.clone();
        state.watches.insert(id, watch);
        drop(guard);
        tell(settled.map_err(|error| Failure::io("setting carrier", &error))?);
        Ok(reason)
    }

    /// Begins to ask a tunnel's far end, if there is anything to ask.
    fn begin(&self, watch: &mut Watch, tickets: &mut u32, now: Instant) {
        let Some(interval) = watch.begin(now) else { return };
        *tickets = tickets.wrapping_add(1);
        watch.ticket = *tickets;
        // Neighbouring tunnels do not begin at once, but the first of them does.
        let at = now + pace::place(watch.id, interval.min(SPREAD));
        watch.defer(at);
        let _ = self.wakes.send((Entry { id: watch.id, ticket: watch.ticket }, at));
    }

    /// Asks nobody until [`Alive::release`], and takes nobody's silence for anything.
    pub fn hold(&self) {
        self.shared.state().is_held = true;
    }

    /// Asks all whom it has not asked.
    pub fn release(&self) {
        let now = Instant::now();
        let mut state = self.shared.state();
        let state = &mut *state;
        if std::mem::take(&mut state.is_held) {
            for watch in state.watches.iter_mut() {
                self.begin(watch, &mut state.tickets, now);
            }
        }
    }

    /// Follows the addresses of this host's interfaces.
    pub fn readdress(&self, all: Vec<InterfaceAddress>) {
        let mut addresses: BTreeMap<u32, Vec<InterfaceAddress>> = BTreeMap::new();
        for address in all {
            addresses.entry(address.ifindex).or_default().push(address);
        }
        let mut state = self.shared.state();
        let state = &mut *state;
        if state.addresses == addresses {
            return;
        }
        for watch in state.watches.iter_mut() {
            let its = watch.ifindex().and_then(|ifindex| addresses.get(&ifindex));
            watch.readdress(its.map(Vec::as_slice).unwrap_or_default());
        }
        state.addresses = addresses;
    }

    /// Forgets a tunnel that is taken down, and what was known of its far end.
    pub fn forget(&self, id: u32) {
        let forgotten = self.shared.state().watches.remove(id);
        if let Some(watch) = forgotten {
            let (tunnel, told) = (watch.watched.name.clone(), watch.told());
            let reason = "its interface was removed".to_owned();
            let _ = self.shared.changes.send(Change { id, tunnel, running: false, reason, told });
        }
        self.shared.maps.clear(id);
    }

    /// Notes what the hook was told of the tunnel with this ID and name.
    pub fn note_told(&self, id: u32, name: &str, running: bool) {
        let mut state = self.shared.state();
        if let Some(watch) = state.watches.get_mut(id).filter(|watch| watch.watched.name == name) {
            watch.note_told(running, &self.shared.maps);
        }
    }

    /// Why a tunnel does not run, as it is known now; empty where it does.
    #[must_use]
    pub fn reason(&self, id: u32) -> Option<String> {
        self.shared.state().watches.get(id).map(|watch| watch.reason.clone())
    }

    /// How a tunnel's far end does; `None` where the tunnel is not known here.
    #[must_use]
    pub fn view(&self, id: u32) -> Option<Liveness> {
        self.shared.state().watches.get(id).map(|watch| watch.view(&self.shared.maps))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the carrier, and tells everybody when that changed. Gives the interface whose carrier is gone, for [`tell`].
    fn settle(&self, watch: &mut Watch) -> std::io::Result<Option<Arc<Tun>>> {
        let Turn::Carrier(running) = watch.settle()? else { return Ok(None) };
        let (tunnel, reason) = (watch.watched.name.clone(), watch.reason.clone());
        // Nobody listens while the daemon stops.
        let _ = self.changes.send(Change { id: watch.id, tunnel, running, reason, told: watch.told() });
        Ok(if running { None } else { Some(Arc::clone(&watch.watched.tun)) })
    }

    /// Looks at the tunnels that are due `now`, and notes when each is due next.
    fn look(&self, due: &[Entry], now: Instant, next: &mut Vec<(Entry, Instant)>) {
        let mut fallen = Vec::new();
        let mut state = self.state();
        for entry in due {
            let Some(watch) = state.watches.get_mut(entry.id) else { continue };
            if watch.ticket != entry.ticket {
                continue;
            }
            if let Some(at) = watch.look(&self.maps, &self.sockets, now) {
                next.push((*entry, at));
            }
            match self.settle(watch) {
                Ok(tun) => fallen.extend(tun),
                Err(error) => log::error!("tunnel {}: setting carrier: {error}", watch.watched.name),
            }
        }
        drop(state);
        fallen.into_iter().take(TOLD_AT_ONCE).for_each(|tun| tell(Some(tun)));
    }
}

/// Has the kernel act on a carrier that is gone, which takes it a moment: nobody is to wait for that.
fn tell(tun: Option<Arc<Tun>>) {
    if let Some(tun) = tun
        && let Err(error) = tun.tell_of_carrier()
    {
        // A second later it is known anyway.
        log::debug!("telling of a carrier: {error}");
    }
}

/// Turns the wheel until the daemon ends.
fn turn(shared: &Shared, entries: &Receiver<(Entry, Instant)>) {
    let mut wheel = Wheel::new(Instant::now());
    let mut next = Vec::new();
    loop {
        let now = Instant::now();
        shared.look(wheel.take(now), now, &mut next);
        for (entry, at) in next.drain(..).chain(entries.try_iter()) {
            wheel.insert(entry, at);
        }
        let wait = if wheel.has_more() {
            Some(PAUSE)
        } else {
            wheel.next().map(|at| at.saturating_duration_since(Instant::now()))
        };
        let received = match wait {
            Some(wait) => entries.recv_timeout(wait),
            None => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok((entry, at)) => wheel.insert(entry, at),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
