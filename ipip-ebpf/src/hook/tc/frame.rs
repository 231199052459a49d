//! A socket buffer as a frame.

use core::mem::offset_of;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6},
    helpers::generated::{bpf_l4_csum_replace, bpf_skb_change_tail, bpf_skb_pull_data},
};
use ipip_common::{
    abi::{Carried, Family, Reason},
    frame::Frame,
    packet::cursor,
    verdict::{Hop, Way},
};

use crate::hook::memory::Memory;

/// Bytes of an Ethernet header; VLAN tags stand outside of it in a socket buffer.
pub(super) const ETHERNET: u32 = 14;
/// What `bpf_skb_adjust_room` leaves at least: an IPv4 header.
const LEAST_LEFT: u32 = 20;

/// Bytes of the headers in front of a segment's payload, where segments are estimated: IPv4, and TCP with timestamps.
const HEADERS: u32 = 52;
/// Stand in `skb->tc_index` of a segmentation-offload packet that one of our programs has taken an outer header from or given
/// one, and say of which family it was. The kernel keeps that in the kind of segmentation, where no program sees it.
const MARK_V4: u16 = 0x6934;
const MARK_V6: u16 = 0x6936;

const fn mark(family: Family) -> u16 {
    match family {
        Family::V4 => MARK_V4,
        Family::V6 => MARK_V6,
    }
}

pub(crate) struct TcFrame {
    pub(super) skb: *mut __sk_buff,
    /// Bytes in front of the network header.
    pub(super) link_header: u32,
}

impl TcFrame {
    /// The linear part of the packet from its network header on.
    #[inline(always)]
    pub(super) fn network(&self) -> Memory {
        const DATA: usize = offset_of!(__sk_buff, data);
        const END: usize = offset_of!(__sk_buff, data_end);
        // SAFETY: the context is valid. Read anew each time, because every change of the packet moves both ends.
        let Memory { start, end } = unsafe { Memory::between::<_, DATA, END>(self.skb) };
        Memory { start: start + self.link_header as usize, end }
    }

    /// Whether segmentation is still to come.
    #[inline(always)]
    pub(super) fn is_segmented(&self) -> bool {
        // SAFETY: the context is valid.
        unsafe { (*self.skb).gso_size != 0 }
    }

    #[inline(always)]
    fn mark(&self) -> u16 {
        // SAFETY: the context is valid.
        (unsafe { (*self.skb).tc_index }) as u16
    }

    #[inline(always)]
    fn put_mark(&mut self, mark: u16) {
        // SAFETY: the context is valid, and programs of this kind may write this field.
        unsafe { (*self.skb).tc_index = u32::from(mark) };
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
        let (size, segments) = unsafe { ((*self.skb).gso_size, (*self.skb).gso_segs) };
        // Not counted yet in what a virtual machine sent or a program has changed; Linux 6.19 does so on egress.
        let is_uncounted = segments == 0 && size != 0;
        let counted = if is_uncounted {
            self.length().saturating_sub(HEADERS).wrapping_add(size).wrapping_sub(1) / size
        } else {
            segments
        };
        // One way for the verifier, and not one for each of the three.
        cursor::forget(if counted == 0 { 1 } else { counted }, size)
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
        let encapsulated = match family {
            Family::V4 => BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
            Family::V6 => BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
        };
        let is_segmented = self.is_segmented();
        if self.adjust_room(bytes as i32, encapsulated).is_err() {
            // A packet that is another tunnel's, or has been, cannot be marked as encapsulated twice. Without segmentation
            // to come nothing depends on the mark, but for the protocol that goes with it. With it, the mark must be the
            // same; the kernel still knows where the innermost headers are, and all between them is pushed to each segment.
            if is_segmented && self.mark() != mark(family) {
                return Err(Reason::NoRoom);
            }
            self.adjust_room(bytes as i32, 0)?;
            self.push_link()?;
            return self.become_protocol(family.ethertype());
        }
        if is_segmented {
            self.put_mark(mark(family));
        }
        self.push_link()
    }

    #[inline(always)]
    fn pull_front(&mut self, bytes: u32, family: Family, inner: Carried) -> Result<(), Reason> {
        if self.is_segmented() {
            self.put_mark(mark(family));
        }
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
