//! A far end of any number of IPv4 tunnels that answers their probes, and does nothing else.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Netns;

/// Bytes of an outer header without options.
const HEADER: usize = 20;
/// Where an IPv4 header has its destination.
const DESTINATION: std::ops::Range<usize> = 16..20;
/// How soon it sees that it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);
/// What may wait for it: the probes of very many tunnels.
const BUFFER: usize = 16 << 20;

/// Takes packets out of tunnels that come from `near`, and sends those back whose inner destination that is. Ends when it
/// is dropped.
#[derive(Debug)]
pub struct Reflector {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reflector {
    /// Starts it in a namespace that has, or routes to itself, the tunnels' remote addresses.
    pub fn start(namespace: &Netns, near: Ipv4Addr) -> Self {
        let open = |protocol| {
            let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol)));
            namespace.enter(open).expect("opening a raw socket")
        };
        let (taken, sent) = (open(libc::IPPROTO_IPIP), open(libc::IPPROTO_RAW));
        taken.set_read_timeout(Some(LOOK_UP)).expect("a time limit");
        nix::sys::socket::setsockopt(&taken, nix::sys::socket::sockopt::RcvBufForce, &BUFFER)
            .expect("a large buffer");
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = thread::spawn(move || reflect(&taken, &sent, near, &seen));
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn reflect(taken: &Socket, sent: &Socket, near: Ipv4Addr, is_over: &AtomicBool) {
    use std::io::Read as _;
    let (mut taken, mut packet) = (taken, [0; 2048]);
    let to = SocketAddrV4::new(near, 0).into();
    while !is_over.load(Ordering::Relaxed) {
        match taken.read(&mut packet) {
            Ok(length) => {
                let inner = packet.get(HEADER..length).unwrap_or_default();
                if inner.get(DESTINATION) == Some(&near.octets()) {
                    // A packet that is lost is a probe without an answer, which the test sees.
                    let _ = sent.send_to(inner, &to);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("receiving: {error}"),
        }
    }
}
