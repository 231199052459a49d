//! What a program remembers of a flow that it has decided about: all that would be the same for its next packet.
//!
//! Numbers stand as they do in a packet's memory, on a little-endian processor, so that nothing has to be turned around
//! to be compared or copied.

mod head;
mod labels;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

pub use self::labels::Labels;
use super::{Family, TunnelEntry, key::wire};
use crate::{
    packet::{flow::Flow, ipv4, ipv6, outer::Outer},
    verdict::Hop,
};

/// Flows that each CPU remembers at least, as a power of two: 4096 of them, 655 kB.
pub const LEAST_FLOW_BITS: u32 = 12;
/// The same at most: 16,384, 2.6 MB, so that the flows in use stay within reach of a processor's caches.
const MOST_FLOW_BITS: u32 = 14;
/// The part of the machine's memory that all CPUs together remember flows in.
const FLOWS_SHARE: u64 = 256;

/// How many flows each CPU remembers, as a power of two, on a machine with so many bytes of memory and CPUs.
#[must_use]
pub const fn flow_bits(memory: u64, cpus: u32) -> u32 {
    let one_of_each_cpu =
        FLOWS_SHARE.saturating_mul(cpus as u64).saturating_mul(size_of::<KnownFlow>() as u64);
    let bits = match memory.checked_div(one_of_each_cpu) {
        Some(flows) => 63_u32.saturating_sub(flows.leading_zeros()),
        None => 0,
    };
    if bits < LEAST_FLOW_BITS {
        LEAST_FLOW_BITS
    } else if bits > MOST_FLOW_BITS {
        MOST_FLOW_BITS
    } else {
        bits
    }
}

/// Jiffies of the kernel that one epoch lasts, as a power of two: at the kernel's fastest clock (1000 a second) 64 ms, at
/// its slowest (100) 0.64 s. What a dead daemon cannot tell is found out by then.
const EPOCH_SHIFT: u32 = 6;

/// The number that a memory holds for: what the daemon raises on each change, and the time, all 64 bits of it. Both only
/// grow, so that the sum stays the same only where both do. It comes again after 2^38 jiffies, 8 years at the least.
#[must_use]
#[inline(always)]
pub const fn epoch(generation: u32, jiffies: u64) -> u32 {
    generation.wrapping_add((jiffies >> EPOCH_SHIFT) as u32)
}

/// Where a packet came in, and what else beside its flow the answers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The interface.
    pub ifindex: u32,
    /// The Ethernet destination and what follows it: the frame's first eight bytes.
    pub address: u64,
    /// See [`epoch`].
    pub epoch: u32,
    /// The same interface where its driver turns packets around, else 0 ([`Port::turned`](super::Port::turned)).
    pub turned: u32,
}

/// What was decided about a flow.
#[derive(Clone, Copy, Debug)]
pub enum Course<'a> {
    /// It is none of a tunnel's business.
    Foreign,
    /// Its packets are sent through the tunnel, under this header, on this way.
    Encap(&'a TunnelEntry, &'a Outer, &'a Hop),
    /// Its packets came out of the tunnel, and go on this way.
    Decap(&'a TunnelEntry, &'a Hop),
    /// Its packets come out of the tunnel on the CPU of this number.
    HandOver(&'a TunnelEntry, u32),
}

/// Value of the map `FLOWS`: one flow's key and course. The first two cache lines are all that an IPv4 flow needs.
///
/// The key holds whatever the answers depended on: where the packet came in and for which address, the two ends, ports,
/// protocol and DSCP (routing rules, multipath hashes), and the generation of everything that the daemon follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct KnownFlow {
    address: u64,
    /// Source and destination; of IPv6, the first half of the source.
    ends: u64,
    ports: u32,
    /// See [`first_word`].
    first: u32,
    ifindex: u32,
    epoch: u32,
    tunnel: u32,
    way_out: u32,
    /// Most bytes of the inner packet.
    most: u16,
    ends_sum: u16,
    protocol: u8,
    switches: u8,
    overhead: u8,
    ecn_mask: u8,
    outer_sum: u32,
    addresses_sum: u32,
    head: [u64; 8],
    ends_rest: [u64; 3],
    /// The entries of the label stack, see [`Labels`].
    labels: u64,
    /// The label that replaces the top one, as a stack entry without anything else.
    out_label: u32,
    _pad: u32,
}

const _: () = assert!(size_of::<KnownFlow>() == 160);

/// The outer TTL is the inner packet's.
const INHERIT_TTL: u8 = 1;
/// The outer DF bit is the inner packet's.
const INHERIT_DF: u8 = 2;
/// The inner DSCP becomes the outer one.
const DECAP_DSCP: u8 = 4;
/// The way out is another CPU.
const HAND_OVER: u8 = 8;
/// The outer header has no DF bit of its own.
const MAY_BE_FRAGMENTED: u8 = 16;

/// Two words as they follow each other in memory.
#[inline(always)]
const fn both(first: u32, second: u32) -> u64 {
    (second as u64) << 32 | first as u64
}

/// The addresses of a flow, as they follow each other in a packet.
#[inline(always)]
const fn ends_of(flow: &Flow) -> [u64; 4] {
    let [a, b, c, d] = wire(flow.source);
    let [e, f, g, h] = wire(flow.destination);
    match flow.family {
        Family::V4 => [both(a, e), 0, 0, 0],
        Family::V6 => [both(a, b), both(c, d), both(e, f), both(g, h)],
    }
}

/// Stands in a flow's key for the `EtherType` of a packet that was decapsulated.
pub const DECAPSULATED: u32 = 1;
/// The same of a labelled packet that is to be encapsulated: the word in front of its IP header is a label's.
pub const LABELLED: u32 = 2;
/// The same of a labelled packet that was decapsulated.
pub const LABELLED_DECAPSULATED: u32 = 3;

/// What tells flows of IPv4 and IPv6, with labels and without, and the two directions apart, with the DSCP: the `EtherType`
/// of a packet that is to be encapsulated or one of the numbers above, and the first two bytes of the IP header without
/// the ECN field and the flow label. Congestion marks differ within a flow, and no route depends on them.
#[inline(always)]
const fn first_word(family: Family, is_labelled: bool, is_decapsulated: bool, tos: u8) -> u32 {
    let tos = tos as u32;
    let (ethertype, header) = match family {
        Family::V4 => (0x0008, 0x45 | tos << 8),
        Family::V6 => (0xdd86, 0x60 | tos >> 4 | (tos & 0xf) << 12),
    };
    let before = match (is_labelled, is_decapsulated) {
        (false, false) => ethertype,
        (false, true) => DECAPSULATED,
        (true, false) => LABELLED,
        (true, true) => LABELLED_DECAPSULATED,
    };
    (header << 16 | before) & first_mask(family)
}

/// The part of the first word that counts.
#[must_use]
#[inline(always)]
pub const fn first_mask(family: Family) -> u32 {
    match family {
        Family::V4 => 0xfcff_ffff,
        Family::V6 => 0xc0ff_ffff,
    }
}

/// Where a flow stands in the table, as a fraction of it in 64 bits: of a table of 2^n places the highest n bits count. IPv4
/// addresses are the first of the four words.
#[must_use]
#[inline(always)]
pub const fn place(ends: [u64; 4], ports: u32) -> u64 {
    // Fibonacci hashing (Knuth, TAOCP 6.4), with fractions of the golden ratio and of square roots.
    let [a, b, c, d] = ends;
    let rest = b.wrapping_mul(0x3b67_ae85) ^ c.wrapping_mul(0x3c6e_f373) ^ d.wrapping_mul(0x510e_527f);
    // All but the last factor fit into an instruction.
    let mixed = a ^ rest ^ (ports as u64).wrapping_mul(0x6a09_e667);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The same for a flow as a value. The top label counts like a part of the ports.
#[must_use]
#[inline(always)]
pub const fn place_of(flow: &Flow, labels: &Labels) -> u64 {
    place(ends_of(flow), flow.ports.both().to_be() ^ labels.top())
}

impl KnownFlow {
    /// Whether it is about IPv4 packets like this. `first` is under [`first_mask`] already.
    #[must_use]
    #[inline(always)]
    pub const fn is_for_v4(&self, first: u32, ends: u64, ports: u32, protocol: u8) -> bool {
        self.ends == ends && self.ports == ports && self.first == first && self.protocol == protocol
    }

    /// Whether it is about IPv6 packets like this.
    #[must_use]
    #[inline(always)]
    pub const fn is_for_v6(&self, first: u32, ends: [u64; 4], ports: u32, protocol: u8) -> bool {
        let [a, b, c, d] = ends;
        self.is_for_v4(first, a, ports, protocol)
            && self.ends_rest[0] == b
            && self.ends_rest[1] == c
            && self.ends_rest[2] == d
    }

    /// Whether it is about packets that arrive like this one, and still holds.
    #[must_use]
    #[inline(always)]
    pub const fn is_from(&self, address: u64, ifindex: u32) -> bool {
        self.address == address && self.ifindex == ifindex
    }

    /// Whether it is about packets under these labels, see [`Labels`].
    #[must_use]
    #[inline(always)]
    pub const fn is_under(&self, labels: u64) -> bool {
        self.labels == labels
    }

    /// The label that replaces the top one, where it stands in a stack entry in memory.
    #[must_use]
    #[inline(always)]
    pub const fn out_label(&self) -> u32 {
        self.out_label
    }

    /// The epoch that it holds for.
    #[must_use]
    #[inline(always)]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The tunnel's ID; 0 for a flow that is foreign.
    #[must_use]
    #[inline(always)]
    pub const fn tunnel(&self) -> u32 {
        self.tunnel
    }

    /// The interface that its packets leave by; 0 where the driver turns them around. The CPU where they are handed over.
    #[must_use]
    #[inline(always)]
    pub const fn way_out(&self) -> u32 {
        self.way_out
    }

    /// The most bytes of an inner packet that fit.
    #[must_use]
    #[inline(always)]
    pub const fn most(&self) -> u32 {
        self.most as u32
    }

    /// Bytes of the outer header that is pushed or pulled.
    #[must_use]
    #[inline(always)]
    pub const fn overhead(&self) -> u32 {
        self.overhead as u32
    }

    /// The folded sum of the pseudo-header in wire order, to which only the packet's length field is to be added.
    #[must_use]
    #[inline(always)]
    pub const fn ends_sum(&self) -> u32 {
        self.ends_sum as u32
    }

    /// The folded sum of both IPv4 addresses in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn addresses_sum(&self) -> u32 {
        self.addresses_sum
    }

    /// In wire order, of a packet that is encapsulated the folded sum of the outer IPv4 header as it stands in
    /// [`Self::head`], and of one that comes out that of the two addresses of the outer IPv4 header.
    #[must_use]
    #[inline(always)]
    pub const fn outer_sum(&self) -> u32 {
        self.outer_sum
    }

    /// The headers that are written: the link header, and behind it the outer header without what differs
    /// between packets.
    #[must_use]
    #[inline(always)]
    pub const fn head(&self) -> &[u64; 8] {
        &self.head
    }

    /// Whether an outer IPv4 header from `ends` is accepted.
    #[must_use]
    #[inline(always)]
    pub const fn accepts_v4(&self, ends: u64) -> bool {
        self.overhead() == ipv4::HEADER && self.head[2] == ends
    }

    /// Whether an outer IPv6 header from these ends is accepted.
    #[must_use]
    #[inline(always)]
    pub const fn accepts_v6(&self, ends: [u64; 4]) -> bool {
        let [a, b, c, d] = ends;
        self.overhead() == ipv6::HEADER
            && self.head[2] == a
            && self.head[3] == b
            && self.head[4] == c
            && self.head[5] == d
    }

    /// Whether any field of the outer header but its ECN field is the inner packet's.
    #[must_use]
    #[inline(always)]
    pub const fn inherits_any(&self) -> bool {
        self.switches & (INHERIT_TTL | INHERIT_DF) != 0
    }

    /// Whether the outer IPv4 header has no DF bit, unless it is the inner packet's, so that it needs an identification.
    #[must_use]
    #[inline(always)]
    pub const fn may_be_fragmented(&self) -> bool {
        self.switches & MAY_BE_FRAGMENTED != 0
    }

    /// Whether the outer TTL is the inner packet's.
    #[must_use]
    #[inline(always)]
    pub const fn inherits_ttl(&self) -> bool {
        self.switches & INHERIT_TTL != 0
    }

    /// Whether the outer DF bit is the inner packet's.
    #[must_use]
    #[inline(always)]
    pub const fn inherits_df(&self) -> bool {
        self.switches & INHERIT_DF != 0
    }

    /// The part of the inner ECN field that is copied: all or nothing.
    #[must_use]
    #[inline(always)]
    pub const fn ecn_mask(&self) -> u8 {
        self.ecn_mask
    }

    /// Whether another CPU decapsulates its packets.
    #[must_use]
    #[inline(always)]
    pub const fn is_handed_over(&self) -> bool {
        self.switches & HAND_OVER != 0
    }

    /// Whether the inner DSCP becomes the outer one.
    #[must_use]
    #[inline(always)]
    pub const fn takes_dscp(&self) -> bool {
        self.switches & DECAP_DSCP != 0
    }
}

const _: () = assert!(cfg!(target_endian = "little"));
