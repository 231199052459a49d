//! By which ways a far end can be made to answer, from what the tunnel is and which addresses its interface has. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipip_common::abi::{Carried, Family, TunnelConfig, words};
use ipip_common::packet::flow::{Flow, Ports};
use ipip_common::packet::probe::Way;

use crate::tunnel::KeepaliveMode;

/// All nodes of a link (RFC 4291 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An address of a tunnel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceAddress {
    /// The interface's index.
    pub ifindex: u32,
    /// The address.
    pub local: IpAddr,
    /// The other end's, where one is set.
    pub peer: Option<IpAddr>,
    /// The bits of its network.
    pub prefix_len: u8,
}

impl InterfaceAddress {
    /// The far end's address on the tunnel's own network, where that has no more than two hosts.
    fn neighbour(&self) -> Option<IpAddr> {
        if let Some(peer) = self.peer.filter(|peer| *peer != self.local) {
            return Some(peer);
        }
        match (self.local, self.prefix_len) {
            (IpAddr::V4(local), 31) => Some(Ipv4Addr::from_bits(local.to_bits() ^ 1).into()),
            (IpAddr::V4(local), 30) => other_of_two(u128::from(local.to_bits()))
                .and_then(|bits| u32::try_from(bits).ok())
                .map(|bits| Ipv4Addr::from_bits(bits).into()),
            (IpAddr::V6(local), 127) => Some(Ipv6Addr::from_bits(local.to_bits() ^ 1).into()),
            (IpAddr::V6(local), 126) => {
                other_of_two(local.to_bits()).map(|bits| Ipv6Addr::from_bits(bits).into())
            }
            _ => None,
        }
    }

    fn is_link_local(&self) -> bool {
        matches!(self.local, IpAddr::V6(local) if local.is_unicast_link_local())
    }
}

/// Of a network of four addresses the one in the middle that is not this one.
const fn other_of_two(bits: u128) -> Option<u128> {
    match bits & 3 {
        1 | 2 => Some(bits ^ 3),
        _ => None,
    }
}

/// The ways that there are, each with the addresses of its probe. A far end has one of each family at most.
#[must_use]
pub fn ways(entry: &TunnelConfig, mode: KeepaliveMode, addresses: &[InterfaceAddress]) -> Vec<(Way, Flow)> {
    let (local, remote) = (entry.ends.local(), entry.ends.remote());
    let mut ways = Vec::new();
    for (kind, is_v6) in [(Carried::Ipv4, false), (Carried::Ipv6, true)] {
        if !entry.flags.carries(kind) {
            continue;
        }
        let is_outer = remote.is_ipv6() == is_v6;
        let mut all = addresses.iter().filter(|address| address.local.is_ipv6() == is_v6);
        // With IPsec nothing may come back beside the tunnel.
        if is_outer && !entry.flags.ipsec {
            ways.push((Way::Reflect, remote, local));
            ways.push((Way::Outer, local, remote));
        }
        if let Some(own) = all.clone().find(|address| !address.is_link_local()) {
            ways.push((Way::Itself, own.local, own.local));
            if let Some(neighbour) = own.neighbour() {
                ways.push((Way::Neighbour, own.local, neighbour));
            }
            if is_outer {
                ways.push((Way::Remote, own.local, remote));
            }
        }
        if let Some(own) = all.find(|address| address.is_link_local()) {
            ways.push((Way::Link, own.local, ALL_NODES.into()));
        }
    }
    let is_wanted = |way: Way| match mode {
        KeepaliveMode::Auto => true,
        KeepaliveMode::Reflect => way.is_reflected(),
        KeepaliveMode::Echo => !way.is_reflected(),
        KeepaliveMode::Passive => false,
    };
    ways.into_iter()
        .filter(|(way, ..)| is_wanted(*way))
        .map(|(way, source, destination)| (way, flow(source, destination)))
        .collect()
}

fn flow(source: IpAddr, destination: IpAddr) -> Flow {
    let known = |address| match address {
        IpAddr::V4(address) => (Family::V4, [address.to_bits(), 0, 0, 0]),
        IpAddr::V6(address) => (Family::V6, words(address)),
    };
    let ((family, source), (_, destination)) = (known(source), known(destination));
    Flow { family, source, destination, protocol: 0, tos: 0, ports: Ports::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::{Facts, lower};
    use crate::spec::TunnelSpec;
    use crate::tunnel::Tunnel;

    fn entry(kind: &str, is_v6: bool) -> TunnelConfig {
        let (local, remote) =
            if is_v6 { ("2001:db8::1", "2001:db8::2") } else { ("198.51.100.1", "203.0.113.2") };
        let spec = TunnelSpec {
            name: Some("ipip1".into()),
            kind: Some(kind.into()),
            local_address: Some(local.into()),
            remote_address: Some(remote.into()),
            ..TunnelSpec::default()
        };
        lower(&Tunnel::try_from(spec).unwrap(), 1, 7, &Facts::default()).unwrap()
    }

    fn own(text: &str) -> InterfaceAddress {
        let (local, prefix_len) = text.split_once('/').unwrap();
        let (prefix_len, peer) =
            prefix_len.split_once(' ').map_or((prefix_len, None), |(length, peer)| (length, Some(peer)));
        InterfaceAddress {
            ifindex: 7,
            local: local.parse().unwrap(),
            peer: peer.map(|peer| peer.parse().unwrap()),
            prefix_len: prefix_len.parse().unwrap(),
        }
    }

    fn names(kind: &str, is_v6: bool, mode: KeepaliveMode, addresses: &[&str]) -> Vec<&'static str> {
        let addresses: Vec<InterfaceAddress> = addresses.iter().map(|text| own(text)).collect();
        ways(&entry(kind, is_v6), mode, &addresses).into_iter().map(|(way, _)| way.name()).collect()
    }

    #[test]
    fn every_kind_has_the_ways_that_its_families_and_addresses_give() {
        use KeepaliveMode::{Auto, Echo, Passive, Reflect};
        for (kind, is_v6, mode, addresses, found) in [
            ("ipip", false, Auto, &[][..], &["reflect", "echo-outer"][..]),
            (
                "ipip",
                false,
                Auto,
                &["10.0.0.1/30", "fe80::1/64"],
                &["reflect", "echo-outer", "reflect-own", "echo", "echo-remote"],
            ),
            ("ipip", false, Auto, &["10.0.0.1/24"], &["reflect", "echo-outer", "reflect-own", "echo-remote"]),
            ("ipip", false, Reflect, &["10.0.0.1/30"], &["reflect", "reflect-own"]),
            ("ipip", false, Echo, &["10.0.0.1/30"], &["echo-outer", "echo", "echo-remote"]),
            ("ipip", false, Passive, &["10.0.0.1/30"], &[]),
            ("6in4", false, Auto, &["10.0.0.1/30"], &[]),
            ("6in4", false, Auto, &["fe80::1/64"], &["echo-link"]),
            ("6in4", false, Auto, &["fe80::1/64", "2001:db8:1::1/64"], &["reflect-own", "echo-link"]),
            ("4in6", true, Auto, &["10.99.0.1/30"], &["reflect-own", "echo"]),
            ("6in6", true, Auto, &["fe80::1/64"], &["reflect", "echo-outer", "echo-link"]),
            ("ipipv6", true, Reflect, &["10.0.0.1/32 10.0.0.9", "fe80::1/64"], &["reflect-own", "reflect"]),
            ("mpls", false, Auto, &["10.0.0.1/30", "fe80::1/64"], &[]),
        ] {
            assert_eq!(names(kind, is_v6, mode, addresses), found, "{kind} {addresses:?}");
        }
    }

    #[test]
    fn the_neighbour_is_the_other_host_of_a_network_of_two() {
        for (address, neighbour) in [
            ("10.0.0.1/30", Some("10.0.0.2")),
            ("10.0.0.6/30", Some("10.0.0.5")),
            ("10.0.0.3/30", None),
            ("10.0.0.4/30", None),
            ("10.0.0.4/31", Some("10.0.0.5")),
            ("10.0.0.1/29", None),
            ("10.0.0.1/32 10.9.9.9", Some("10.9.9.9")),
            ("10.0.0.1/30 10.0.0.1", Some("10.0.0.2")),
            ("2001:db8::2/126", Some("2001:db8::1")),
            ("2001:db8::2/127", Some("2001:db8::3")),
            ("2001:db8::2/64", None),
        ] {
            let found = own(address).neighbour().map(|neighbour| neighbour.to_string());
            assert_eq!(found.as_deref(), neighbour, "{address}");
        }
    }
}
