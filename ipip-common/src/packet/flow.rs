//! What tells one conversation from another: the input of route lookups and of flow labels.

use crate::abi::Family;

/// Ports of a packet whose transport has them; zero otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

impl Ports {
    /// Both as one word, the source above: as they stand in a TCP or UDP header.
    #[must_use]
    #[inline(always)]
    pub const fn both(self) -> u32 {
        (self.source as u32) << 16 | self.destination as u32
    }

    /// From both as one word.
    #[must_use]
    #[inline(always)]
    pub const fn of(both: u32) -> Self {
        Self { source: (both >> 16) as u16, destination: (both & 0xffff) as u16 }
    }
}

/// Addresses, protocol and ports of a packet, and what else a route may depend on. Host order; an IPv4 address
/// is the first word of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The addresses' family.
    pub family: Family,
    /// Source address.
    pub source: [u32; 4],
    /// Destination address.
    pub destination: [u32; 4],
    /// Protocol number, or that of the first IPv6 extension header.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Ports; zero for all fragments of a datagram, so that they stay together.
    pub ports: Ports,
}

impl Flow {
    /// Which of `shares` equal shares of all flows it belongs to; 0 where there are none.
    #[must_use]
    #[inline(always)]
    pub const fn share(&self, shares: u32) -> u32 {
        ((self.hash() as u64).wrapping_mul(shares as u64) >> 32) as u32
    }

    /// A number that is the same for all packets of the flow (RFC 6438 3), and spreads different flows evenly.
    #[must_use]
    #[inline(always)]
    pub const fn hash(&self) -> u32 {
        let [a, b, c, d] = self.source;
        let [e, f, g, h] = self.destination;
        let hash = mix(mix(mix(mix(mix(0, a), e), self.ports.both()), self.protocol as u32), 0);
        match self.family {
            Family::V4 => hash,
            Family::V6 => mix(mix(mix(mix(mix(mix(hash, b), c), d), f), g), h),
        }
    }
}

/// One round: an odd multiplier near 2^32 by the golden ratio (Knuth, TAOCP 6.4), and its high bits folded down.
#[inline(always)]
pub(crate) const fn mix(hash: u32, word: u32) -> u32 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b1);
    hash ^ hash >> 15
}

/// The outer flow label for a hash: 20 bits, never 0, which means that there is none (RFC 6437 3).
#[must_use]
#[inline(always)]
pub const fn label(hash: u32) -> u32 {
    let label = (hash ^ hash >> 20) & 0xf_ffff;
    if label == 0 { 1 } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    // conformance: H15
    #[test]
    fn labels_of_a_thousand_flows_are_spread() {
        // Sixteen buckets by the highest and by the lowest bits; 62 in each on average. Neighbouring addresses and
        // ports, as they are in use.
        let (mut high, mut low) = ([0; 16], [0; 16]);
        for number in 0..1000_u32 {
            let flow = Flow {
                family: Family::V4,
                source: [0x0a01_0002 + number % 10, 0, 0, 0],
                destination: [0x0a02_0002, 0, 0, 0],
                protocol: 6,
                tos: 0,
                ports: Ports { source: (40_000 + number / 10) as u16, destination: 443 },
            };
            let label = label(flow.hash());
            assert!(label > 0 && label < 1 << 20);
            high[(label >> 16) as usize] += 1;
            low[(label & 15) as usize] += 1;
        }
        for buckets in [high, low] {
            assert!(buckets.iter().all(|count| (30..100).contains(count)), "{buckets:?}");
        }
    }

    // conformance: H15
    #[test]
    fn no_flow_has_the_label_that_means_none() {
        assert_eq!(label(0), 1);
    }
}
