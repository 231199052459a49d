//! A process that does nothing but keep descriptors while no daemon runs. The daemon starts it, and it goes when there is
//! nothing left to keep: when the interfaces are gone, or the pins, without which nothing works, or when no daemon
//! came back for a day. It has no capabilities, and only root may talk to it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::{Uid, daemon};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::inotify;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
    sockopt,
};

use super::wire::{self, Packet};
use crate::failure::Failure;

/// The hidden verb of this process.
const VERB: &str = "keep-descriptors";
/// How long the other side may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits when it cannot take a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How long descriptors are kept for a daemon that does not come back.
const DAY: Timespec = Timespec { tv_sec: 24 * 60 * 60, tv_nsec: 0 };

/// What is waited for, beside descriptors, whose numbers are small.
const LISTENER: u64 = u64::MAX;
const DAEMON: u64 = u64::MAX - 1;
const PINS: u64 = u64::MAX - 2;

/// Connects to the process that serves this directory of pins, or starts one, and asks for what it has.
pub(super) fn find(directory: &Path) -> io::Result<(OwnedFd, Vec<(u32, OwnedFd)>)> {
    let address = address(directory)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    if connect(&socket, &address).is_err() {
        start(directory, &address)?;
        connect(&socket, &address)?;
    }
    let descriptors = list(&socket)?;
    Ok((socket, descriptors))
}

/// Takes over from the process that serves this directory, if there is one: each descriptor goes to `keep` before that
/// process ends.
pub(super) fn relieve(directory: &Path, keep: impl Fn(u32, BorrowedFd<'_>)) -> Vec<(u32, OwnedFd)> {
    let relieved = || {
        let address = address(directory)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        if connect(&socket, &address).is_err() {
            return Ok(Vec::new());
        }
        let descriptors = list(&socket)?;
        for (id, descriptor) in &descriptors {
            keep(*id, descriptor.as_fd());
        }
        wire::send(&socket, wire::QUIT, None)?;
        Ok(descriptors)
    };
    relieved().unwrap_or_else(|error: io::Error| {
        log::warn!("taking descriptors from the process that keeps them: {error}");
        Vec::new()
    })
}

/// All that the process at the other end has.
fn list(socket: &OwnedFd) -> io::Result<Vec<(u32, OwnedFd)>> {
    must_be_root(socket)?;
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, Some(PATIENCE))?;
    wire::send(socket, wire::LIST, None)?;
    let mut descriptors = Vec::new();
    loop {
        match wire::receive(socket)? {
            Packet::Store(id, descriptor) => descriptors.push((id, descriptor)),
            Packet::End => return Ok(descriptors),
            Packet::Gone => return Err(io::ErrorKind::ConnectionReset.into()),
            Packet::Remove(_) | Packet::List | Packet::Quit | Packet::Other => {}
        }
    }
}

/// A name in this network namespace, which no file stands for, so that nothing is left of it.
fn address(directory: &Path) -> io::Result<SocketAddrUnix> {
    let pins = directory.metadata()?;
    let name = format!("ipip-ctl/{VERB}/{}-{}", pins.dev(), pins.ino());
    Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?)
}

/// Whoever is at the other end could hand over anything.
fn must_be_root(socket: &OwnedFd) -> io::Result<()> {
    let uid = nix::sys::socket::getsockopt(socket, PeerCredentials)?.uid();
    if Uid::from_raw(uid).is_root() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {uid} has taken its place")))
}

fn start(directory: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    bind(&listener, address)?;
    listen(&listener, 4)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(VERB).arg(directory).env_clear();
    command.stdin(Stdio::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
    // It parts from this process at once, and the part that is waited for ends.
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

/// The process itself: serves the socket that is its standard input.
///
/// # Errors
///
/// It cannot part from the one that started it, or the kernel refuses something.
pub fn hold(directory: &Path) -> Result<(), Failure> {
    let failed = |error: &io::Error| Failure::io("keeping descriptors", error);
    let listener = io::stdin().as_fd().try_clone_to_owned().map_err(|error| failed(&error))?;
    // Before the fork, so that the daemon hears of a failure.
    let watch = watch(directory).map_err(|error| failed(&error))?;
    daemon(false, true).map_err(|error| failed(&error.into()))?;
    crate::privileges::drop_all()?;
    Holder::new(listener, &watch).and_then(|mut holder| holder.run()).map_err(|error| failed(&error))
}

/// Tells when the directory is gone, or the file system that it is in.
fn watch(directory: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, directory, inotify::WatchFlags::DELETE_SELF)?;
    Ok(watch)
}

struct Holder {
    epoll: OwnedFd,
    listener: OwnedFd,
    daemon: Option<OwnedFd>,
    /// By the number that is their name.
    descriptors: BTreeMap<u32, OwnedFd>,
}

impl Holder {
    fn new(listener: OwnedFd, watch: &OwnedFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, watch, EventData::new_u64(PINS), EventFlags::IN)?;
        Ok(Self { epoll, listener, daemon: None, descriptors: BTreeMap::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let limit = if self.daemon.is_some() { None } else { Some(&DAY) };
            let mut events = Vec::with_capacity(64);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), limit) {
                Err(rustix::io::Errno::INTR) => continue,
                result => drop(result?),
            }
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                match event.data.u64() {
                    PINS => return Ok(()),
                    LISTENER => self.accept(),
                    DAEMON if self.answer() => return Ok(()),
                    DAEMON => {}
                    // Its interface is gone.
                    name => self.forget(u32::try_from(name).unwrap_or(u32::MAX)),
                }
            }
            if self.daemon.is_none() && self.descriptors.is_empty() {
                return Ok(());
            }
        }
    }

    /// The one that came last is the daemon: two cannot have the same pins.
    fn accept(&mut self) {
        let Ok(daemon) = accept_with(&self.listener, SocketFlags::CLOEXEC) else {
            // For want of descriptors, say. What is kept stays kept, and the one that waits goes on waiting.
            std::thread::sleep(PAUSE);
            return;
        };
        let is_served = must_be_root(&daemon).is_ok()
            && sockopt::set_socket_timeout(&daemon, sockopt::Timeout::Send, Some(PATIENCE)).is_ok()
            && epoll::add(&self.epoll, &daemon, EventData::new_u64(DAEMON), EventFlags::IN).is_ok();
        if is_served {
            self.daemon = Some(daemon);
        }
    }

    /// Returns whether to end.
    fn answer(&mut self) -> bool {
        let Some(daemon) = &self.daemon else { return false };
        match wire::receive(daemon) {
            Ok(Packet::Store(name, descriptor)) => self.store(name, descriptor),
            Ok(Packet::Remove(name)) => self.forget(name),
            Ok(Packet::List) => {
                let sent = self
                    .descriptors
                    .iter()
                    .try_for_each(|(name, kept)| wire::send(daemon, &wire::store(*name), Some(kept.as_fd())))
                    .and_then(|()| wire::send(daemon, wire::END, None));
                if sent.is_err() {
                    self.daemon = None;
                }
            }
            Ok(Packet::Quit) => return true,
            Ok(Packet::End | Packet::Other) => {}
            Ok(Packet::Gone) | Err(_) => self.daemon = None,
        }
        false
    }

    /// One that is there already under this name is replaced. One that the kernel cannot watch is not kept.
    fn store(&mut self, name: u32, descriptor: OwnedFd) {
        self.forget(name);
        // No packet is urgent, so that no event comes but that the interface is gone. But to tell of that, the kernel
        // wakes only those who wait for something to read.
        let data = EventData::new_u64(name.into());
        if epoll::add(&self.epoll, &descriptor, data, EventFlags::RDBAND).is_ok() {
            self.descriptors.insert(name, descriptor);
        }
    }

    fn forget(&mut self, name: u32) {
        if let Some(descriptor) = self.descriptors.remove(&name) {
            // The daemon may have the same open file: closing this descriptor would not end its events.
            let _ = epoll::delete(&self.epoll, &descriptor);
        }
    }
}
