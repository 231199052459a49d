//! A packet of a flow that has been decided about: the same bytes as [`super::encap`] and [`super::decap`] give, without
//! asking for routes again.
//!
//! Here is checked whatever can differ between two packets of a flow. A packet that has anything about it (options,
//! a fragment, a handshake, a flaw, a mark that no sound path makes) is left to the whole paths, which decide and count.

use super::{
    decap::{self, Arrived, combined, is_tunnelled},
    refuse,
};
use crate::{
    abi::{Carried, Family, KnownFlow, Reason, Role, TunnelEntry},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_TCP, PROTOCOL_UDP, checksum,
        ecn,
        extension::Limit,
        flow::Ports,
        inner::Inner,
        ipv4::{self, Ipv4},
        ipv6::{self, Ipv6},
        mss::Clamp,
        outer::Outer,
        transport::Transport,
    },
    verdict::Verdict,
};

/// Carries the packet if its flow is known and nothing is about it. `None`: nothing was looked at but memory, and nothing
/// changed.
#[inline(always)]
pub fn carry(frame: &mut impl Frame, env: &impl Env) -> Option<Verdict> {
    match frame.ethertype() {
        ETHERTYPE_IPV4 => {
            let header = Ipv4::read(frame, 0)?;
            if !header.is_whole_and_plain() || !frame.holds(header.total_len()) {
                return None;
            }
            if is_tunnelled(header.protocol()) {
                let outer = OuterHeader {
                    family: Family::V4,
                    source: [header.source(), 0, 0, 0],
                    destination: [header.destination(), 0, 0, 0],
                    protocol: header.protocol(),
                    tos: header.tos(),
                    header_len: ipv4::HEADER,
                    room: header.total_len().wrapping_sub(ipv4::HEADER),
                };
                if let Some(verdict) = out_of_tunnel(frame, env, &outer) {
                    return Some(verdict);
                }
            }
            into_tunnel(frame, env, header)
        }
        ETHERTYPE_IPV6 => {
            let header = Ipv6::read(frame, 0)?;
            if !header.is_plain() || !frame.holds(Inner::total_len(&header, 0)) {
                return None;
            }
            if is_tunnelled(header.next_header()) {
                let outer = OuterHeader {
                    family: Family::V6,
                    source: header.source(),
                    destination: header.destination(),
                    protocol: header.next_header(),
                    tos: header.traffic_class(),
                    header_len: ipv6::HEADER,
                    room: header.payload_len(),
                };
                if let Some(verdict) = out_of_tunnel(frame, env, &outer) {
                    return Some(verdict);
                }
            }
            into_tunnel(frame, env, header)
        }
        _ => None,
    }
}

/// What an outer header says.
struct OuterHeader {
    family: Family,
    source: [u32; 4],
    destination: [u32; 4],
    protocol: u8,
    tos: u8,
    header_len: u32,
    room: u32,
}

impl OuterHeader {
    /// Whether it is one of this tunnel, from its remote.
    #[inline(always)]
    fn is_of(&self, tunnel: &TunnelEntry, kind: Carried) -> bool {
        let (local, remote) = (tunnel.local(), tunnel.remote());
        let is_same = |a: [u32; 4], b: [u32; 4]| {
            a[0] == b[0]
                && (matches!(self.family, Family::V4) || (a[1] == b[1] && a[2] == b[2] && a[3] == b[3]))
        };
        tunnel.family() == self.family
            && is_same(self.destination, local)
            && is_same(self.source, remote)
            && tunnel.flags().carries(kind)
    }
}

/// The flow of a plain packet at `at`, if nothing is about its transport header: no handshake, and a checksum that is
/// in the packet and not left to an offload.
#[inline(always)]
fn plain_flow<'a, I: Inner>(
    frame: &mut impl Frame,
    env: &'a impl Env,
    at: u32,
    role: Role,
    inner: &I,
) -> Option<&'a KnownFlow> {
    const SYN: u32 = 0x02 << 16;
    let transport = inner.transport();
    let here = at.wrapping_add(transport.at);
    match transport.protocol {
        PROTOCOL_TCP => {
            let [ports, _, _, flags, sum] = frame.words::<5>(here)?;
            let known = env.recall(role, &inner.flow(Ports::of(ports)))?;
            (flags & SYN == 0 && is_complete(known, &transport, sum >> 16)).then_some(known)
        }
        PROTOCOL_UDP => {
            let [ports, sum] = frame.words::<2>(here)?;
            let known = env.recall(role, &inner.flow(Ports::of(ports)))?;
            is_complete(known, &transport, sum & 0xffff).then_some(known)
        }
        _ => env.recall(role, &inner.flow(Ports::default())),
    }
}

/// Whether the transport checksum is more than the sum of the pseudo-header (see [`Transport::has_partial_checksum`]).
#[inline(always)]
fn is_complete(known: &KnownFlow, transport: &Transport, field: u32) -> bool {
    u32::from(checksum::fold(known.ends_sum().wrapping_add(transport.room))) != field
}

#[inline(always)]
fn into_tunnel<I: Inner>(frame: &mut impl Frame, env: &impl Env, inner: I) -> Option<Verdict> {
    if !inner.is_plain() {
        return None;
    }
    let known = plain_flow(frame, env, 0, Role::Encap, &inner)?;
    if known.tunnel() == 0 {
        return Some(Verdict::Foreign);
    }
    let inner_len = inner.total_len(0);
    if inner_len > known.most() {
        return None;
    }
    let tunnel = env.tunnel(known.tunnel())?;
    let leaving = inner.with_ttl_decremented();
    let outer = Outer {
        label: known.label(),
        ..Outer::around(tunnel, &inner, inner_len, leaving.ttl(), Limit::NONE, 0)
    };
    Some(send(frame, env, tunnel, &leaving, &outer, known))
}

/// Writes an encapsulated packet. Counting and its identification are one look at the tunnel's counters.
#[inline(always)]
fn send<I: Inner>(
    frame: &mut impl Frame,
    env: &impl Env,
    tunnel: &TunnelEntry,
    leaving: &I,
    outer: &Outer,
    known: &KnownFlow,
) -> Verdict {
    let header_len = outer.header_len();
    let room = frame.trim(outer.inner_len).and_then(|()| frame.push_front(header_len, outer.family));
    if let Err(reason) = room {
        return refuse(env, tunnel, reason);
    }
    let ident = env.send_one(tunnel, outer.needs_ident(), outer.inner_len);
    let hop = known.hop();
    let written = outer
        .write(frame, tunnel, ident)
        .and_then(|()| leaving.write_edits(frame, header_len))
        .and_then(|()| frame.put_link(&hop, outer.family.ethertype()));
    if written.is_none() { refuse(env, tunnel, Reason::Torn) } else { Verdict::Forward(hop) }
}

#[inline(always)]
fn out_of_tunnel(frame: &mut impl Frame, env: &impl Env, outer: &OuterHeader) -> Option<Verdict> {
    match outer.protocol {
        PROTOCOL_IPV4 => out_with::<Ipv4>(frame, env, outer),
        PROTOCOL_IPV6 => out_with::<Ipv6>(frame, env, outer),
        _ => None,
    }
}

#[inline(always)]
fn out_with<I: Inner>(frame: &mut impl Frame, env: &impl Env, outer: &OuterHeader) -> Option<Verdict> {
    let inner = I::read(frame, outer.header_len)?;
    let inner_len = inner.total_len(0);
    if !inner.is_plain() || inner_len > outer.room {
        return None;
    }
    let known = plain_flow(frame, env, outer.header_len, Role::Decap, &inner)?;
    let tunnel = env.tunnel(known.tunnel())?;
    if !outer.is_of(tunnel, I::KIND) || inner_len > known.most() || ecn::is_odd(inner.tos(), outer.tos) {
        return None;
    }
    let tos = combined(tunnel, inner.tos(), outer.tos).ok()?;
    let inner = if tos == inner.tos() { inner } else { inner.with_tos(tos) };
    let plan = decap::Plan {
        inner: inner.with_ttl_decremented(),
        inner_len,
        clamp: Clamp::NONE,
        hop: known.hop(),
        segments: 1,
        is_odd: false,
    };
    let arrived = Arrived {
        tunnel,
        protocol: outer.protocol,
        tos: outer.tos,
        header_len: outer.header_len,
        room: outer.room,
        flaw: None,
    };
    Some(plan.carry_out(frame, env, &arrived))
}
