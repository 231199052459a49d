//! `ipip-ctl remove`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::Failure;
use crate::report::Report;

pub(super) fn run(name: String, socket: &Path, report: Report) -> Result<(), Failure> {
    match call(socket, &Request::Remove { name })? {
        Reply::Removed { name } => report.removed(&name),
        other @ (Reply::Added { .. } | Reply::Tunnels { .. } | Reply::Status(_)) => Err(unexpected(&other)),
    }
}
