//! A packet out of the tunnel (RFC 2003, RFC 2473, RFC 4023, RFC 4213, RFC 6040).

use super::{answer, check_forwardable, clamp, refuse};
use crate::{
    abi::{Carried, Course, Family, PeerKey, Reason, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_MPLS, cursor, ecn,
        extension::{self, Limit},
        flow::Flow,
        inner::{self, Flaw, Inner},
        ipv4::{self, Ipv4},
        ipv6::{self, Ipv6, next_header},
        mpls::Mpls,
        mss,
        outer::{self, Outer},
    },
    verdict::{Hop, Verdict},
};

/// Decapsulates the packet if it is for one of the tunnels, and from its remote.
#[inline(always)]
pub fn decap(frame: &mut impl Frame, env: &impl Env) -> Verdict {
    let arrived = match frame.ethertype() {
        ETHERTYPE_IPV4 => arrived_v4(frame, env),
        ETHERTYPE_IPV6 => arrived_v6(frame, env),
        _ => None,
    };
    let Some(mut arrived) = arrived else {
        // Some answers come outside of the tunnel.
        let answer = if env.forwards() { None } else { answer::take_outer(frame, env) };
        return answer.unwrap_or(Verdict::Foreign);
    };
    if arrived.tunnel.flags().ipsec && !env.is_behind_ipsec() {
        // What the kernel has unwrapped is on its way to the tier that takes it.
        let is_right = env.came_by_ipsec();
        return if is_right { Verdict::Foreign } else { refuse(env, arrived.tunnel, Reason::Unprotected) };
    }
    if let Some(reason) = arrived.flaw {
        return refuse(env, arrived.tunnel, reason);
    }
    // One way for the verifier, and not one for each length.
    arrived.header_len = cursor::forget(arrived.header_len, arrived.room) & LONGEST_OUTER;
    match arrived.protocol {
        PROTOCOL_IPV4 => out_of_tunnel::<Ipv4>(frame, env, &arrived),
        PROTOCOL_IPV6 => out_of_tunnel::<Ipv6>(frame, env, &arrived),
        _ => out_of_tunnel::<Mpls>(frame, env, &arrived),
    }
}

/// All ones above the length of the longest outer header.
const LONGEST_OUTER: u32 = 0x3f;

/// A tunnel's packet, as its outer header says.
struct Arrived<'a> {
    tunnel: &'a TunnelEntry,
    protocol: u8,
    tos: u8,
    /// Bytes in front of the inner packet.
    header_len: u32,
    /// Bytes that the outer packet has for it.
    room: u32,
    /// Why it is the stack's.
    flaw: Option<Reason>,
}

#[inline(always)]
const fn is_tunnelled(protocol: u8) -> bool {
    matches!(protocol, PROTOCOL_IPV4 | PROTOCOL_IPV6 | PROTOCOL_MPLS)
}

#[inline(always)]
fn arrived_v4<'a>(frame: &mut impl Frame, env: &'a impl Env) -> Option<Arrived<'a>> {
    frame.pull(ipv4::HEADER);
    let outer = Ipv4::read(frame, 0)?;
    if outer.version() != 4 || !is_tunnelled(outer.protocol()) {
        return None;
    }
    let ends = ([outer.destination(), 0, 0, 0], [outer.source(), 0, 0, 0]);
    let tunnel = env.tunnel_from(&PeerKey::new(Family::V4, ends.0, ends.1, outer.protocol()))?;
    Some(Arrived {
        tunnel,
        protocol: outer.protocol(),
        tos: outer.tos(),
        header_len: ipv4::HEADER,
        room: outer.total_len().wrapping_sub(ipv4::HEADER),
        flaw: flaw_v4(frame, &outer),
    })
}

/// The outer header is whole, plain and right; everything else is the stack's.
#[inline(always)]
fn flaw_v4(frame: &impl Frame, outer: &Ipv4) -> Option<Reason> {
    if outer.header_len() < ipv4::HEADER || outer.total_len() < outer.header_len() {
        return Some(Reason::Malformed);
    }
    if outer.header_len() > ipv4::HEADER {
        return Some(Reason::Options);
    }
    if outer.is_fragment() {
        return Some(Reason::Fragment);
    }
    if frame.segments() == 1 && outer.total_len() > frame.length() {
        return Some(Reason::Malformed);
    }
    if !outer.checksum_is_right() {
        return Some(Reason::OuterChecksum);
    }
    None
}

#[inline(always)]
fn arrived_v6<'a>(frame: &mut impl Frame, env: &'a impl Env) -> Option<Arrived<'a>> {
    frame.pull(ipv6::HEADER);
    let outer = Ipv6::read(frame, 0)?;
    let next = outer.next_header();
    let is_extended = matches!(next, next_header::DESTINATION | next_header::FRAGMENT);
    if outer.version() != 6 || !(is_tunnelled(next) || is_extended) {
        return None;
    }
    let (mut protocol, mut header_len, mut flaw) = (next, ipv6::HEADER, None);
    if is_extended {
        frame.pull(ipv6::HEADER.wrapping_add(extension::LIMIT_HEADER));
        let extension = frame.words::<2>(ipv6::HEADER)?;
        protocol = (extension[0] >> 24) as u8;
        header_len = ipv6::HEADER.wrapping_add(extension::LIMIT_HEADER);
        if next == next_header::FRAGMENT {
            flaw = Some(Reason::Fragment);
        } else if !extension::is_skippable(extension) {
            flaw = Some(Reason::Options);
        }
        if !is_tunnelled(protocol) {
            return None;
        }
    }
    let tunnel = env.tunnel_from(&PeerKey::new(Family::V6, outer.destination(), outer.source(), protocol))?;
    let total_len = outer.payload_len().wrapping_add(ipv6::HEADER);
    if flaw.is_none() && (total_len < header_len || frame.segments() == 1 && total_len > frame.length()) {
        flaw = Some(Reason::Malformed);
    }
    Some(Arrived {
        tunnel,
        protocol,
        tos: outer.traffic_class(),
        header_len,
        room: total_len.wrapping_sub(header_len),
        flaw,
    })
}

#[inline(always)]
fn out_of_tunnel<I: Inner>(frame: &mut impl Frame, env: &impl Env, arrived: &Arrived<'_>) -> Verdict {
    let Some(inner) = I::read(frame, arrived.header_len) else {
        return refuse(env, arrived.tunnel, Reason::Malformed);
    };
    let flow = inner.flow(inner.transport().ports(frame, arrived.header_len));
    if let Some(cpu) = env.other_cpu(arrived.tunnel, &flow) {
        if let Some(labels) = inner.labels() {
            env.remember(&flow, &labels, &Course::HandOver(arrived.tunnel, cpu));
        }
        return Verdict::HandOver(cpu);
    }
    match decide(frame, env, arrived, inner, &flow) {
        Ok(Some(plan)) => plan.carry_out(frame, env, arrived),
        Ok(None) => Verdict::Taken,
        Err(reason) => refuse(env, arrived.tunnel, reason),
    }
}

/// All that is to be written.
struct Plan<I> {
    inner: I,
    inner_len: u32,
    clamp: mss::Clamp,
    hop: Hop,
    segments: u32,
    is_odd: bool,
}

/// `None`: an answer to a probe, which is noted.
#[inline(always)]
fn decide<I: Inner>(
    frame: &mut impl Frame,
    env: &impl Env,
    arrived: &Arrived<'_>,
    mut inner: I,
    flow: &Flow,
) -> Result<Option<Plan<I>>, Reason> {
    let (tunnel, at) = (arrived.tunnel, arrived.header_len);
    let segments = frame.segments();
    match inner.flaw(if segments == 1 { arrived.room } else { u32::MAX }) {
        None => {}
        Some(Flaw::Version) => return Err(Reason::InnerVersion),
        Some(Flaw::Length) => return Err(Reason::BadLength),
        Some(Flaw::TtlZero) => return Err(Reason::TtlZero),
    }
    let inner_len = inner.total_len(arrived.room);
    let clamp = clamp(frame, at, tunnel, &inner, inner_len);
    if inner.has_forbidden_source() {
        return Err(Reason::BadSource);
    }
    let is_ip = I::KIND != Carried::Mpls;
    // Tier 1 leaves what is for this host itself to tier 2, and so all answers.
    if is_ip
        && !env.forwards()
        && let Some(answer) = answer::take(frame, env, tunnel, &inner, at, flow)
    {
        return answer.map(|()| None);
    }
    let is_reflected = is_ip && inner::is_reflected(tunnel, flow);
    // A reflected probe goes back to the remote whatever the prefixes are, and nowhere else.
    let has_prefixes = tunnel.flags().allowed_inner && !is_reflected;
    if has_prefixes && !(is_ip && env.is_allowed(tunnel, flow.family, flow.source)) {
        return Err(Reason::NotAllowed);
    }
    let is_odd = is_ip && ecn::is_odd(inner.tos(), arrived.tos);
    let tos = if is_ip { combined(tunnel, inner.tos(), arrived.tos)? } else { 0 };
    if env.forwards() {
        check_forwardable(frame, at, tunnel, &inner, flow)?;
    } else if is_reflected && let Some(reason) = inner.needs_stack() {
        return Err(reason);
    }
    let hop = if is_reflected {
        env.route_outer(tunnel, &reflected(tunnel, flow, inner_len), inner_len)?
    } else {
        let hop = inner.way_on(env, tunnel, flow, inner_len)?;
        // What the stack gets it judges itself (docs/adr/0012), and answers to this host's own probes have such a source.
        if is_ip && env.forwards() && env.is_own(flow.family, flow.source) {
            return Err(Reason::OwnSource);
        }
        hop
    };
    if let Some(labels) = inner.labels() {
        env.remember(flow, &labels, &Course::Decap(tunnel, &hop));
    }
    let inner = inner.with_tos(tos);
    let inner = if env.forwards() || is_reflected { inner.with_ttl_decremented() } else { inner };
    Ok(Some(Plan { inner, inner_len, clamp, hop, segments, is_odd }))
}

/// The inner ToS byte behind the tunnel: ECN of both (RFC 6040 4.2); DSCP the inner one, or the outer one where the
/// tunnel is of the uniform model (RFC 2983 5).
#[inline(always)]
fn combined(tunnel: &TunnelEntry, inner: u8, outer: u8) -> Result<u8, Reason> {
    let combined = ecn::combine(inner, outer).ok_or(Reason::BadEcn)?;
    Ok(if tunnel.flags().decap_dscp { outer & 0xfc | combined & 3 } else { combined })
}

/// A reflected probe goes back as it is, on the way of the tunnel's own packets.
#[inline(always)]
fn reflected(tunnel: &TunnelEntry, flow: &Flow, length: u32) -> Outer {
    Outer {
        family: tunnel.family(),
        protocol: flow.protocol,
        tos: outer::tos(tunnel, flow.tos),
        ttl: 0,
        inner_len: length,
        dont_fragment: false,
        limit: Limit::NONE,
        label: 0,
    }
}

impl<I: Inner> Plan<I> {
    #[inline(always)]
    fn carry_out(self, frame: &mut impl Frame, env: &impl Env, arrived: &Arrived<'_>) -> Verdict {
        let tunnel = arrived.tunnel;
        if let Err(reason) = frame.pull_front(arrived.header_len, tunnel.family(), I::KIND) {
            return refuse(env, tunnel, reason);
        }
        if self.write(frame).is_none() {
            return refuse(env, tunnel, Reason::Torn);
        }
        if self.is_odd {
            env.count_refused(tunnel, Reason::OddEcn);
        }
        env.count_received(tunnel, self.segments, self.inner_len);
        Verdict::Forward(self.hop)
    }

    #[inline(always)]
    fn write(&self, frame: &mut impl Frame) -> Option<()> {
        if self.segments == 1 {
            frame.trim(self.inner_len).ok()?;
        }
        self.inner.write_edits(frame, 0)?;
        self.clamp.write(frame, 0)?;
        frame.put_link(&self.hop, I::KIND.ethertype())
    }
}
