//! Completion in the shell: `COMPLETE=bash ipip-ctl` writes what the shell needs, and then asks this program for every
//! word. The daemon tells the names of its tunnels.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;

use super::{Cli, DEFAULT_SOCKET};
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::spec::TunnelSpec;

/// Answers a shell, and ends the process, where the variable `COMPLETE` says that it is one that asks.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command).complete();
}

/// The names of the daemon's tunnels; none where there is no daemon.
pub(super) fn tunnels() -> Vec<CompletionCandidate> {
    let socket = std::env::var_os("IPIP_SOCKET").map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from);
    let Ok(Reply::Tunnels { tunnels }) = call(&socket, &Request::Print) else { return Vec::new() };
    let named = |tunnel: crate::api::protocol::TunnelView| {
        let about = if tunnel.comment.is_empty() { tunnel.remote_address } else { tunnel.comment };
        CompletionCandidate::new(tunnel.name).help(Some(about.into()))
    };
    tunnels.into_iter().map(named).collect()
}

/// The properties as RouterOS writes them: `mtu=`.
pub(super) fn properties() -> Vec<CompletionCandidate> {
    let word = |name: &&str| CompletionCandidate::new(format!("{name}="));
    TunnelSpec::PROPERTIES.iter().map(word).collect()
}

/// Tunnels, and properties.
pub(super) fn both() -> Vec<CompletionCandidate> {
    tunnels().into_iter().chain(properties()).collect()
}
