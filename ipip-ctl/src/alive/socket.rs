//! The raw sockets that probes leave by, as whole outer packets. They receive nothing.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    sendmsg, setsockopt, socket, sockopt,
};

/// `TC_PRIO_CONTROL`: in front of all else in a queueing discipline that has bands.
const PRIORITY: libc::c_int = 7;

/// Bytes of probes that may wait for their neighbours' addresses, or in queues of interfaces: one that does not answer must
/// not use up what the others need. The kernel lets 212,992 wait for each neighbour.
const WAITING: usize = 64 << 20;

/// A socket of each family; one that the host does not have is told of when it is needed.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: nix::Result<OwnedFd>,
    v6: nix::Result<OwnedFd>,
}

impl Sockets {
    pub(super) fn open() -> Self {
        Self { v4: raw(AddressFamily::Inet), v6: raw(AddressFamily::Inet6) }
    }

    /// Sends a whole outer packet by the route to `remote` from `local`.
    pub(super) fn send(&self, packet: &[u8], local: IpAddr, remote: IpAddr) -> io::Result<()> {
        let data = [IoSlice::new(packet)];
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                // The address counts for the choice of the route alone; it stands in the header already.
                let from = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: local.to_bits().to_be() },
                    ipi_addr: libc::in_addr { s_addr: Ipv4Addr::UNSPECIFIED.to_bits() },
                };
                let to = SockaddrIn::from(SocketAddrV4::new(remote, 0));
                let from = [ControlMessage::Ipv4PacketInfo(&from)];
                sendmsg(descriptor(&self.v4)?, &data, &from, MsgFlags::MSG_DONTWAIT, Some(&to))?;
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                let from = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: local.octets() },
                    ipi6_ifindex: 0,
                };
                let to = SockaddrIn6::from(SocketAddrV6::new(remote, 0, 0, 0));
                let from = [ControlMessage::Ipv6PacketInfo(&from)];
                sendmsg(descriptor(&self.v6)?, &data, &from, MsgFlags::MSG_DONTWAIT, Some(&to))?;
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        Ok(())
    }
}

/// Whether a probe was not sent for want of something of this host's, and says nothing about the far end.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

fn descriptor(socket: &nix::Result<OwnedFd>) -> io::Result<libc::c_int> {
    match socket {
        Ok(socket) => Ok(socket.as_raw_fd()),
        Err(error) => Err((*error).into()),
    }
}

/// `IPPROTO_RAW`: the header is ours, and nothing is received.
fn raw(family: AddressFamily) -> nix::Result<OwnedFd> {
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Raw))?;
    setsockopt(&socket, sockopt::Priority, &PRIORITY)?;
    if let Err(error) = setsockopt(&socket, sockopt::SndBufForce, &WAITING) {
        log::debug!("room for probes that wait: {error}");
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn ends_of_two_families_are_no_way() {
        let sockets = Sockets { v4: Err(nix::errno::Errno::EPERM), v6: Err(nix::errno::Errno::EAFNOSUPPORT) };
        let (v4, v6) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from(Ipv6Addr::LOCALHOST));
        let error = |local, remote| sockets.send(&[], local, remote).unwrap_err();
        assert_eq!(error(v4, v6).kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error(v4, v4).raw_os_error(), Some(libc::EPERM));
        assert_eq!(error(v6, v6).raw_os_error(), Some(libc::EAFNOSUPPORT));
    }
}
