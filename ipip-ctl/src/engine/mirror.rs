//! What the programs know of the host beside its tunnels: its addresses, and the MPLS routes that only swap.

use std::collections::BTreeMap;

use ipip_common::abi::{LabelEntry, OwnAddress};

use super::{Engine, by_index};
use crate::failure::Failure;
use crate::netlink::{LabelRoute, Link};

impl Engine {
    /// Forgets addresses that an earlier daemon noted and that the host no longer has.
    pub(super) async fn remove_stale_addresses(&mut self) -> Result<(), Failure> {
        let here: Vec<OwnAddress> = self.netlink.addresses().await?.into_iter().map(OwnAddress::of).collect();
        for address in self.kernel.addresses() {
            if !here.contains(&address) {
                self.kernel.clear_address(address)?;
            }
        }
        Ok(())
    }

    /// Follows the host's addresses.
    pub(super) async fn reconcile_addresses(&mut self) -> Result<(), Failure> {
        let here = self.netlink.addresses().await?;
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
    pub(super) async fn reconcile_labels(&mut self, links: &[Link]) {
        let routes = self.netlink.label_routes().await;
        let wanted: BTreeMap<u32, LabelEntry> =
            routes.iter().filter_map(|route| Some((route.label, self.label(route, links)?))).collect();
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

    /// Takes the labels that lead into a tunnel away from the programs.
    pub(super) fn withdraw_labels(&mut self, id: u32) -> Result<(), Failure> {
        let into: Vec<u32> = self
            .labels
            .iter()
            .filter(|(_, entry)| entry.tunnel_id() == Some(id))
            .map(|(label, _)| *label)
            .collect();
        for label in into {
            self.kernel.clear_label(label)?;
            self.labels.remove(&label);
        }
        Ok(())
    }

    /// A route as the programs know it: into a tunnel, or to a neighbour on an Ethernet interface.
    fn label(&self, route: &LabelRoute, links: &[Link]) -> Option<LabelEntry> {
        let mut installed = self.running.values().filter_map(|running| running.installed.as_ref());
        if let Some(tunnel) = installed.find(|installed| installed.ifindex == route.ifindex) {
            return Some(LabelEntry::into_tunnel(route.out, tunnel.id));
        }
        by_index(links, route.ifindex)?.mac?;
        Some(LabelEntry::to_neighbour(route.out, route.ifindex, route.via?))
    }
}
