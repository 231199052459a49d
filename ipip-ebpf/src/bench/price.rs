//! What the helpers cost that the fast path does without.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{bpf_fib_lookup as FibRequest, xdp_action, xdp_md},
    helpers::generated::bpf_fib_lookup,
    macros::xdp,
    programs::XdpContext,
};

use super::{
    PRICE, SEED,
    packet::{get, move_head, setting, start},
};

/// A hash lookup of one of many keys.
#[xdp(frags)]
#[inline(always)]
fn price_hash(ctx: XdpContext) -> u32 {
    let Some(setting) = setting() else { return xdp_action::XDP_ABORTED };
    let key = (SEED.next() >> 8) & setting.mask;
    // SAFETY: nobody changes the value.
    let found = unsafe { PRICE.get(key) };
    if found.is_none() || !move_head(&ctx, 0) { xdp_action::XDP_ABORTED } else { xdp_action::XDP_TX }
}

/// The same without the lookup.
#[xdp(frags)]
#[inline(always)]
fn price_none(ctx: XdpContext) -> u32 {
    let Some(setting) = setting() else { return xdp_action::XDP_ABORTED };
    let key = (SEED.next() >> 8) & setting.mask;
    let is_none = core::hint::black_box(key) > setting.mask;
    if is_none || !move_head(&ctx, 0) { xdp_action::XDP_ABORTED } else { xdp_action::XDP_TX }
}

/// A lookup of the route to one of many destinations, next to the one in the packet.
#[xdp(frags)]
#[inline(always)]
fn price_fib(ctx: XdpContext) -> u32 {
    let Some(setting) = setting() else { return xdp_action::XDP_ABORTED };
    let key = (SEED.next() >> 8) & setting.mask;
    let Some(start) = start(&ctx, 34) else { return xdp_action::XDP_ABORTED };
    let destination = u32::from_be(get(start, 30)).wrapping_add(key).to_be();
    let context: *mut xdp_md = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the program's whole run.
    let ifindex = unsafe { (*context).ingress_ifindex };
    let source: u32 = get(start, 26);
    // `struct bpf_fib_lookup` in words: family, ifindex, source and destination.
    let second = u64::from(ifindex);
    let mut request = [2, second, u64::from(source), second, u64::from(destination), second, second, second];
    let place: *mut FibRequest = (&raw mut request).cast();
    // SAFETY: the request is as long as the kernel's structure.
    let code = unsafe { bpf_fib_lookup(ctx.as_ptr(), place, size_of::<FibRequest>() as i32, 0) };
    if code < 0 || !move_head(&ctx, 0) { xdp_action::XDP_ABORTED } else { xdp_action::XDP_TX }
}
