//! What the programs leave over on a tunnel's interface: packets that nobody can carry. A packet that may not be
//! encapsulated again is answered; all others are counted.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::icmp::{self, Sender};
use crate::tun::{READ_MAX, Tun};

/// Where packets are read to: one place for all tunnels, which take their turns.
pub(super) type Buffer = Arc<Mutex<Vec<u8>>>;

pub(super) fn buffer() -> Buffer {
    Arc::new(Mutex::new(vec![0; READ_MAX]))
}

/// Takes out what is left over, so that the interface's queue never fills, until the interface is gone. `limits`:
/// the tunnel is over IPv6, where encapsulation has a limit.
pub(super) async fn drain(
    tun: Arc<Tun>,
    ifindex: u32,
    buffer: Buffer,
    limits: Arc<AtomicBool>,
    left_over: Arc<AtomicU64>,
) {
    let mut sender = Sender::default();
    let mut take = |packet: &[u8]| {
        // The programs have counted the ones that are answered.
        match icmp::nesting_limit(packet).filter(|_| limits.load(Ordering::Relaxed)) {
            Some(problem) => {
                if let Err(error) = sender.send(&problem, ifindex) {
                    log::debug!("answering {}: {error}", problem.to);
                }
            }
            None => {
                left_over.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    loop {
        let taken: io::Result<()> = tun.take_left_over(&buffer, &mut take).await;
        if taken.is_err() {
            return;
        }
    }
}
