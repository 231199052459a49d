//! A packet out of the tunnel (RFC 2003, RFC 6040).

use super::{check_forwardable, ports, refuse};
use crate::{
    abi::{PeerKey, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4, PROTOCOL_IPV4,
        ecn::{self, Ecn},
        ipv4::{self, Ipv4},
        mss,
    },
    verdict::{Hop, Verdict},
};

/// Decapsulates the packet if it is for one of the tunnels, and from its remote.
#[inline(always)]
pub fn decap(frame: &mut impl Frame, env: &impl Env) -> Verdict {
    if frame.ethertype() != ETHERTYPE_IPV4 {
        return Verdict::Foreign;
    }
    frame.pull(ipv4::HEADER);
    let Some(outer) = Ipv4::read(frame, 0) else { return Verdict::Foreign };
    if outer.version() != 4 || outer.protocol() != PROTOCOL_IPV4 {
        return Verdict::Foreign;
    }
    let peer = PeerKey::v4(outer.destination(), outer.source(), PROTOCOL_IPV4);
    let Some(tunnel) = env.tunnel_from(&peer) else { return Verdict::Foreign };
    match decide(frame, env, tunnel, &outer) {
        Ok(plan) => plan.carry_out(frame, env, tunnel),
        Err(reason) => refuse(env, tunnel, reason),
    }
}

/// All that is to be written.
struct Plan {
    inner: Ipv4,
    clamp: mss::Clamp,
    hop: Hop,
    segments: u32,
}

#[inline(always)]
fn decide(
    frame: &mut impl Frame,
    env: &impl Env,
    tunnel: &TunnelEntry,
    outer: &Ipv4,
) -> Result<Plan, Reason> {
    let segments = frame.segments();
    check_outer(frame, outer, segments)?;
    frame.pull(ipv4::HEADER.wrapping_add(ipv4::HEADER));
    let inner = Ipv4::read(frame, ipv4::HEADER).ok_or(Reason::Malformed)?;
    check_inner(outer, &inner, segments)?;
    let field = ecn::combine(Ecn::of(inner.tos()), Ecn::of(outer.tos())).ok_or(Reason::BadEcn)?;
    if env.forwards() {
        check_forwardable(frame, ipv4::HEADER, tunnel, &inner)?;
    }
    let clamp = if tunnel.flags().clamp_tcp_mss {
        mss::find(frame, ipv4::HEADER, &inner, tunnel.mtu())
    } else {
        mss::Clamp::NONE
    };
    let hop = env.route_inner(tunnel, &inner, ports(frame, ipv4::HEADER, &inner))?;
    let inner = inner.with_tos(field.into_tos(inner.tos()));
    let inner = if env.forwards() { inner.with_ttl_decremented() } else { inner };
    Ok(Plan { inner, clamp, hop, segments })
}

/// The outer header is whole, plain and right; everything else is the stack's.
#[inline(always)]
fn check_outer(frame: &impl Frame, outer: &Ipv4, segments: u32) -> Result<(), Reason> {
    if outer.header_len() < ipv4::HEADER || outer.total_len() < outer.header_len() {
        return Err(Reason::Malformed);
    }
    if outer.header_len() > ipv4::HEADER {
        return Err(Reason::Options);
    }
    if outer.is_fragment() {
        return Err(Reason::Fragment);
    }
    if segments == 1 && outer.total_len() > frame.length() {
        return Err(Reason::Malformed);
    }
    if !outer.checksum_is_right() {
        return Err(Reason::OuterChecksum);
    }
    Ok(())
}

/// The inner packet is what the outer header says, and all of it is there.
#[inline(always)]
fn check_inner(outer: &Ipv4, inner: &Ipv4, segments: u32) -> Result<(), Reason> {
    if inner.version() != 4 {
        return Err(Reason::InnerVersion);
    }
    let room = outer.total_len().wrapping_sub(ipv4::HEADER);
    let is_whole = inner.header_len() >= ipv4::HEADER
        && inner.total_len() >= inner.header_len()
        && (inner.total_len() <= room || segments > 1);
    if !is_whole {
        return Err(Reason::BadLength);
    }
    if inner.ttl() == 0 {
        return Err(Reason::TtlZero);
    }
    Ok(())
}

impl Plan {
    #[inline(always)]
    fn carry_out(self, frame: &mut impl Frame, env: &impl Env, tunnel: &TunnelEntry) -> Verdict {
        if let Err(reason) = frame.pull_front::<{ ipv4::HEADER }>() {
            return refuse(env, tunnel, reason);
        }
        if self.write(frame).is_none() {
            return refuse(env, tunnel, Reason::Torn);
        }
        env.count_received(tunnel, self.segments, self.inner.total_len());
        Verdict::Forward(self.hop)
    }

    #[inline(always)]
    fn write(&self, frame: &mut impl Frame) -> Option<()> {
        if self.segments == 1 {
            frame.trim(self.inner.total_len()).ok()?;
        }
        self.inner.write_edits(frame, 0)?;
        self.clamp.write(frame, 0)?;
        frame.put_link(&self.hop, ETHERTYPE_IPV4)
    }
}
