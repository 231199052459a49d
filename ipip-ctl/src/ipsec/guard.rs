//! What keeps the kernel from talking about protected packets in the clear.
//!
//! A packet that IPsec has unwrapped and that nobody takes (the daemon is away), or that another handler of its protocol does
//! not know (the kernel's own tunnels), is answered with an ICMP error that quotes it. Policies of the host block just those
//! errors, from this end to the other. They stay when the daemon goes, and go with the tunnel.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;

use ipip_common::abi::Ends;
use nix::libc;
use socket2::{Domain, Socket, Type};

use super::policy::{Blocked, INFO, blocking};

/// `NETLINK_XFRM`.
const XFRM: i32 = 6;
/// Messages of `linux/xfrm.h`.
const DELETE: u16 = 0x14;
const UPDATE: u16 = 0x19;
/// Bytes of a netlink header.
const HEADER: usize = 16;

/// The errors that quote a packet which nobody takes: by type and code of their family's ICMP.
fn errors(ends: &Ends) -> [Blocked; 2] {
    match ends.remote() {
        // Destination unreachable: protocol, port.
        IpAddr::V4(_) => {
            [Blocked { protocol: 1, kind: 3, code: 2 }, Blocked { protocol: 1, kind: 3, code: 3 }]
        }
        // Destination unreachable: port. Parameter problem: next header.
        IpAddr::V6(_) => {
            [Blocked { protocol: 58, kind: 1, code: 4 }, Blocked { protocol: 58, kind: 4, code: 1 }]
        }
    }
}

/// Blocks the errors between these ends.
pub(super) fn raise(ends: &Ends) -> io::Result<()> {
    for error in errors(ends) {
        ask(UPDATE, &blocking(ends, error))?;
    }
    Ok(())
}

/// Lets them pass again. That there is nothing to lift is no failure.
pub(super) fn lift(ends: &Ends) {
    for error in errors(ends) {
        let policy = blocking(ends, error);
        // `struct xfrm_userpolicy_id`: the selector, the index and the direction.
        let mut id = [0; 64];
        id[..56].copy_from_slice(&policy[..56]);
        id[60] = policy[160];
        if let Err(error) = ask(DELETE, &id)
            && error.raw_os_error() != Some(libc::ENOENT)
        {
            log::debug!("lifting a policy: {error}");
        }
    }
}

/// Sends a message, and waits for the kernel's answer.
fn ask(kind: u16, body: &[u8]) -> io::Result<()> {
    const REQUEST_ACK: u16 = 1 | 4;
    let mut socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(XFRM.into()))?;
    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut message = Vec::with_capacity(HEADER + INFO);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    // Number and port: one question, one answer.
    message.extend([0; 8]);
    message.extend(body);
    socket.write_all(&message)?;
    let mut answer = [0; 512];
    let read = socket.read(&mut answer)?;
    // A header, and the error: 0, or a negative number of errno.
    let error = answer.get(HEADER..HEADER + 4).filter(|_| read >= HEADER + 4);
    match error.and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
