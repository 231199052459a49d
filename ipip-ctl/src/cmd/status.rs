//! `ipip-ctl status`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::Failure;
use crate::report::Report;

pub(super) fn run(socket: &Path, report: Report) -> Result<(), Failure> {
    let reply = call(socket, &Request::Status)?;
    let Reply::Status(status) = &reply else { return Err(unexpected(&reply)) };
    report.status(status)
}
