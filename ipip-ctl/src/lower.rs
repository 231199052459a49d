//! From a tunnel and the facts about its surroundings to the bytes of its map entry. Pure.

use std::net::IpAddr;

use ipip_common::abi::{AllowedInner, Carried, Ends, PeerKey, TunnelConfig, TunnelFlags};

use crate::tunnel::{DontFragment, Dscp, Ecn, EncapsulationLimit, FlowLabel, Mtu, Spread, Ttl, Tunnel};

/// The MTU of a way of which nothing is known: Ethernet's.
const MTU_WITHOUT_WAY: u32 = 1500;

/// What is known of a tunnel's surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Facts {
    /// The interface that the route to the remote uses, 0 for none.
    pub underlay: u32,
    /// The neighbour that the route to the remote leads to.
    pub next_hop: Option<IpAddr>,
    /// MTU of the way, bytes; `None` where there is none.
    pub way_mtu: Option<u32>,
    /// The source address that the route to the remote chooses.
    pub source: Option<IpAddr>,
    /// The local address that is set is not, or no longer, this host's.
    pub is_local_missing: bool,
    /// One CPU alone is too slow for what arrives from the remote.
    pub is_busy: bool,
    /// Another tunnel gets the packets that this one would accept.
    pub has_rival: bool,
    /// Somebody has set its interface down.
    pub is_down: bool,
}

/// The MTU in force: the one that is set, or that of the way less the outer header. Kinds that carry IPv6 never go
/// below its least MTU: on a narrower way the outer packet is fragmented (RFC 4213 3.2.2, RFC 2473 7.1).
#[must_use]
pub fn actual_mtu(tunnel: &Tunnel, facts: &Facts) -> u16 {
    match tunnel.mtu {
        Mtu::Auto => {
            let overhead = tunnel.overhead();
            let way = facts.way_mtu.unwrap_or(MTU_WITHOUT_WAY);
            let room = way.saturating_sub(u32::from(overhead));
            let room = if tunnel.has_ipsec() { within_esp(room) } else { room };
            let room = u16::try_from(room).unwrap_or(u16::MAX);
            let (least, most) = Mtu::range(tunnel.kind, overhead).into_inner();
            room.clamp(least, most)
        }
        Mtu::Fixed(mtu) => mtu,
    }
}

/// What ESP leaves of so many bytes, with any keys that are agreed on: the most is taken by AES-CBC with HMAC-SHA-256-128
/// behind UDP (RFC 3948, RFC 4303 2.4).
const fn within_esp(bytes: u32) -> u32 {
    const UDP: u32 = 8;
    const HEADER: u32 = 8;
    const INITIALIZATION: u32 = 16;
    const CHECK: u32 = 16;
    /// The length of the padding, and the protocol.
    const TRAILER: u32 = 2;
    const BLOCK: u32 = 16;
    let blocks = bytes.saturating_sub(UDP + HEADER + INITIALIZATION + CHECK) / BLOCK;
    (blocks * BLOCK).saturating_sub(TRAILER)
}

/// The outer source in force: the one that is set, or the route's choice.
#[must_use]
pub fn actual_local(tunnel: &Tunnel, facts: &Facts) -> Option<IpAddr> {
    tunnel.local.or(facts.source)
}

/// The tunnel's map entry; `None` as long as there is no outer source.
#[must_use]
pub fn lower(tunnel: &Tunnel, id: u32, ifindex: u32, facts: &Facts) -> Option<TunnelConfig> {
    Some(TunnelConfig {
        id,
        flags: flags(tunnel, facts),
        ifindex,
        underlay: facts.underlay,
        ends: Ends::new(actual_local(tunnel, facts)?, tunnel.remote)?,
        mtu: actual_mtu(tunnel, facts),
        ttl: if let Ttl::Fixed(ttl) = tunnel.ttl { ttl } else { 0 },
        dscp: if let Dscp::Fixed(dscp) = tunnel.dscp { dscp } else { 0 },
        encapsulation_limit: match tunnel.encapsulation_limit {
            EncapsulationLimit::None => 0,
            EncapsulationLimit::Limit(limit) => limit,
        },
    })
}

fn flags(tunnel: &Tunnel, facts: &Facts) -> TunnelFlags {
    TunnelFlags {
        enabled: !(tunnel.disabled || facts.is_local_missing || facts.has_rival || facts.is_down),
        clamp_tcp_mss: tunnel.clamp_tcp_mss,
        inherit_dont_fragment: tunnel.dont_fragment == DontFragment::Inherit,
        allow_fast_path: tunnel.allow_fast_path,
        fixed_dscp: tunnel.dscp != Dscp::Inherit,
        inherit_ttl: tunnel.ttl == Ttl::Inherit,
        ecn_compatibility: tunnel.ecn == Ecn::Compatibility,
        decap_dscp: tunnel.decap_dscp,
        flow_label: tunnel.flow_label == FlowLabel::Auto,
        encapsulation_limit: tunnel.encapsulation_limit != EncapsulationLimit::None,
        path_mtu: tunnel.mtu == Mtu::Auto,
        allowed_inner: !tunnel.allowed_inner.is_empty(),
        carries_ipv4: tunnel.kind.carries(Carried::Ipv4),
        carries_ipv6: tunnel.kind.carries(Carried::Ipv6),
        carries_mpls: tunnel.kind.carries(Carried::Mpls),
        // The programs have nothing to share where IPsec is.
        spread: !tunnel.has_ipsec()
            && match tunnel.spread {
                Spread::Auto => facts.is_busy,
                Spread::On => true,
                Spread::Off => false,
            },
        ipsec: tunnel.has_ipsec(),
    }
}

/// The keys of the tunnel's `allowed-inner` prefixes, each with the number of its bits that count.
#[must_use]
pub fn allowed(tunnel: &Tunnel, id: u32) -> Vec<(AllowedInner, u32)> {
    let prefixes = tunnel.allowed_inner.iter();
    prefixes.map(|prefix| AllowedInner::of(id, prefix.network(), prefix.prefix_len())).collect()
}

/// Whom the tunnel accepts packets from, by what it carries; nobody while it is disabled.
#[must_use]
pub fn peers(entry: &TunnelConfig) -> Vec<PeerKey> {
    let carried = Carried::ALL.into_iter().filter(|kind| entry.flags.enabled && entry.flags.carries(*kind));
    carried.map(|kind| PeerKey::of(entry.ends, kind.protocol())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{TunnelSpec, Word};
    use ipip_common::abi::TunnelEntry;

    fn tunnel(spec: TunnelSpec) -> Tunnel {
        let (name, remote) = (Some("ipip1".into()), Some("203.0.113.2".into()));
        Tunnel::try_from(TunnelSpec { name, remote_address: spec.remote_address.or(remote), ..spec }).unwrap()
    }

    fn of_kind(kind: &str, remote: &str) -> TunnelSpec {
        TunnelSpec { kind: Some(kind.into()), remote_address: Some(remote.into()), ..TunnelSpec::default() }
    }

    fn facts(mtu: u32) -> Facts {
        let source = Some("198.51.100.1".parse().unwrap());
        Facts { underlay: 2, way_mtu: Some(mtu), source, ..Facts::default() }
    }

    #[test]
    fn mtu_follows_the_way() {
        let (four, six) = ("203.0.113.2", "2001:db8::2");
        // Kind, remote, limit; MTU on ways of 1500, 1492, 1300, 70 and 65536, and on none.
        for (kind, remote, limit, mtus) in [
            ("ipip", four, "none", [1480, 1472, 1280, 68, 65_515, 1480]),
            ("6in4", four, "none", [1480, 1472, 1280, 1280, 65_515, 1480]),
            ("mpls", four, "none", [1480, 1472, 1280, 68, 65_515, 1480]),
            ("any", four, "none", [1480, 1472, 1280, 1280, 65_515, 1480]),
            ("4in6", six, "none", [1460, 1452, 1260, 68, 65_495, 1460]),
            ("6in6", six, "none", [1460, 1452, 1280, 1280, 65_495, 1460]),
            ("ipipv6", six, "4", [1452, 1444, 1280, 1280, 65_487, 1452]),
            ("4in6", six, "4", [1452, 1444, 1252, 68, 65_487, 1452]),
        ] {
            let limit = (remote == six).then(|| limit.into());
            let tunnel = tunnel(TunnelSpec { encapsulation_limit: limit, ..of_kind(kind, remote) });
            for (way, mtu) in [1500, 1492, 1300, 70, 65_536].into_iter().zip(mtus) {
                assert_eq!(actual_mtu(&tunnel, &facts(way)), mtu, "{kind} on {way}");
            }
            assert_eq!(actual_mtu(&tunnel, &Facts::default()), mtus[5], "{kind}");
        }
        // By hand: 1500 less 20 or 40, less 48, in blocks of 16, less 2; GCM would leave 1446.
        for (kind, remote, mtus) in [
            ("ipip", four, [1422, 1422, 1230, 68]),
            ("6in4", four, [1422, 1422, 1280, 1280]),
            ("ipipv6", six, [1406, 1390, 1280, 1280]),
        ] {
            let file = Some("/etc/ipip/berlin.psk".into());
            let tunnel = tunnel(TunnelSpec { ipsec_secret_file: file, ..of_kind(kind, remote) });
            for (way, mtu) in [1500, 1492, 1300, 70].into_iter().zip(mtus) {
                assert_eq!(actual_mtu(&tunnel, &facts(way)), mtu, "{kind} with IPsec on {way}");
            }
            let entry = lower(&tunnel, 1, 7, &facts(1500));
            assert!(entry.is_none_or(|entry| entry.flags.ipsec && !entry.flags.allow_fast_path));
        }
        let fixed = tunnel(TunnelSpec { mtu: Some(Word::Number(1400)), ..TunnelSpec::default() });
        assert_eq!(actual_mtu(&fixed, &facts(1500)), 1400);
        assert!(!lower(&fixed, 1, 7, &facts(1500)).unwrap().flags.path_mtu);
    }

    #[test]
    fn local_address_is_set_or_the_routes() {
        let chosen = tunnel(TunnelSpec::default());
        let local =
            |tunnel: &Tunnel, facts: &Facts| lower(tunnel, 1, 7, facts).unwrap().ends.local().to_string();
        assert_eq!(local(&chosen, &facts(1500)), "198.51.100.1");
        assert_eq!(lower(&chosen, 1, 7, &Facts::default()), None);
        let set = tunnel(TunnelSpec { local_address: Some("198.51.100.9".into()), ..TunnelSpec::default() });
        assert_eq!(local(&set, &Facts::default()), "198.51.100.9");
    }

    #[test]
    fn entry_lifts_to_what_was_lowered() {
        let (four, six) = ("203.0.113.2", "2001:db8::2");
        for (kind, remote, protocols) in [
            ("ipip", four, &[4_u8][..]),
            ("6in4", four, &[41]),
            ("4in6", six, &[4]),
            ("6in6", six, &[41]),
            ("ipipv6", six, &[4, 41]),
            ("mpls", four, &[137]),
            ("mpls", six, &[137]),
            ("any", four, &[4, 41, 137]),
            ("any", six, &[4, 41, 137]),
        ] {
            let local = if remote == four { "198.51.100.1" } else { "2001:db8::1" };
            let spec = TunnelSpec { local_address: Some(local.into()), ..of_kind(kind, remote) };
            let lowered = lower(&tunnel(spec), 3, 7, &facts(1500)).unwrap();
            assert_eq!(TunnelEntry::new(&lowered).lift(), lowered, "{kind}");
            let peers = peers(&lowered);
            assert_eq!(peers.iter().map(PeerKey::protocol).collect::<Vec<_>>(), protocols, "{kind}");
            assert!(peers.iter().all(|peer| peer.remote().to_string() == remote));
        }
    }

    #[test]
    fn every_property_reaches_the_entry() {
        let spec = TunnelSpec {
            ttl: Some("inherit".into()),
            dscp: Some(Word::Number(46)),
            decap_dscp: Some("yes".into()),
            ecn: Some("compatibility".into()),
            flow_label: Some("no".into()),
            encapsulation_limit: Some(Word::Number(0)),
            allowed_inner: Some("2001:db8:1::/48,10.0.0.0/8".into()),
            local_address: Some("2001:db8::1".into()),
            ..of_kind("ipipv6", "2001:db8::2")
        };
        let tunnel = tunnel(spec);
        let entry = lower(&tunnel, 3, 7, &facts(1500)).unwrap();
        let flags = entry.flags;
        assert!(flags.inherit_ttl && flags.fixed_dscp && flags.decap_dscp && flags.ecn_compatibility);
        assert!(flags.encapsulation_limit && flags.allowed_inner && flags.path_mtu && !flags.flow_label);
        assert_eq!((entry.dscp, entry.encapsulation_limit), (46, 0));
        assert_eq!(TunnelEntry::new(&entry).lift(), entry);
        let allowed: Vec<(u32, u32)> =
            allowed(&tunnel, 3).into_iter().map(|(key, bits)| (key.tunnel(), bits)).collect();
        assert_eq!(allowed, [(3, 64 + 48), (3, 64 + 8)]);
    }

    #[test]
    fn a_tunnel_that_may_not_run_accepts_nobody() {
        let disabled = tunnel(TunnelSpec { disabled: Some(Word::Truth(true)), ..TunnelSpec::default() });
        let enabled = tunnel(TunnelSpec::default());
        let missing = Facts { is_local_missing: true, ..facts(1500) };
        let second = Facts { has_rival: true, ..facts(1500) };
        for (tunnel, facts) in [(&disabled, facts(1500)), (&enabled, missing), (&enabled, second)] {
            let entry = lower(tunnel, 3, 7, &facts).unwrap();
            assert!(!entry.flags.enabled);
            assert_eq!(peers(&entry), []);
        }
    }
}
