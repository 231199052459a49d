//! The programs and maps in the kernel: loading, pinning, attaching, and typed access.

mod attach;
mod counters;
mod figures;
mod filters;
mod generation;
mod keepalive;
mod kernel;
mod lists;
mod mapped;
mod moving;
mod pins;
mod roles;
mod shapes;
mod sharing;
mod trace;

pub use self::attach::{Direction, NoXdp};
pub use self::counters::{Counters, RefusedPackets};
pub use self::figures::{MapFill, ProgramRuns};
pub use self::keepalive::KeepaliveMaps;
pub use self::kernel::{Kernel, check_kernel};
pub use self::pins::{Pins, check_bpffs};

use crate::failure::{Failure, FailureKind};

/// A failure of a BPF call, with its causes on one line.
fn failed(what: impl std::fmt::Display, error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A verifier log is pages long; its last lines say what was wrong.
        let tail: Vec<&str> = next.lines().rev().take(3).collect();
        for line in tail.into_iter().rev() {
            text = format!("{text}: {}", line.trim());
        }
        cause = error.source();
    }
    Failure::new(FailureKind::Failed, text)
}

fn missing(name: &str) -> Failure {
    Failure::new(FailureKind::Failed, format!("the BPF object has no {name}"))
}
