//! TC: a socket buffer, which may be a segmentation-offload packet of up to 64 KiB.

use core::mem::offset_of;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_INGRESS, TC_ACT_SHOT, TC_ACT_UNSPEC,
        bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::generated::{
        bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh, bpf_skb_adjust_room, bpf_skb_change_head,
        bpf_skb_change_proto, bpf_skb_change_tail, bpf_skb_pull_data, bpf_skb_vlan_pop, bpf_skb_vlan_push,
    },
    programs::TcContext,
};
use ipip_common::{
    abi::{Carried, Family, Reason},
    frame::Frame,
    verdict::{Hop, Verdict, Way},
};

use super::memory::Memory;
use crate::{env::TcEnv, maps};

/// The packet goes on as it is, also to programs that stand behind this one.
pub(crate) const NEXT: i32 = TC_ACT_UNSPEC;

/// Bytes of an Ethernet header; VLAN tags stand outside of it in a socket buffer.
const ETHERNET: u32 = 14;
/// What `bpf_skb_adjust_room` leaves at least: an IPv4 header.
const LEAST_LEFT: u32 = 20;
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
        Verdict::Foreign | Verdict::Pass(_) => NEXT,
        Verdict::Drop(_) => TC_ACT_SHOT,
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

impl TcFrame {
    /// The linear part of the packet from its network header on.
    #[inline(always)]
    fn network(&self) -> Memory {
        const DATA: usize = offset_of!(__sk_buff, data);
        const END: usize = offset_of!(__sk_buff, data_end);
        // SAFETY: the context is valid. Read anew each time, because every change of the packet moves both ends.
        let Memory { start, end } = unsafe { Memory::between::<_, DATA, END>(self.skb) };
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

/// Steps of `push_front` and `pull_front`.
impl TcFrame {
    /// What the tunnel interface sends has no Ethernet header, which the way on needs.
    #[inline(always)]
    fn push_link(&mut self) -> Result<(), Reason> {
        if self.link_header == 0 {
            // SAFETY: the context is valid.
            if unsafe { bpf_skb_change_head(self.skb, ETHERNET, 0) } != 0 {
                return Err(Reason::Torn);
            }
            self.link_header = ETHERNET;
        }
        Ok(())
    }

    /// `bpf_skb_adjust_room` knows IP only. In front of labels the room for both headers is made at once, and the
    /// Ethernet header, if there is one, moves along.
    #[inline(always)]
    fn push_front_of_labels(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.segments() > 1 {
            return Err(Reason::NoRoom);
        }
        let room = bytes.wrapping_add(ETHERNET).wrapping_sub(self.link_header);
        // SAFETY: the context is valid.
        if unsafe { bpf_skb_change_head(self.skb, room, 0) } != 0 {
            return Err(Reason::NoRoom);
        }
        self.link_header = ETHERNET;
        Ok(())
    }

    #[inline(always)]
    fn shrink(&mut self, bytes: u32, flags: u32) -> Result<(), Reason> {
        self.adjust_room((bytes as i32).wrapping_neg(), flags)
    }

    /// Takes an IPv6 header away from an IPv4 packet. Linux before 6.3 has no flag for it: the header becomes an IPv4
    /// one first, which is 20 bytes shorter.
    #[inline(always)]
    fn shrink_to_v4(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.shrink(bytes, BPF_F_ADJ_ROOM_DECAP_L3_IPV4).is_ok() {
            return Ok(());
        }
        self.change_protocol(Carried::Ipv4)?;
        self.shrink(bytes.wrapping_sub(20), 0).map_err(|_| Reason::Torn)
    }

    /// The other way round.
    #[inline(always)]
    fn shrink_to_v6(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.shrink(bytes, BPF_F_ADJ_ROOM_DECAP_L3_IPV6).is_ok() {
            return Ok(());
        }
        self.change_protocol(Carried::Ipv6)?;
        self.shrink(bytes.wrapping_add(20), 0).map_err(|_| Reason::Torn)
    }

    #[inline(always)]
    fn change_protocol(&mut self, to: Carried) -> Result<(), Reason> {
        // SAFETY: the context is valid.
        let code = unsafe { bpf_skb_change_proto(self.skb, to.ethertype().to_be(), 0) };
        if code == 0 { Ok(()) } else { Err(Reason::NoRoom) }
    }

    /// Makes the kernel take what stands behind the Ethernet header for this protocol. No helper sets it, but a VLAN
    /// tag that leaves the packet's bytes sets it to what stood behind the tag: so two are pushed (the first moves from
    /// the buffer into the bytes when the second comes) and popped again.
    #[inline(always)]
    fn become_protocol(&mut self, ethertype: u16) -> Result<(), Reason> {
        const TAG_PROTOCOL: u16 = 0x8100;
        if self.ethertype() == ethertype {
            return Ok(());
        }
        self.put_ethertype(ethertype).ok_or(Reason::Torn)?;
        for _ in 0..2 {
            // SAFETY: the context is valid.
            if unsafe { bpf_skb_vlan_push(self.skb, TAG_PROTOCOL.to_be(), 1) } != 0 {
                return Err(Reason::Torn);
            }
        }
        for _ in 0..2 {
            // SAFETY: the context is valid.
            if unsafe { bpf_skb_vlan_pop(self.skb) } != 0 {
                return Err(Reason::Torn);
            }
        }
        Ok(())
    }

    /// The Ethernet header, if there is one.
    #[inline(always)]
    fn link(&self) -> Option<Memory> {
        let Memory { start, end } = self.network();
        if self.link_header == 0 { None } else { Some(Memory { start: start - ETHERNET as usize, end }) }
    }

    #[inline(always)]
    fn put_ethertype(&self, ethertype: u16) -> Option<()> {
        self.link()?.write(12, ethertype.to_be())
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
    fn push_front(&mut self, bytes: u32, family: Family) -> Result<(), Reason> {
        if self.ethertype() == Carried::Mpls.ethertype() {
            return self.push_front_of_labels(bytes);
        }
        let mark = match family {
            Family::V4 => BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
            Family::V6 => BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
        };
        if self.adjust_room(bytes as i32, mark).is_err() {
            // A packet that is already another tunnel's cannot be marked as encapsulated twice. Without segmentation
            // to come nothing depends on the mark, but for the protocol that goes with it.
            if self.segments() > 1 {
                return Err(Reason::NoRoom);
            }
            self.adjust_room(bytes as i32, 0)?;
            self.push_link()?;
            return self.become_protocol(family.ethertype());
        }
        self.push_link()
    }

    #[inline(always)]
    fn pull_front(&mut self, bytes: u32, family: Family, inner: Carried) -> Result<(), Reason> {
        match (family, inner) {
            (Family::V4, Carried::Ipv4) | (Family::V6, Carried::Ipv6) => self.shrink(bytes, 0),
            (Family::V4, Carried::Ipv6) => self.shrink_to_v6(bytes),
            (Family::V6, Carried::Ipv4) => self.shrink_to_v4(bytes),
            // Only a packet with an Ethernet header can become a labelled one.
            (Family::V4 | Family::V6, Carried::Mpls) if self.link_header == 0 => Err(Reason::NoRoom),
            (Family::V4, Carried::Mpls) => {
                self.shrink(bytes, 0)?;
                self.become_protocol(inner.ethertype())
            }
            (Family::V6, Carried::Mpls) => {
                // The kernel takes nothing away that leaves less than an IPv4 header, whatever it is to be. The second
                // try would find that out with the packet changed.
                if self.length() < bytes.wrapping_add(LEAST_LEFT) {
                    return Err(Reason::NoRoom);
                }
                self.shrink_to_v4(bytes)?;
                self.become_protocol(inner.ethertype())
            }
        }
    }

    #[inline(always)]
    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()> {
        match hop.way {
            // The kernel fills in the addresses; until then they are the zeros of `bpf_skb_change_head`.
            Way::Neighbour => {
                self.push_link().ok()?;
                self.put_ethertype(ethertype)
            }
            Way::Stack => Some(()),
            Way::Wire => {
                self.link()?.put_words(0, hop.link.words())?;
                self.put_ethertype(ethertype)
            }
        }
    }
}
