//! The verbs that change tunnels which are there: `set`, `enable`, `disable`, `remove`, `reload`.

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::{Failure, FailureKind};
use crate::ipsec::Secret;
use crate::report::{Changes, Report};
use crate::spec::TunnelSpec;

pub(super) fn set(
    tunnels: Vec<String>,
    properties: TunnelSpec,
    has_secret: bool,
    socket: &Path,
    report: Report,
) -> Result<(), Failure> {
    if properties == TunnelSpec::default() && !has_secret {
        let failure = Failure::new(FailureKind::Usage, "set: no property is given");
        return Err(failure.with_hint("write what to change, as mtu=1472 or --mtu 1472"));
    }
    let ipsec_secret = if has_secret { Some(Secret::read_from(std::io::stdin().lock())?) } else { None };
    run(&Request::Set { tunnels, properties, ipsec_secret }, Changes::default(), socket, report)
}

/// Asks for a change, and tells what came of it.
pub(super) fn run(request: &Request, form: Changes, socket: &Path, report: Report) -> Result<(), Failure> {
    let reply = call(socket, request)?;
    let Reply::Changed { changes, settings } = &reply else { return Err(unexpected(&reply)) };
    report.changes(changes, settings, form)
}
