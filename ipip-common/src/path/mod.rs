//! The two stories: a packet into the tunnel, a packet out of it.
//!
//! Each decides first and writes last: nothing is changed before the last check has passed, so that every
//! refusal leaves the packet as it came. Each counts a tunnel's packet exactly once.

mod answer;
pub mod decap;
pub mod encap;
pub mod known;

use crate::{
    abi::{Action, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{flow::Flow, inner::Inner, mss},
    verdict::Verdict,
};

/// Counts a refusal and turns it into a verdict.
#[inline(always)]
fn refuse(env: &impl Env, tunnel: &TunnelEntry, reason: Reason) -> Verdict {
    env.count_refused(tunnel, reason);
    match reason.action() {
        Action::Drop => Verdict::Drop(reason),
        Action::Pass | Action::Note => Verdict::Pass(reason),
    }
}

/// The inner packet at `at` needs nothing that only the host's stack can do for a forwarded packet.
#[inline(always)]
fn check_forwardable<I: Inner>(
    frame: &impl Frame,
    at: u32,
    tunnel: &TunnelEntry,
    inner: &I,
    flow: &Flow,
) -> Result<(), Reason> {
    if !tunnel.flags().allow_fast_path {
        return Err(Reason::FastPathOff);
    }
    if let Some(reason) = inner.needs_stack() {
        return Err(reason);
    }
    if inner.transport().has_partial_checksum(frame, at, flow) {
        return Err(Reason::PartialChecksum);
    }
    Ok(())
}

/// The clamp that the inner packet of `inner_len` bytes at `at` needs. The paths ask for it before all that has many
/// outcomes: the kernel's verifier walks through the options once for each of them.
#[inline(always)]
fn clamp<I: Inner>(
    frame: &mut impl Frame,
    at: u32,
    tunnel: &TunnelEntry,
    inner: &I,
    inner_len: u32,
) -> mss::Clamp {
    let transport = inner.transport();
    // What stands under labels may say that it is longer than it is.
    let is_whole = transport.at.wrapping_add(transport.room) <= inner_len;
    if tunnel.flags().clamp_tcp_mss && is_whole {
        mss::find(frame, at, &transport, tunnel.mtu())
    } else {
        mss::Clamp::NONE
    }
}
