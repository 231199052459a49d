//! Frames on the underlay, as the router between the hosts receives them: a sample, and nothing is missed in
//! silence: whatever is not the tunnel's counts.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::decode::{self, Decoded};
use crate::netns::Netns;

/// Frames of one look at the wire.
const LOOK: usize = 40;
/// How long a look takes at most, and the rest from one to the next: a capture slows the wire down.
const LOOK_TIME: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_millis(150);
/// Frames that are kept in all.
const ENOUGH: usize = 1000;
/// What Linux says of a packet that leaves (`linux/if_packet.h`).
const OUTGOING: u8 = 4;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Frames with IPv4 in them.
    pub(super) frames: usize,
    /// How many of them are several packets of the wire in one.
    pub(super) merged: usize,
    /// What was wrong with some of them.
    pub(super) wrong: Vec<String>,
    /// How many were wrong.
    pub(super) bad: usize,
    /// One that shows well.
    pub(super) example: Option<Decoded>,
}

/// A capture that runs.
pub(super) struct Capture {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Capture {
    /// Starts to look at all that the router receives.
    pub(super) fn start(router: &Netns) -> Result<Self> {
        // Opened and closed once before the thread needs it: what forbids a capture is told here.
        router.enter(open).context("opening a packet socket")?;
        let done = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&done);
        let path = router.path();
        let thread = std::thread::spawn(move || {
            let Ok(file) = std::fs::File::open(path) else { return Vec::new() };
            if nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
                return Vec::new();
            }
            watch(&over)
        });
        Ok(Self { done, thread })
    }

    /// Ends it and looks at every frame.
    pub(super) fn finish(self) -> Seen {
        self.done.store(true, Ordering::Relaxed);
        let frames = self.thread.join().unwrap_or_default();
        let mut seen = Seen::default();
        for frame in &frames {
            match decode::frame(frame) {
                Ok(None) => continue,
                Ok(Some(decoded)) => {
                    seen.merged += usize::from(decoded.merged);
                    if seen.example.as_ref().is_none_or(|best| decoded.beauty >= best.beauty) {
                        seen.example = Some(decoded);
                    }
                }
                Err(wrong) => {
                    seen.bad += 1;
                    if !seen.wrong.contains(&wrong) {
                        seen.wrong.push(wrong);
                    }
                }
            }
            seen.frames += 1;
        }
        seen
    }
}

fn watch(done: &AtomicBool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !done.load(Ordering::Relaxed) && frames.len() < ENOUGH {
        look(&mut frames);
        sleep(REST);
    }
    frames
}

/// One look: the frames that come in now.
fn look(frames: &mut Vec<Vec<u8>>) {
    let Ok(socket) = open() else { return };
    let deadline = Instant::now() + LOOK_TIME;
    let enough = frames.len() + LOOK;
    let mut buffer = vec![0; 1 << 17];
    while frames.len() < enough && Instant::now() < deadline {
        let Ok((length, Some(address))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) else {
            continue;
        };
        if address.pkttype() != OUTGOING {
            frames.push(buffer.get(..length).unwrap_or_default().to_vec());
        }
    }
}

fn open() -> nix::Result<std::os::fd::OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(20))?;
    Ok(socket)
}
