//! `ipip-ctl print`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::cli::Form;
use crate::failure::Failure;
use crate::report::Report;

pub(super) fn run(form: Option<Form>, socket: &Path, report: Report) -> Result<(), Failure> {
    let reply = call(socket, &Request::Print)?;
    let Reply::Tunnels { tunnels } = &reply else { return Err(unexpected(&reply)) };
    report.tunnels(tunnels, form == Some(Form::Detail))
}
