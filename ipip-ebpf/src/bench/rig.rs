//! The ends of a rig of interfaces: a generator of frames, a plain redirect, floors as routers, and a sink.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use super::{
    ARRIVED, floor,
    packet::{self, write_original},
};

/// Makes a fresh packet of each frame, whatever an earlier lap left in it, and sends it into the rig.
#[xdp(frags)]
#[inline(always)]
fn generate(ctx: XdpContext) -> u32 {
    if write_original::<8>(&ctx).is_none() { xdp_action::XDP_ABORTED } else { packet::redirect() }
}

/// The same for packets with two headers, of which routers change more.
#[xdp(frags)]
#[inline(always)]
fn generate_long(ctx: XdpContext) -> u32 {
    if write_original::<10>(&ctx).is_none() { xdp_action::XDP_ABORTED } else { packet::redirect() }
}

/// Sends a packet on as it is.
#[xdp(frags)]
#[inline(always)]
fn redirect(_ctx: XdpContext) -> u32 {
    packet::redirect()
}

#[xdp(frags)]
#[inline(always)]
fn push_redirect(ctx: XdpContext) -> u32 {
    floor::into20_onto(&ctx)
}

#[xdp(frags)]
#[inline(always)]
fn pull_redirect(ctx: XdpContext) -> u32 {
    floor::out20_onto(&ctx)
}

/// Keeps what comes back to the generator out of the rig.
#[xdp(frags)]
#[inline(always)]
fn ignore(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Counts what arrives.
#[xdp(frags)]
#[inline(always)]
fn sink(_ctx: XdpContext) -> u32 {
    count();
    xdp_action::XDP_DROP
}

/// The same for packets of the stack: behind the wire, or where they leave the router, which is the kernel at its best.
#[classifier]
#[inline(always)]
fn sink_packet(_ctx: TcContext) -> i32 {
    count();
    TC_ACT_SHOT
}

#[inline(always)]
pub(super) fn count() {
    if let Some(arrived) = ARRIVED.get_ptr_mut(0) {
        // SAFETY: the benchmark runs on one CPU.
        unsafe { *arrived = (*arrived).wrapping_add(1) };
    }
}
