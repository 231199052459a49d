//! `ipip-ctl print`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::cli::Form;
use crate::failure::Failure;
use crate::report::Report;

pub(super) fn run(form: Option<Form>, socket: &Path, report: Report) -> Result<(), Failure> {
    match call(socket, &Request::Print)? {
        Reply::Tunnels { tunnels } => report.tunnels(&tunnels, form == Some(Form::Detail)),
        other @ (Reply::Added { .. } | Reply::Removed { .. } | Reply::Status(_)) => Err(unexpected(&other)),
    }
}
