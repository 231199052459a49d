//! IPv6 extension headers, as far as a tunnel has to do with them: the Tunnel Encapsulation Limit option (RFC 2473
//! 4.1.1) in the inner packet, and the destination options header that brings it in the outer one.

use super::{
    cursor,
    ipv6::next_header::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING},
};
use crate::frame::Frame;

/// Bytes of a destination options header that holds the limit alone.
pub const LIMIT_HEADER: u32 = 8;

const PAD_1: u32 = 0;
const PAD_N: u32 = 1;
const ENCAPSULATION_LIMIT: u32 = 4;
/// Extension headers that are looked through. A packet with more of them is carried without a limit.
pub const MOST_HEADERS: u32 = 3;
/// Options of a header that are looked through.
pub const MOST_OPTIONS: u32 = 6;
/// The last byte that a header may begin at, counted from the first one's start, and an option from its header's.
pub const FARTHEST: u32 = 0x7f;

/// An encapsulation limit. That there is none is a value too (see [`super::mss::Clamp`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// No limit.
    pub const NONE: Self = Self(0x100);

    /// A limit of so many further encapsulations.
    #[must_use]
    #[inline(always)]
    pub const fn of(value: u8) -> Self {
        Self(value as u32)
    }

    /// Whether there is a limit.
    #[must_use]
    #[inline(always)]
    pub const fn is_set(self) -> bool {
        self.0 != Self::NONE.0
    }

    /// Whether the packet may not be encapsulated any more.
    #[must_use]
    #[inline(always)]
    pub const fn is_reached(self) -> bool {
        self.0 == 0
    }

    /// What the outer packet says: one less than the inner one, or what the tunnel is set to.
    #[must_use]
    #[inline(always)]
    pub const fn outer(self, configured: Self) -> Self {
        if self.is_set() { Self(self.0.wrapping_sub(1)) } else { configured }
    }

    /// The destination options header with the option, filled up with `PadN`, in front of the protocol `next`.
    #[must_use]
    #[inline(always)]
    pub const fn header(self, next: u8) -> [u32; 2] {
        let option = ENCAPSULATION_LIMIT << 8 | 1;
        [(next as u32) << 24 | option, (self.0 & 0xff) << 24 | PAD_N << 16 | 1 << 8]
    }
}

/// The limit that a packet carries whose first extension header, at `start`, is of the kind `first`. The search ends
/// at the option, and at anything that is not one of the headers that may come before it.
#[inline(always)]
pub fn find_limit(frame: &mut impl Frame, first: u8, start: u32) -> Limit {
    let mut kind = first;
    let mut at: u32 = 0;
    let mut headers: u32 = 0;
    while headers < MOST_HEADERS {
        if !matches!(kind, HOP_BY_HOP | ROUTING | DESTINATION | FRAGMENT) {
            return Limit::NONE;
        }
        let here = start.wrapping_add(at);
        frame.pull(here.wrapping_add(LIMIT_HEADER));
        let Some(both) = frame.half(here).map(u32::from) else { return Limit::NONE };
        // A later fragment goes on with any bytes, which are no header.
        if kind == FRAGMENT {
            let Some(offset) = frame.half(here.wrapping_add(2)) else { return Limit::NONE };
            if offset >> 3 != 0 {
                return Limit::NONE;
            }
        }
        let length = if kind == FRAGMENT { 8 } else { (both & 0xff).wrapping_add(1).wrapping_mul(8) };
        if kind == DESTINATION {
            frame.pull(here.wrapping_add(length));
            let limit = find_option(frame, here, length, both);
            if limit.is_set() {
                return limit;
            }
        }
        at = at.wrapping_add(length);
        if at > FARTHEST {
            return Limit::NONE;
        }
        at = cursor::forget(at, both) & FARTHEST;
        kind = (both >> 8) as u8;
        headers = headers.wrapping_add(1);
    }
    Limit::NONE
}

/// The limit among the options of the header of `length` bytes at `header`. `unknown` is for [`cursor::forget`].
#[inline(always)]
fn find_option(frame: &impl Frame, header: u32, length: u32, unknown: u32) -> Limit {
    let mut at: u32 = 2;
    let mut options: u32 = 0;
    while options < MOST_OPTIONS {
        if at > FARTHEST {
            return Limit::NONE;
        }
        at = cursor::forget(at, unknown) & FARTHEST;
        let here = header.wrapping_add(at);
        if at.wrapping_add(1) > length {
            return Limit::NONE;
        }
        let Some(kind) = frame.byte(here) else { return Limit::NONE };
        if u32::from(kind) == PAD_1 {
            at = at.wrapping_add(1);
        } else {
            let Some(size) = frame.byte(here.wrapping_add(1)) else { return Limit::NONE };
            let next = at.wrapping_add(2).wrapping_add(u32::from(size));
            if next > length {
                return Limit::NONE;
            }
            if u32::from(kind) == ENCAPSULATION_LIMIT && size == 1 {
                return frame.byte(here.wrapping_add(2)).map_or(Limit::NONE, Limit::of);
            }
            at = next;
        }
        options = options.wrapping_add(1);
    }
    Limit::NONE
}

/// Whether the two words of an outer destination options header hold nothing but the limit and padding: what a
/// decapsulator can skip without looking (RFC 2473 3.3). It says what follows it in its first byte.
#[must_use]
#[inline(always)]
pub const fn is_skippable([first, second]: [u32; 2]) -> bool {
    let is_short = first & 0xff_0000 == 0;
    let is_limit_first = first & 0xffff == ENCAPSULATION_LIMIT << 8 | 1;
    let rest = second & 0xff_ffff;
    let is_padded = rest >> 8 == PAD_N << 8 | 1 || rest == PAD_1;
    let is_padding = first & 0xffff == PAD_N << 8 | 4;
    is_short && (is_limit_first && is_padded || is_padding)
}
