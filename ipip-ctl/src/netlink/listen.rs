//! Hears what the kernel tells of changes, on a thread of its own, so that nothing is lost while the daemon is busy.
//!
//! The socket is not the one of requests: messages that come faster than they are read are lost, and the answer to a
//! request must not be.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
};
use tokio::sync::Notify;

use super::changes::Changes;
use crate::failure::Failure;

/// What ways and interfaces depend on, by the kernel's numbers of its multicast groups (`linux/rtnetlink.h`).
const GROUPS: [libc::c_uint; 12] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV6_RULE,
    libc::RTNLGRP_IPV4_NETCONF,
    libc::RTNLGRP_IPV6_NETCONF,
    libc::RTNLGRP_MPLS_ROUTE,
    libc::RTNLGRP_MPLS_NETCONF,
    // Nexthop objects (Linux 5.3).
    32,
];
/// Room for messages that have not been read, bytes.
const ROOM: usize = 8 << 20;
/// The longest datagram; the kernel writes less.
const DATAGRAM_MAX: usize = 128 << 10;

/// The end of the daemon: gathers changes until they are taken.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    changes: Arc<Mutex<Changes>>,
    heard: Arc<Notify>,
}

impl Listener {
    /// Begins to listen in this network namespace.
    ///
    /// # Errors
    ///
    /// The kernel refuses the socket.
    pub(super) fn start() -> Result<Self, Failure> {
        let socket = open(libc::RTNLGRP_TC)
            .map_err(|error| Failure::io("listening for changes of the network", &error.into()))?;
        let listener = Self::default();
        let copy = listener.clone();
        thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || copy.listen(&socket))
            .map_err(|error| Failure::io("starting a thread", &error))?;
        Ok(listener)
    }

    /// Waits until something has changed.
    pub async fn wait(&self) {
        self.heard.notified().await;
    }

    /// Takes what has changed since the last time.
    #[must_use]
    pub fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn listen(&self, socket: &OwnedFd) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC);
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            match received {
                // The length is the datagram's also where the buffer is shorter.
                Ok(length) => match buffer.get(..length) {
                    Some(datagram) => changes.read(datagram),
                    None => changes.everything = true,
                },
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOBUFS) => {
                    log::debug!("changes of the network came too fast; looking at everything");
                    changes.everything = true;
                }
                Err(error) => {
                    log::error!("listening for changes of the network: {error}");
                    return;
                }
            }
            let is_news = !changes.is_empty();
            drop(changes);
            if is_news {
                self.heard.notify_one();
            }
        }
    }
}

/// A socket that hears of interfaces, addresses, routes, rules and settings, and of one group more.
pub(crate) fn open(group: libc::c_uint) -> nix::Result<OwnedFd> {
    let listener = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        Some(SockProtocol::NetlinkRoute),
    )?;
    // Past the system's limit where that is allowed.
    setsockopt(&listener, RcvBufForce, &ROOM).or_else(|_| setsockopt(&listener, RcvBuf, &ROOM))?;
    let groups = GROUPS.into_iter().chain([group]).fold(0, |mask, group| mask | 1 << (group - 1));
    bind(listener.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(listener)
}
