//! A packet into the tunnel (RFC 2003).

use super::{check_forwardable, ports, refuse};
use crate::{
    abi::{Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4,
        ipv4::{self, Ipv4},
        mss, outer,
    },
    verdict::{Hop, Verdict},
};

/// Encapsulates the packet if its route leads into a tunnel.
#[inline(always)]
pub fn encap(frame: &mut impl Frame, env: &impl Env) -> Verdict {
    frame.pull(ipv4::HEADER);
    let Some(inner) = Ipv4::read(frame, 0) else { return Verdict::Foreign };
    let is_ipv4 = frame.ethertype() == ETHERTYPE_IPV4;
    // A tier that stands in for the stack's routing asks for a route, and only IPv4 has one here.
    if !is_ipv4 && env.forwards() {
        return Verdict::Foreign;
    }
    let Some(tunnel) = env.tunnel_to(&inner, ports(frame, 0, &inner)) else { return Verdict::Foreign };
    if !is_ipv4 {
        return refuse(env, tunnel, Reason::NotCarried);
    }
    match decide(frame, env, tunnel, inner) {
        Ok(plan) => plan.carry_out(frame, env, tunnel),
        Err(reason) => refuse(env, tunnel, reason),
    }
}

/// All that is to be written.
struct Plan {
    inner: Ipv4,
    clamp: mss::Clamp,
    outer: [u32; 5],
    hop: Hop,
    segments: u32,
}

#[inline(always)]
fn decide(frame: &mut impl Frame, env: &impl Env, tunnel: &TunnelEntry, inner: Ipv4) -> Result<Plan, Reason> {
    let segments = frame.segments();
    check_inner(frame, &inner, segments)?;
    if is_loop(tunnel, &inner) {
        return Err(Reason::Loop);
    }
    if segments == 1 && inner.total_len() > u32::from(tunnel.mtu()) {
        return Err(Reason::TooBig);
    }
    if env.forwards() {
        check_forwardable(frame, 0, tunnel, &inner)?;
    }
    let clamp = if tunnel.flags().clamp_tcp_mss {
        mss::find(frame, 0, &inner, tunnel.mtu())
    } else {
        mss::Clamp::NONE
    };
    let outer_len = if segments == 1 { outer::total_len(&inner) } else { 0 };
    let hop = env.route_outer(tunnel, outer::tos(tunnel, &inner), outer_len)?;
    let ident = if outer::dont_fragment(tunnel, &inner) { 0 } else { env.next_ident(segments) };
    let outer = outer::v4(tunnel, &inner, ident);
    let inner = if env.forwards() { inner.with_ttl_decremented() } else { inner };
    Ok(Plan { inner, clamp, outer, hop, segments })
}

/// The inner header is one that can be carried at all.
#[inline(always)]
fn check_inner(frame: &impl Frame, inner: &Ipv4, segments: u32) -> Result<(), Reason> {
    if inner.version() != 4 || inner.header_len() < ipv4::HEADER || inner.total_len() < inner.header_len() {
        return Err(Reason::Malformed);
    }
    if segments == 1 && inner.total_len() > frame.length() {
        return Err(Reason::Malformed);
    }
    if inner.ttl() == 0 {
        return Err(Reason::TtlZero);
    }
    Ok(())
}

/// RFC 2003 3.2: a packet from the tunnel's far end, or from its near end to its far end, has been here before.
#[inline(always)]
const fn is_loop(tunnel: &TunnelEntry, inner: &Ipv4) -> bool {
    inner.source() == tunnel.remote()
        || inner.source() == tunnel.local() && inner.destination() == tunnel.remote()
}

impl Plan {
    #[inline(always)]
    fn carry_out(self, frame: &mut impl Frame, env: &impl Env, tunnel: &TunnelEntry) -> Verdict {
        // Link padding goes first: the kernel trims no socket buffer that is marked as encapsulated.
        if self.segments == 1
            && let Err(reason) = frame.trim(self.inner.total_len())
        {
            return refuse(env, tunnel, reason);
        }
        if let Err(reason) = frame.push_front::<{ ipv4::HEADER }>() {
            return refuse(env, tunnel, reason);
        }
        if self.write(frame).is_none() {
            return refuse(env, tunnel, Reason::Torn);
        }
        env.count_sent(tunnel, self.segments, self.inner.total_len());
        Verdict::Forward(self.hop)
    }

    #[inline(always)]
    fn write(&self, frame: &mut impl Frame) -> Option<()> {
        frame.put_words(0, self.outer)?;
        self.inner.write_edits(frame, ipv4::HEADER)?;
        self.clamp.write(frame, ipv4::HEADER)?;
        frame.put_link(&self.hop, ETHERTYPE_IPV4)
    }
}
