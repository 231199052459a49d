//! Where an MPLS label leads: tier 1's copy of the kernel's label routes that only swap.

use core::net::IpAddr;

use bytemuck::{Pod, Zeroable};

use super::{Family, ends::words};

/// The largest label (RFC 3032 2.1: 20 bits).
pub const MAX_LABEL: u32 = (1 << 20) - 1;

/// Value of the map `LABELS`: the label that replaces the incoming one, and where the packet goes: into a tunnel,
/// or to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct LabelEntry {
    out: u32,
    tunnel: u32,
    ifindex: u32,
    family: u32,
    via: [u32; 4],
}

const _: () = assert!(size_of::<LabelEntry>() == 32);

impl LabelEntry {
    /// The packet goes into the tunnel with this ID, under the label `out`.
    #[must_use]
    pub const fn into_tunnel(out: u32, tunnel: u32) -> Self {
        Self { out, tunnel, ifindex: 0, family: 0, via: [0; 4] }
    }

    /// The packet goes to the neighbour `via` on the interface `ifindex`, under the label `out`.
    #[must_use]
    pub fn to_neighbour(out: u32, ifindex: u32, via: IpAddr) -> Self {
        let (family, via) = match via {
            IpAddr::V4(via) => (Family::V4, [via.to_bits(), 0, 0, 0]),
            IpAddr::V6(via) => (Family::V6, words(via)),
        };
        Self { out, tunnel: 0, ifindex, family: family as u32, via }
    }

    /// The label that leaves.
    #[must_use]
    #[inline(always)]
    pub const fn out(&self) -> u32 {
        self.out
    }

    /// The ID of the tunnel that it leads into; `None` where it leads to a neighbour.
    #[must_use]
    #[inline(always)]
    pub const fn tunnel_id(&self) -> Option<u32> {
        if self.tunnel == 0 { None } else { Some(self.tunnel) }
    }

    /// The interface that it leaves by.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The neighbour's family.
    #[must_use]
    #[inline(always)]
    pub const fn family(&self) -> Family {
        if self.family == Family::V6 as u32 { Family::V6 } else { Family::V4 }
    }

    /// The neighbour's address, host-order words; an IPv4 address is the first.
    #[must_use]
    #[inline(always)]
    pub const fn via(&self) -> [u32; 4] {
        self.via
    }
}
