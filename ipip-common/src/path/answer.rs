//! Answers to this host's own keepalive probes, which end here: RFC 7676 3.2, RFC 5969 8.

use crate::{
    abi::{Family, Reason, TunnelEntry, Worth},
    env::Env,
    frame::Frame,
    packet::{
        flow::Flow,
        inner::{self, Inner},
        ipv4, ipv6,
        probe::{self, Probe, Way},
    },
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
    let icmp = probe::icmp(flow.family);
    if flow.protocol != icmp.protocol || !inner.is_plain() || frame.segments() != 1 {
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
    if !is_answer(env, tunnel, (first >> 24) as u8, &probe, flow) {
        return None;
    }
    Some(match env.take_answer(tunnel, &probe, nonce) {
        Worth::Counted | Worth::Repeated => Ok(()),
        Worth::Late | Worth::Forged => Err(Reason::BadAnswer),
    })
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
