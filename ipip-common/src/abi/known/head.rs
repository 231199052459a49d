//! Filling a place of the table with a flow: its key, and the headers that its packets leave with.

use super::{
    Arrival, Course, DECAP_DSCP, HAND_OVER, INHERIT_DF, INHERIT_TTL, KnownFlow, Labels, MAY_BE_FRAGMENTED,
    both, ends_of, first_word,
};
use crate::{
    abi::{Family, TunnelEntry, key::wire},
    packet::{ETHERTYPE_IPV4, ETHERTYPE_MPLS, checksum, flow::Flow, ipv4, ipv6, outer::Outer},
    verdict::Hop,
};

impl KnownFlow {
    /// Remembers a flow instead of the one that stood here.
    #[inline(always)]
    pub const fn fill(&mut self, arrival: &Arrival, flow: &Flow, labels: &Labels, course: &Course<'_>) {
        let is_decapsulated = matches!(course, Course::Decap(..) | Course::HandOver(..));
        let [ends, r0, r1, r2] = ends_of(flow);
        self.address = arrival.address;
        self.ends = ends;
        if matches!(flow.family, Family::V6) {
            self.ends_rest = [r0, r1, r2];
        }
        self.ports = flow.ports.both().to_be();
        self.first = first_word(flow.family, labels.are_some(), is_decapsulated, flow.tos);
        if labels.are_some() {
            self.labels = labels.key();
            self.out_label = labels.out();
        }
        self.ifindex = arrival.ifindex;
        self.epoch = arrival.epoch;
        self.protocol = flow.protocol;
        let pseudo = checksum::pseudo_header_sum(flow, flow.protocol, 0);
        // Less the header where the packet's own length is added, which counts it.
        let less = if matches!(flow.family, Family::V4) { !(ipv4::HEADER as u16) as u32 } else { 0 };
        self.ends_sum = checksum::fold(pseudo.wrapping_add(less)).to_be();
        let ethertype = if labels.are_some() { ETHERTYPE_MPLS } else { flow.family.ethertype() };
        let [source, destination] = [flow.source[0], flow.destination[0]];
        let addresses = checksum::add_word(checksum::add_word(0, source), destination);
        self.addresses_sum = checksum::fold(addresses).to_be() as u32;
        match course {
            Course::Foreign => self.tunnel = 0,
            Course::Encap(tunnel, outer, hop) => {
                self.take_way(arrival, hop, outer.header_len(), tunnel.mtu());
                self.tunnel = tunnel.id();
                self.fill_encap(tunnel, outer, hop, ethertype == ETHERTYPE_IPV4);
            }
            Course::Decap(tunnel, hop) => {
                self.take_way(arrival, hop, 0, u16::MAX);
                self.tunnel = tunnel.id();
                self.switches = if tunnel.flags().decap_dscp { DECAP_DSCP } else { 0 };
                let [l0, l1, l2] = wire3(hop.link.words());
                self.head[0] = both(l0, l1);
                self.head[1] = both(l2, ethertype.to_be() as u32);
                self.accept(tunnel);
            }
            Course::HandOver(tunnel, cpu) => {
                self.tunnel = tunnel.id();
                self.switches = HAND_OVER;
                self.way_out = *cpu;
                self.accept(tunnel);
            }
        }
    }

    #[inline(always)]
    const fn take_way(&mut self, arrival: &Arrival, hop: &Hop, overhead: u32, tunnel_mtu: u16) {
        let room = hop.mtu.saturating_sub(overhead);
        let most = if room < tunnel_mtu as u32 { room } else { tunnel_mtu as u32 };
        self.most = most as u16;
        self.way_out = if hop.ifindex == arrival.turned { 0 } else { hop.ifindex };
    }

    /// The headers without what differs between packets: lengths, identification, congestion marks, and what is inherited.
    #[inline(always)]
    const fn fill_encap(&mut self, tunnel: &TunnelEntry, outer: &Outer, hop: &Hop, is_v4: bool) {
        let flags = tunnel.flags();
        let inherits_df = flags.inherit_dont_fragment && is_v4;
        self.ecn_mask = if flags.ecn_compatibility { 0 } else { 3 };
        self.overhead = outer.header_len() as u8;
        let outer = Outer {
            inner_len: outer.header_len().wrapping_neg(),
            tos: outer.tos & 0xfc,
            ttl: if flags.inherit_ttl { 0 } else { outer.ttl },
            dont_fragment: outer.dont_fragment && !inherits_df,
            ..*outer
        };
        self.switches = if flags.inherit_ttl { INHERIT_TTL } else { 0 }
            | if inherits_df { INHERIT_DF } else { 0 }
            | if outer.dont_fragment { 0 } else { MAY_BE_FRAGMENTED };
        let [l0, l1, l2] = wire3(hop.link.words());
        let ethertype = outer.family.ethertype().to_be() as u32;
        self.head[0] = both(l0, l1);
        match outer.family {
            Family::V4 => {
                let [w0, w1, w2, w3, w4] = wire5(outer.v4(tunnel, 0));
                self.outer_sum = !(w2 >> 16) & 0xffff;
                let w2 = w2 & 0xffff;
                self.head[1] = both(l2, ethertype | w0 << 16);
                self.head[2] = both(w0 >> 16 | w1 << 16, w1 >> 16 | w2 << 16);
                self.head[3] = both(w3 << 16, w3 >> 16 | w4 << 16);
                self.head[4] = (w4 >> 16) as u64;
            }
            Family::V6 => self.fill_v6(tunnel, &outer, l2, ethertype),
        }
    }

    #[inline(always)]
    const fn fill_v6(&mut self, tunnel: &TunnelEntry, outer: &Outer, l2: u32, ethertype: u32) {
        use crate::packet::ipv6::next_header::DESTINATION;
        let next = if outer.limit.is_set() { DESTINATION } else { outer.protocol };
        let [w0, w1, ..] = outer.v6(tunnel, next);
        // The length stays out.
        let (w0, w1) = (w0.to_be(), (w1 & 0xffff).to_be());
        let [a, b, c, d] = wire(tunnel.local());
        let [e, f, g, h] = wire(tunnel.remote());
        let [o0, o1] = outer.limit.header(outer.protocol);
        let (o0, o1) = (o0.to_be(), o1.to_be());
        self.head[1] = both(l2, ethertype | w0 << 16);
        self.head[2] = both(w0 >> 16 | w1 << 16, w1 >> 16 | a << 16);
        self.head[3] = both(a >> 16 | b << 16, b >> 16 | c << 16);
        self.head[4] = both(c >> 16 | d << 16, d >> 16 | e << 16);
        self.head[5] = both(e >> 16 | f << 16, f >> 16 | g << 16);
        self.head[6] = both(g >> 16 | h << 16, h >> 16 | o0 << 16);
        self.head[7] = both(o0 >> 16 | o1 << 16, o1 >> 16);
    }

    /// The outer addresses that are accepted.
    #[inline(always)]
    const fn accept(&mut self, tunnel: &TunnelEntry) {
        let [a, b, c, d] = wire(tunnel.remote());
        let [e, f, g, h] = wire(tunnel.local());
        match tunnel.family() {
            Family::V4 => {
                self.head[2] = both(a, e);
                self.outer_sum = checksum::fold(checksum::add_word(checksum::add_word(0, a), e)) as u32;
            }
            Family::V6 => {
                self.head[2] = both(a, b);
                self.head[3] = both(c, d);
                self.head[4] = both(e, f);
                self.head[5] = both(g, h);
            }
        }
        self.overhead = header_len(tunnel.family()) as u8;
    }
}

#[inline(always)]
const fn header_len(family: Family) -> u32 {
    match family {
        Family::V4 => ipv4::HEADER,
        Family::V6 => ipv6::HEADER,
    }
}

#[inline(always)]
const fn wire3([a, b, c]: [u32; 3]) -> [u32; 3] {
    [a.to_be(), b.to_be(), c.to_be()]
}

#[inline(always)]
const fn wire5([a, b, c, d, e]: [u32; 5]) -> [u32; 5] {
    [a.to_be(), b.to_be(), c.to_be(), d.to_be(), e.to_be()]
}
