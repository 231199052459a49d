//! The generation of all that the programs remember of flows: raised on every change, by whoever notices it first.

use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use aya::maps::{Array, MapData};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, recv};

use super::failed;
use crate::failure::Failure;
use crate::netlink::open_listener;
use crate::privileges;

/// A handle on the programs' variable.
#[derive(Clone)]
pub(super) struct Generation(Arc<Mutex<State>>);

struct State {
    map: Array<MapData, u32>,
    now: u32,
}

impl Generation {
    /// Of programs that were just loaded, and remember nothing yet.
    pub(super) fn new(map: Array<MapData, u32>) -> Self {
        let now = map.get(&0, 0).unwrap_or(0);
        Self(Arc::new(Mutex::new(State { map, now })))
    }

    /// Makes the programs forget what they know of flows.
    pub(super) fn raise(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = state.now.wrapping_add(1);
        let now = state.now;
        if let Err(error) = state.map.set(0, now, 0) {
            log::error!("writing the generation: {error}");
        }
    }

    /// Raises it on every word from the kernel about links, addresses, routes, rules and neighbours, on a thread of its
    /// own: what the daemon does with such a word may take its time, a packet to a next hop that is gone may not.
    ///
    /// # Errors
    ///
    /// The kernel refuses the socket.
    pub(super) fn follow(&self) -> Result<(), Failure> {
        let listener = open_listener(libc::RTNLGRP_NEIGH)
            .map_err(|error| failed("listening for changes of routes", &error))?;
        let generation = self.clone();
        thread::Builder::new()
            .name("generation".to_owned())
            .spawn(move || {
                if let Err(failure) = privileges::settle() {
                    log::warn!("{failure}");
                }
                let mut buffer = [0; 4096];
                loop {
                    // Nobody reads what it says: a message that is cut short, or lost for lack of room (ENOBUFS), says as
                    // much as a whole one.
                    match recv(listener.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                        Ok(_) | Err(Errno::ENOBUFS) => generation.raise(),
                        Err(Errno::EINTR) => {}
                        Err(error) => {
                            log::error!("listening for changes of routes: {error}");
                            return;
                        }
                    }
                }
            })
            .map(drop)
            .map_err(|error| Failure::io("starting a thread", &error))
    }
}
