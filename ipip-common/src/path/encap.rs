//! A packet into the tunnel (RFC 2003, RFC 2473, RFC 4023, RFC 4213).

use super::{check_forwardable, clamp, refuse};
use crate::{
    abi::{Carried, Course, Family, Labels, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_MPLS,
        flow::{Flow, Ports},
        inner::{self, Flaw, Inner},
        ipv4::Ipv4,
        ipv6::{self, Ipv6},
        mpls::Mpls,
        mss,
        outer::Outer,
    },
    verdict::{Hop, Verdict},
};

/// Encapsulates the packet if its route leads into a tunnel.
#[inline(always)]
pub fn encap(frame: &mut impl Frame, env: &impl Env) -> Verdict {
    match frame.ethertype() {
        ETHERTYPE_IPV4 => into_tunnel::<Ipv4>(frame, env),
        ETHERTYPE_IPV6 => into_tunnel::<Ipv6>(frame, env),
        ETHERTYPE_MPLS => into_tunnel::<Mpls>(frame, env),
        _ => other(env),
    }
}

/// What no tunnel carries. A tier that stands in for the stack's routing has no route for it; the tunnel's own
/// interface has nothing else to do with it.
#[inline(always)]
fn other(env: &impl Env) -> Verdict {
    if env.forwards() {
        return Verdict::Foreign;
    }
    let nowhere = Flow {
        family: Family::V4,
        source: [0; 4],
        destination: [0; 4],
        protocol: 0,
        tos: 0,
        ports: Ports::default(),
    };
    let Some(tunnel) = env.tunnel_to(&nowhere) else { return Verdict::Foreign };
    refuse(env, tunnel, Reason::NotCarried)
}

#[inline(always)]
fn into_tunnel<I: Inner>(frame: &mut impl Frame, env: &impl Env) -> Verdict {
    let Some(mut inner) = I::read(frame, 0) else { return Verdict::Foreign };
    let ports = inner.transport().ports(frame, 0);
    let flow = inner.flow(ports);
    let Some(tunnel) = inner.tunnel(env, &flow) else {
        // What is wrong with a packet, and not with its flow, may be why it is nobody's.
        if inner.is_plain() {
            env.remember(&flow, &Labels::NONE, &Course::Foreign);
        }
        return Verdict::Foreign;
    };
    // It waits behind the interface, for the tier that can protect it.
    if tunnel.flags().ipsec && !env.forwards() && !env.is_behind_ipsec() {
        return Verdict::Foreign;
    }
    match decide(frame, env, tunnel, inner, &flow) {
        Ok(plan) => {
            plan.remember(env, tunnel, &flow);
            plan.carry_out(frame, env, tunnel)
        }
        Err(reason) => refuse(env, tunnel, reason),
    }
}

/// All that is to be written.
struct Plan<I> {
    inner: I,
    clamp: mss::Clamp,
    outer: Outer,
    ident: u16,
    hop: Hop,
    segments: u32,
}

#[inline(always)]
fn decide<I: Inner>(
    frame: &mut impl Frame,
    env: &impl Env,
    tunnel: &TunnelEntry,
    inner: I,
    flow: &Flow,
) -> Result<Plan<I>, Reason> {
    if !tunnel.flags().carries(I::KIND) {
        return Err(Reason::NotCarried);
    }
    // Whatever else its switches say: this tier cannot protect it.
    if tunnel.flags().ipsec && !env.is_behind_ipsec() {
        return Err(Reason::FastPathOff);
    }
    let segments = frame.segments();
    let room = if segments == 1 { frame.length() } else { u32::MAX };
    match inner.flaw(room) {
        None => {}
        Some(Flaw::TtlZero) => return Err(Reason::TtlZero),
        Some(Flaw::Version | Flaw::Length) => return Err(Reason::Malformed),
    }
    let inner_len = inner.len_in_frame(frame.length());
    let clamp = clamp(frame, 0, tunnel, &inner, inner_len);
    check_ends(env, tunnel, I::KIND, flow)?;
    let limit = inner.limit(frame, 0);
    if tunnel.family() == Family::V6 && limit.is_reached() {
        return Err(Reason::NestingLimit);
    }
    if segments == 1 && inner_len > u32::from(tunnel.mtu()) {
        return Err(Reason::TooBig);
    }
    if env.forwards() {
        check_forwardable(frame, 0, tunnel, &inner, flow)?;
    }
    let hash = inner.hash(flow);
    let leaving = if env.forwards() { inner.with_ttl_decremented() } else { inner };
    let outer = Outer::around(tunnel, &inner, inner_len, leaving.ttl(), limit, hash);
    let length = if segments == 1 { outer.total_len() } else { 0 };
    let hop = env.route_outer(tunnel, &outer, length)?;
    let ident = if outer.needs_ident() { env.next_ident(tunnel, segments) } else { 0 };
    Ok(Plan { inner: leaving, clamp, outer, ident, hop, segments })
}

/// The packet is not one that has been here before, and is for somebody whom the tunnel is for.
#[inline(always)]
fn check_ends(env: &impl Env, tunnel: &TunnelEntry, kind: Carried, flow: &Flow) -> Result<(), Reason> {
    let is_ip = kind != Carried::Mpls;
    if is_ip && inner::is_loop(tunnel, flow) {
        return Err(Reason::Loop);
    }
    // Behind the stack nobody can tell: what the host masquerades has its address too. There the stack has refused
    // such a source already, for IPv4.
    if is_ip && env.forwards() && env.is_own(flow.family, flow.source) {
        return Err(Reason::OwnSource);
    }
    let has_prefixes = tunnel.flags().allowed_inner;
    if has_prefixes && !(is_ip && env.is_allowed(tunnel, flow.family, flow.destination)) {
        return Err(Reason::NotAllowed);
    }
    Ok(())
}

impl<I: Inner> Plan<I> {
    /// The next packets of the flow need not be decided about. Not where DF depends on the packet's length (RFC 4213
    /// 3.2.2), and not under many labels.
    #[inline(always)]
    fn remember(&self, env: &impl Env, tunnel: &TunnelEntry, flow: &Flow) {
        let is_long_enough = I::KIND != Carried::Ipv6 || tunnel.mtu() >= ipv6::LEAST_MTU;
        if is_long_enough && let Some(labels) = self.inner.labels() {
            env.remember(flow, &labels, &Course::Encap(tunnel, &self.outer, &self.hop));
        }
    }

    #[inline(always)]
    fn carry_out(self, frame: &mut impl Frame, env: &impl Env, tunnel: &TunnelEntry) -> Verdict {
        // Link padding goes first: the kernel trims no socket buffer that is marked as encapsulated.
        if self.segments == 1
            && let Err(reason) = frame.trim(self.outer.inner_len)
        {
            return refuse(env, tunnel, reason);
        }
        if let Err(reason) = frame.push_front(self.outer.header_len(), self.outer.family) {
            return refuse(env, tunnel, reason);
        }
        if self.write(frame, tunnel).is_none() {
            return refuse(env, tunnel, Reason::Torn);
        }
        env.count_sent(tunnel, self.segments, self.outer.inner_len);
        Verdict::Forward(self.hop)
    }

    #[inline(always)]
    fn write(&self, frame: &mut impl Frame, tunnel: &TunnelEntry) -> Option<()> {
        let header_len = self.outer.header_len();
        self.outer.write(frame, tunnel, self.ident)?;
        self.inner.write_edits(frame, header_len)?;
        self.clamp.write(frame, header_len)?;
        frame.put_link(&self.hop, self.outer.family.ethertype())
    }
}
