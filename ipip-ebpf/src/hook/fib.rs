//! `bpf_fib_lookup`: the kernel's routes, rules and neighbours.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{
        BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH,
        BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_SUCCESS,
    },
    helpers::generated::bpf_fib_lookup,
};
use ipip_common::{env::Ports, packet::ipv4::Ipv4};

const AF_INET: u64 = 2;
/// Interface index of the loopback device: where the host's own packets come from, for routing rules.
const LOOPBACK: u32 = 1;

/// `struct bpf_fib_lookup` as eight words: its unions and halves are put together here, and nowhere else.
#[repr(C, align(8))]
struct Request([u64; 8]);

/// What the kernel says of a packet.
pub(crate) enum Answer {
    /// Routed, and the neighbour is known.
    Known { ifindex: u32, destination: [u8; 6], source: [u8; 6] },
    /// Routed, but the neighbour is not known (a device without neighbours never has one).
    Routed { ifindex: u32 },
    /// Routed, but larger than the route's MTU.
    TooBig,
    /// For this host itself, or not to be forwarded to anywhere.
    NotForwarded,
    /// The ingress interface does not forward: the kernel gave no answer about the route.
    Disabled,
    /// Unreachable, prohibited, blackhole, or something that only the stack can do.
    None,
}

impl Request {
    #[inline(always)]
    fn new(ifindex: u32, header: &Ipv4, ports: Ports, length: u32) -> Self {
        let first = AF_INET
            | u64::from(header.protocol()) << 8
            | u64::from(ports.source.to_be()) << 16
            | u64::from(ports.destination.to_be()) << 32
            | u64::from(length as u16) << 48;
        let second = u64::from(ifindex) | u64::from(header.tos()) << 32;
        let (source, destination) = (header.source().to_be(), header.destination().to_be());
        // The last three words are the kernel's to write for an IPv4 lookup, and the helper only asks that they are
        // set. With zeros there, LLVM would clear them by a call to memset.
        Self([first, second, u64::from(source), 0, u64::from(destination), second, second, second])
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.0[1] as u32
    }

    /// Bytes 58 to 63: the neighbour's address.
    #[inline(always)]
    fn destination(&self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0[7].to_ne_bytes();
        [a, b, c, d, e, f]
    }

    /// Bytes 52 to 57: the interface's own address.
    #[inline(always)]
    fn source(&self) -> [u8; 6] {
        let [_, _, _, _, a, b, c, d] = self.0[6].to_ne_bytes();
        let [e, f, _, _, _, _, _, _] = self.0[7].to_ne_bytes();
        [a, b, c, d, e, f]
    }
}

/// The route of a packet that arrived on `ifindex`. `length`: total length for the check against the route's
/// MTU, 0 for none.
///
/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
pub(crate) unsafe fn route(
    ctx: *mut c_void,
    ifindex: u32,
    header: &Ipv4,
    ports: Ports,
    length: u32,
) -> Answer {
    let mut request = Request::new(ifindex, header, ports, length);
    // SAFETY: the caller vouches for ctx; the request is as long as the kernel's structure.
    let code = unsafe { bpf_fib_lookup(ctx, (&raw mut request).cast(), size_of::<Request>() as i32, 0) };
    match u32::try_from(code) {
        Ok(BPF_FIB_LKUP_RET_SUCCESS) => Answer::Known {
            ifindex: request.ifindex(),
            destination: request.destination(),
            source: request.source(),
        },
        Ok(BPF_FIB_LKUP_RET_NO_NEIGH) => Answer::Routed { ifindex: request.ifindex() },
        Ok(BPF_FIB_LKUP_RET_FRAG_NEEDED) => Answer::TooBig,
        Ok(BPF_FIB_LKUP_RET_NOT_FWDED) => Answer::NotForwarded,
        Ok(BPF_FIB_LKUP_RET_FWD_DISABLED) => Answer::Disabled,
        Ok(_) | Err(_) => Answer::None,
    }
}

/// The route of a packet that this host itself sends (an outer packet).
///
/// # Safety
/// `ctx` is the context of the running program.
#[inline(always)]
pub(crate) unsafe fn route_own(ctx: *mut c_void, header: &Ipv4, length: u32) -> Answer {
    // SAFETY: as the caller says.
    unsafe { route(ctx, LOOPBACK, header, Ports::default(), length) }
}
