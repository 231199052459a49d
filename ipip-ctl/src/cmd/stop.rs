//! `ipip-ctl stop`

use std::path::Path;

use super::unexpected;
use crate::api::client;
use crate::api::protocol::Reply;
use crate::daemon;
use crate::failure::{Failure, FailureKind};
use crate::report::Report;

/// What a daemon that is gone has left is taken away from here, where that is asked for.
pub(super) fn run(purge: bool, pin_dir: &Path, socket: &Path, report: Report) -> Result<(), Failure> {
    match client::stop(socket, purge) {
        Ok(Reply::Stopped) => {}
        Ok(reply) => return Err(unexpected(&reply)),
        Err(failure) if purge && failure.kind == FailureKind::NoDaemon => daemon::purge(pin_dir)?,
        Err(failure) => return Err(failure),
    }
    report.stopped(purge)
}
