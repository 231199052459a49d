//! The two ends of a tunnel, and addresses as words.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;

/// Both ends of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Over IPv4.
    V4 {
        /// Outer source.
        local: Ipv4Addr,
        /// Outer destination.
        remote: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// Outer source.
        local: Ipv6Addr,
        /// Outer destination.
        remote: Ipv6Addr,
    },
}

impl Ends {
    /// The two ends, local first; `None` where they are of two families.
    #[must_use]
    pub const fn new(local: IpAddr, remote: IpAddr) -> Option<Self> {
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => Some(Self::V4 { local, remote }),
            (IpAddr::V6(local), IpAddr::V6(remote)) => Some(Self::V6 { local, remote }),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// The family of the outer header.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::V4 { .. } => Family::V4,
            Self::V6 { .. } => Family::V6,
        }
    }

    /// Outer source.
    #[must_use]
    pub const fn local(self) -> IpAddr {
        match self {
            Self::V4 { local, .. } => IpAddr::V4(local),
            Self::V6 { local, .. } => IpAddr::V6(local),
        }
    }

    /// Outer destination.
    #[must_use]
    pub const fn remote(self) -> IpAddr {
        match self {
            Self::V4 { remote, .. } => IpAddr::V4(remote),
            Self::V6 { remote, .. } => IpAddr::V6(remote),
        }
    }
}

/// An IPv6 address as host-order words.
#[must_use]
pub fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
}

/// The IPv6 address of host-order words.
#[must_use]
pub fn address(words: [u32; 4]) -> Ipv6Addr {
    Ipv6Addr::from_bits(words.into_iter().fold(0, |bits, word| bits << 32 | u128::from(word)))
}
