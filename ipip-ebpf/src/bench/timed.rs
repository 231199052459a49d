//! Wrappers: what is measured, as a function, and then the packet put back.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

use super::{
    floor,
    packet::{next_key, put_back, setting, vary},
    rig::count,
};
use crate::{maps, programs};

/// Words that encapsulation changes: the Ethernet header, and the beginning of the inner one with its TTL.
const INTO: usize = 4;
/// Words that decapsulation changes: both headers up to the inner TTL, and what the new Ethernet header covers.
const OUT: usize = 9;
/// Where an IPv4 destination stands behind an Ethernet header, and the checksum of its header.
const DESTINATION: usize = 30;
const SOURCE: usize = 26;
const CHECKSUM: usize = 24;

#[inline(never)]
fn nothing(_ctx: &XdpContext) -> u32 {
    core::hint::black_box(xdp_action::XDP_TX)
}

/// The program that is on the ports.
#[inline(never)]
fn port(ctx: &XdpContext) -> u32 {
    programs::port(ctx)
}

/// What it said, with the packet as it was before. Anything but on its way is a failure of the measurement.
#[inline(always)]
fn again<const N: usize>(ctx: &XdpContext, action: u32, by: i32) -> u32 {
    if action != xdp_action::XDP_TX && action != xdp_action::XDP_REDIRECT {
        return xdp_action::XDP_ABORTED;
    }
    if put_back::<N>(ctx, by).is_none() { xdp_action::XDP_ABORTED } else { action }
}

#[inline(always)]
fn undo() -> i32 {
    setting().map_or(0, |setting| setting.undo)
}

/// No way at all, looked up as the others' way back is: what is measured is less by that too.
#[inline(always)]
fn stay() -> i32 {
    setting().map_or(0, |setting| setting.stay)
}

#[xdp(frags)]
#[inline(always)]
fn base_into(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    again::<INTO>(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn base_out(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    again::<OUT>(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn floor_into20(ctx: XdpContext) -> u32 {
    let action = floor::into20(&ctx);
    again::<INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn floor_into40(ctx: XdpContext) -> u32 {
    let action = floor::into40(&ctx);
    again::<INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn floor_out20(ctx: XdpContext) -> u32 {
    let action = floor::out20(&ctx);
    again::<OUT>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn floor_out40(ctx: XdpContext) -> u32 {
    let action = floor::out40(&ctx);
    again::<OUT>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn onto_into20(ctx: XdpContext) -> u32 {
    let action = floor::into20_onto(&ctx);
    again::<INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn onto_out20(ctx: XdpContext) -> u32 {
    let action = floor::out20_onto(&ctx);
    again::<OUT>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn port_into(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    again::<INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn port_out(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    again::<OUT>(&ctx, action, undo())
}

/// Words of a handshake with its options, which change too.
const SYN_INTO: usize = 9;
const SYN_OUT: usize = 11;

#[xdp(frags)]
#[inline(always)]
fn base_syn_into(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    again::<SYN_INTO>(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn base_syn_out(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    again::<SYN_OUT>(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn syn_into(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    again::<SYN_INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn syn_out(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    again::<SYN_OUT>(&ctx, action, undo())
}

/// Each packet is the first of its flow.
#[xdp(frags)]
#[inline(always)]
fn miss_into(ctx: XdpContext) -> u32 {
    maps::GENERATION.raise();
    let action = port(&ctx);
    again::<INTO>(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn miss_out(ctx: XdpContext) -> u32 {
    maps::GENERATION.raise();
    let action = port(&ctx);
    again::<OUT>(&ctx, action, undo())
}

/// Counts a packet that is carried, and says how far its head has to be moved back. One in 65,536 addresses makes the
/// checksum look like one that is left to an offload, so that its packet passes.
#[inline(always)]
fn counted(action: u32, by: i32) -> i32 {
    if action != xdp_action::XDP_TX && action != xdp_action::XDP_REDIRECT {
        return 0;
    }
    count();
    by
}

/// Writes the next of many destinations into an IPv4 packet that is to be encapsulated.
#[inline(always)]
fn next_into(ctx: &XdpContext, action: u32, by: i32) -> u32 {
    let by = counted(action, by);
    let (Some(start), Some(key)) = (put_back::<5>(ctx, by), next_key()) else {
        return xdp_action::XDP_ABORTED;
    };
    vary(start, key, DESTINATION, CHECKSUM);
    xdp_action::XDP_TX
}

/// Writes the next of many sources into both headers of a packet that is to be decapsulated: each tunnel has its flow.
#[inline(always)]
fn next_out(ctx: &XdpContext, action: u32, by: i32) -> u32 {
    let by = counted(action, by);
    let (Some(start), Some(key)) = (put_back::<OUT>(ctx, by), next_key()) else {
        return xdp_action::XDP_ABORTED;
    };
    vary(start, key, SOURCE, CHECKSUM);
    vary(start, key, SOURCE + 20, CHECKSUM + 20);
    xdp_action::XDP_TX
}

#[xdp(frags)]
#[inline(always)]
fn base_many_into(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    next_into(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn base_many_out(ctx: XdpContext) -> u32 {
    let action = nothing(&ctx);
    next_out(&ctx, action, stay())
}

#[xdp(frags)]
#[inline(always)]
fn many_into(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    next_into(&ctx, action, undo())
}

#[xdp(frags)]
#[inline(always)]
fn many_out(ctx: XdpContext) -> u32 {
    let action = port(&ctx);
    next_out(&ctx, action, undo())
}
