//! What a program remembers of a flow that it has decided about: the answers that would be the same for the next packet.

use bytemuck::{Pod, Zeroable};

use super::{Family, key::wire};
use crate::{
    packet::{checksum, flow::Flow},
    verdict::{Hop, Link},
};

/// Flows that each CPU remembers; a power of two.
pub const KNOWN_FLOWS: u32 = 4096;

/// What is done to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Its packets are sent into a tunnel, or are none of our business.
    Encap = 1,
    /// Its packets came out of a tunnel.
    Decap = 2,
}

/// What was decided about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// The tunnel's ID; 0 for a flow that is foreign.
    pub tunnel: u32,
    /// The interface that its packets leave by.
    pub ifindex: u32,
    /// The link header that they leave with.
    pub link: Link,
    /// The largest inner packet that fits, bytes.
    pub most: u16,
    /// The flow label of the outer header; 0 where there is none.
    pub label: u32,
}

impl Course {
    /// None of a tunnel's business.
    pub const FOREIGN: Self =
        Self { tunnel: 0, ifindex: 0, link: Link::from_words([0; 3]), most: 0, label: 0 };

    /// Onto the wire `hop`, which takes packets of `hop.mtu` bytes, under `overhead` bytes of an outer header.
    #[must_use]
    #[inline(always)]
    pub const fn new(tunnel: u32, hop: &Hop, overhead: u32, tunnel_mtu: u16, label: u32) -> Self {
        let room = hop.mtu.saturating_sub(overhead);
        let most = if room < tunnel_mtu as u32 { room as u16 } else { tunnel_mtu };
        Self { tunnel, ifindex: hop.ifindex, link: hop.link, most, label }
    }
}

/// Where a packet came in, and what else beside its flow the answers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The interface.
    pub ifindex: u32,
    /// The Ethernet destination and what follows it: the frame's first eight bytes as they stand in memory.
    pub address: [u32; 2],
    /// The value of the map `GENERATION`.
    pub generation: u32,
    /// Now: the lower half of the kernel's `jiffies64`.
    pub now: u32,
}

/// Value of the map `FLOWS`: one flow's key and course. The first cache line is all that an IPv4 flow needs.
///
/// The key holds whatever the answers depended on: where the packet came in and for which address, the two ends, ports,
/// protocol and DSCP (routing rules, multipath hashes), and the generation of everything that the daemon follows. Addresses,
/// ports and the link header stand as they do in a packet, so that nothing has to be turned around to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct KnownFlow {
    address: [u32; 2],
    ifindex: u32,
    generation: u32,
    source: u32,
    destination: u32,
    ports: u32,
    /// Family, role, protocol and DSCP.
    class: u32,
    since: u32,
    tunnel: u32,
    out_ifindex: u32,
    most: u16,
    ends_sum: u16,
    link: [u32; 3],
    label: u32,
    source_rest: [u32; 3],
    destination_rest: [u32; 3],
    reserved: [u32; 10],
}

const _: () = assert!(size_of::<KnownFlow>() == 128);

/// How long a course holds if nobody says otherwise, in the kernel's jiffies. At the kernel's fastest clock (1000 a
/// second) a tenth of a second, at its slowest (100) a second: what a dead daemon cannot tell is found out by then.
pub const LIFETIME: u32 = 100;

impl KnownFlow {
    /// What is to be remembered of `flow`.
    #[must_use]
    #[inline(always)]
    pub const fn new(arrival: &Arrival, role: Role, flow: &Flow, course: &Course) -> Self {
        let [source, s1, s2, s3] = wire(flow.source);
        let [destination, d1, d2, d3] = wire(flow.destination);
        let sum = checksum::fold(checksum::pseudo_header_sum(flow, flow.protocol, 0));
        let [l0, l1, l2] = course.link.words();
        Self {
            address: arrival.address,
            ifindex: arrival.ifindex,
            generation: arrival.generation,
            source,
            destination,
            ports: flow.ports.both().to_be(),
            class: class(role, flow),
            since: arrival.now,
            tunnel: course.tunnel,
            out_ifindex: course.ifindex,
            most: course.most,
            ends_sum: sum,
            link: [l0.to_be(), l1.to_be(), l2.to_be()],
            label: course.label,
            source_rest: [s1, s2, s3],
            destination_rest: [d1, d2, d3],
            reserved: [0; 10],
        }
    }

    /// Where a flow stands in the table.
    #[must_use]
    #[inline(always)]
    pub const fn place(flow: &Flow) -> u32 {
        let [a, b, c, d] = wire(flow.source);
        let [e, f, g, h] = wire(flow.destination);
        let ends = match flow.family {
            Family::V4 => both(a, e),
            Family::V6 => {
                both(a ^ b.rotate_left(8) ^ c, e ^ f.rotate_left(8) ^ g) ^ both(h, d).rotate_left(13)
            }
        };
        // Fibonacci hashing (Knuth, TAOCP 6.4), with fractions of the golden ratio and of the square root of 2.
        let ports = (flow.ports.both().to_be() as u64).wrapping_mul(0x6a09_e667_f3bc_c909);
        let mixed = ends.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ports;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 64_u32.wrapping_sub(KNOWN_FLOWS.trailing_zeros()))
            as u32
    }

    /// Whether it is about this flow, and still holds.
    #[must_use]
    #[inline(always)]
    pub const fn is_for(&self, arrival: &Arrival, role: Role, flow: &Flow) -> bool {
        let [source, s1, s2, s3] = wire(flow.source);
        let [destination, d1, d2, d3] = wire(flow.destination);
        let is_same = self.source == source
            && self.destination == destination
            && self.ports == flow.ports.both().to_be()
            && self.class == class(role, flow)
            && self.address[0] == arrival.address[0]
            && self.address[1] == arrival.address[1]
            && self.ifindex == arrival.ifindex;
        let is_same_rest = match flow.family {
            Family::V4 => true,
            Family::V6 => {
                let ([a, b, c], [d, e, f]) = (self.source_rest, self.destination_rest);
                a == s1 && b == s2 && c == s3 && d == d1 && e == d2 && f == d3
            }
        };
        is_same && is_same_rest && self.holds(arrival)
    }

    /// Whether what it says still holds.
    #[must_use]
    #[inline(always)]
    pub const fn holds(&self, arrival: &Arrival) -> bool {
        self.generation == arrival.generation && arrival.now.wrapping_sub(self.since) < LIFETIME
    }

    /// The tunnel's ID; 0 for a flow that is foreign.
    #[must_use]
    #[inline(always)]
    pub const fn tunnel(&self) -> u32 {
        self.tunnel
    }

    /// The largest inner packet that fits, bytes.
    #[must_use]
    #[inline(always)]
    pub const fn most(&self) -> u32 {
        self.most as u32
    }

    /// The flow label of the outer header.
    #[must_use]
    #[inline(always)]
    pub const fn label(&self) -> u32 {
        self.label
    }

    /// The folded sum of the pseudo-header without the length.
    #[must_use]
    #[inline(always)]
    pub const fn ends_sum(&self) -> u32 {
        self.ends_sum as u32
    }

    /// The way that its packets go.
    #[must_use]
    #[inline(always)]
    pub const fn hop(&self) -> Hop {
        let [a, b, c] = self.link;
        Hop::wire(self.out_ifindex, Link::from_words([a.to_be(), b.to_be(), c.to_be()]), 0)
    }
}

#[inline(always)]
const fn both(low: u32, high: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// All that is left of the key in one word. Congestion marks differ within a flow, and no route depends on them.
#[inline(always)]
const fn class(role: Role, flow: &Flow) -> u32 {
    (flow.family as u32) << 24 | (role as u32) << 16 | (flow.protocol as u32) << 8 | flow.tos as u32 & 0xfc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::flow::Ports;

    const ARRIVAL: Arrival =
        Arrival { ifindex: 3, address: [0x0403_0201, 0x0807_0605], generation: 7, now: 1000 };

    fn flow(family: Family) -> Flow {
        Flow {
            family,
            source: [0x0a00_0001, 1, 2, 3],
            destination: [0x0a00_0002, 4, 5, 6],
            protocol: 6,
            tos: 0xb8,
            ports: Ports { source: 1000, destination: 443 },
        }
    }

    #[test]
    fn every_part_of_the_key_counts() {
        for family in [Family::V4, Family::V6] {
            let flow = flow(family);
            let known = KnownFlow::new(&ARRIVAL, Role::Encap, &flow, &Course::FOREIGN);
            assert!(known.is_for(&ARRIVAL, Role::Encap, &flow));
            assert!(!known.is_for(&ARRIVAL, Role::Decap, &flow));
            for arrival in [
                Arrival { ifindex: 4, ..ARRIVAL },
                Arrival { address: [0x0403_0202, 0x0807_0605], ..ARRIVAL },
                Arrival { address: [0x0403_0201, 0x0807_0604], ..ARRIVAL },
                Arrival { generation: 8, ..ARRIVAL },
                Arrival { now: 1000 + LIFETIME, ..ARRIVAL },
                Arrival { now: 999, ..ARRIVAL },
            ] {
                assert!(!known.is_for(&arrival, Role::Encap, &flow), "{arrival:?}");
            }
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            let words: &[usize] = if family == Family::V4 { &[0] } else { &[0, 1, 2, 3] };
            let mut others = std::vec![
                Flow { family: other, ..flow },
                Flow { protocol: 17, ..flow },
                Flow { tos: 0, ..flow },
                Flow { ports: Ports { source: 1001, ..flow.ports }, ..flow },
                Flow { ports: Ports { destination: 444, ..flow.ports }, ..flow },
            ];
            for word in words {
                let (mut near, mut far) = (flow, flow);
                near.source[*word] ^= 1;
                far.destination[*word] ^= 1;
                others.extend([near, far]);
            }
            for other in others {
                assert!(!known.is_for(&ARRIVAL, Role::Encap, &other), "{other:?}");
            }
            assert!(known.is_for(&Arrival { now: 999 + LIFETIME, ..ARRIVAL }, Role::Encap, &flow));
            assert!(known.is_for(&ARRIVAL, Role::Encap, &Flow { tos: 0xbb, ..flow }), "congestion marks");
        }
    }

    #[test]
    fn flows_are_spread_over_the_table() {
        // A thousand flows of neighbouring addresses and ports, of which a random spread over 4096 places would
        // leave some 890 alone.
        for family in [Family::V4, Family::V6] {
            let mut places = std::collections::BTreeSet::new();
            for number in 0..1000_u32 {
                let mut flow = flow(family);
                flow.source[0] += number % 10;
                flow.destination[3] += number / 500;
                flow.ports.source += (number / 10) as u16;
                let place = KnownFlow::place(&flow);
                assert!(place < KNOWN_FLOWS);
                places.insert(place);
            }
            let expected = if family == Family::V4 { 430 } else { 800 };
            assert!(places.len() > expected, "{family:?}: {}", places.len());
        }
    }

    #[test]
    fn what_fits_is_the_smaller_of_tunnel_and_way() {
        let hop = |mtu| Hop::wire(1, Link::from_words([1, 2, 3]), mtu);
        for (way, overhead, tunnel, most) in
            [(1500, 20, 1480, 1480), (1400, 20, 1480, 1380), (1500, 20, 1280, 1280), (10, 20, 1280, 0)]
        {
            assert_eq!(Course::new(1, &hop(way), overhead, tunnel, 0).most, most);
        }
    }
}
