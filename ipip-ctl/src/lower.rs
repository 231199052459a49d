//! From a tunnel and the facts about its surroundings to the bytes of its map entry. Pure.

use std::net::Ipv4Addr;

use ipip_common::abi::{Carried, Ends, PeerKey, TunnelConfig, TunnelFlags};

use crate::tunnel::{DontFragment, Dscp, MTU_RANGE, Mtu, Tunnel};

/// Outer TTL: RFC 2003 3.1 leaves it to the implementation; 64 is IANA's default TTL.
const TTL: u8 = 64;
/// Bytes of the outer header.
const OVERHEAD: u32 = 20;
/// The MTU where nothing is known of the way: Ethernet's less the outer header.
const MTU_WITHOUT_WAY: u16 = 1480;

/// What is known of a tunnel's surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The interface that the route to the remote uses, 0 for none.
    pub underlay: u32,
    /// MTU of the way, bytes; `None` where there is none.
    pub way_mtu: Option<u32>,
    /// The source address that the route to the remote chooses.
    pub source: Option<Ipv4Addr>,
}

/// The MTU in force: the one that is set, or that of the way less the outer header.
#[must_use]
pub fn actual_mtu(tunnel: &Tunnel, facts: &Facts) -> u16 {
    let auto = || {
        facts.way_mtu.map_or(MTU_WITHOUT_WAY, |mtu| {
            let room = u16::try_from(mtu.saturating_sub(OVERHEAD)).unwrap_or(u16::MAX);
            room.clamp(*MTU_RANGE.start(), *MTU_RANGE.end())
        })
    };
    match tunnel.mtu {
        Mtu::Auto => auto(),
        Mtu::Fixed(mtu) => mtu,
    }
}

/// The outer source in force: the one that is set, or the route's choice.
#[must_use]
pub fn actual_local(tunnel: &Tunnel, facts: &Facts) -> Option<Ipv4Addr> {
    tunnel.local.or(facts.source)
}

/// The tunnel's map entry; `None` as long as there is no outer source.
#[must_use]
pub fn lower(tunnel: &Tunnel, id: u32, ifindex: u32, facts: &Facts) -> Option<TunnelConfig> {
    let (fixed_dscp, dscp) = match tunnel.dscp {
        Dscp::Inherit => (false, 0),
        Dscp::Fixed(dscp) => (true, dscp),
    };
    Some(TunnelConfig {
        id,
        flags: TunnelFlags {
            enabled: !tunnel.disabled,
            clamp_tcp_mss: tunnel.clamp_tcp_mss,
            inherit_dont_fragment: tunnel.dont_fragment == DontFragment::Inherit,
            allow_fast_path: tunnel.allow_fast_path,
            fixed_dscp,
            path_mtu: tunnel.mtu == Mtu::Auto,
            carries_ipv4: true,
            ..TunnelFlags::default()
        },
        ifindex,
        underlay: facts.underlay,
        ends: Ends::V4 { local: actual_local(tunnel, facts)?, remote: tunnel.remote },
        mtu: actual_mtu(tunnel, facts),
        ttl: TTL,
        dscp,
        encapsulation_limit: 0,
    })
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
    use crate::spec::TunnelSpec;
    use ipip_common::abi::TunnelEntry;

    fn tunnel(spec: TunnelSpec) -> Tunnel {
        Tunnel::try_from(TunnelSpec {
            name: Some("ipip1".into()),
            remote_address: Some("203.0.113.2".into()),
            ..spec
        })
        .unwrap()
    }

    fn facts(mtu: u32) -> Facts {
        Facts { underlay: 2, way_mtu: Some(mtu), source: Some(Ipv4Addr::new(198, 51, 100, 1)) }
    }

    #[test]
    fn mtu_follows_the_way() {
        let auto = tunnel(TunnelSpec::default());
        assert_eq!(actual_mtu(&auto, &facts(1500)), 1480);
        assert_eq!(actual_mtu(&auto, &facts(1492)), 1472);
        assert_eq!(actual_mtu(&auto, &facts(70)), 68);
        assert_eq!(actual_mtu(&auto, &facts(65_536)), 65_515);
        assert_eq!(actual_mtu(&auto, &Facts::default()), 1480);
        let fixed =
            tunnel(TunnelSpec { mtu: Some(crate::spec::Word::Number(1400)), ..TunnelSpec::default() });
        assert_eq!(actual_mtu(&fixed, &facts(1500)), 1400);
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
        let lowered = lower(&tunnel(TunnelSpec::default()), 3, 7, &facts(1500)).unwrap();
        assert_eq!(TunnelEntry::new(&lowered).lift(), lowered);
        assert_eq!(peers(&lowered)[0].remote(), lowered.ends.remote());
    }

    #[test]
    fn a_disabled_tunnel_accepts_nobody() {
        let disabled =
            tunnel(TunnelSpec { disabled: Some(crate::spec::Word::Truth(true)), ..TunnelSpec::default() });
        let entry = lower(&disabled, 3, 7, &facts(1500)).unwrap();
        assert!(!entry.flags.enabled);
        assert_eq!(peers(&entry), []);
    }
}
