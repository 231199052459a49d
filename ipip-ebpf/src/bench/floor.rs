//! The floors: move the head and write a constant header, and nothing else.

use aya_ebpf::{bindings::xdp_action, programs::XdpContext};

use super::packet::{move_head, put, redirect, start};

/// Any constants will do; these are not what a compiler could share between words.
const WORD: u64 = 0x0145_0008_0302_0102;

/// 20 bytes pushed, 34 written.
#[inline(always)]
fn push20(ctx: &XdpContext) -> u32 {
    if !move_head(ctx, -20) {
        return xdp_action::XDP_DROP;
    }
    let Some(start) = start(ctx, 34) else { return xdp_action::XDP_DROP };
    put(start, 0, WORD);
    put(start, 8, WORD + 1);
    put(start, 16, WORD + 2);
    put(start, 24, WORD + 3);
    put(start, 32, WORD as u16);
    xdp_action::XDP_TX
}

#[inline(never)]
pub(super) fn into20(ctx: &XdpContext) -> u32 {
    push20(ctx)
}

/// 40 bytes pushed, 54 written.
#[inline(never)]
pub(super) fn into40(ctx: &XdpContext) -> u32 {
    if !move_head(ctx, -40) {
        return xdp_action::XDP_DROP;
    }
    let Some(start) = start(ctx, 54) else { return xdp_action::XDP_DROP };
    put(start, 0, WORD);
    put(start, 8, WORD + 1);
    put(start, 16, WORD + 2);
    put(start, 24, WORD + 3);
    put(start, 32, WORD + 4);
    put(start, 40, WORD + 5);
    put(start, 48, WORD as u32);
    put(start, 52, WORD as u16);
    xdp_action::XDP_TX
}

/// The header of `bytes` pulled, 14 written.
#[inline(always)]
fn out(ctx: &XdpContext, bytes: i32) -> u32 {
    if !move_head(ctx, bytes) {
        return xdp_action::XDP_DROP;
    }
    let Some(start) = start(ctx, 14) else { return xdp_action::XDP_DROP };
    put(start, 0, WORD);
    put(start, 8, WORD as u32);
    put(start, 12, WORD as u16);
    xdp_action::XDP_TX
}

#[inline(never)]
pub(super) fn out20(ctx: &XdpContext) -> u32 {
    out(ctx, 20)
}

#[inline(never)]
pub(super) fn out40(ctx: &XdpContext) -> u32 {
    out(ctx, 40)
}

/// The same onto another port.
#[inline(always)]
fn onto(action: u32) -> u32 {
    if action == xdp_action::XDP_TX { redirect() } else { action }
}

#[inline(never)]
pub(super) fn into20_onto(ctx: &XdpContext) -> u32 {
    onto(push20(ctx))
}

#[inline(never)]
pub(super) fn out20_onto(ctx: &XdpContext) -> u32 {
    onto(out(ctx, 20))
}
