//! Who is accepted: the key that finds the tunnel of an outer packet, and the key of an allowed inner prefix.

use core::net::{IpAddr, Ipv4Addr};

use bytemuck::{Pod, Zeroable};

use super::ends::{Ends, address, words};

/// An address family, with the kernel's `AF_*` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// IPv4 (`AF_INET`).
    V4 = 2,
    /// IPv6 (`AF_INET6`).
    V6 = 10,
}

impl Family {
    /// The EtherType of its packets.
    #[must_use]
    #[inline(always)]
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::V4 => crate::packet::ETHERTYPE_IPV4,
            Self::V6 => crate::packet::ETHERTYPE_IPV6,
        }
    }
}

/// (local, remote, protocol) of an outer packet that a tunnel accepts. IPv4 addresses fill the first four
/// bytes, the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct PeerKey {
    local: [u32; 4],
    remote: [u32; 4],
    family: u8,
    protocol: u8,
    reserved: [u8; 2],
}

const _: () = assert!(size_of::<PeerKey>() == 36);

impl PeerKey {
    /// The key for an outer header of this family that arrives for `local` from `remote` (host-order words, an
    /// IPv4 address is the first) with the IP protocol number `protocol`.
    #[must_use]
    #[inline(always)]
    pub const fn new(family: Family, local: [u32; 4], remote: [u32; 4], protocol: u8) -> Self {
        Self { local: wire(local), remote: wire(remote), family: family as u8, protocol, reserved: [0; 2] }
    }

    /// The key of a tunnel between these ends.
    #[must_use]
    pub fn of(ends: Ends, protocol: u8) -> Self {
        match ends {
            Ends::V4 { local, remote } => {
                Self::new(Family::V4, [local.to_bits(), 0, 0, 0], [remote.to_bits(), 0, 0, 0], protocol)
            }
            Ends::V6 { local, remote } => Self::new(Family::V6, words(local), words(remote), protocol),
        }
    }

    /// The tunnel's own end.
    #[must_use]
    pub fn local(&self) -> IpAddr {
        self.address(self.local)
    }

    /// The tunnel's far end.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.address(self.remote)
    }

    /// The IP protocol number.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    fn address(&self, stored: [u32; 4]) -> IpAddr {
        let words = stored.map(u32::from_be);
        if self.family == Family::V6 as u8 {
            address(words).into()
        } else {
            Ipv4Addr::from_bits(words[0]).into()
        }
    }
}

/// Host-order words as they stand on the wire.
#[inline(always)]
pub(super) const fn wire([a, b, c, d]: [u32; 4]) -> [u32; 4] {
    [a.to_be(), b.to_be(), c.to_be(), d.to_be()]
}

/// Key of the map `ADDRESSES`: an address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct OwnAddress {
    address: [u32; 4],
    family: u32,
}

const _: () = assert!(size_of::<OwnAddress>() == 20);

impl OwnAddress {
    /// From host-order words, of which an IPv4 address is the first.
    #[must_use]
    #[inline(always)]
    pub const fn new(family: Family, address: [u32; 4]) -> Self {
        Self { address: wire(address), family: family as u32 }
    }

    /// From an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::new(Family::V4, [address.to_bits(), 0, 0, 0]),
            IpAddr::V6(address) => Self::new(Family::V6, words(address)),
        }
    }
}

/// Data part of a key of the trie `ALLOWED`: whose prefix it is, and the prefix. The kernel compares it from the
/// first byte on, so that each tunnel and family has a trie of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AllowedInner {
    tunnel: u32,
    family: u32,
    address: [u32; 4],
}

const _: () = assert!(size_of::<AllowedInner>() == 24);

impl AllowedInner {
    /// Bits of the key before the address.
    pub const OWNER_BITS: u32 = 64;
    /// Bits of the whole key, for a lookup.
    pub const BITS: u32 = 192;

    /// From host-order words, of which an IPv4 address is the first.
    #[must_use]
    #[inline(always)]
    pub const fn new(tunnel: u32, family: Family, address: [u32; 4]) -> Self {
        Self { tunnel, family: family as u32, address: wire(address) }
    }

    /// The key of a prefix, and how many of its bits count.
    #[must_use]
    pub fn of(tunnel: u32, network: IpAddr, prefix_len: u8) -> (Self, u32) {
        let key = match network {
            IpAddr::V4(network) => Self::new(tunnel, Family::V4, [network.to_bits(), 0, 0, 0]),
            IpAddr::V6(network) => Self::new(tunnel, Family::V6, words(network)),
        };
        (key, Self::OWNER_BITS.saturating_add(u32::from(prefix_len)))
    }

    /// The ID of the tunnel whose prefix it is.
    #[must_use]
    pub const fn tunnel(&self) -> u32 {
        self.tunnel
    }
}
