//! A tunnel's surroundings, and whether it may run in them.

use ipip_common::abi::{Carried, TunnelConfig};

use super::Engine;
use crate::failure::Failure;
use crate::lower::{self, Facts};
use crate::netlink::Link;
use crate::tunnel::Tunnel;

impl Engine {
    /// What is known of the way to the remote, and why the tunnel does not run.
    pub(super) async fn facts(&mut self, tunnel: &Tunnel, id: u32, ifindex: u32) -> (Facts, String) {
        let is_local_missing = tunnel.local.is_some_and(|local| !self.addresses.contains(&local));
        // The kernel finds no way from an address that is not its own.
        let local = tunnel.local.filter(|_| !is_local_missing);
        let way = self.netlink.way_to(tunnel.remote, local).await;
        let was_up = self.installed(&tunnel.name).is_some_and(|installed| installed.was_up);
        let is_down = was_up && self.links.get(ifindex).is_some_and(|link| !link.is_up);
        let is_busy = self.cpus.is_busy(id);
        let mut facts = Facts { is_local_missing, is_busy, is_down, ..Facts::default() };
        if let Some(way) = way {
            // A failure is that of an interface that is not there.
            let _ = self.know_link(way.ifindex).await;
            let link = self.links.get(way.ifindex);
            let link_mtu =
                link.map(|link| if tunnel.remote.is_ipv6() { mtu_of_ipv6(link) } else { link.mtu });
            facts.underlay = way.ifindex;
            facts.next_hop = Some(way.gateway.unwrap_or(tunnel.remote));
            facts.way_mtu = way.mtu.or(link_mtu);
            facts.source = way.source;
        }
        let rival = lower::lower(tunnel, id, ifindex, &facts).and_then(|entry| self.rival(&entry));
        facts.has_rival = rival.is_some();
        let reason = why_not_running(tunnel, ifindex, &facts, self.links.get(facts.underlay))
            .or_else(|| rival.map(|rival| format!("tunnel {rival} has the same addresses")))
            .unwrap_or_default();
        (facts, reason)
    }

    /// Looks at an interface whose own word may not have been heard yet.
    pub(super) async fn know_link(&mut self, ifindex: u32) -> Result<(), Failure> {
        if self.links.get(ifindex).is_none()
            && let Some(link) = self.netlink.link(ifindex).await?
        {
            self.links.put(link);
        }
        Ok(())
    }

    /// Keeps the next hop of a tunnel with MPLS resolved: the kernel does so for IP packets alone, and the programs
    /// cannot ask for it.
    pub(super) async fn resolve_next_hop(&self, tunnel: &Tunnel, facts: &Facts) {
        let has_neighbours = self.links.get(facts.underlay).is_some_and(|link| link.mac.is_some());
        if let Some(next_hop) = facts.next_hop
            && has_neighbours
            && tunnel.kind.carries(Carried::Mpls)
        {
            self.netlink.resolve(facts.underlay, next_hop).await;
        }
    }

    /// The tunnel that gets this one's packets already: of two with the same remote one may have the local address
    /// that the route chooses for the other.
    fn rival(&self, entry: &TunnelConfig) -> Option<&str> {
        let peers = lower::peers(entry);
        let mut owners = peers.iter().filter_map(|peer| self.kernel.owner(peer));
        let owner = owners.find(|owner| *owner != entry.id)?;
        self.by_id.get(&owner).map(String::as_str)
    }
}

/// The MTU of IPv6 packets on an interface, which a router's advertisement may make smaller than the interface's.
fn mtu_of_ipv6(link: &Link) -> u32 {
    let file = format!("/proc/sys/net/ipv6/conf/{}/mtu", link.name);
    let own = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    link.mtu.min(own.unwrap_or(u32::MAX))
}

/// Why a tunnel does not run whose outer packets would come back to it.
pub(super) fn through_itself(tunnel: &Tunnel) -> String {
    format!("the route to {} leads through the tunnel itself", tunnel.remote)
}

/// Why the tunnel does not run; `None` where it does.
fn why_not_running(tunnel: &Tunnel, ifindex: u32, facts: &Facts, underlay: Option<&Link>) -> Option<String> {
    let remote = tunnel.remote;
    match tunnel.local {
        _ if tunnel.disabled => Some("disabled".to_owned()),
        _ if facts.is_down => Some("its interface is down".to_owned()),
        Some(local) if facts.is_local_missing => {
            Some(format!("local-address {local} is not an address of this host"))
        }
        Some(local) if facts.underlay == 0 => Some(format!("no route to {remote} from {local}")),
        None if facts.underlay == 0 => Some(format!("no route to {remote}")),
        _ if facts.underlay == ifindex => Some(through_itself(tunnel)),
        None if facts.source.is_none() => Some(format!("this host has no address to reach {remote} from")),
        _ if underlay.is_none_or(|link| !link.is_up || !link.is_running) => {
            Some(format!("interface {} is down", underlay.map_or("of the route", |link| link.name.as_str())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TunnelSpec;

    fn link(index: u32, is_running: bool) -> Link {
        Link {
            index,
            name: format!("eth{index}"),
            mtu: 1500,
            mac: None,
            is_up: true,
            is_running,
            kind: String::new(),
            lower: None,
            master: None,
            has_xdp: false,
            group: 0,
        }
    }

    #[test]
    fn the_first_thing_that_is_missing_is_the_reason() {
        let tunnel = |local: &str, disabled: bool| {
            Tunnel::try_from(TunnelSpec {
                name: Some("ipip1".into()),
                local_address: Some(local.into()),
                remote_address: Some("2001:db8::2".into()),
                disabled: Some(crate::spec::Word::Truth(disabled)),
                ..TunnelSpec::default()
            })
            .unwrap()
        };
        let links = [link(2, true), link(3, false)];
        let source = Some("2001:db8::1".parse().unwrap());
        let good = Facts { underlay: 2, way_mtu: Some(1500), source, ..Facts::default() };
        let (set, chosen) = (tunnel("2001:db8::1", false), tunnel("::", false));
        for (tunnel, facts, reason) in [
            (&set, good, None),
            (&chosen, good, None),
            (&tunnel("::", true), Facts::default(), Some("disabled")),
            (
                &set,
                Facts { is_local_missing: true, ..good },
                Some("local-address 2001:db8::1 is not an address of this host"),
            ),
            (&set, Facts::default(), Some("no route to 2001:db8::2 from 2001:db8::1")),
            (&chosen, Facts::default(), Some("no route to 2001:db8::2")),
            (
                &set,
                Facts { underlay: 7, ..good },
                Some("the route to 2001:db8::2 leads through the tunnel itself"),
            ),
            (
                &chosen,
                Facts { source: None, ..good },
                Some("this host has no address to reach 2001:db8::2 from"),
            ),
            (&set, Facts { underlay: 3, ..good }, Some("interface eth3 is down")),
            (&set, Facts { underlay: 9, ..good }, Some("interface of the route is down")),
        ] {
            let underlay = links.iter().find(|link| link.index == facts.underlay);
            assert_eq!(why_not_running(tunnel, 7, &facts, underlay).as_deref(), reason);
        }
    }
}
