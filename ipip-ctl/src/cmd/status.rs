//! `ipip-ctl status`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::Failure;
use crate::report::Report;

pub(super) fn run(socket: &Path, report: Report) -> Result<(), Failure> {
    match call(socket, &Request::Status)? {
        Reply::Status(status) => report.status(&status),
        other @ (Reply::Added { .. } | Reply::Removed { .. } | Reply::Tunnels { .. }) => {
            Err(unexpected(&other))
        }
    }
}
