//! Room in front of a packet, and what the kernel takes the packet for: the steps of `push_front` and `pull_front`.

use aya_ebpf::{
    bindings::{
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_FIXED_GSO,
        bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::generated::{
        bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_proto, bpf_skb_vlan_pop, bpf_skb_vlan_push,
    },
};
use ipip_common::{
    abi::{Carried, Reason},
    frame::Frame as _,
};

use super::frame::{ETHERNET, TcFrame};
use crate::hook::memory::Memory;

impl TcFrame {
    /// What the tunnel interface sends has no Ethernet header, which the way on needs.
    #[inline(always)]
    pub(super) fn push_link(&mut self) -> Result<(), Reason> {
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
    pub(super) fn push_front_of_labels(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.is_segmented() {
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
    pub(super) fn shrink(&mut self, bytes: u32, flags: u32) -> Result<(), Reason> {
        self.adjust_room((bytes as i32).wrapping_neg(), flags)
    }

    /// Takes an IPv6 header away from an IPv4 packet. Linux before 6.3 has no flag for it: the header becomes an IPv4
    /// one first, which is 20 bytes shorter.
    #[inline(always)]
    pub(super) fn shrink_to_v4(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.shrink(bytes, BPF_F_ADJ_ROOM_DECAP_L3_IPV4).is_ok() {
            return Ok(());
        }
        self.change_protocol(Carried::Ipv4)?;
        self.shrink(bytes.wrapping_sub(20), 0).map_err(|_| Reason::Torn)
    }

    /// The other way round.
    #[inline(always)]
    pub(super) fn shrink_to_v6(&mut self, bytes: u32) -> Result<(), Reason> {
        if self.shrink(bytes, BPF_F_ADJ_ROOM_DECAP_L3_IPV6).is_ok() {
            return Ok(());
        }
        self.change_protocol(Carried::Ipv6)?;
        self.shrink(bytes.wrapping_add(20), 0).map_err(|_| Reason::Torn)
    }

    #[inline(always)]
    pub(super) fn change_protocol(&mut self, to: Carried) -> Result<(), Reason> {
        // SAFETY: the context is valid.
        let code = unsafe { bpf_skb_change_proto(self.skb, to.ethertype().to_be(), 0) };
        if code == 0 { Ok(()) } else { Err(Reason::NoRoom) }
    }

    /// Makes the kernel take what stands behind the Ethernet header for this protocol. No helper sets it, but a VLAN
    /// tag that leaves the packet's bytes sets it to what stood behind the tag: so two are pushed (the first moves from
    /// the buffer into the bytes when the second comes) and popped again.
    #[inline(always)]
    pub(super) fn become_protocol(&mut self, ethertype: u16) -> Result<(), Reason> {
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
    pub(super) fn link(&self) -> Option<Memory> {
        let Memory { start, end } = self.network();
        if self.link_header == 0 { None } else { Some(Memory { start: start - ETHERNET as usize, end }) }
    }

    #[inline(always)]
    pub(super) fn put_ethertype(&self, ethertype: u16) -> Option<()> {
        self.link()?.write(12, ethertype.to_be())
    }

    #[inline(always)]
    pub(super) fn adjust_room(&mut self, by: i32, flags: u32) -> Result<(), Reason> {
        let flags = u64::from(BPF_F_ADJ_ROOM_FIXED_GSO | flags);
        // SAFETY: the context is valid.
        let code = unsafe { bpf_skb_adjust_room(self.skb, by, BPF_ADJ_ROOM_MAC, flags) };
        if code == 0 { Ok(()) } else { Err(Reason::NoRoom) }
    }
}
