//! The daemon.

use std::path::PathBuf;

use crate::failure::{Failure, FailureKind};

/// Where the daemon finds and keeps its things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// The directory of its state.
    pub state_dir: PathBuf,
    /// The directory in the BPF file system for its maps and links.
    pub pin_dir: PathBuf,
    /// The socket that it serves.
    pub socket: PathBuf,
}

/// Runs until it is told to stop.
///
/// # Errors
///
/// It cannot start.
pub fn run(options: Options) -> Result<(), Failure> {
    let Options { config, .. } = options;
    Err(Failure::new(FailureKind::Unsupported, format!("{}: the dataplane is not built", config.display())))
}
