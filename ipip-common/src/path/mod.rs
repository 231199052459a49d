//! The two stories: a packet into the tunnel, a packet out of it.
//!
//! Each decides first and writes last: nothing is changed before the last check has passed, so that every
//! refusal leaves the packet as it came. Each counts a tunnel's packet exactly once.

pub mod decap;
pub mod encap;

use crate::{
    abi::{Action, Reason, TunnelEntry},
    env::{Env, Ports},
    frame::Frame,
    packet::{
        PROTOCOL_TCP, PROTOCOL_UDP, checksum,
        ipv4::{self, Ipv4},
    },
    verdict::Verdict,
};

/// Counts a refusal and turns it into a verdict.
#[inline(always)]
fn refuse(env: &impl Env, tunnel: &TunnelEntry, reason: Reason) -> Verdict {
    env.count_refused(tunnel, reason);
    match reason.action() {
        Action::Pass => Verdict::Pass(reason),
        Action::Drop => Verdict::Drop(reason),
    }
}

/// Ports for routing rules and multipath, zero where the packet has none.
#[inline(always)]
fn ports(frame: &impl Frame, at: u32, inner: &Ipv4) -> Ports {
    let has_ports = matches!(inner.protocol(), PROTOCOL_TCP | PROTOCOL_UDP)
        && !inner.is_fragment()
        && inner.header_len() == 20;
    if !has_ports {
        return Ports::default();
    }
    let Some([both]) = frame.words::<1>(at.wrapping_add(20)) else { return Ports::default() };
    Ports { source: (both >> 16) as u16, destination: (both & 0xffff) as u16 }
}

/// Whether the sender left the transport checksum to an offload: the field then holds the pseudo-header's sum
/// alone. One good packet in 65,536 looks the same, and only loses speed.
#[inline(always)]
fn has_partial_checksum(frame: &impl Frame, at: u32, inner: &Ipv4) -> bool {
    let field_at: u32 = match inner.protocol() {
        PROTOCOL_TCP => 16,
        PROTOCOL_UDP => 6,
        _ => return false,
    };
    let header = inner.header_len();
    let Some(field) = frame.half(at.wrapping_add(header).wrapping_add(field_at)) else { return false };
    let length = inner.total_len().wrapping_sub(header);
    let sum = checksum::pseudo_header_sum(inner.source(), inner.destination(), inner.protocol(), length);
    field == checksum::fold(sum)
}

/// The inner packet at `at` needs nothing that only the host's stack can do for a forwarded packet.
#[inline(always)]
fn check_forwardable(frame: &impl Frame, at: u32, tunnel: &TunnelEntry, inner: &Ipv4) -> Result<(), Reason> {
    if !tunnel.flags().allow_fast_path {
        return Err(Reason::FastPathOff);
    }
    if inner.header_len() > ipv4::HEADER {
        return Err(Reason::Options);
    }
    if inner.is_fragment() {
        return Err(Reason::Fragment);
    }
    if inner.ttl() == 1 {
        return Err(Reason::TtlExpired);
    }
    if inner.has_martian_source() {
        return Err(Reason::Martian);
    }
    if !inner.checksum_is_right() {
        return Err(Reason::Malformed);
    }
    if has_partial_checksum(frame, at, inner) {
        return Err(Reason::PartialChecksum);
    }
    Ok(())
}
