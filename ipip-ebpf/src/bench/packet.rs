//! The packet's memory: bounds, and putting it back.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{xdp_action, xdp_md},
    helpers::generated::{bpf_redirect, bpf_xdp_adjust_head},
    programs::XdpContext,
};

use super::{ORIGINAL, SEED, SETTING, Setting};

/// Where the frame starts, if it has `bytes`.
#[inline(always)]
pub(super) fn start(ctx: &XdpContext, bytes: usize) -> Option<*mut u8> {
    if ctx.data() + bytes > ctx.data_end() { None } else { Some(ctx.data() as *mut u8) }
}

#[inline(always)]
pub(super) fn move_head(ctx: &XdpContext, by: i32) -> bool {
    let ctx: *mut xdp_md = ctx.as_ptr().cast();
    // SAFETY: it is the context of the running program.
    unsafe { bpf_xdp_adjust_head(ctx, by) == 0 }
}

#[inline(always)]
pub(super) fn setting() -> Option<&'static Setting> {
    SETTING.get(0)
}

#[inline(always)]
pub(super) fn put<T>(start: *mut u8, at: usize, value: T) {
    // SAFETY: the callers have looked at the frame's end, and the verifier has looked at the callers.
    unsafe { *start.add(at).cast::<T>() = value }
}

#[inline(always)]
pub(super) fn get<T: Copy>(start: *mut u8, at: usize) -> T {
    // SAFETY: as in `put`.
    unsafe { *start.add(at).cast::<T>() }
}

/// Moves the head back and writes the first `8 * N` bytes of the original.
#[inline(always)]
pub(super) fn put_back<const N: usize>(ctx: &XdpContext, by: i32) -> Option<*mut u8> {
    if !move_head(ctx, by) {
        return None;
    }
    write_original::<N>(ctx)
}

/// Writes the first `8 * N` bytes of the original.
#[inline(always)]
pub(super) fn write_original<const N: usize>(ctx: &XdpContext) -> Option<*mut u8> {
    let start = start(ctx, 8 * N)?;
    let original = ORIGINAL.get(0)?;
    let mut at = 0;
    while at < N {
        put(start, 8 * at, original.words[at]);
        at += 1;
    }
    Some(start)
}

/// Sends the packet to the interface of the setting.
#[inline(always)]
pub(super) fn redirect() -> u32 {
    let Some(setting) = setting() else { return xdp_action::XDP_ABORTED };
    // SAFETY: the helper takes plain numbers.
    unsafe { bpf_redirect(setting.ifindex, 0) as u32 }
}

/// The next of the keys that are gone through. The upper bits of such a generator are the random ones.
#[inline(always)]
pub(super) fn next_key() -> Option<u32> {
    Some((SEED.next() >> 8) & setting()?.mask)
}

/// Adds a key to the IPv4 address at `at`, and mends the checksum of its header at `checksum_at`. The base wrapper does
/// the same.
#[inline(always)]
pub(super) fn vary(start: *mut u8, key: u32, at: usize, checksum_at: usize) {
    use ipip_common::packet::checksum::update;
    let old = u32::from_be(get(start, at));
    let new = old.wrapping_add(key);
    put(start, at, new.to_be());
    let sum = u16::from_be(get(start, checksum_at));
    let sum = update(sum, (old >> 16) as u16, (new >> 16) as u16);
    put(start, checksum_at, update(sum, old as u16, new as u16).to_be());
}
