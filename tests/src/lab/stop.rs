//! Ctrl-C and its kin: noted, and asked after at every pause, so that everything is cleaned up on the way out.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// How long a pause may go on after a signal.
const SLICE: Duration = Duration::from_millis(20);

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From here on signals that end a program are noted instead.
pub(super) fn catch() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ASKED))?;
    }
    Ok(())
}

/// Whether the user wants the lab to end.
pub(super) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Fails when the user wants the lab to end: for the steps between two pauses.
pub(super) fn check() -> anyhow::Result<()> {
    if asked() { Err(anyhow::anyhow!("interrupted")) } else { Ok(()) }
}

/// Waits; not to the end when the user wants the lab to end.
pub(super) fn pause(time: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + time;
    loop {
        check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(SLICE));
    }
}
