//! The raw socket that `ICMPv6` errors leave by. The kernel puts source and checksum in.

use std::io;
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::Problem;

/// Errors a second, as RFC 4443 2.4 (f) asks for a bound: as many may be sent at once after a pause.
const RATE: u32 = 10;
const EACH: Duration = Duration::from_millis(1000 / RATE as u64);
/// `BPF_RET | BPF_K`: takes so many bytes of a packet.
const RETURN: u16 = 0x06;

/// Sends `ICMPv6` errors, not too many.
#[derive(Debug)]
pub struct Sender {
    socket: Option<Socket>,
    bucket: Bucket,
}

impl Default for Sender {
    fn default() -> Self {
        Self { socket: None, bucket: Bucket::full(Instant::now()) }
    }
}

impl Sender {
    /// Sends an error, unless there were too many lately. `ifindex` is where a link-local address is good.
    ///
    /// # Errors
    ///
    /// The kernel has no such socket, or no way to there.
    pub fn send(&mut self, problem: &Problem, ifindex: u32) -> io::Result<()> {
        if !self.bucket.take(Instant::now()) {
            return Ok(());
        }
        let scope = if problem.to.is_unicast_link_local() { ifindex } else { 0 };
        let to = SocketAddrV6::new(problem.to, 0, 0, scope);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open()?,
        };
        self.socket.insert(socket).send_to(&problem.message, &to.into()).map(drop)
    }
}

fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_nonblocking(true)?;
    // Nobody reads what arrives here.
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
    Ok(socket)
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    tokens: u32,
    filled: Instant,
}

impl Bucket {
    const fn full(now: Instant) -> Self {
        Self { tokens: RATE, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        while self.tokens < RATE && now.saturating_duration_since(self.filled) >= EACH {
            self.tokens += 1;
            self.filled += EACH;
        }
        if self.tokens == RATE {
            self.filled = now;
        }
        let is_full_enough = self.tokens > 0;
        self.tokens -= u32::from(is_full_enough);
        is_full_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_lets_ten_a_second_through() {
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        assert_eq!((0..50).filter(|_| bucket.take(start)).count(), 10);
        assert!(!bucket.take(start + Duration::from_millis(99)));
        assert!(bucket.take(start + Duration::from_millis(100)));
        assert!(!bucket.take(start + Duration::from_millis(150)));
        let later = start + Duration::from_hours(1);
        assert_eq!((0..50).filter(|_| bucket.take(later)).count(), 10);
        let ticks = (0..100).map(|tick| later + Duration::from_millis(10 * tick));
        assert_eq!(ticks.filter(|now| bucket.take(*now)).count(), 9);
    }
}
