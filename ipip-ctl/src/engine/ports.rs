//! Ports: the Ethernet interfaces that carry tunnels' packets, inner and outer.

use std::collections::BTreeSet;

use ipip_common::abi::Port;

use super::Engine;
use crate::api::protocol::PortView;
use crate::dataplane::{Direction, NoXdp};
use crate::failure::Failure;
use crate::netlink::Link;

/// How netlink names the kind of a veth.
const VETH: &str = "veth";
/// A port that programs are attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortState {
    pub(super) name: String,
    /// Tier 1 works; otherwise why not.
    pub(super) xdp: Result<(), NoXdp>,
    /// Tier 2 works; otherwise why not.
    pub(super) tc: Result<(), Failure>,
    /// What stands in the map.
    role: Port,
    /// What the driver was asked with: another program on the interface, and the MTU.
    asked: (bool, u32),
}

impl PortState {
    /// As clients see it.
    pub(super) fn view(&self) -> PortView {
        let tiers =
            [("xdp", self.xdp.is_ok() && !self.role.hides_tags()), ("tc", self.tc.is_ok())].into_iter();
        let tiers = tiers.filter(|(_, works)| *works).map(|(tier, _)| tier.to_owned());
        PortView { name: self.name.clone(), tiers: tiers.collect(), reason: self.reason() }
    }

    /// Why a tier is missing, in words; empty while none is.
    pub(super) fn reason(&self) -> String {
        let mut reasons = Vec::new();
        match &self.xdp {
            Ok(()) if self.role.hides_tags() => reasons.push(format!(
                "it has VLANs, whose tags the driver hides from XDP (ethtool -K {} rxvlan off)",
                self.name
            )),
            Ok(()) if !self.role.is_fast() => {
                reasons.push(
                    "the driver takes no redirected XDP frames (a veth: turn GRO on at its peer)".to_owned(),
                );
            }
            Ok(()) => {}
            Err(NoXdp::NotForwarding) => {
                reasons.push("forwarding is off: tier 1 has nothing to do".to_owned());
            }
            Err(NoXdp::Occupied) => reasons.push("the XDP hook is occupied by another program".to_owned()),
            Err(NoXdp::NotNative(why)) => reasons.push(why.clone()),
        }
        if let Err(failure) = &self.tc {
            reasons.push(failure.message.clone());
        }
        reasons.join("; ")
    }
}

impl Engine {
    /// Attaches to what has come up, follows what has changed, lets go of what is gone.
    pub(super) async fn reconcile_ports(&mut self) {
        let ethernet = self.links.iter().filter(|link| link.mac.is_some()).map(|link| link.index);
        let all: BTreeSet<u32> = ethernet.chain(self.ports.keys().copied()).collect();
        self.look_at_ports(&all).await;
    }

    /// The same for interfaces that something was told of, and for those whose settings were; 0 among these are all.
    pub(super) async fn follow_ports(&mut self, told: &BTreeSet<u32>, switches: &BTreeSet<u32>) {
        if switches.contains(&0) {
            return self.reconcile_ports().await;
        }
        self.look_at_ports(&(told | switches)).await;
    }

    async fn look_at_ports(&mut self, indices: &BTreeSet<u32>) {
        for index in indices {
            let link = self.links.get(*index);
            if !link.is_some_and(|link| self.wants(link)) {
                let name = link.map(|link| link.name.clone());
                if self.ports.remove(index).is_some() {
                    self.drop_port(*index, name.as_deref());
                }
                continue;
            }
            let Some((link, mac)) = link.and_then(|link| Some((link.clone(), link.mac?))) else { continue };
            if self.ports.contains_key(index) {
                self.follow_port(&link, mac).await;
            } else if link.is_up {
                self.add_port(&link, mac).await;
            }
        }
    }

    /// Lets go of interfaces that an earlier daemon had and this one does not want.
    pub(super) fn remove_stale_ports(&mut self) {
        for (ifindex, port) in self.kernel.ports().clone() {
            if port.tunnel_id().is_some() {
                continue;
            }
            match self.links.get(ifindex) {
                Some(link) if link.mac.is_some() && self.wants(link) => {}
                link => {
                    let name = link.map(|link| link.name.clone());
                    self.drop_port(ifindex, name.as_deref());
                }
            }
        }
        for ifindex in self.kernel.attached() {
            if self.links.get(ifindex).is_none() {
                self.kernel.detach(ifindex, None);
            }
        }
    }

    pub(super) fn drop_port(&mut self, ifindex: u32, name: Option<&str>) {
        self.kernel.detach(ifindex, name);
        if let Err(failure) = self.kernel.clear_port(ifindex) {
            log::error!("port {}: {failure}", name.unwrap_or("that is gone"));
        }
    }

    fn wants(&self, link: &Link) -> bool {
        if let Some(names) = &self.interfaces {
            return names.contains(&link.name);
        }
        let master = link.master.and_then(|master| self.links.get(master));
        !master.is_some_and(Link::is_made_of_others)
    }

    async fn add_port(&mut self, link: &Link, mac: [u8; 6]) {
        // The role comes first: without it the programs leave every packet alone. An earlier daemon's stays
        // in force until the program's own state is known.
        let known = self.kernel.ports().get(&link.index).copied();
        let role = known.unwrap_or(Port::ethernet(mac, false));
        let written = self.kernel.set_port(link.index, &role);
        let tc = written.and_then(|()| self.kernel.attach_tc(link, Direction::Ingress));
        let xdp = self.add_xdp(link);
        let asked = (link.has_xdp, link.mtu);
        let state = PortState { name: link.name.clone(), xdp, tc, role, asked };
        self.ports.insert(link.index, state);
        self.follow_port(link, mac).await;
    }

    /// Tier 1, where the host forwards. A program that an earlier daemon attached stays in any case.
    fn add_xdp(&mut self, link: &Link) -> Result<(), NoXdp> {
        if !forwards(&link.name) && !self.kernel.has_xdp(link.index) {
            return Err(NoXdp::NotForwarding);
        }
        if link.is_made_of_others() {
            self.kernel.detach_xdp(link.index);
            return Err(NoXdp::NotNative(format!("a {} is served by tier 2", link.kind)));
        }
        self.kernel.attach_xdp(link).unwrap_or_else(|failure| Err(NoXdp::NotNative(failure.message)))
    }

    /// Asks again for a program that could not be attached, once its reason may be gone.
    async fn retry_programs(&mut self, link: &Link) {
        let Some(port) = self.ports.get(&link.index) else { return };
        let is_occupied = port.xdp == Err(NoXdp::Occupied);
        // The kernel does not tell when a program goes that was attached through a link.
        let now = if is_occupied { self.netlink.link(link.index).await.ok().flatten() } else { None };
        let link = now.as_ref().unwrap_or(link);
        let Some(port) = self.ports.get(&link.index) else { return };
        let asked = (link.has_xdp, link.mtu);
        let may_work = match &port.xdp {
            Ok(()) => false,
            Err(NoXdp::NotForwarding) => forwards(&link.name),
            Err(NoXdp::Occupied | NoXdp::NotNative(_)) => port.asked != asked,
        };
        let xdp = may_work.then(|| self.add_xdp(link));
        let Some(port) = self.ports.get_mut(&link.index) else { return };
        port.asked = asked;
        if let Some(xdp) = xdp {
            port.xdp = xdp;
        }
        if port.tc.is_err() {
            port.tc = self.kernel.attach_tc(link, Direction::Ingress);
        }
    }

    /// Writes the role anew when the address, forwarding or the driver's abilities have changed.
    async fn follow_port(&mut self, link: &Link, mac: [u8; 6]) {
        self.retry_programs(link).await;
        let has_xdp = self.ports.get(&link.index).is_some_and(|port| port.xdp.is_ok());
        let takes_frames = has_xdp
            && self.netlink.takes_frames(link.index).await.unwrap_or(
                // Before Linux 6.3 only the driver knows; of a veth it depends on the far end.
                link.kind != VETH,
            );
        let hides_tags =
            has_xdp && self.links.has_vlans(link.index) && self.netlink.takes_tags(&link.name).await;
        let Some(port) = self.ports.get_mut(&link.index) else { return };
        port.name.clone_from(&link.name);
        let role = Port::ethernet(mac, takes_frames)
            .with_hidden_tags(hides_tags)
            .with_turning(link.kind != VETH)
            .with_labels(takes_labels(&link.name));
        if role == port.role {
            return;
        }
        match self.kernel.set_port(link.index, &role) {
            Ok(()) => port.role = role,
            Err(failure) => log::error!("port {}: {failure}", link.name),
        }
    }
}

/// Whether the host forwards anything that arrives on this interface.
fn forwards(name: &str) -> bool {
    is_on(&format!("ipv4/conf/{name}/forwarding"))
        || is_on(&format!("ipv6/conf/{name}/forwarding"))
        || takes_labels(name)
}

/// The role of a tunnel's interface as the host's settings are now. `was_up`: it has been set up for the first time.
pub(super) fn tunnel_role(id: u32, name: &str, was_up: bool) -> Port {
    Port::tunnel(id).with_name(name).with_labels(takes_labels(name)).with_was_up(was_up)
}

/// Whether the host takes labelled packets that arrive on this interface.
fn takes_labels(name: &str) -> bool {
    is_on(&format!("mpls/conf/{name}/input"))
}

fn is_on(switch: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/net/{switch}")).is_ok_and(|text| text.trim() != "0")
}
