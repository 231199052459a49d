//! `ipip-ctl add`

use std::path::Path;

use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::failure::Failure;
use crate::ipsec::Secret;
use crate::report::Report;
use crate::spec::TunnelSpec;
use crate::tunnel::Tunnel;

/// Checks here what needs no daemon, so that a mistake is told even while none runs.
pub(super) fn run(spec: TunnelSpec, has_secret: bool, socket: &Path, report: Report) -> Result<(), Failure> {
    let mut named =
        TunnelSpec { name: Some(spec.name.clone().unwrap_or_else(|| "ipip1".into())), ..spec.clone() };
    if has_secret {
        // Wherever the daemon puts it.
        named.ipsec_secret_file = Some("/".into());
    }
    Tunnel::try_from(named)?;
    let ipsec_secret = if has_secret { Some(Secret::read_from(std::io::stdin().lock())?) } else { None };
    let reply = call(socket, &Request::Add { tunnel: spec, ipsec_secret })?;
    let Reply::Added { name } = &reply else { return Err(unexpected(&reply)) };
    report.added(name)
}
