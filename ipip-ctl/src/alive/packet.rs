//! A whole probe as it goes onto the underlay: what tier 2 would make of the inner packet.

use ipip_common::abi::{Family, TunnelEntry};
use ipip_common::packet::extension::Limit;
use ipip_common::packet::flow::{self, Flow};
use ipip_common::packet::ipv6::next_header;
use ipip_common::packet::outer::{self, Outer};
use ipip_common::packet::probe::{Key, LONGEST, Probe};
use ipip_common::packet::{PROTOCOL_IPV4, PROTOCOL_IPV6};

/// The TTL of an outer header that takes the inner packet's, which is that of every probe.
const INHERITED_TTL: u8 = 64;

/// The outer packet around a probe between the addresses of `flow`.
pub(super) fn outer_packet(entry: &TunnelEntry, key: Key, probe: &Probe, flow: &Flow) -> Vec<u8> {
    let mut buffer = [0; LONGEST];
    let (inner, tos) = probe.write(key, flow, &mut buffer);
    let flags = entry.flags();
    let outer = Outer {
        family: entry.family(),
        protocol: if matches!(flow.family, Family::V4) { PROTOCOL_IPV4 } else { PROTOCOL_IPV6 },
        tos: outer::tos(entry, tos),
        ttl: if flags.inherit_ttl { INHERITED_TTL } else { entry.ttl() },
        inner_len: u32::try_from(inner.len()).unwrap_or_default(),
        dont_fragment: flags.inherit_dont_fragment,
        limit: if flags.encapsulation_limit { Limit::of(entry.encapsulation_limit()) } else { Limit::NONE },
        label: if flags.flow_label { flow::label(flow.hash()) } else { 0 },
    };
    let mut packet = Vec::with_capacity(LONGEST * 2);
    let mut put = |words: &[u32]| words.iter().for_each(|word| packet.extend_from_slice(&word.to_be_bytes()));
    match outer.family {
        // Nothing that short is fragmented, and needs an identification (RFC 6864 4.1); where it is zero the kernel looks
        // for one, at length.
        Family::V4 => put(&outer.v4(entry, u16::try_from(probe.sequence & 0xffff).unwrap_or_default() | 1)),
        Family::V6 if outer.limit.is_set() => {
            put(&outer.v6(entry, next_header::DESTINATION));
            put(&outer.limit.header(outer.protocol));
        }
        Family::V6 => put(&outer.v6(entry, outer.protocol)),
    }
    packet.extend_from_slice(inner);
    packet
}

#[cfg(test)]
mod tests {
    use ipip_common::abi::{Ends, Tier, TunnelConfig, TunnelFlags};
    use ipip_common::packet::flow::Ports;
    use ipip_common::packet::probe::Way;
    use ipip_common::path::encap::encap;
    use ipip_common::testing::{ETHERNET, TableEnv, VecFrame};
    use ipip_common::verdict::Verdict;
    use proptest::prelude::*;

    use super::*;

    fn ends(is_v6: bool) -> Ends {
        if is_v6 {
            Ends::V6 { local: "2001:db8::1".parse().unwrap(), remote: "2001:db8::2".parse().unwrap() }
        } else {
            Ends::V4 { local: "198.51.100.1".parse().unwrap(), remote: "203.0.113.2".parse().unwrap() }
        }
    }

    fn flow(is_v6: bool) -> Flow {
        let (family, source, destination) = if is_v6 {
            (Family::V6, [0x2001_0db8, 1, 0, 1], [0x2001_0db8, 1, 0, 2])
        } else {
            (Family::V4, [0x0a00_0001, 0, 0, 0], [0x0a00_0002, 0, 0, 0])
        };
        Flow { family, source, destination, protocol: 0, tos: 0, ports: Ports::default() }
    }

    proptest! {
        /// The path of tier 2 gives the same bytes, but for the identification and the checksum over it, and the flow label.
        #[test]
        fn a_probe_goes_out_as_tier_2_would_send_it(
            [over_v6, inner_v6, fixed_dscp, inherit_ttl, inherit_dont_fragment] in any::<[bool; 5]>(),
            [ecn_compatibility, encapsulation_limit] in any::<[bool; 2]>(),
            (dscp, ttl, limit) in (0..64_u8, 1..=255_u8, any::<u8>()),
        ) {
            let entry = TunnelEntry::new(&TunnelConfig {
                id: 1,
                flags: TunnelFlags {
                    enabled: true, carries_ipv4: true, carries_ipv6: true, path_mtu: true, fixed_dscp, inherit_ttl,
                    inherit_dont_fragment, ecn_compatibility,
                    encapsulation_limit: encapsulation_limit && over_v6,
                    ..TunnelFlags::default()
                },
                ifindex: 7,
                underlay: 2,
                ends: ends(over_v6),
                mtu: 1480,
                ttl,
                dscp,
                encapsulation_limit: limit,
            });
            let probe = Probe { sequence: 1, way: Way::Neighbour as u32, sent_ns: 5 };
            let mut ours = outer_packet(&entry, [1, 2], &probe, &flow(inner_v6));

            let mut buffer = [0; LONGEST];
            let (inner, _) = probe.write([1, 2], &flow(inner_v6), &mut buffer);
            let mut bytes = [&[0; 12][..], if inner_v6 { &[0x86, 0xdd] } else { &[8, 0] }, inner].concat();
            bytes.truncate(ETHERNET + inner.len());
            let mut frame = VecFrame::new(&bytes);
            let verdict = encap(&mut frame, &TableEnv::new(Tier::Tc, entry));
            prop_assert!(matches!(verdict, Verdict::Forward(_)), "{:?}", verdict);
            let mut theirs = frame.bytes.split_off(ETHERNET);
            if !over_v6 {
                for packet in [&mut ours, &mut theirs] {
                    packet[4..6].fill(0);
                    packet[10..12].fill(0);
                }
            }
            prop_assert_eq!(ours, theirs);
        }
    }
}
