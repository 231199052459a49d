//! Keeps tunnels as they are to be: entry, MTU and running flag follow what is written and what the surroundings are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ipip_common::abi::{Carried, TunnelEntry};

use super::Engine;
use super::facts::through_itself;
use super::ports::tunnel_role;
use super::tunnels::GONE;
use crate::alive::Watched;
use crate::dataplane::Direction;
use crate::failure::Failure;
use crate::lower::{self, Facts};
use crate::tun::switch_ipv6;
use crate::tunnel::Tunnel;

impl Engine {
    /// Brings tunnels to what is written of them and to what the interfaces and routes are now: entry, MTU, running
    /// flag.
    pub(super) async fn follow_all(&mut self, names: &[String]) {
        for name in names {
            self.follow_one(name).await;
        }
        // One of them may have let go of what another waits for.
        for name in self.rivals.clone() {
            self.follow_one(&name).await;
        }
    }

    async fn follow_one(&mut self, name: &str) {
        let Some(tunnel) = self.table.get(name).cloned() else { return };
        self.seen.touch(name);
        let followed = self.follow(&tunnel).await;
        self.report(name, followed);
    }

    /// Notes that something could not be done.
    pub(super) fn report(&mut self, name: &str, result: Result<(), Failure>) {
        let Err(failure) = result else { return };
        log::error!("tunnel {name}: {failure}");
        self.seen.touch(name);
        if let Some(running) = self.running.get_mut(name) {
            running.reason = failure.message;
        }
    }

    /// Brings one tunnel to what is written of it and to what the interfaces and routes are now.
    pub(super) async fn follow(&mut self, tunnel: &Tunnel) -> Result<(), Failure> {
        let Some(installed) = self.installed(&tunnel.name) else { return Ok(()) };
        let (id, ifindex) = (installed.id, installed.ifindex);
        // A list of interfaces that changed while the kernel wrote it may lack one that is there.
        if self.links.get(ifindex).is_none() {
            self.know_link(ifindex).await?;
        }
        if self.links.tun(ifindex).is_none() {
            self.lost(&tunnel.name);
            return Ok(());
        }
        let (facts, mut reason) = self.facts(tunnel, id, ifindex).await;
        let is_loop = facts.underlay == ifindex && !tunnel.disabled;
        if let Some(installed) = self.installed_mut(&tunnel.name)
            && installed.looped.look(is_loop, (tunnel.local, tunnel.remote), Instant::now())
            && !tunnel.disabled
        {
            reason = through_itself(tunnel);
        }
        if let Some(link) = self.links.get(ifindex).filter(|link| link.name != tunnel.name)
            && !tunnel.disabled
        {
            let (name, other) = (&tunnel.name, &link.name);
            reason =
                format!("its interface is named {other} now; `ipip-ctl set {name} name={other}` follows it");
        }
        if facts.has_rival {
            self.rivals.insert(tunnel.name.clone());
        } else {
            self.rivals.remove(&tunnel.name);
        }
        self.follow_entry(tunnel, id, ifindex, &facts)?;
        let unprotected = self.follow_ipsec(tunnel);
        if reason.is_empty() {
            reason = unprotected;
        }
        if reason.is_empty() {
            self.resolve_next_hop(tunnel, &facts).await;
        }
        let mtu = lower::actual_mtu(tunnel, &facts);
        self.follow_link(tunnel, ifindex, mtu).await?;
        let Some(running) = self.running.get_mut(&tunnel.name) else { return Ok(()) };
        if let Some(installed) = running.installed.as_mut() {
            installed.mtu = mtu;
            installed.facts = facts;
            installed.was_up |= !tunnel.disabled;
            installed.limits.store(tunnel.remote.is_ipv6(), Ordering::Relaxed);
            let watched = Watched {
                name: tunnel.name.clone(),
                tun: Arc::clone(&installed.tun),
                keepalive: tunnel.keepalive,
                mode: tunnel.keepalive_mode,
                entry: installed.entry,
                protected: installed.protection.link().map(|link| Arc::clone(link.carrier())),
                obstacle: reason,
            };
            running.reason = self.alive.follow(id, watched)?;
        }
        // Now that it has been set up.
        self.follow_role_of(&tunnel.name)
    }

    /// The interface's MTU, and up when the tunnel may run for the first time.
    async fn follow_link(&mut self, tunnel: &Tunnel, ifindex: u32, mtu: u16) -> Result<(), Failure> {
        let Some(link) = self.links.get(ifindex) else { return Ok(()) };
        let is_narrow = link.mtu != u32::from(mtu);
        let is_to_rise = !link.is_up && !tunnel.disabled && self.is_first_look(&tunnel.name);
        if is_narrow {
            self.netlink.set_mtu(ifindex, mtu, is_to_rise).await?;
        } else if is_to_rise {
            self.netlink.set_up(ifindex).await?;
        }
        self.links.edit(ifindex, |link| {
            link.mtu = u32::from(mtu);
            link.is_up |= is_to_rise;
        });
        Ok(())
    }

    /// Writes the interface's role anew when the host begins or ceases to take labelled packets there.
    pub(super) fn follow_role_of(&mut self, name: &str) -> Result<(), Failure> {
        let Some(installed) = self.installed(name) else { return Ok(()) };
        let (ifindex, role) = (installed.ifindex, tunnel_role(installed.id, name, installed.was_up));
        if installed.role == role || self.is_renaming {
            return Ok(());
        }
        self.kernel.set_port(ifindex, &role)?;
        if let Some(installed) = self.installed_mut(name) {
            installed.role = role;
        }
        Ok(())
    }

    /// Puts the programs back on the interfaces from which somebody took them.
    pub(super) fn restore_hooks(&mut self) {
        for index in std::mem::take(&mut self.unhooked) {
            let Some(link) = self.links.get(index).cloned() else { continue };
            if let Some(name) = self.by_ifindex.get(&index).cloned() {
                let attached = self.kernel.attach_tunnel(&link, true);
                self.report(&name, attached);
            } else if let Some(port) = self.ports.get_mut(&index) {
                // Where the kernel has links, they are still there.
                port.tc = self.kernel.attach_tc(&link, Direction::Ingress);
            }
        }
    }

    /// Up and down belong to the user after the first time that the tunnel may run. A disabled one is not set down: that
    /// would cost it its routes and its IPv6 addresses.
    fn is_first_look(&self, name: &str) -> bool {
        self.installed(name).is_some_and(|installed| !installed.was_up)
    }

    /// Writes entry and peers where they changed: the entry before the peers that lead to it, and after the
    /// prefixes that it asks for.
    fn follow_entry(&mut self, tunnel: &Tunnel, id: u32, ifindex: u32, facts: &Facts) -> Result<(), Failure> {
        let wanted = lower::lower(tunnel, id, ifindex, facts);
        let allowed = lower::allowed(tunnel, id);
        let before = self.installed(&tunnel.name).and_then(|installed| installed.entry);
        if before == wanted && wanted.is_some() && self.kernel.allows(id, &allowed) {
            return Ok(());
        }
        // Until all of it is written: what failed half-way is written again.
        if let Some(installed) = self.installed_mut(&tunnel.name) {
            installed.entry = None;
        }
        let carries_ipv6 = tunnel.kind.carries(Carried::Ipv6);
        if before.is_none_or(|before| before.flags.carries_ipv6 != carries_ipv6) {
            switch_ipv6(&tunnel.name, carries_ipv6);
        }
        let peers = wanted.as_ref().map(lower::peers).unwrap_or_default();
        if let Some(entry) = &wanted {
            self.kernel.allow(id, &allowed)?;
            self.kernel.set_tunnel(&TunnelEntry::new(entry))?;
            self.kernel.allow_only(id, &allowed)?;
        }
        for peer in &peers {
            self.kernel.set_peer(peer, id)?;
        }
        for other in self.kernel.peers_of(id) {
            if !peers.contains(&other) {
                self.kernel.clear_peer(&other)?;
            }
        }
        if wanted.is_none() && self.kernel.tunnel(id).is_some() {
            // Nobody knows its ends any more: what it had would go on with those before.
            self.kernel.clear_tunnel(id)?;
        }
        if let Some(installed) = self.installed_mut(&tunnel.name) {
            installed.entry = wanted;
        }
        Ok(())
    }

    /// Somebody removed the interface by hand.
    fn lost(&mut self, name: &str) {
        let Some(running) = self.running.get_mut(name) else { return };
        GONE.clone_into(&mut running.reason);
        if let Some(mut installed) = running.installed.take() {
            installed.protection.end();
            installed.drain.abort();
            self.ike.forget(name);
            self.withdraw(&[(installed.id, installed.ifindex)]);
        }
    }
}
