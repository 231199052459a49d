//! The label stack above a flow, as the flow's key holds it.

use super::both;
use crate::packet::mpls::{BOTTOM_OF_STACK, LABEL_SHIFT};

/// All of a stack entry but its TTL, in host order.
const WITHOUT_TTL: u32 = 0xffff_ff00;

/// One or two stack entries (RFC 3032 2.1) without their TTLs, and the label that the packet leaves with. Labels, class
/// and depth decide about the way; the TTL differs between packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// As they stand in memory; zeros where there are none.
    entries: [u32; 2],
    out: u32,
}

impl Labels {
    /// Those of a packet that has none.
    pub const NONE: Self = Self { entries: [0; 2], out: 0 };

    /// `entries` in host order, the second one 0 where there is none; `out` is the label that replaces the top one.
    #[must_use]
    #[inline(always)]
    pub const fn new(entries: [u32; 2], out: u32) -> Self {
        let [first, second] = entries;
        Self {
            entries: [(first & WITHOUT_TTL).to_be(), (second & WITHOUT_TTL).to_be()],
            out: (out << LABEL_SHIFT).to_be(),
        }
    }

    /// A stack entry as it stands in memory, without its TTL.
    #[must_use]
    #[inline(always)]
    pub const fn entry(memory: u32) -> u32 {
        memory & WITHOUT_TTL.to_be()
    }

    /// Whether a stack entry as it stands in memory is the last one.
    #[must_use]
    #[inline(always)]
    pub const fn is_last(memory: u32) -> bool {
        memory & BOTTOM_OF_STACK.to_be() != 0
    }

    /// A stack entry as it stands in memory, with the label `out` ([`super::KnownFlow::out_label`]) and a TTL that is one
    /// less. The caller has seen that it is above 1.
    #[must_use]
    #[inline(always)]
    pub const fn forwarded(memory: u32, out: u32) -> u32 {
        // The TTL is the last byte in memory, the highest one here.
        (memory & 0xfff_u32.to_be() | out).wrapping_sub(1_u32.to_be())
    }

    /// The top entry.
    #[inline(always)]
    pub(super) const fn top(&self) -> u32 {
        self.entries[0]
    }

    /// Both entries as they follow each other in memory.
    #[inline(always)]
    pub(super) const fn key(&self) -> u64 {
        both(self.entries[0], self.entries[1])
    }

    /// The label that the packet leaves with.
    #[inline(always)]
    pub(super) const fn out(&self) -> u32 {
        self.out
    }

    /// Whether there are labels: one of the entries is the last one of the stack, and says so.
    #[inline(always)]
    pub(super) const fn are_some(&self) -> bool {
        self.entries[0] | self.entries[1] != 0
    }
}
