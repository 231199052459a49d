//! How tunnels leave the kernel: all of those that go at once, in a few steps.

use std::collections::HashSet;

use ipip_common::abi::Port;
use nix::net::if_::{if_indextoname, if_nametoindex};

use tokio::task::yield_now;

use super::Engine;
use super::tunnels::Installed;
use crate::failure::Failure;

/// So many tunnels go before others get a turn: closing a descriptor waits for whoever changes interfaces at the time.
const AT_ONCE: usize = 32;

impl Engine {
    /// Takes tunnels out of the kernel. A daemon that dies in between finds by the role of an interface that it is a
    /// tunnel's, and removes it.
    pub(super) async fn take_down(&mut self, names: &[String]) {
        let (mut gone, mut ids): (Vec<Installed>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
        for name in names {
            self.rivals.remove(name);
            self.ike.forget(name);
            match self.running.remove(name).and_then(|running| running.installed) {
                Some(installed) => gone.push(installed),
                None => ids.extend(self.not_taken_over(name)),
            }
        }
        ids.extend(gone.iter().map(|installed| (installed.id, installed.ifindex)));
        self.remove_tunnels(&ids).await;
        for (number, mut installed) in gone.into_iter().enumerate() {
            if number % AT_ONCE == 0 {
                yield_now().await;
            }
            installed.protection.end();
            installed.drain.abort();
            let _ = installed.drain.await;
        }
    }

    /// ID and interface of a tunnel that an earlier daemon left and this one could not take over.
    fn not_taken_over(&self, name: &str) -> Option<(u32, u32)> {
        let index = if_nametoindex(name).ok().filter(|index| self.links.tun(*index).is_some())?;
        Some((self.kernel.ports().get(&index)?.tunnel_id()?, index))
    }

    /// Removes tunnels of an earlier daemon that the configuration no longer has.
    pub(super) async fn remove_stale_tunnels(&mut self) {
        let mut stale = Vec::new();
        for (ifindex, port) in self.kernel.ports() {
            let Some(id) = port.tunnel_id() else { continue };
            let link = self.links.tun(*ifindex);
            if link.is_some_and(|link| self.table.contains(&link.name)) {
                continue;
            }
            if let Some(link) = link {
                log::info!("tunnel {}: no longer configured, removed", link.name);
                drop(self.keeper.take(&link.name));
            }
            stale.push((id, *ifindex));
        }
        self.remove_tunnels(&stale).await;
        self.remove_stale_of_before().await;
    }

    /// The same of a daemon whose maps have another layout: its tunnels have no part of ours.
    async fn remove_stale_of_before(&mut self) {
        let mut stale = Vec::new();
        for (ifindex, role) in self.kernel.roles_before() {
            let Some(id) = role.tunnel_id() else { continue };
            let Some(link) = self.links.tun(*ifindex) else { continue };
            if !self.table.contains(&link.name) {
                log::info!("tunnel {}: no longer configured, removed", link.name);
                drop(self.keeper.take(&link.name));
                self.keeper.let_go(id);
                stale.push((id, *ifindex));
            }
        }
        self.remove_links(&stale).await;
        for (id, ifindex) in stale {
            // Known to the next daemon, too.
            if self.links.tun(ifindex).is_some()
                && let Err(failure) = self.kernel.set_port(ifindex, &Port::tunnel(id))
            {
                log::error!("{failure}");
            }
        }
    }

    /// Removes interfaces that were kept for an earlier daemon which died while it took their tunnels down.
    pub(super) async fn remove_forgotten(&mut self) {
        for kept in self.keeper.take_rest().into_values() {
            // It may have been renamed since, and its name may be another's.
            if let Some(index) = kept.tun.name().ok().and_then(|name| if_nametoindex(name.as_str()).ok()) {
                if let Err(failure) = self.netlink.remove(&[index], self.links.free_group()).await {
                    log::warn!("{failure}");
                    continue;
                }
                self.links.remove(index);
            }
            drop(kept.tun);
            let is_used = self.running.values().any(|running| running.has_id(kept.id));
            if !is_used {
                self.keeper.let_go(kept.id);
            }
        }
    }

    pub(super) async fn remove_tunnels(&mut self, tunnels: &[(u32, u32)]) {
        self.silence(tunnels);
        self.remove_links(tunnels).await;
        let (stay, gone): (Vec<_>, Vec<_>) =
            tunnels.iter().copied().partition(|(_, ifindex)| self.links.tun(*ifindex).is_some());
        for some in gone.chunks(AT_ONCE) {
            self.forget(some);
            yield_now().await;
        }
        // Known by their roles as tunnels', so that the next daemon removes them.
        for (id, ifindex) in stay {
            self.keeper.let_go(id);
            self.cpus.forget(id);
            self.by_ifindex.remove(&ifindex);
            self.by_id.remove(&id);
        }
    }

    /// Takes what the programs know of tunnels away, by ID and index of the interface, where the interfaces are gone.
    pub(super) fn withdraw(&mut self, tunnels: &[(u32, u32)]) {
        self.silence(tunnels);
        self.forget(tunnels);
    }

    /// From here on the programs carry nothing for these tunnels.
    pub(super) fn silence(&mut self, tunnels: &[(u32, u32)]) {
        self.withdraw_labels(&tunnels.iter().map(|(id, _)| *id).collect::<HashSet<u32>>());
        for (id, ifindex) in tunnels {
            if let Err(failure) = self.silence_one(*id) {
                log::error!("tunnel with interface {ifindex}: {failure}");
            }
        }
    }

    fn silence_one(&mut self, id: u32) -> Result<(), Failure> {
        for peer in self.kernel.peers_of(id) {
            self.kernel.clear_peer(&peer)?;
        }
        self.alive.forget(id);
        self.kernel.clear_tunnel(id)?;
        self.kernel.allow_only(id, &[])
    }

    fn forget(&mut self, tunnels: &[(u32, u32)]) {
        for (id, ifindex) in tunnels {
            if let Err(failure) = self.kernel.clear_port(*ifindex) {
                log::error!("tunnel with interface {ifindex}: {failure}");
            }
            self.kernel.detach(*ifindex, None);
            self.keeper.let_go(*id);
            self.cpus.forget(*id);
            self.by_ifindex.remove(ifindex);
            self.by_id.remove(id);
            self.free_ids.insert(*id);
        }
    }

    /// All at once: one by one they would take tens of milliseconds each.
    pub(super) async fn remove_links(&mut self, tunnels: &[(u32, u32)]) {
        let indices: Vec<u32> = tunnels
            .iter()
            .map(|(_, ifindex)| *ifindex)
            .filter(|ifindex| self.links.tun(*ifindex).is_some())
            .collect();
        let removed = self.netlink.remove(&indices, self.links.free_group()).await;
        for index in indices {
            if removed.is_err() && if_indextoname(index).is_ok() {
                continue;
            }
            self.links.remove(index);
        }
        if let Err(failure) = removed {
            log::error!("{failure}");
        }
    }
}
