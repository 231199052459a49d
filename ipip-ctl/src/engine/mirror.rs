//! What the programs know of the host beside its tunnels: its addresses, and the MPLS routes that only swap.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ipip_common::abi::{LabelEntry, OwnAddress};

use super::Engine;
use crate::failure::Failure;
use crate::netlink::LabelRoute;

impl Engine {
    /// Forgets addresses that an earlier daemon noted and that the host no longer has.
    pub(super) async fn remove_stale_addresses(&mut self) -> Result<(), Failure> {
        let here = self.netlink.addresses().await?;
        let here: HashSet<OwnAddress> =
            here.into_iter().map(|address| OwnAddress::of(address.local)).collect();
        for address in self.kernel.addresses() {
            if !here.contains(&address) {
                self.kernel.clear_address(address)?;
            }
        }
        Ok(())
    }

    /// Follows the host's addresses.
    pub(super) async fn reconcile_addresses(&mut self) -> Result<(), Failure> {
        let all = self.netlink.addresses().await?;
        let here: HashSet<IpAddr> = all.iter().map(|address| address.local).collect();
        self.alive.readdress(all);
        for address in here.difference(&self.addresses) {
            if let Err(failure) = self.kernel.set_address(OwnAddress::of(*address)) {
                log::error!("address {address}: {failure}");
            }
        }
        for address in self.addresses.difference(&here) {
            if let Err(failure) = self.kernel.clear_address(OwnAddress::of(*address)) {
                log::error!("address {address}: {failure}");
            }
        }
        self.addresses = here;
        Ok(())
    }

    /// Follows the kernel's MPLS routes.
    pub(super) async fn reconcile_labels(&mut self) {
        let routes = self.netlink.label_routes().await;
        let wanted: BTreeMap<u32, LabelEntry> =
            routes.iter().filter_map(|route| Some((route.label, self.label(route)?))).collect();
        for label in self.labels.keys().filter(|label| !wanted.contains_key(label)) {
            if let Err(failure) = self.kernel.clear_label(*label) {
                log::error!("label {label}: {failure}");
            }
        }
        for (label, entry) in &wanted {
            if self.labels.get(label) == Some(entry) {
                continue;
            }
            if let Err(failure) = self.kernel.set_label(*label, *entry) {
                log::error!("label {label}: {failure}");
            }
        }
        self.labels = wanted;
    }

    /// Takes the labels that lead into some tunnels away from the programs.
    pub(super) fn withdraw_labels(&mut self, ids: &HashSet<u32>) {
        let into = |entry: &LabelEntry| entry.tunnel_id().is_some_and(|id| ids.contains(&id));
        let labels: Vec<u32> =
            self.labels.iter().filter(|(_, entry)| into(entry)).map(|(label, _)| *label).collect();
        for label in labels {
            match self.kernel.clear_label(label) {
                Ok(()) => {
                    self.labels.remove(&label);
                }
                Err(failure) => log::error!("label {label}: {failure}"),
            }
        }
    }

    /// A route as the programs know it: into a tunnel, or to a neighbour on an Ethernet interface.
    fn label(&self, route: &LabelRoute) -> Option<LabelEntry> {
        let tunnel = self.by_ifindex.get(&route.ifindex).and_then(|name| self.installed(name));
        if let Some(tunnel) = tunnel {
            return Some(LabelEntry::into_tunnel(route.out, tunnel.id));
        }
        self.links.get(route.ifindex)?.mac?;
        Some(LabelEntry::to_neighbour(route.out, route.ifindex, route.via?))
    }
}
