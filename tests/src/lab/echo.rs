//! Paced packets that are answered: pings, which the far kernel answers, and UDP, which a thread there answers.
//!
//! Their lengths go up and down, and an answer counts when it is the packet that was sent, byte by byte.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type};
use socket2::{Domain, Protocol, Socket, Type};

use super::flow::Flow;
use super::stop;
use crate::netns::Netns;

const PORT: u16 = 5002;
/// Between two packets.
const INTERVAL: Duration = Duration::from_millis(5);
/// An answer that takes longer counts as lost so far.
const LATE: Duration = Duration::from_secs(1);
/// How many packets find out the neighbours before anything counts.
const WARM_UP: u32 = 3;
/// How often it is tried; later packets have higher numbers.
const MOST: u32 = 100;
/// Payload lengths: with all headers the longest is the tunnel's MTU.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=1452;

/// What became of the packets of a flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Echoes {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    /// Answers to nothing that was asked, or with other bytes.
    pub(super) strange: u64,
    /// Shortest, longest, and sum of the round trips.
    pub(super) shortest: Option<Duration>,
    pub(super) longest: Duration,
    pub(super) total: Duration,
}

/// A flow that is ready or running.
pub(super) struct Echo {
    pub(super) flow: Flow,
    probe: Option<Probe>,
    echoes: Arc<Mutex<Echoes>>,
    thread: Option<JoinHandle<()>>,
}

/// A socket that is connected to the far end.
struct Probe {
    socket: Socket,
    /// The identifier of our pings; nothing for UDP.
    ping: Option<u16>,
}

/// A packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// What the packet with this sequence number must be answered with.
    Answer(u32),
    /// Bytes that nobody sent.
    Noise,
}

impl From<Option<u32>> for Heard {
    fn from(sequence: Option<u32>) -> Self {
        sequence.map_or(Self::Noise, Self::Answer)
    }
}

impl Echo {
    /// Opens the socket in the near namespace. Each ping flow has an identifier of its own.
    pub(super) fn prepare(flow: Flow, near: &Netns, ping: Option<u16>) -> Result<Self> {
        let (kind, protocol) = match ping {
            Some(_) => (Type::RAW, Protocol::ICMPV4),
            None => (Type::DGRAM, Protocol::UDP),
        };
        let socket = near.enter(|| Socket::new(Domain::IPV4, kind, Some(protocol)));
        let socket = socket.with_context(|| format!("opening a socket for {}", flow.label()))?;
        socket.connect(&SocketAddr::from((flow.target, PORT)).into()).context("setting its target")?;
        Ok(Self { flow, probe: Some(Probe { socket, ping }), echoes: Arc::default(), thread: None })
    }

    /// Sends packets until some are answered, which makes every host on the way know its neighbours.
    pub(super) fn warm_up(&self) -> Result<()> {
        let probe = self.probe.as_ref().context("it runs already")?;
        let mut answered = 0;
        for sequence in 0..MOST {
            stop::check()?;
            // What fails here is asked again.
            let _ = (&probe.socket).write(&probe.packet(sequence));
            answered += u32::from(probe.hears(sequence, Duration::from_millis(100)));
            if answered == WARM_UP {
                return Ok(());
            }
        }
        bail!("{}: no answer through the tunnel", self.flow.label())
    }

    /// Sends until `done`, then waits for the last answers.
    pub(super) fn start(&mut self, done: &Arc<AtomicBool>) -> Result<()> {
        let probe = self.probe.take().context("a flow starts once")?;
        let (echoes, done) = (Arc::clone(&self.echoes), Arc::clone(done));
        self.thread = Some(std::thread::spawn(move || run(&probe, &echoes, &done)));
        Ok(())
    }

    /// How it does.
    pub(super) fn echoes(&self) -> Echoes {
        lock(&self.echoes).clone()
    }

    /// How it did; `done` must be set.
    pub(super) fn finish(&mut self) -> Echoes {
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        let mut echoes = self.echoes();
        if !ended {
            echoes.lost = echoes.sent - echoes.received;
        }
        echoes
    }
}

fn run(probe: &Probe, echoes: &Mutex<Echoes>, done: &AtomicBool) {
    let mut waiting: BTreeMap<u32, Instant> = BTreeMap::new();
    let mut due = Instant::now();
    for sequence in MOST.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        waiting.insert(sequence, Instant::now());
        lock(echoes).sent += 1;
        // A packet that cannot be sent is a packet that is not answered.
        let _ = (&probe.socket).write(&probe.packet(sequence));
        // No bursts to catch up after a pause of the whole machine.
        due = (due + INTERVAL).max(Instant::now());
        listen(probe, echoes, &mut waiting, due);
    }
    let deadline = Instant::now() + LATE;
    while !waiting.is_empty() && Instant::now() < deadline {
        listen(probe, echoes, &mut waiting, (Instant::now() + INTERVAL).min(deadline));
    }
    lock(echoes).lost = waiting.len() as u64;
}

/// Takes answers until it is time to go on.
fn listen(probe: &Probe, echoes: &Mutex<Echoes>, waiting: &mut BTreeMap<u32, Instant>, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let Some(answer) = probe.receive(left) else { continue };
        let mut echoes = lock(echoes);
        let asked = match answer {
            Heard::Answer(sequence) => waiting.remove(&sequence),
            Heard::Noise => None,
        };
        match asked {
            Some(at) => echoes.answered(at.elapsed()),
            None => echoes.strange += 1,
        }
    }
    let lost = waiting.values().take_while(|at| at.elapsed() > LATE).count();
    lock(echoes).lost = lost as u64;
}

impl Echoes {
    fn answered(&mut self, trip: Duration) {
        self.received += 1;
        self.total += trip;
        self.shortest = Some(self.shortest.map_or(trip, |shortest| shortest.min(trip)));
        self.longest = self.longest.max(trip);
    }
}

impl Probe {
    fn packet(&self, sequence: u32) -> Vec<u8> {
        let payload = payload(sequence);
        let Some(id) = self.ping else { return payload };
        let header = IcmpEchoHeader { id, seq: low(sequence) };
        let header = Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(header), &payload);
        [header.to_bytes().as_slice(), payload.as_slice()].concat()
    }

    /// Whether the answer comes in time. Other packets may be in front of it.
    fn hears(&self, sequence: u32, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.receive(left) == Some(Heard::Answer(sequence)) {
                return !left.is_zero();
            }
        }
    }

    /// Waits for a packet: nothing when none came, or none for us.
    fn receive(&self, limit: Duration) -> Option<Heard> {
        self.socket.set_read_timeout(Some(limit.max(Duration::from_micros(100)))).ok()?;
        let mut buffer = [0; 2048];
        let length = (&self.socket).read(&mut buffer).ok()?;
        let packet = buffer.get(..length)?;
        let Some(id) = self.ping else { return Some(answered(packet).into()) };
        // A raw socket gets the IP header too, and everything that the far end says in ICMP.
        let message = packet.get(usize::from(packet.first()? & 15) * 4..)?;
        let (header, payload) = Icmpv4Header::from_slice(message).ok()?;
        let Icmpv4Type::EchoReply(echo) = header.icmp_type else { return None };
        if echo.id != id {
            return None;
        }
        Some(answered(payload).filter(|sequence| low(*sequence) == echo.seq).into())
    }
}

fn low(sequence: u32) -> u16 {
    (sequence & 0xffff) as u16
}

/// The sequence number and bytes that follow from it.
fn payload(sequence: u32) -> Vec<u8> {
    let span = LENGTHS.end() - LENGTHS.start() + 1;
    let length = LENGTHS.start() + (sequence as usize).wrapping_mul(37) % span;
    let filling = (0_u32..).map(|at| sequence.wrapping_add(at).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]);
    sequence.to_be_bytes().into_iter().chain(filling).take(length).collect()
}

/// The sequence number of an answer that is whole.
fn answered(packet: &[u8]) -> Option<u32> {
    let sequence = u32::from_be_bytes(packet.get(..4)?.try_into().ok()?);
    (payload(sequence) == packet).then_some(sequence)
}

/// Answers UDP in the far namespace until `done`.
pub(super) fn answer(far: &Netns, done: &Arc<AtomicBool>) -> Result<JoinHandle<()>> {
    let socket = far.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))).context("listening for UDP")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let done = Arc::clone(done);
    Ok(std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while !done.load(Ordering::Relaxed) {
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
            // An answer that cannot be sent is missed by the one who asked.
            let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), peer);
        }
    }))
}

fn lock(echoes: &Mutex<Echoes>) -> MutexGuard<'_, Echoes> {
    echoes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_packet_or_nothing() {
        for sequence in [0, 1, 70_000, u32::MAX] {
            let packet = payload(sequence);
            assert!(LENGTHS.contains(&packet.len()));
            assert_eq!(answered(&packet), Some(sequence));
            let mut bent = packet.clone();
            bent[20] ^= 1;
            assert_eq!(answered(&bent), None);
            assert_eq!(answered(&packet[..packet.len() - 1]), None);
        }
    }
}
