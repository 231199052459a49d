//! TC: a socket buffer, which may be a segmentation-offload packet of up to 64 KiB.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_INGRESS, TC_ACT_SHOT,
        TC_ACT_UNSPEC, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::generated::{
        bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh, bpf_skb_adjust_room, bpf_skb_change_head,
        bpf_skb_change_tail, bpf_skb_pull_data,
    },
    programs::TcContext,
};
use ipip_common::{
    abi::Reason,
    frame::Frame,
    verdict::{Hop, Verdict},
};

use super::memory::Memory;
use crate::{env::TcEnv, maps};

/// The packet goes on as it is, also to programs that stand behind this one.
pub(crate) const NEXT: i32 = TC_ACT_UNSPEC;

/// Bytes of an Ethernet header; VLAN tags stand outside of it in a socket buffer.
const ETHERNET: u32 = 14;
/// `skb->pkt_type` of a packet for this host (`linux/if_packet.h`).
const PACKET_HOST: u32 = 0;

pub(crate) struct TcFrame {
    skb: *mut __sk_buff,
    /// Bytes in front of the network header.
    link_header: u32,
}

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

/// A packet that the host's stack sends into a tunnel.
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
        Verdict::Foreign | Verdict::Pass(_) => NEXT,
        Verdict::Drop(_) | Verdict::Forward(Hop::Wire { .. }) => TC_ACT_SHOT,
        Verdict::Forward(Hop::Neighbour { ifindex }) => {
            // SAFETY: without parameters the helper resolves the next hop of the packet's own destination.
            unsafe { bpf_redirect_neigh(ifindex, core::ptr::null_mut(), 0, 0) as i32 }
        }
        Verdict::Forward(Hop::Stack { ifindex }) => {
            // SAFETY: the helper takes plain numbers.
            unsafe { bpf_redirect(ifindex, u64::from(BPF_F_INGRESS)) as i32 }
        }
    }
}

impl TcFrame {
    /// The linear part of the packet from its network header on.
    #[inline(always)]
    fn network(&self) -> Memory {
        // SAFETY: the context is valid. Read anew each time, because every change of the packet moves both ends.
        let (start, end) = unsafe { ((*self.skb).data as usize, (*self.skb).data_end as usize) };
        Memory { start: start + self.link_header as usize, end }
    }

    #[inline(always)]
    fn adjust_room(&mut self, by: i32, flags: u32) -> Result<(), Reason> {
        let flags = u64::from(BPF_F_ADJ_ROOM_FIXED_GSO | flags);
        // SAFETY: the context is valid.
        let code = unsafe { bpf_skb_adjust_room(self.skb, by, BPF_ADJ_ROOM_MAC, flags) };
        if code == 0 { Ok(()) } else { Err(Reason::NoRoom) }
    }
}

impl Frame for TcFrame {
    #[inline(always)]
    fn ethertype(&self) -> u16 {
        // SAFETY: the context is valid.
        u16::from_be(unsafe { (*self.skb).protocol } as u16)
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: the context is valid.
        unsafe { (*self.skb).len }.wrapping_sub(self.link_header)
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        // SAFETY: the context is valid.
        let segments = unsafe { (*self.skb).gso_segs };
        if segments == 0 { 1 } else { segments }
    }

    #[inline(always)]
    fn pull(&mut self, bytes: u32) {
        let network = self.network();
        let wanted = bytes.wrapping_add(self.link_header);
        // SAFETY: the context is valid.
        let length = unsafe { (*self.skb).len };
        let is_missing = network.start + bytes as usize > network.end;
        if is_missing && wanted <= length {
            // SAFETY: the context is valid; where the kernel has no memory, the read that follows fails.
            unsafe { bpf_skb_pull_data(self.skb, wanted) };
        }
    }

    #[inline(always)]
    fn byte(&self, at: u32) -> Option<u8> {
        self.network().read(at)
    }

    #[inline(always)]
    fn half(&self, at: u32) -> Option<u16> {
        self.network().read(at).map(u16::from_be)
    }

    #[inline(always)]
    fn words<const N: usize>(&self, at: u32) -> Option<[u32; N]> {
        self.network().words(at)
    }

    #[inline(always)]
    fn put_half(&mut self, at: u32, value: u16) -> Option<()> {
        self.network().write(at, value.to_be())
    }

    #[inline(always)]
    fn put_words<const N: usize>(&mut self, at: u32, values: [u32; N]) -> Option<()> {
        self.network().put_words(at, values)
    }

    #[inline(always)]
    fn mend_transport_sum(&mut self, checksum_at: u32, old: u16, new: u16) -> Option<()> {
        let at = self.link_header.wrapping_add(checksum_at);
        let (old, new) = (u64::from(old.to_be()), u64::from(new.to_be()));
        // SAFETY: the context is valid. The helper leaves a checksum alone that an offload will complete.
        let code = unsafe { bpf_l4_csum_replace(self.skb, at, old, new, size_of::<u16>() as u64) };
        (code == 0).then_some(())
    }

    #[inline(always)]
    fn trim(&mut self, length: u32) -> Result<(), Reason> {
        if self.length() == length {
            return Ok(());
        }
        // SAFETY: the context is valid.
        let code = unsafe { bpf_skb_change_tail(self.skb, length.wrapping_add(self.link_header), 0) };
        if code == 0 { Ok(()) } else { Err(Reason::Torn) }
    }

    #[inline(always)]
    fn push_front<const N: u32>(&mut self) -> Result<(), Reason> {
        if self.adjust_room(N as i32, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4).is_err() {
            // A packet that is already another tunnel's cannot be marked as encapsulated twice. Without
            // segmentation to come nothing depends on the mark.
            if self.segments() > 1 {
                return Err(Reason::NoRoom);
            }
            self.adjust_room(N as i32, 0)?;
        }
        if self.link_header == 0 {
            // SAFETY: the context is valid.
            if unsafe { bpf_skb_change_head(self.skb, ETHERNET, 0) } != 0 {
                return Err(Reason::Torn);
            }
            self.link_header = ETHERNET;
        }
        Ok(())
    }

    #[inline(always)]
    fn pull_front<const N: u32>(&mut self) -> Result<(), Reason> {
        self.adjust_room((N as i32).wrapping_neg(), 0)
    }

    #[inline(always)]
    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()> {
        match hop {
            // The kernel fills in the addresses; until then they are the zeros of `bpf_skb_change_head`.
            Hop::Neighbour { .. } => {
                let network = self.network();
                let link = Memory { start: network.start - ETHERNET as usize, end: network.end };
                link.write(12, ethertype.to_be())
            }
            Hop::Stack { .. } => Some(()),
            Hop::Wire { .. } => None,
        }
    }
}
