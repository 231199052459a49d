//! What a tunnel may carry.

/// The kind of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carried {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// MPLS, unicast.
    Mpls,
}

impl Carried {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Ipv4, Self::Ipv6, Self::Mpls];

    /// Its EtherType (IANA).
    #[must_use]
    #[inline(always)]
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::Ipv4 => crate::packet::ETHERTYPE_IPV4,
            Self::Ipv6 => crate::packet::ETHERTYPE_IPV6,
            Self::Mpls => crate::packet::ETHERTYPE_MPLS,
        }
    }

    /// Its IP protocol number: RFC 2003 and RFC 2473 for IPv4, RFC 4213 and RFC 2473 for IPv6, RFC 4023 for MPLS.
    #[must_use]
    #[inline(always)]
    pub const fn protocol(self) -> u8 {
        match self {
            Self::Ipv4 => crate::packet::PROTOCOL_IPV4,
            Self::Ipv6 => crate::packet::PROTOCOL_IPV6,
            Self::Mpls => crate::packet::PROTOCOL_MPLS,
        }
    }
}
