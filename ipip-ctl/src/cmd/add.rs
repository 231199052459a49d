//! `ipip-ctl add`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::Failure;
use crate::report::Report;
use crate::spec::TunnelSpec;
use crate::tunnel::Tunnel;

/// Checks here what needs no daemon, so that a mistake is told even while none runs.
pub(super) fn run(spec: TunnelSpec, socket: &Path, report: Report) -> Result<(), Failure> {
    let named =
        TunnelSpec { name: Some(spec.name.clone().unwrap_or_else(|| "ipip1".into())), ..spec.clone() };
    Tunnel::try_from(named)?;
    let reply = call(socket, &Request::Add { tunnel: spec })?;
    let Reply::Added { name } = &reply else { return Err(unexpected(&reply)) };
    report.added(name)
}
