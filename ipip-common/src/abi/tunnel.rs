//! A tunnel as the hot path sees it.

use core::net::Ipv4Addr;

use bytemuck::{Pod, Zeroable};

use super::{
    Carried, Family,
    ends::{Ends, address, words},
    key::wire,
};

/// Declares [`TunnelFlags`] with each switch's bit beside its meaning.
macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        /// Switches of a tunnel.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TunnelFlags {
            $($(#[$doc])* pub $name: bool,)*
        }

        impl TunnelFlags {
            const fn to_bits(self) -> u32 {
                0 $(| if self.$name { 1 << $bit } else { 0 })*
            }

            #[inline(always)]
            const fn from_bits(bits: u32) -> Self {
                Self { $($name: bits & 1 << $bit != 0,)* }
            }
        }
    };
}

switches! {
    /// The entry is in use.
    enabled = 0,
    /// `clamp-tcp-mss=yes`.
    clamp_tcp_mss = 1,
    /// `dont-fragment=inherit`: the outer DF follows the inner packet.
    inherit_dont_fragment = 2,
    /// `allow-fast-path=yes`: tier 1 may forward.
    allow_fast_path = 3,
    /// `dscp=N`: [`TunnelEntry::dscp`] is set; otherwise the inner DSCP is copied.
    fixed_dscp = 4,
    /// `ttl=inherit`: the outer TTL is the inner packet's as it leaves.
    inherit_ttl = 5,
    /// `ecn=compatibility`: the outer ECN field is always Not-ECT (RFC 6040 4.1).
    ecn_compatibility = 6,
    /// `decap-dscp=yes`: the outer DSCP replaces the inner one at the exit (RFC 2983 5, the uniform model).
    decap_dscp = 7,
    /// `flow-label=auto`: the outer IPv6 flow label is made from the inner flow (RFC 6438 3).
    flow_label = 8,
    /// `encapsulation-limit=N`: [`TunnelEntry::encapsulation_limit`] is set (RFC 2473 6.6).
    encapsulation_limit = 9,
    /// `mtu=auto`: the MTU follows the path (RFC 4213 3.2.2), so that an outer DF may be set for inner IPv6.
    path_mtu = 10,
    /// The tunnel has `allowed-inner` prefixes in the map `ALLOWED`.
    allowed_inner = 11,
    /// Inner IPv4 is carried.
    carries_ipv4 = 12,
    /// Inner IPv6 is carried.
    carries_ipv6 = 13,
    /// Inner MPLS is carried.
    carries_mpls = 14,
    /// Tier 1 decapsulates on the CPU that the inner flow leads to, and not on the one where the packet came in.
    spread = 15,
    /// `ipsec-secret`: packets go through the daemon alone, whose sockets have the kernel protect them.
    ipsec = 16,
}

impl TunnelFlags {
    /// Whether the tunnel carries packets of this kind.
    #[must_use]
    #[inline(always)]
    pub const fn carries(self, kind: Carried) -> bool {
        match kind {
            Carried::Ipv4 => self.carries_ipv4,
            Carried::Ipv6 => self.carries_ipv6,
            Carried::Mpls => self.carries_mpls,
        }
    }
}

/// Value of the map `TUNNELS`: all that one packet of this tunnel needs, in one cache line. Addresses stand as they do on the
/// wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct TunnelEntry {
    id: u32,
    flags: u32,
    ifindex: u32,
    underlay: u32,
    local: [u32; 4],
    remote: [u32; 4],
    outer_sum: u32,
    mtu: u16,
    ttl: u8,
    dscp: u8,
    encapsulation_limit: u8,
    family: u8,
    reserved: [u8; 6],
}

const _: () = assert!(size_of::<TunnelEntry>() == 64);

/// What the daemon knows of a tunnel when it writes the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelConfig {
    /// Tunnel ID, 1 to [`super::MAX_TUNNELS`] - 1.
    pub id: u32,
    /// Switches.
    pub flags: TunnelFlags,
    /// Interface index of the tunnel interface.
    pub ifindex: u32,
    /// Interface index that the route to the remote uses, 0 when there is none: the way out where the
    /// kernel refuses FIB lookups because the host does not forward.
    pub underlay: u32,
    /// Outer source and destination.
    pub ends: Ends,
    /// Largest inner packet, bytes.
    pub mtu: u16,
    /// Outer TTL or hop limit unless [`TunnelFlags::inherit_ttl`].
    pub ttl: u8,
    /// Outer DSCP (0 to 63) when [`TunnelFlags::fixed_dscp`].
    pub dscp: u8,
    /// The limit that is sent when [`TunnelFlags::encapsulation_limit`].
    pub encapsulation_limit: u8,
}

impl TunnelEntry {
    /// The entry of a tunnel, with the constant part of an outer IPv4 header's checksum computed.
    #[must_use]
    pub fn new(tunnel: &TunnelConfig) -> Self {
        let (local, remote) = match tunnel.ends {
            Ends::V4 { local, remote } => ([local.to_bits(), 0, 0, 0], [remote.to_bits(), 0, 0, 0]),
            Ends::V6 { local, remote } => (words(local), words(remote)),
        };
        Self {
            id: tunnel.id,
            flags: tunnel.flags.to_bits(),
            ifindex: tunnel.ifindex,
            underlay: tunnel.underlay,
            local: wire(local),
            remote: wire(remote),
            outer_sum: crate::packet::outer::constant_sum(local[0], remote[0]),
            mtu: tunnel.mtu,
            ttl: tunnel.ttl,
            dscp: tunnel.dscp,
            encapsulation_limit: tunnel.encapsulation_limit,
            family: tunnel.ends.family() as u8,
            reserved: [0; 6],
        }
    }

    /// Back to what the daemon wrote.
    #[must_use]
    pub fn lift(&self) -> TunnelConfig {
        let ends = match self.family() {
            Family::V4 => Ends::V4 {
                local: Ipv4Addr::from_bits(self.local()[0]),
                remote: Ipv4Addr::from_bits(self.remote()[0]),
            },
            Family::V6 => Ends::V6 { local: address(self.local()), remote: address(self.remote()) },
        };
        TunnelConfig {
            id: self.id,
            flags: self.flags(),
            ifindex: self.ifindex,
            underlay: self.underlay,
            ends,
            mtu: self.mtu,
            ttl: self.ttl,
            dscp: self.dscp,
            encapsulation_limit: self.encapsulation_limit,
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

    /// The family of the outer header.
    #[must_use]
    #[inline(always)]
    pub const fn family(&self) -> Family {
        if self.family == Family::V6 as u8 { Family::V6 } else { Family::V4 }
    }

    /// Outer source, host-order words; an IPv4 address is the first.
    #[must_use]
    #[inline(always)]
    pub const fn local(&self) -> [u32; 4] {
        wire(self.local)
    }

    /// Outer destination, host-order words; an IPv4 address is the first.
    #[must_use]
    #[inline(always)]
    pub const fn remote(&self) -> [u32; 4] {
        wire(self.remote)
    }

    /// One's complement sum of the fields of an outer IPv4 header that are the same for every packet.
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

    /// Outer TTL or hop limit where it is fixed.
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

    /// The encapsulation limit that is sent where one is set.
    #[must_use]
    #[inline(always)]
    pub const fn encapsulation_limit(&self) -> u8 {
        self.encapsulation_limit
    }
}
