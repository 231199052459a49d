//! UDP between two hosts in segmentation-offload packets of 64 KB (`UDP_SEGMENT`, `UDP_GRO`).

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{UdpGroSegment, UdpGsoSegment};

use crate::netns::Netns;

/// Bytes of a datagram: what fits into any of the tunnels.
const SEGMENT: i32 = 1400;
/// Datagrams that are handed to the kernel together.
const SEGMENTS: usize = 45;

/// Gbit/s that arrive, sent as fast as one thread can.
pub(super) fn gbits(client: &Netns, (server, address): (&Netns, IpAddr), time: Duration) -> Result<f64> {
    let receiver = server.enter(|| UdpSocket::bind((address, 0))).context("binding")?;
    receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
    setsockopt(&receiver, UdpGroSegment, &true).context("UDP_GRO")?;
    let anywhere = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sender = client.enter(|| UdpSocket::bind(anywhere)).context("binding")?;
    setsockopt(&sender, UdpGsoSegment, &SEGMENT).context("UDP_SEGMENT")?;
    sender.connect(receiver.local_addr()?)?;
    let (is_over, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    let sent = thread::scope(|threads| -> Result<()> {
        threads.spawn(|| {
            let mut buffer = vec![0; 1 << 16];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(length) = receiver.recv(&mut buffer) {
                    arrived.fetch_add(length as u64, Ordering::Relaxed);
                }
            }
        });
        let payload = vec![0x5a; SEGMENTS * usize::try_from(SEGMENT)?];
        let result = send(&sender, &payload, start + time);
        is_over.store(true, Ordering::Relaxed);
        result
    });
    let seconds = start.elapsed().as_secs_f64();
    sent?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer bytes than 2^52")]
    let bits = arrived.into_inner() as f64 * 8.0;
    Ok(bits / seconds / 1e9)
}

fn send(sender: &UdpSocket, payload: &[u8], end: Instant) -> Result<()> {
    while Instant::now() < end {
        sender.send(payload).context("sending")?;
    }
    Ok(())
}
