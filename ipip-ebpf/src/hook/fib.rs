//! `bpf_fib_lookup`: the kernel's routes, rules and neighbours.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{
        BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH,
        BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_SUCCESS, BPF_FIB_LOOKUP_DIRECT, BPF_FIB_LOOKUP_OUTPUT,
    },
    helpers::generated::bpf_fib_lookup,
};
use ipip_common::{
    abi::{Family, LabelEntry},
    packet::flow::{Flow, Ports},
    verdict::Link,
};

/// Interface index of the loopback device: where the host's own packets come from, for routing rules.
const LOOPBACK: u32 = 1;

/// `struct bpf_fib_lookup` as eight words: its unions and halves are put together here, and nowhere else.
#[repr(C, align(8))]
struct Request([u64; 8]);

/// What the kernel says of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Routed, and the neighbour is known.
    Known,
    /// Routed, but the neighbour is not known (a device without neighbours never has one).
    Routed,
    /// Routed, but larger than the route's MTU.
    TooBig,
    /// For this host itself, or not to be forwarded to anywhere.
    NotForwarded,
    /// The ingress interface does not forward: the kernel gave no answer about the route.
    Disabled,
    /// Unreachable, prohibited, blackhole, or something that only the stack can do.
    None,
}

/// The kernel's answer. All fields are set whatever it is, as those of [`ipip_common::verdict::Hop`].
pub(crate) struct Answer {
    pub(crate) found: Found,
    /// The interface that it leaves by, where it is routed.
    pub(crate) ifindex: u32,
    /// Ethernet addresses, where the neighbour is known.
    pub(crate) link: Link,
    /// The route's MTU, bytes, where the kernel's own check of it was passed.
    pub(crate) mtu: u32,
}

impl Answer {
    /// Whether it leaves by an interface.
    #[inline(always)]
    pub(crate) fn is_routed(&self) -> bool {
        matches!(self.found, Found::Known | Found::Routed)
    }
}

impl Request {
    #[inline(always)]
    fn new(ifindex: u32, flow: &Flow, label: u32, length: u32) -> Self {
        let first = flow.family as u64
            | u64::from(flow.protocol) << 8
            | u64::from(flow.ports.source.to_be()) << 16
            | u64::from(flow.ports.destination.to_be()) << 32
            | u64::from(length as u16) << 48;
        // An IPv4 ToS byte, or the IPv6 traffic class and flow label as they stand in the header.
        let class = match flow.family {
            Family::V4 => u32::from(flow.tos),
            Family::V6 => (u32::from(flow.tos) << 20 | label).to_be(),
        };
        let second = u64::from(ifindex) | u64::from(class) << 32;
        let [a, b] = address(flow.family, flow.source);
        let [c, d] = address(flow.family, flow.destination);
        // The last two words are the kernel's to write, and the helper only asks that they are set. With zeros there,
        // LLVM would clear them by a call to memset.
        Self([first, second, a, b, c, d, second, second])
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.0[1] as u32
    }

    /// The MTU that the kernel writes where the length was.
    #[inline(always)]
    fn mtu(&self) -> u32 {
        (self.0[0] >> 48) as u32
    }

    /// The addresses of the neighbour, bytes 58 to 63, and of the interface itself, bytes 52 to 57.
    #[inline(always)]
    fn link(&self) -> Link {
        let (first, last) = (u64::from_be(self.0[6]), u64::from_be(self.0[7]));
        let source_end = last >> 48;
        Link::from_words([
            (last >> 16) as u32,
            (last << 16) as u32 | (first >> 16) as u32 & 0xffff,
            (first << 16) as u32 | source_end as u32,
        ])
    }
}

/// An address as the request has it: in wire order. What follows an IPv4 address is not looked at.
#[inline(always)]
fn address(family: Family, [a, b, c, d]: [u32; 4]) -> [u64; 2] {
    let first = u64::from(a.to_be());
    match family {
        Family::V4 => [first, first],
        Family::V6 => [first | u64::from(b.to_be()) << 32, u64::from(c.to_be()) | u64::from(d.to_be()) << 32],
    }
}

/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
unsafe fn ask(ctx: *mut c_void, mut request: Request, flags: u32) -> Answer {
    // SAFETY: the caller vouches for ctx; the request is as long as the kernel's structure.
    let code = unsafe { bpf_fib_lookup(ctx, (&raw mut request).cast(), size_of::<Request>() as i32, flags) };
    let found = match u32::try_from(code) {
        Ok(BPF_FIB_LKUP_RET_SUCCESS) => Found::Known,
        Ok(BPF_FIB_LKUP_RET_NO_NEIGH) => Found::Routed,
        Ok(BPF_FIB_LKUP_RET_FRAG_NEEDED) => Found::TooBig,
        Ok(BPF_FIB_LKUP_RET_NOT_FWDED) => Found::NotForwarded,
        Ok(BPF_FIB_LKUP_RET_FWD_DISABLED) => Found::Disabled,
        Ok(_) | Err(_) => Found::None,
    };
    Answer { found, ifindex: request.ifindex(), link: request.link(), mtu: request.mtu() }
}

/// The route of a packet that arrived on `ifindex`. `length`: total length for the check against the route's
/// MTU, 0 for none.
///
/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
pub(crate) unsafe fn route(ctx: *mut c_void, ifindex: u32, flow: &Flow, length: u32) -> Answer {
    // SAFETY: as the caller says.
    unsafe { ask(ctx, Request::new(ifindex, flow, 0, length), 0) }
}

/// The route of a packet that this host itself sends (an outer packet), with its flow label.
///
/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
pub(crate) unsafe fn route_own(ctx: *mut c_void, flow: &Flow, label: u32, length: u32) -> Answer {
    // SAFETY: as the caller says.
    unsafe { ask(ctx, Request::new(LOOPBACK, flow, label, length), 0) }
}

/// The way to the neighbour that a label leads to. Routing rules have no say: the label route names the interface.
///
/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
pub(crate) unsafe fn neighbour(ctx: *mut c_void, entry: &LabelEntry, length: u32) -> Answer {
    let flow = Flow {
        family: entry.family(),
        // Not looked at: no rule has a say. Zeros would be cleared by a call to memset.
        source: entry.via(),
        destination: entry.via(),
        protocol: 0,
        tos: 0,
        ports: Ports::default(),
    };
    let request = Request::new(entry.ifindex(), &flow, 0, length);
    // SAFETY: as the caller says.
    unsafe { ask(ctx, request, BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_OUTPUT) }
}
