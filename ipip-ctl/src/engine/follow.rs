//! What changes by itself: the kernel tells of most, and the rest is looked at from time to time.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use super::Engine;
use crate::failure::Failure;
use crate::netlink::Changes;
use crate::tunnel::Tunnel;

/// So many tunnels are looked at in one second without being told to.
const SLICE: usize = 256;

impl Engine {
    /// Follows what the kernel has told of since the last time.
    ///
    /// # Errors
    ///
    /// The kernel does not answer at all.
    pub async fn follow_changes(&mut self) -> Result<(), Failure> {
        let changes = self.listener.take();
        if changes.is_empty() && !self.is_behind {
            return Ok(());
        }
        // Until it has been followed: what was taken is told but once.
        let is_behind = std::mem::replace(&mut self.is_behind, true);
        self.unhooked.extend(&changes.hooks);
        if changes.everything {
            self.unhooked.extend(self.ports.keys().chain(self.by_ifindex.keys()));
        }
        if changes.everything || is_behind {
            self.reconcile().await?;
        } else {
            self.follow_told(changes).await?;
        }
        self.is_behind = false;
        Ok(())
    }

    async fn follow_told(&mut self, mut changes: Changes) -> Result<(), Failure> {
        let told = std::mem::take(&mut changes.links);
        changes.links = self.look_at_links(&told).await?;
        if !changes.addresses.is_empty() {
            self.reconcile_addresses().await?;
        }
        self.follow_ports(&told, &changes.switches).await;
        self.restore_hooks();
        for index in &changes.switches {
            let Some(name) = self.by_ifindex.get(index).cloned() else { continue };
            let followed = self.follow_role_of(&name);
            self.report(&name, followed);
        }
        if changes.concern_ways() {
            let names = self.touched(&changes);
            for name in &names {
                let remote = self.table.get(name).map(|tunnel| tunnel.remote);
                let is_routed = changes.ways || remote.is_some_and(|remote| changes.routes.cover(remote));
                if is_routed && let Some(installed) = self.installed_mut(name) {
                    installed.looped.forget();
                }
            }
            self.follow_all(&names).await;
        }
        // A route's neighbour is known by its interface.
        let is_port = |index: &u32| !self.by_ifindex.contains_key(index);
        if changes.labels || (!self.labels.is_empty() && changes.links.iter().any(is_port)) {
            self.reconcile_labels().await;
        }
        self.tell().await;
        Ok(())
    }

    /// Looks at what the kernel does not tell: settings and drivers of ports, and some of the tunnels, so that it comes
    /// to each of them from time to time.
    pub async fn look_around(&mut self) {
        if self.is_behind
            && let Err(failure) = self.follow_changes().await
        {
            log::error!("{failure}");
        }
        let ports: BTreeSet<u32> = self.ports.keys().copied().collect();
        self.follow_ports(&ports, &BTreeSet::new()).await;
        let count = self.table.len().min(SLICE);
        let start = if self.next < self.table.len() { self.next } else { 0 };
        self.next = start + count;
        let mut names: Vec<String> = self.table.iter().cycle().skip(start).take(count).map(name).collect();
        self.watch_ecn(&names);
        names.extend(self.watch_load());
        self.follow_all(&names).await;
        self.tell().await;
    }

    /// The tunnels that a change may concern.
    fn touched(&self, changes: &Changes) -> Vec<String> {
        let addresses: HashSet<IpAddr> = changes.addresses.iter().map(|(_, address)| *address).collect();
        let interfaces: HashSet<u32> = changes.addresses.iter().map(|(index, _)| *index).collect();
        // Where no local address is set, any of the host's may be chosen, but for those of tunnels.
        let may_be_chosen = interfaces.iter().any(|index| !self.by_ifindex.contains_key(index));
        let is_touched = |tunnel: &&Tunnel| {
            let running = self.running.get(&tunnel.name);
            let Some(installed) = running.and_then(|running| running.installed.as_ref()) else {
                return false;
            };
            let facts = &installed.facts;
            let local = tunnel.local.or(facts.source);
            changes.ways
                || changes.links.contains(&installed.ifindex)
                || changes.links.contains(&facts.underlay)
                || interfaces.contains(&facts.underlay)
                || local.is_some_and(|local| addresses.contains(&local))
                || (tunnel.local.is_none() && may_be_chosen)
                || changes.routes.cover(tunnel.remote)
        };
        self.table.iter().filter(is_touched).map(name).collect()
    }
}

fn name(tunnel: &Tunnel) -> String {
    tunnel.name.clone()
}
