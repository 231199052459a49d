//! Who keeps the tunnel interfaces' descriptors while no daemon runs, and with them carrier: systemd's descriptor store,
//! or a small process of our own where systemd did not start the daemon.
//!
//! A descriptor is kept under the tunnel's ID: 16,384 names of interfaces would not fit into one environment variable,
//! in which systemd gives names back. The kernel knows the interface of a descriptor.

mod holder;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use sd_notify::NotifyState;

pub use self::holder::hold;
use crate::tun::Tun;

/// A place for descriptors that outlives this process, and what was there when this process began.
#[derive(Debug)]
pub struct Keeper {
    place: Place,
    /// By the interface's name.
    kept: BTreeMap<String, Kept>,
}

/// An interface whose descriptor was kept.
#[derive(Debug)]
pub struct Kept {
    /// The ID that it was kept under.
    pub id: u32,
    /// The interface.
    pub tun: Tun,
}

#[derive(Debug)]
enum Place {
    /// The service manager.
    Systemd,
    /// A process of our own, at the other end of this socket.
    Process(OwnedFd),
    /// There is none: carrier falls when this process ends.
    Nobody,
}

impl Keeper {
    /// Finds the keeper of the daemon with this directory of pins, or starts one, and takes back what it has.
    #[must_use]
    pub fn find(directory: &Path) -> Self {
        let is_service = std::env::var_os("NOTIFY_SOCKET").is_some() && sd_notify::booted().unwrap_or(false);
        let (place, descriptors) = if is_service {
            let mut descriptors = from_systemd();
            // Of a daemon that somebody started by hand.
            descriptors.extend(holder::relieve(directory, |id, descriptor| {
                report("keeping", store_with_systemd(id, descriptor));
            }));
            (Place::Systemd, descriptors)
        } else {
            holder::find(directory).map_or_else(
                |error| {
                    log::warn!("no process keeps the interfaces' descriptors, so that carrier falls with the daemon: {error}");
                    (Place::Nobody, Vec::new())
                },
                |(socket, descriptors)| (Place::Process(socket), descriptors),
            )
        };
        let mut keeper = Self { place, kept: BTreeMap::new() };
        for (id, descriptor) in descriptors {
            match Tun::adopt(descriptor) {
                Ok((name, tun)) => drop(keeper.kept.insert(name, Kept { id, tun })),
                Err(error) => {
                    // Its interface is gone.
                    log::debug!("descriptor {id}: {error}");
                    keeper.let_go(id);
                }
            }
        }
        keeper
    }

    /// An interface whose descriptor was kept.
    pub fn take(&mut self, name: &str) -> Option<Kept> {
        self.kept.remove(name)
    }

    /// An interface whose descriptor was kept has another name.
    pub fn rename(&mut self, old: &str, new: &str) {
        if let Some(kept) = self.kept.remove(old) {
            self.kept.insert(new.to_owned(), kept);
        }
    }

    /// Whether the descriptor of an interface was kept.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.kept.contains_key(name)
    }

    /// Whether a descriptor is kept under this ID.
    #[must_use]
    pub fn has_id(&self, id: u32) -> bool {
        self.kept.values().any(|kept| kept.id == id)
    }

    /// The ID that the descriptor of an interface was kept under.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<u32> {
        self.kept.get(name).map(|kept| kept.id)
    }

    /// All that nobody has taken.
    pub fn take_rest(&mut self) -> BTreeMap<String, Kept> {
        std::mem::take(&mut self.kept)
    }

    /// Has the descriptor of a tunnel's interface kept.
    pub fn keep(&self, id: u32, tun: &Tun) {
        let done = match &self.place {
            Place::Systemd => store_with_systemd(id, tun.as_fd()),
            Place::Process(socket) => wire::send(socket, &wire::store(id), Some(tun.as_fd())),
            Place::Nobody => Ok(()),
        };
        report("keeping", done);
    }

    /// Has it let go.
    pub fn let_go(&self, id: u32) {
        let done = match &self.place {
            Place::Systemd => forget(&id.to_string()),
            Place::Process(socket) => wire::send(socket, &wire::remove(id), None),
            Place::Nobody => Ok(()),
        };
        report("letting go of", done);
    }

    /// Ends a process of our own: nothing is to outlive the daemon.
    pub fn end(&self) {
        if let Place::Process(socket) = &self.place {
            report("ending", wire::send(socket, wire::QUIT, None));
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.place {
            Place::Systemd => "systemd",
            Place::Process(_) => "process",
            Place::Nobody => "nobody",
        }
    }
}

fn store_with_systemd(id: u32, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let name = id.to_string();
    sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(&name)], &[descriptor])
}

fn forget(name: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
}

fn report(what: &str, done: io::Result<()>) {
    if let Err(error) = done {
        log::warn!("{what} an interface's descriptor over a restart: {error}");
    }
}

/// The descriptors that systemd gave this process.
fn from_systemd() -> Vec<(u32, OwnedFd)> {
    let given = match sd_notify::listen_fds_with_names() {
        Ok(given) => given,
        Err(error) => {
            log::warn!("taking descriptors from systemd: {error}");
            return Vec::new();
        }
    };
    given
        .filter_map(|(number, name)| {
            // SAFETY: systemd opened it for this process, and this is the only place that takes it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            Some((name.parse().ok()?, descriptor))
        })
        .collect()
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }
}
