//! A raw socket of an IP protocol: an end of a tunnel whose outer header the kernel's own IP layer writes and reads.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Netns;

/// A raw socket.
#[derive(Debug)]
pub struct Raw {
    socket: Socket,
}

impl Raw {
    /// Opens one in a namespace.
    pub fn open(namespace: &Netns, protocol: i32) -> Self {
        let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol)));
        Self { socket: namespace.enter(open).expect("opening a raw socket") }
    }

    /// Sends a payload behind a header that the kernel makes.
    pub fn send(&self, to: Ipv4Addr, payload: &[u8]) {
        self.socket.send_to(payload, &SocketAddrV4::new(to, 0).into()).expect("sending");
    }

    /// The next packet with its header, if one comes in time.
    pub fn receive(&self, limit: Duration) -> Option<Vec<u8>> {
        use std::io::Read as _;
        self.socket.set_read_timeout(Some(limit)).expect("a time limit");
        let mut buffer = vec![0; 65_536];
        let length = (&self.socket).read(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}
