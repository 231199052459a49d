//! A TCP transfer: one way, paced, every byte compared.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::flow::Flow;
use super::tcp;
use crate::netns::Netns;

/// Bytes a second of each transfer: enough to keep the tiers busy, and little enough that a small machine that
/// plays five of them loses nothing.
const RATE: u32 = 25_000_000;
const PORT: u16 = 5001;
/// The bytes that are sent over and over; no packet's length divides it, so that a lost or doubled packet shows.
const PERIOD: usize = 64_507;
/// How long a stalled connection is waited for when the time is over.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon an idle thread sees that the time is over.
const TICK: Duration = Duration::from_millis(200);

/// A transfer that is ready or running.
pub(super) struct Transfer {
    pub(super) flow: Flow,
    received: Arc<AtomicU64>,
    listener: Option<TcpListener>,
    sender: Option<JoinHandle<Result<End>>>,
    receiver: Option<JoinHandle<Result<End>>>,
}

/// One end when it is done.
struct End {
    stream: TcpStream,
    bytes: u64,
    right: bool,
}

/// What became of a transfer.
#[derive(Clone, Debug, Default)]
pub(super) struct Transferred {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Every byte that was received is the one that was sent.
    pub(super) right: bool,
    /// Packets of the sender, and of the receiver in the other direction.
    pub(super) packets: [u64; 2],
    /// Packets that were sent again.
    pub(super) again: u64,
    /// Why it broke off.
    pub(super) failure: Option<String>,
}

impl Transfer {
    /// Listens at the receiver.
    pub(super) fn prepare(flow: Flow, receiver: &Netns) -> Result<Self> {
        let listener = receiver.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)));
        let listener = listener.with_context(|| format!("listening for {}", flow.label()))?;
        listener.set_nonblocking(true)?;
        Ok(Self { flow, received: Arc::default(), listener: Some(listener), sender: None, receiver: None })
    }

    /// Connects from the sender's namespace and sends until `done`.
    pub(super) fn start(&mut self, sender: &Netns, done: &Arc<AtomicBool>) -> Result<()> {
        let listener = self.listener.take().context("a transfer starts once")?;
        let (received, over) = (Arc::clone(&self.received), Arc::clone(done));
        self.receiver = Some(std::thread::spawn(move || receive(&listener, &received, &over)));
        let target = SocketAddr::from((self.flow.target, PORT));
        let stream = sender.enter(|| TcpStream::connect_timeout(&target, PATIENCE));
        let stream = stream.with_context(|| format!("connecting {}", self.flow.label()))?;
        tcp::pace(&stream, RATE)?;
        let over = Arc::clone(done);
        self.sender = Some(std::thread::spawn(move || send(stream, &over)));
        Ok(())
    }

    /// Bytes that have arrived so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits until both ends have closed; `done` must be set.
    pub(super) fn finish(&mut self) -> Transferred {
        let mut result = Transferred { right: true, received: self.received(), ..Transferred::default() };
        let ends = [self.sender.take(), self.receiver.take()];
        let ends = ends.map(|thread| thread.and_then(|thread| thread.join().ok()));
        for (at, end) in ends.into_iter().enumerate() {
            let end = match end {
                Some(Ok(end)) => end,
                Some(Err(error)) => {
                    result.failure = Some(format!("{error:#}"));
                    continue;
                }
                None => {
                    result.failure = Some("it did not start".to_owned());
                    continue;
                }
            };
            let segments = tcp::segments(&end.stream).unwrap_or_default();
            result.again += segments.again;
            result.right &= end.right;
            if at == 0 {
                result.sent = end.bytes;
                result.packets[0] = segments.sent;
            } else {
                result.received = end.bytes;
                // The kernel's count leaves the SYN-ACK out.
                result.packets[1] = segments.sent + 1;
            }
        }
        result
    }
}

fn send(mut stream: TcpStream, done: &AtomicBool) -> Result<End> {
    let block = block();
    stream.set_write_timeout(Some(TICK))?;
    let mut bytes = 0_u64;
    let mut at = 0;
    while !done.load(Ordering::Relaxed) {
        let rest = block.get(at..).unwrap_or_default();
        match stream.write(rest) {
            Ok(written) => {
                bytes += u64::try_from(written)?;
                at = (at + written) % PERIOD;
            }
            Err(error) if is_idle(&error) => {}
            Err(error) => return Err(error).context("sending"),
        }
    }
    stream.shutdown(Shutdown::Write).context("closing the sender")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let rest = stream.read(&mut [0]).context("waiting for the receiver to close")?;
    Ok(End { stream, bytes, right: rest == 0 })
}

fn receive(listener: &TcpListener, received: &AtomicU64, done: &AtomicBool) -> Result<End> {
    let mut stream = accept(listener, done)?;
    let block = block();
    let mut buffer = vec![0; 256 * 1024];
    let (mut at, mut right) = (0, true);
    let mut patience = Instant::now() + PATIENCE;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                right &= is_block(&block, at, buffer.get(..length).unwrap_or_default());
                at = (at + length) % PERIOD;
                received.fetch_add(u64::try_from(length)?, Ordering::Relaxed);
                patience = Instant::now() + PATIENCE;
            }
            Err(error) if is_idle(&error) && Instant::now() < patience => {}
            Err(error) if is_idle(&error) => anyhow::bail!("nothing arrived for {PATIENCE:?}"),
            Err(error) => return Err(error).context("receiving"),
        }
    }
    stream.shutdown(Shutdown::Write).context("closing the receiver")?;
    Ok(End { stream, bytes: received.load(Ordering::Relaxed), right })
}

fn accept(listener: &TcpListener, done: &AtomicBool) -> Result<TcpStream> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(TICK))?;
                return Ok(stream);
            }
            Err(error) if is_idle(&error) && !done.load(Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error).context("waiting for the connection"),
        }
    }
}

fn is_idle(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Bytes without a pattern in them (a linear congruence), twice, so that any stretch of a period is one slice.
fn block() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    [period.as_slice(), period.as_slice()].concat()
}

/// Whether `piece` is what follows after `at` bytes of a period.
fn is_block(block: &[u8], mut at: usize, piece: &[u8]) -> bool {
    piece.chunks(PERIOD).all(|chunk| {
        let same = block.get(at..at + chunk.len()) == Some(chunk);
        at = (at + chunk.len()) % PERIOD;
        same
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_doubled_piece_shows() {
        let block = block();
        let stream: Vec<u8> = block.iter().copied().cycle().take(300_000).collect();
        assert!(is_block(&block, 0, &stream));
        assert!(is_block(&block, 1440, &stream[1440..]));
        assert!(!is_block(&block, 0, &stream[1440..]));
        let lost = [&stream[..100_000], &stream[101_440..]].concat();
        assert!(!is_block(&block, 0, &lost));
    }
}
