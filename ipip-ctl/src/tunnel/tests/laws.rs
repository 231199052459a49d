//! What holds for every tunnel and every input.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipip_common::abi::{Carried, Family, TunnelEntry};
use proptest::prelude::*;

use super::*;
use crate::lower::{self, Facts};
use crate::tunnel::ends::class;

fn host(is_ipv4: bool) -> impl Strategy<Value = IpAddr> {
    any::<u128>()
        .prop_map(move |bits| {
            let low = u32::try_from(bits & u128::from(u32::MAX)).unwrap();
            if is_ipv4 { Ipv4Addr::from(low).into() } else { Ipv6Addr::from(bits).into() }
        })
        .prop_filter("a host's address", |address| class(*address).is_none())
}

fn prefixes(kind: Kind) -> impl Strategy<Value = Vec<IpNet>> {
    prop::collection::vec((host(true), host(false), any::<bool>(), 0..=32_u8), 0..4).prop_map(move |hosts| {
        let mut prefixes = Vec::new();
        for (four, six, is_ipv4, length) in hosts {
            let prefix = IpNet::new(if is_ipv4 { four } else { six }, length).unwrap().trunc();
            let carried = if is_ipv4 { Carried::Ipv4 } else { Carried::Ipv6 };
            if kind.carries(carried) && !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        prefixes
    })
}

/// Kind, and whether it is over IPv4.
fn kinds() -> impl Strategy<Value = (Kind, bool)> {
    (prop::sample::select(Kind::ALL.to_vec()), any::<bool>())
        .prop_map(|(kind, is_ipv4)| (kind, kind.family().map_or(is_ipv4, |family| family == Family::V4)))
}

pub(crate) fn tunnels() -> impl Strategy<Value = Tunnel> {
    kinds().prop_flat_map(|(kind, is_ipv4)| tunnels_of(kind, is_ipv4))
}

prop_compose! {
    fn tunnels_of(kind: Kind, is_ipv4: bool)(
        name in "[a-z][a-z0-9_.-]{0,14}",
        (local, remote) in (prop::option::of(host(is_ipv4)), host(is_ipv4)),
        mtu in prop_oneof![Just(Mtu::Auto), Mtu::range(kind, 48).prop_map(Mtu::Fixed)],
        (ttl, dscp) in (
            prop_oneof![Just(Ttl::Inherit), TTL_RANGE.prop_map(Ttl::Fixed)],
            prop_oneof![Just(Dscp::Inherit), DSCP_RANGE.prop_map(Dscp::Fixed)],
        ),
        ecn in prop_oneof![Just(Ecn::Normal), Just(Ecn::Compatibility)],
        limit in prop_oneof![Just(EncapsulationLimit::None), any::<u8>().prop_map(EncapsulationLimit::Limit)],
        dont_fragment in prop_oneof![Just(DontFragment::No), Just(DontFragment::Inherit)],
        allowed_inner in prefixes(kind),
        spread in prop::sample::select(vec![Spread::Auto, Spread::On, Spread::Off]),
        ((millis, retries, answers), keepalive_mode) in (
            (50..=3_600_000_u64, 0..=24_u32, 1..=100_u32),
            prop_oneof![Just(KeepaliveMode::Auto), Just(KeepaliveMode::Passive)],
        ),
        (decap_dscp, has_label, clamp_tcp_mss, allow_fast_path, disabled) in any::<(bool, bool, bool, bool, bool)>(),
        file in prop::option::of("/[a-z0-9._/ -]{1,20}"),
        comment in prop::option::of("[ -~äöü]{1,40}"),
    ) -> Tunnel {
        let flow_label = if has_label && !is_ipv4 { FlowLabel::Auto } else { FlowLabel::No };
        let interval = std::time::Duration::from_millis(millis);
        let keepalive =
            if retries == 0 { Keepalive::Off } else { Keepalive::Every { interval, retries, answers } };
        let encapsulation_limit = if is_ipv4 { EncapsulationLimit::None } else { limit };
        let carries_mpls = kind.carries(Carried::Mpls);
        let ipsec_secret_file = file.filter(|_| !carries_mpls).map(PathBuf::from);
        let allow_fast_path = allow_fast_path && ipsec_secret_file.is_none();
        Tunnel {
            name, kind, local, remote, mtu, ttl, dscp, decap_dscp, ecn, flow_label, encapsulation_limit,
            dont_fragment, allowed_inner, clamp_tcp_mss, keepalive, keepalive_mode, allow_fast_path, spread,
            ipsec_secret_file, disabled, comment,
        }
    }
}

proptest! {
    #[test]
    fn writing_out_and_reading_back_changes_nothing(tunnel in tunnels()) {
        prop_assume!(tunnel.local != Some(tunnel.remote) && !matches!(tunnel.name.as_str(), "all" | "default"));
        prop_assert_eq!(&Tunnel::try_from(tunnel.to_spec()).unwrap(), &tunnel);
        let json = serde_json::to_string(&tunnel.to_spec()).unwrap();
        prop_assert_eq!(Tunnel::try_from(serde_json::from_str::<TunnelSpec>(&json).unwrap()).unwrap(), tunnel);
    }

    #[test]
    fn entries_lift_to_what_was_lowered(tunnel in tunnels(), way in any::<u32>(), underlay in any::<u32>()) {
        let facts = Facts { underlay, way_mtu: Some(way), source: tunnel.local, ..Facts::default() };
        let lowered = lower::lower(&tunnel, 1, 7, &facts);
        prop_assert_eq!(lowered.is_some(), tunnel.local.is_some());
        if let Some(lowered) = lowered {
            prop_assert_eq!(TunnelEntry::new(&lowered).lift(), lowered);
            prop_assert!(Mtu::range(tunnel.kind, tunnel.overhead()).contains(&lowered.mtu));
        }
    }

    #[test]
    fn no_input_panics(
        (name, kind, local, remote) in (".*", ".*", ".*", ".*"),
        (mtu, keepalive, prefixes) in (".*", ".*", ".*"),
    ) {
        let written = TunnelSpec {
            name: Some(name),
            kind: Some(kind.as_str().into()),
            allowed_inner: Some(prefixes.as_str().into()),
            local_address: Some(local),
            remote_address: Some(remote),
            mtu: Some(mtu.as_str().into()),
            keepalive: Some(keepalive.as_str().into()),
            ..TunnelSpec::default()
        };
        if let Err(failure) = Tunnel::try_from(written) {
            prop_assert!(!failure.to_string().contains(char::is_control));
        }
    }
}
