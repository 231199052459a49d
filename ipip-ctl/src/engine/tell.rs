//! Tells of what has become different: compares tunnels and ports with what was told of them last.
//!
//! It runs after everything that may change a state, and looks at those tunnels that were followed, or of which something was
//! reported, since it ran last: there may be thousands of others.

use std::collections::{BTreeMap, HashMap};

use tokio::task::yield_now;

use super::Engine;
use super::tunnels::Running;
use crate::api::change::{Action, Change};
use crate::api::protocol::PortView;
use crate::events::{Event, Events};

/// So many events are told before others get a turn.
const MOST_AT_ONCE: u32 = 64;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tunnels: HashMap<String, State>,
    ports: BTreeMap<u32, PortView>,
    /// Tunnels whose state may be another than the one that was told, in the order that they were followed in.
    touched: Vec<String>,
}

/// What can be told of a tunnel's state.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Disabled,
    Running,
    /// Why.
    Invalid(String),
}

impl Seen {
    /// A tunnel has another name.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        if let Some(state) = self.tunnels.remove(old) {
            self.tunnels.insert(new.to_owned(), state);
        }
        self.touch(new);
    }

    /// This tunnel is looked at when it is told next what has changed.
    pub(super) fn touch(&mut self, name: &str) {
        self.touched.push(name.to_owned());
    }

    /// Returns whether there was something to tell.
    fn tell_of_tunnel(
        &mut self,
        name: &str,
        is_disabled: bool,
        running: Option<&Running>,
        events: &Events,
    ) -> bool {
        let Some(running) = running else { return false };
        let state = state(is_disabled, running);
        if self.tunnels.get(name) == Some(&state) {
            return false;
        }
        let tunnel = name.to_owned();
        match &state {
            // Somebody disabled it, which was told.
            State::Disabled => {}
            State::Running => events.emit(Event::Running { tunnel }),
            State::Invalid(reason) => events.emit(Event::Invalid { tunnel, reason: reason.clone() }),
        }
        self.tunnels.insert(name.to_owned(), state);
        true
    }
}

impl Engine {
    /// Tells which tunnels and ports do otherwise than when it was called last.
    pub(super) async fn tell(&mut self) {
        self.tell_of_ports();
        let mut told = 0;
        for name in std::mem::take(&mut self.seen.touched) {
            told += u32::from(self.tell_of_tunnel(&name));
            // Whoever listens has to get a turn before there are more events than are kept.
            if told == MOST_AT_ONCE {
                yield_now().await;
                told = 0;
            }
        }
        debug_assert!(self.all_is_told(), "a tunnel's state changed, and nobody noted which one");
        if self.seen.tunnels.len() > self.table.len() {
            let table = &self.table;
            self.seen.tunnels.retain(|name, _| table.contains(name));
        }
    }

    /// The same for one tunnel. Returns whether there was something to tell.
    pub(super) fn tell_of_tunnel(&mut self, name: &str) -> bool {
        let Some(tunnel) = self.table.get(name) else { return false };
        self.seen.tell_of_tunnel(name, tunnel.disabled, self.running.get(name), &self.events)
    }

    fn all_is_told(&self) -> bool {
        self.table.iter().all(|tunnel| {
            let state = self.running.get(&tunnel.name).map(|running| state(tunnel.disabled, running));
            state.is_none_or(|state| self.seen.tunnels.get(&tunnel.name) == Some(&state))
        })
    }

    fn tell_of_ports(&mut self) {
        let now: BTreeMap<u32, PortView> =
            self.ports.iter().map(|(ifindex, port)| (*ifindex, port.view())).collect();
        for (ifindex, port) in &self.seen.ports {
            if !now.contains_key(ifindex) {
                self.events.emit(Event::PortWent { port: port.name.clone() });
            }
        }
        for (ifindex, port) in &now {
            let PortView { name, tiers, reason } = port.clone();
            match self.seen.ports.get(ifindex) {
                None => self.events.emit(Event::PortCame { port: name, tiers, reason }),
                Some(seen) if seen != port => {
                    self.events.emit(Event::PortChanged { port: name, tiers, reason });
                }
                Some(_) => {}
            }
        }
        self.seen.ports = now;
    }

    /// Tells what a command changed.
    pub(super) fn tell_of_changes(&mut self, changes: &[Change]) {
        for change in changes {
            let tunnel = change.tunnel.clone();
            match change.action {
                Action::Added => self.events.emit(Event::Added { tunnel }),
                Action::Removed => {
                    self.seen.tunnels.remove(&tunnel);
                    self.events.emit(Event::Removed { tunnel });
                }
                Action::Restored => self.events.emit(Event::Restored { tunnel }),
                Action::Changed => self.tell_of_change(change),
            }
        }
    }

    /// Whether a tunnel is switched on is an event of its own.
    fn tell_of_change(&mut self, change: &Change) {
        let tunnel = change.tunnel.clone();
        let (switch, properties): (Vec<_>, Vec<_>) =
            change.properties.iter().cloned().partition(|property| property.property == "disabled");
        if !properties.is_empty() {
            self.events.emit(Event::Changed { tunnel: tunnel.clone(), properties });
        }
        if switch.is_empty() {
            return;
        }
        if self.table.get(&tunnel).is_some_and(|tunnel| tunnel.disabled) {
            self.events.emit(Event::Disabled { tunnel });
        } else {
            self.events.emit(Event::Enabled { tunnel });
        }
    }
}

fn state(is_disabled: bool, running: &Running) -> State {
    if is_disabled {
        State::Disabled
    } else if running.is_running() {
        State::Running
    } else {
        State::Invalid(running.reason.clone())
    }
}
