//! The benchmark's program for the kernel's lightweight tunnels (`ip route ... encap bpf xmit`): the kernel forwards, and the
//! program puts a constant IPv4 header in front. An object of its own, which iproute2 loads.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod ending;

#[cfg(target_arch = "bpf")]
mod program {
    use core::ffi::c_void;

    use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_lwt_push_encap};

    /// `BPF_LWT_ENCAP_IP` (linux/bpf.h): an outer IP header.
    const ENCAP_IP: u32 = 2;
    /// `BPF_LWT_REROUTE`: the outer packet is routed anew.
    const REROUTE: i32 = 128;
    /// `BPF_DROP`.
    const DROP: i32 = 2;
    const HEADER: u32 = 20;

    #[unsafe(no_mangle)]
    #[unsafe(link_section = "lwt_xmit")]
    extern "C" fn lwt_push(ctx: *mut __sk_buff) -> i32 {
        // SAFETY: the context is the kernel's.
        let length = unsafe { (*ctx).len } + HEADER;
        // 192.0.2.1 to 198.51.100.2, protocol 4, TTL 64; the kernel fills in the checksum.
        let mut words: [u32; 5] =
            [0x4500_0000 | length & 0xffff, 0, 0x4004_0000, 0xc000_0201, 0xc633_6402].map(u32::to_be);
        // SAFETY: the header is as long as it says.
        let code = unsafe { bpf_lwt_push_encap(ctx, ENCAP_IP, (&raw mut words).cast::<c_void>(), HEADER) };
        if code == 0 { REROUTE } else { DROP }
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
