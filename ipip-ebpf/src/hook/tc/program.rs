//! The beginning and the end of a TC program.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, BPF_F_INGRESS, TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::generated::{bpf_redirect, bpf_redirect_neigh},
    programs::TcContext,
};
use ipip_common::verdict::{Verdict, Way};

use super::frame::{ETHERNET, TcFrame};
use crate::{env::TcEnv, maps};

/// The packet goes on as it is, also to programs that stand behind this one.
pub(crate) const NEXT: i32 = TC_ACT_UNSPEC;

/// `skb->pkt_type` of a packet for this host (`linux/if_packet.h`).
const PACKET_HOST: u32 = 0;

/// A packet that arrived on a port, if it is unicast for it and carries no VLAN tag (a tagged one belongs to
/// the VLAN interface, whose own hooks see it).
#[inline(always)]
pub(crate) fn start_port(ctx: &TcContext) -> Option<(TcFrame, TcEnv)> {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the program's whole run.
    let (kind, tagged, ifindex) = unsafe { ((*skb).pkt_type, (*skb).vlan_present, (*skb).ifindex) };
    if kind != PACKET_HOST || tagged != 0 {
        return None;
    }
    Some((TcFrame { skb, link_header: ETHERNET }, TcEnv::new(skb.cast(), ifindex)))
}

/// A packet on a tunnel's interface, on its way into the tunnel or out of it.
#[inline(always)]
pub(crate) fn start_tunnel(ctx: &TcContext) -> (TcFrame, TcEnv) {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the program's whole run.
    let ifindex = unsafe { (*skb).ifindex };
    let link_header = if maps::TUNNEL_LINK_HEADER.load() == 0 { 0 } else { ETHERNET };
    (TcFrame { skb, link_header }, TcEnv::new(skb.cast(), ifindex))
}

/// Carries out a verdict.
#[inline(always)]
pub(crate) fn finish(verdict: Verdict) -> i32 {
    match verdict {
        // Tier 2 hands nothing over.
        Verdict::Foreign | Verdict::Pass(_) | Verdict::HandOver(_) => NEXT,
        // `TC_ACT_STOLEN` would say that it is no loss, but a tcx link takes it for "go on".
        Verdict::Drop(_) | Verdict::Taken => TC_ACT_SHOT,
        Verdict::Forward(hop) => match hop.way {
            // SAFETY: the helper takes plain numbers.
            Way::Wire => unsafe { bpf_redirect(hop.ifindex, 0) as i32 },
            // SAFETY: without parameters the helper resolves the next hop of the packet's own destination.
            Way::Neighbour => unsafe { bpf_redirect_neigh(hop.ifindex, core::ptr::null_mut(), 0, 0) as i32 },
            // SAFETY: the helper takes plain numbers.
            Way::Stack => unsafe { bpf_redirect(hop.ifindex, u64::from(BPF_F_INGRESS)) as i32 },
        },
    }
}
