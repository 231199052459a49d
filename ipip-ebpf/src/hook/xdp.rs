//! XDP: a frame with its Ethernet header, straight from the driver.

use core::mem::offset_of;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{xdp_action, xdp_md},
    helpers::generated::{bpf_redirect, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use ipip_common::{
    abi::{Carried, Family, Reason},
    frame::{Frame, Raw},
    packet::checksum,
    path::known::{self, Known},
    verdict::{Hop, Verdict, Way},
};

use super::memory::Memory;
use crate::{
    env::{Stage, XdpEnv, XdpMemory},
    maps,
};

/// The packet goes on to the host's stack as it is.
pub(crate) const PASS: u32 = xdp_action::XDP_PASS;

/// Bytes of an Ethernet header without VLAN tags. A tagged frame is not ours here: it belongs to the VLAN
/// interface, whose own hooks see it.
const ETHERNET: usize = 14;

pub(crate) struct XdpFrame {
    ctx: *mut xdp_md,
    /// All of it that is directly readable.
    link: Memory,
}

/// The frame and its world. Whether the frame is for the port at all is still to be asked.
#[inline(always)]
pub(crate) fn start(ctx: &XdpContext, stage: Stage) -> Option<(XdpFrame, XdpEnv)> {
    let frame = XdpFrame::new(ctx.as_ptr().cast());
    let address = frame.link.read(0)?;
    Some((frame, XdpEnv::new(ctx.as_ptr().cast(), ctx.ingress_ifindex() as u32, address, stage)))
}

/// Carries the packet if its flow is known. `None`: the whole of tier 1 has to look at it.
#[inline(always)]
pub(crate) fn carry_known(ctx: &XdpContext, stage: Stage) -> Option<u32> {
    let ctx: *mut xdp_md = ctx.as_ptr().cast();
    // SAFETY: it is this program's.
    let memory = unsafe { XdpMemory::new(ctx) };
    match known::carry(&mut XdpFrame::new(ctx), &memory) {
        Known::Foreign => Some(PASS),
        Known::Carried(0) if stage == Stage::Port => Some(xdp_action::XDP_TX),
        // SAFETY: the context is valid, and the helper takes plain numbers.
        Known::Carried(0) => Some(unsafe { bpf_redirect((*ctx).ingress_ifindex, 0) as u32 }),
        // SAFETY: the helper takes plain numbers.
        Known::Carried(ifindex) => Some(unsafe { bpf_redirect(ifindex, 0) as u32 }),
        Known::HandOver(cpu) if stage == Stage::Port => Some(hand_over(cpu)),
        // A program behind a queue remembers no flow that is handed over.
        Known::Unknown | Known::NoRoom | Known::HandOver(_) => None,
        Known::Torn => Some(xdp_action::XDP_DROP),
    }
}

/// Carries out a verdict.
#[inline(always)]
pub(crate) fn finish(verdict: Verdict, env: &XdpEnv) -> u32 {
    match verdict {
        Verdict::Foreign | Verdict::Pass(_) => PASS,
        // Back where it came from: the driver has the frame already.
        Verdict::Forward(hop) if hop.way == Way::Wire && env.turns_around(hop.ifindex) => xdp_action::XDP_TX,
        // SAFETY: the helper takes plain numbers.
        Verdict::Forward(hop) if hop.way == Way::Wire => unsafe { bpf_redirect(hop.ifindex, 0) as u32 },
        Verdict::HandOver(cpu) => hand_over(cpu),
        Verdict::Drop(_) | Verdict::Taken | Verdict::Forward(_) => xdp_action::XDP_DROP,
    }
}

/// To the queue of another CPU; where it has none, to the stack, whose tier 2 decapsulates.
#[inline(always)]
fn hand_over(cpu: u32) -> u32 {
    maps::CPUS.redirect(cpu, u64::from(PASS)).unwrap_or_else(|action| action)
}

impl XdpFrame {
    #[inline(always)]
    fn new(ctx: *mut xdp_md) -> Self {
        Self { ctx, link: Self::look(ctx) }
    }

    /// The frame from its Ethernet header on.
    #[inline(always)]
    fn look(ctx: *mut xdp_md) -> Memory {
        const DATA: usize = offset_of!(xdp_md, data);
        const END: usize = offset_of!(xdp_md, data_end);
        // SAFETY: the context is valid for the program's whole run.
        unsafe { Memory::between::<_, DATA, END>(ctx) }
    }

    /// The frame from its network header on.
    #[inline(always)]
    fn network(&self) -> Memory {
        Memory { start: self.link.start + ETHERNET, end: self.link.end }
    }

    /// Bytes of it that are directly readable.
    #[inline(always)]
    fn readable(&self) -> u32 {
        (self.link.end.wrapping_sub(self.link.start)) as u32
    }

    #[inline(always)]
    fn move_head(&mut self, by: i32) -> Result<(), Reason> {
        // SAFETY: the context is valid.
        let code = unsafe { bpf_xdp_adjust_head(self.ctx, by) };
        // Moving the head or tail moves both ends.
        self.link = Self::look(self.ctx);
        if code == 0 { Ok(()) } else { Err(Reason::NoRoom) }
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn ethertype(&self) -> u16 {
        self.link.read::<u16>(12).map_or(0, u16::from_be)
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: the context is valid.
        let all = unsafe { bpf_xdp_get_buff_len(self.ctx) };
        (all as u32).wrapping_sub(ETHERNET as u32)
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        1
    }

    #[inline(always)]
    fn pull(&mut self, _bytes: u32) {}

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
        let field = self.half(checksum_at)?;
        self.put_half(checksum_at, checksum::update(field, old, new))
    }

    #[inline(always)]
    fn trim(&mut self, length: u32) -> Result<(), Reason> {
        // Padding fills up frames of 60 bytes: a packet that ends where the readable part ends is not followed by a
        // further part that holds nothing else.
        if self.readable() == length.wrapping_add(ETHERNET as u32) {
            return Ok(());
        }
        let padding = self.length().wrapping_sub(length);
        if padding == 0 {
            return Ok(());
        }
        // SAFETY: the context is valid.
        let code = unsafe { bpf_xdp_adjust_tail(self.ctx, (padding as i32).wrapping_neg()) };
        self.link = Self::look(self.ctx);
        if code == 0 { Ok(()) } else { Err(Reason::Torn) }
    }

    #[inline(always)]
    fn push_front(&mut self, bytes: u32, _family: Family) -> Result<(), Reason> {
        self.move_head((bytes as i32).wrapping_neg())
    }

    #[inline(always)]
    fn pull_front(&mut self, bytes: u32, _family: Family, _inner: Carried) -> Result<(), Reason> {
        self.move_head(bytes as i32)
    }

    #[inline(always)]
    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()> {
        if hop.way != Way::Wire {
            return None;
        }
        self.link.put_words(0, hop.link.words())?;
        self.link.write(12, ethertype.to_be())
    }
}

impl XdpFrame {
    #[inline(always)]
    fn get<T: Copy>(&self, at: usize) -> T {
        // SAFETY: the verifier lets no program in that reads where `has` has not looked. The programs' targets read
        // unaligned words; `read_unaligned` would read them byte by byte.
        unsafe { *((self.link.start + at) as *const T) }
    }

    #[inline(always)]
    fn put<T>(&mut self, at: usize, value: T) {
        // SAFETY: as in `get`.
        unsafe { *((self.link.start + at) as *mut T) = value };
    }
}

impl Raw for XdpFrame {
    #[inline(always)]
    fn has(&self, bytes: usize) -> bool {
        self.link.start + bytes <= self.link.end
    }

    #[inline(always)]
    fn linear(&self) -> u32 {
        self.readable()
    }

    #[inline(always)]
    fn get8(&self, at: usize) -> u8 {
        self.get(at)
    }

    #[inline(always)]
    fn get16(&self, at: usize) -> u16 {
        self.get(at)
    }

    #[inline(always)]
    fn get32(&self, at: usize) -> u32 {
        self.get(at)
    }

    #[inline(always)]
    fn get64(&self, at: usize) -> u64 {
        self.get(at)
    }

    #[inline(always)]
    fn put8(&mut self, at: usize, value: u8) {
        self.put(at, value);
    }

    #[inline(always)]
    fn put16(&mut self, at: usize, value: u16) {
        self.put(at, value);
    }

    #[inline(always)]
    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, value);
    }

    #[inline(always)]
    fn put64(&mut self, at: usize, value: u64) {
        self.put(at, value);
    }
}
