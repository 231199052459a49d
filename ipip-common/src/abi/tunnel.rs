//! A tunnel as the hot path sees it.

use core::net::Ipv4Addr;

use bytemuck::{Pod, Zeroable};

/// Switches of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one yes/no property of the tunnel")]
pub struct TunnelFlags {
    /// The entry is in use.
    pub enabled: bool,
    /// `clamp-tcp-mss=yes`.
    pub clamp_tcp_mss: bool,
    /// `dont-fragment=inherit`: the outer DF is the inner packet's.
    pub inherit_dont_fragment: bool,
    /// `allow-fast-path=yes`: tier 1 may forward.
    pub allow_fast_path: bool,
    /// `dscp=N`: [`TunnelEntry::dscp`] is set; otherwise the inner DSCP is copied.
    pub fixed_dscp: bool,
}

const ENABLED: u32 = 1;
const CLAMP_TCP_MSS: u32 = 2;
const INHERIT_DONT_FRAGMENT: u32 = 4;
const ALLOW_FAST_PATH: u32 = 8;
const FIXED_DSCP: u32 = 16;

impl TunnelFlags {
    const fn to_bits(self) -> u32 {
        (if self.enabled { ENABLED } else { 0 })
            | (if self.clamp_tcp_mss { CLAMP_TCP_MSS } else { 0 })
            | (if self.inherit_dont_fragment { INHERIT_DONT_FRAGMENT } else { 0 })
            | (if self.allow_fast_path { ALLOW_FAST_PATH } else { 0 })
            | (if self.fixed_dscp { FIXED_DSCP } else { 0 })
    }

    const fn from_bits(bits: u32) -> Self {
        Self {
            enabled: bits & ENABLED != 0,
            clamp_tcp_mss: bits & CLAMP_TCP_MSS != 0,
            inherit_dont_fragment: bits & INHERIT_DONT_FRAGMENT != 0,
            allow_fast_path: bits & ALLOW_FAST_PATH != 0,
            fixed_dscp: bits & FIXED_DSCP != 0,
        }
    }
}

/// Value of the map `TUNNELS`: all that one packet of this tunnel needs, in one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct TunnelEntry {
    id: u32,
    flags: u32,
    ifindex: u32,
    underlay: u32,
    local: u32,
    remote: u32,
    outer_sum: u32,
    mtu: u16,
    ttl: u8,
    dscp: u8,
    reserved: [u32; 8],
}

const _: () = assert!(size_of::<TunnelEntry>() == 64);

/// What the daemon knows of an IPv4 tunnel when it writes the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Tunnel {
    /// Tunnel ID, 1 to [`super::MAX_TUNNELS`] - 1.
    pub id: u32,
    /// Switches.
    pub flags: TunnelFlags,
    /// Interface index of the tunnel interface.
    pub ifindex: u32,
    /// Interface index that the route to the remote uses, 0 when there is none: the way out where the
    /// kernel refuses FIB lookups because the host does not forward.
    pub underlay: u32,
    /// Outer source.
    pub local: Ipv4Addr,
    /// Outer destination.
    pub remote: Ipv4Addr,
    /// Largest inner packet, bytes.
    pub mtu: u16,
    /// Outer TTL.
    pub ttl: u8,
    /// Outer DSCP (0 to 63) when [`TunnelFlags::fixed_dscp`].
    pub dscp: u8,
}

impl TunnelEntry {
    /// The entry of an IPv4 tunnel, with the constant part of the outer header's checksum computed.
    #[must_use]
    pub fn v4(tunnel: &Ipv4Tunnel) -> Self {
        let (local, remote) = (tunnel.local.to_bits(), tunnel.remote.to_bits());
        Self {
            id: tunnel.id,
            flags: tunnel.flags.to_bits(),
            ifindex: tunnel.ifindex,
            underlay: tunnel.underlay,
            local,
            remote,
            outer_sum: crate::packet::outer::constant_sum(local, remote, tunnel.ttl),
            mtu: tunnel.mtu,
            ttl: tunnel.ttl,
            dscp: tunnel.dscp,
            reserved: [0; 8],
        }
    }

    /// Back to what the daemon wrote.
    #[must_use]
    pub fn lift(&self) -> Ipv4Tunnel {
        Ipv4Tunnel {
            id: self.id,
            flags: self.flags(),
            ifindex: self.ifindex,
            underlay: self.underlay,
            local: Ipv4Addr::from_bits(self.local),
            remote: Ipv4Addr::from_bits(self.remote),
            mtu: self.mtu,
            ttl: self.ttl,
            dscp: self.dscp,
        }
    }

    /// The switches.
    #[must_use]
    #[inline(always)]
    pub const fn flags(&self) -> TunnelFlags {
        TunnelFlags::from_bits(self.flags)
    }

    /// The tunnel's ID.
    #[must_use]
    #[inline(always)]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Interface index of the tunnel interface.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Interface index of the way to the remote; 0 where none is known.
    #[must_use]
    #[inline(always)]
    pub const fn underlay(&self) -> u32 {
        self.underlay
    }

    /// Outer source, host order.
    #[must_use]
    #[inline(always)]
    pub const fn local(&self) -> u32 {
        self.local
    }

    /// Outer destination, host order.
    #[must_use]
    #[inline(always)]
    pub const fn remote(&self) -> u32 {
        self.remote
    }

    /// One's complement sum of the outer header's fields that are the same for every packet.
    #[must_use]
    #[inline(always)]
    pub const fn outer_sum(&self) -> u32 {
        self.outer_sum
    }

    /// Largest inner packet, bytes.
    #[must_use]
    #[inline(always)]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Outer TTL.
    #[must_use]
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        self.ttl
    }

    /// Outer DSCP where it is fixed.
    #[must_use]
    #[inline(always)]
    pub const fn dscp(&self) -> u8 {
        self.dscp
    }
}
