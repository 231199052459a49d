//! Answers to this host's own keepalive probes, which end here: RFC 7676 3.2, RFC 5969 8.

use super::refuse;
use crate::{
    abi::{Family, PeerKey, Reason, TunnelEntry, Worth},
    env::Env,
    frame::Frame,
    packet::{
        ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_IPV4, PROTOCOL_IPV6,
        flow::{Flow, Ports},
        inner::{self, Inner},
        ipv4::{self, Ipv4},
        ipv6::{self, Ipv6},
        probe::{self, Probe, Way},
    },
    verdict::Verdict,
};

/// Takes the inner packet at `at` if it is the answer to a probe of this host. `None`: it is none, and goes on.
#[inline(always)]
pub(super) fn take<I: Inner>(
    frame: &mut impl Frame,
    env: &impl Env,
    tunnel: &TunnelEntry,
    inner: &I,
    at: u32,
    flow: &Flow,
) -> Option<Result<(), Reason>> {
    let (kind, probe, nonce) = read(frame, inner, at, flow)?;
    if !is_answer(env, tunnel, kind, &probe, flow) {
        return None;
    }
    Some(note(env, tunnel, &probe, nonce))
}

/// Takes a packet that came outside of a tunnel if it is the answer to a probe that was sent into one.
#[inline(always)]
pub(super) fn take_outer(frame: &mut impl Frame, env: &impl Env) -> Option<Verdict> {
    match frame.ethertype() {
        ETHERTYPE_IPV4 => {
            frame.pull(ipv4::HEADER);
            let header = Ipv4::read(frame, 0)?;
            outer_answer(frame, env, &header, PROTOCOL_IPV4)
        }
        ETHERTYPE_IPV6 => {
            frame.pull(ipv6::HEADER);
            let header = Ipv6::read(frame, 0)?;
            outer_answer(frame, env, &header, PROTOCOL_IPV6)
        }
        _ => None,
    }
}

#[inline(always)]
fn outer_answer<I: Inner>(
    frame: &mut impl Frame,
    env: &impl Env,
    header: &I,
    protocol: u8,
) -> Option<Verdict> {
    let flow = header.flow(Ports::default());
    let (kind, probe, nonce) = read(frame, header, 0, &flow)?;
    let icmp = probe::icmp(flow.family);
    let is_reflected = kind == icmp.request && probe.way == Way::Reflect as u32;
    if !is_reflected && kind != icmp.reply {
        return None;
    }
    let tunnel = env.tunnel_from(&PeerKey::new(flow.family, flow.destination, flow.source, protocol))?;
    Some(match note(env, tunnel, &probe, nonce) {
        Ok(()) => Verdict::Taken,
        Err(reason) => refuse(env, tunnel, reason),
    })
}

/// The ICMP type of a packet that a probe could have become, what that says, and its nonce.
#[inline(always)]
fn read<I: Inner>(frame: &mut impl Frame, inner: &I, at: u32, flow: &Flow) -> Option<(u8, Probe, u64)> {
    if flow.protocol != probe::icmp(flow.family).protocol || !inner.is_plain() || frame.segments() != 1 {
        return None;
    }
    let header = match flow.family {
        Family::V4 => ipv4::HEADER,
        Family::V6 => ipv6::HEADER,
    };
    let start = at.wrapping_add(header);
    frame.pull(start.wrapping_add(probe::PAYLOAD));
    let [first, _, a, b, c, d, e, f, g, h] = frame.words::<10>(start)?;
    let (probe, nonce) = Probe::read([a, b, c, d, e, f, g, h])?;
    Some(((first >> 24) as u8, probe, nonce))
}

#[inline(always)]
fn note(env: &impl Env, tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Result<(), Reason> {
    match env.take_answer(tunnel, probe, nonce) {
        Worth::Counted | Worth::Repeated => Ok(()),
        Worth::Late | Worth::Forged => Err(Reason::BadAnswer),
    }
}

/// Whether it comes back to this host. The far end's own probes look the same but for their addresses.
#[inline(always)]
fn is_answer(env: &impl Env, tunnel: &TunnelEntry, kind: u8, probe: &Probe, flow: &Flow) -> bool {
    let icmp = probe::icmp(flow.family);
    let way_back = if kind == icmp.reply {
        true
    } else if kind == icmp.request && probe.way == Way::Reflect as u32 {
        inner::is_from_remote(tunnel, flow)
    } else if kind == icmp.request && probe.way == Way::Itself as u32 {
        let ([a, b, c, d], [e, f, g, h]) = (flow.source, flow.destination);
        a == e && b == f && c == g && d == h
    } else {
        false
    };
    way_back && env.is_own(flow.family, flow.destination)
}
