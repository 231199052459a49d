//! Who is accepted: the key that finds the tunnel of an outer packet.

use core::net::Ipv4Addr;

use bytemuck::{Pod, Zeroable};

/// The address family of the outer header, with the kernel's `AF_*` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OuterFamily {
    /// IPv4 (`AF_INET`).
    V4 = 2,
}

/// (local, remote, protocol) of an outer packet that a tunnel accepts. IPv4 addresses fill the first four
/// bytes, the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
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
    /// The key for an IPv4 outer header that arrives for `local` from `remote` (host-order words) with the
    /// IP protocol number `protocol`.
    #[must_use]
    #[inline(always)]
    pub const fn v4(local: u32, remote: u32, protocol: u8) -> Self {
        Self {
            local: [local.to_be(), 0, 0, 0],
            remote: [remote.to_be(), 0, 0, 0],
            family: OuterFamily::V4 as u8,
            protocol,
            reserved: [0; 2],
        }
    }

    /// The tunnel's own end.
    #[must_use]
    pub const fn local(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be(self.local[0]))
    }

    /// The tunnel's far end.
    #[must_use]
    pub const fn remote(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be(self.remote[0]))
    }

    /// The IP protocol number.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }
}
