//! Real sockets: transfers that check what arrives.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::netns::Netns;

/// No call may wait longer than this.
const LIMIT: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 * 1024;

/// Both ends of a TCP connection.
#[derive(Debug)]
pub struct Connection {
    /// The end that connected.
    pub client: TcpStream,
    /// The end that accepted.
    pub server: TcpStream,
}

/// Connects from a namespace to an address of another.
pub fn connect(client: &Netns, (server, address): (&Netns, impl Into<IpAddr>)) -> Connection {
    let address = address.into();
    let listener = server.enter(|| TcpListener::bind((address, 0))).expect("listening");
    let address = listener.local_addr().expect("an address");
    let client = client.enter(|| TcpStream::connect_timeout(&address, LIMIT)).expect("connecting");
    let (server, _) = listener.accept().expect("accepting");
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a time limit");
    }
    Connection { client, server }
}

/// The byte at a place of the stream: no two chunks are the same.
fn pattern(at: usize) -> u8 {
    let [low, middle, high, ..] = at.to_le_bytes();
    low ^ middle.rotate_left(3) ^ high.rotate_left(5)
}

impl Connection {
    /// Sends `bytes` from the client to the server and checks each; `meanwhile` is told by how much has arrived.
    pub fn transfer(mut self, bytes: usize, meanwhile: impl FnOnce(&AtomicUsize)) {
        let arrived = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut sent = 0;
                while sent < bytes {
                    let chunk: Vec<u8> = (sent..bytes.min(sent + CHUNK)).map(pattern).collect();
                    self.client.write_all(&chunk).expect("sending");
                    sent += chunk.len();
                }
            });
            scope.spawn(|| {
                let mut buffer = vec![0; CHUNK];
                let mut place = 0;
                while place < bytes {
                    let count = self.server.read(&mut buffer).expect("receiving");
                    assert!(count > 0, "the connection ended after {place} of {bytes} bytes");
                    let good = buffer[..count].iter().zip(place..).all(|(byte, at)| *byte == pattern(at));
                    assert!(good, "wrong bytes after {place}");
                    place += count;
                    arrived.store(place, Ordering::Relaxed);
                }
            });
            meanwhile(&arrived);
        });
    }
}

/// Transfers from one namespace to another over a new connection.
pub fn tcp(client: &Netns, server: (&Netns, impl Into<IpAddr>), bytes: usize) {
    connect(client, server).transfer(bytes, |_| ());
}

/// Sends numbered datagrams of `size` bytes at an even pace, and `meanwhile` does something; returns the numbers that
/// never arrived.
pub fn paced_udp(
    client: &Netns,
    (server, address): (&Netns, impl Into<IpAddr>),
    (count, size, pace): (u32, usize, Duration),
    meanwhile: impl FnOnce(),
) -> Vec<u32> {
    let address = address.into();
    let receiver = server.enter(|| UdpSocket::bind((address, 0))).expect("binding");
    let address: SocketAddr = receiver.local_addr().expect("an address");
    let anywhere = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sender = client.enter(|| UdpSocket::bind(anywhere)).expect("binding");
    receiver.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    let mut missing: Vec<u32> = (0..count).collect();
    thread::scope(|scope| {
        scope.spawn(move || {
            let start = Instant::now();
            for number in 0..count {
                thread::sleep((start + pace * number).saturating_duration_since(Instant::now()));
                let payload: Vec<u8> =
                    number.to_le_bytes().into_iter().chain((4..size).map(pattern)).collect();
                sender.send_to(&payload, address).expect("sending");
            }
        });
        let receive = scope.spawn(move || {
            let mut buffer = vec![0; CHUNK];
            let end = Instant::now() + pace * count + LIMIT;
            while !missing.is_empty() && Instant::now() < end {
                let Ok(length) = receiver.recv(&mut buffer) else { break };
                assert_eq!(length, size);
                assert!(
                    buffer[4..length].iter().zip(4..).all(|(byte, at)| *byte == pattern(at)),
                    "wrong bytes"
                );
                let number = u32::from_le_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
                missing.retain(|other| *other != number);
            }
            missing
        });
        meanwhile();
        receive.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
