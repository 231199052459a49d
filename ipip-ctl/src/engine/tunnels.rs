//! Tunnels: their interfaces, map entries and running flags.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ipip_common::abi::{MAX_TUNNELS, Port, TunnelConfig, TunnelEntry};
use tokio::task::JoinHandle;

use super::ecn::EcnWatch;
use super::left_over::drain;
use super::ports::tunnel_role;
use super::spread::BusyWatch;
use super::{Engine, by_index, by_name};
use crate::dataplane::Direction;
use crate::failure::{Failure, FailureKind};
use crate::lower::{self, Facts};
use crate::netlink::Link;
use crate::tun::Tun;
use crate::tunnel::Tunnel;

/// Why a tunnel does not run whose interface somebody removed by hand.
const GONE: &str = "its interface was removed; `ipip-ctl enable` makes it again";

/// A tunnel that is set up, or why it is not.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) installed: Option<Installed>,
    /// Why it does not run; empty while it does.
    pub(super) reason: String,
}

/// What of a tunnel is in the kernel.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) id: u32,
    pub(super) ifindex: u32,
    pub(super) mtu: u16,
    pub(super) left_over: Arc<AtomicU64>,
    pub(super) ecn: EcnWatch,
    pub(super) busy: BusyWatch,
    tun: Arc<Tun>,
    drain: JoinHandle<()>,
    /// What stands in the map.
    role: Port,
    entry: Option<TunnelConfig>,
    carrier: Option<bool>,
    /// It has been set up at least once.
    was_up: bool,
    /// The tunnel is over IPv6, where encapsulation has a limit.
    limits: Arc<AtomicBool>,
}

impl Running {
    pub(super) fn invalid(failure: &Failure) -> Self {
        Self { installed: None, reason: failure.message.clone() }
    }

    /// Its interface is not there.
    pub(super) fn gone() -> Self {
        Self { installed: None, reason: GONE.to_owned() }
    }

    fn has_id(&self, id: u32) -> bool {
        self.installed.as_ref().is_some_and(|installed| installed.id == id)
    }

    pub(super) fn is_running(&self) -> bool {
        self.installed.is_some() && self.reason.is_empty()
    }
}

impl Installed {
    /// Whether all CPUs share the decapsulation.
    pub(super) fn is_spread(&self) -> bool {
        self.entry.is_some_and(|entry| entry.flags.spread && entry.flags.allow_fast_path)
    }
}

impl Engine {
    /// Sets a tunnel up. Its interface is taken over if an earlier daemon made it. After an error nothing is left.
    pub(super) async fn bring_up(&mut self, tunnel: &Tunnel, links: &[Link]) -> Result<(), Failure> {
        let existing = by_name(links, &tunnel.name);
        let known = existing.and_then(|link| self.installed_id(link.index));
        let kept = self.keeper.take(&tunnel.name).filter(|_| existing.is_some());
        if existing.is_some() && known.is_none() && kept.is_none() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("interface {}: the name is another interface's", tunnel.name),
            )
            .with_hint("choose another name, or remove that interface"));
        }
        let id = known.map_or_else(|| self.free_id(), Ok)?;
        let (kept_id, tun) = match kept {
            Some(kept) => (Some(kept.id), kept.tun),
            None => (None, Tun::open(&tunnel.name)?),
        };
        // After an error the new interface goes away with its descriptor.
        let ifindex = self.install(tunnel, id, known.is_some(), &tun).await?;
        self.keeper.keep(id, &tun);
        if let Some(other) = kept_id.filter(|kept| *kept != id) {
            self.keeper.let_go(other);
        }
        let tun = Arc::new(tun);
        let left_over = Arc::new(AtomicU64::new(0));
        let limits = Arc::new(AtomicBool::new(tunnel.remote.is_ipv6()));
        let drain =
            tokio::spawn(drain(Arc::clone(&tun), ifindex, Arc::clone(&limits), Arc::clone(&left_over)));
        let ecn = EcnWatch::from(self.dangerous(id));
        let installed = Installed {
            id,
            ifindex,
            mtu: 0,
            left_over,
            ecn,
            busy: BusyWatch::default(),
            tun,
            drain,
            role: tunnel_role(id, &tunnel.name),
            entry: None,
            carrier: None,
            was_up: false,
            limits,
        };
        let running = Running { installed: Some(installed), reason: String::new() };
        self.running.insert(tunnel.name.clone(), running);
        Ok(())
    }

    /// The interface's role and program.
    async fn install(
        &mut self,
        tunnel: &Tunnel,
        id: u32,
        is_taken_over: bool,
        tun: &Tun,
    ) -> Result<u32, Failure> {
        // Without carrier until the way to the remote is known; a tunnel that was taken over keeps its own.
        if !is_taken_over {
            tun.set_carrier(false).map_err(|error| Failure::io("setting carrier", &error))?;
            self.kernel.clear_counters(id)?;
        }
        let links = self.netlink.links().await?;
        let link = by_name(&links, &tunnel.name).ok_or_else(|| {
            Failure::new(
                FailureKind::Failed,
                format!("interface {}: gone as soon as it was made", tunnel.name),
            )
        })?;
        let attached = self
            .kernel
            .attach_tc(link, Direction::Egress)
            .and_then(|()| self.kernel.attach_tc(link, Direction::Nested))
            .and_then(|()| self.kernel.set_port(link.index, &tunnel_role(id, &link.name)));
        if let Err(failure) = attached {
            self.kernel.detach(link.index, Some(&link.name));
            return Err(failure);
        }
        // Last: a daemon that dies before leaves no interface that nobody knows.
        if let Err(error) = tun.keep() {
            self.withdraw(id, link.index, Some(&link.name))?;
            return Err(Failure::io("making the interface persistent", &error));
        }
        Ok(link.index)
    }

    /// Takes a tunnel out of the kernel. From the first step on its interface goes away with this process, so that
    /// a daemon that dies in between leaves none that nobody knows.
    pub(super) async fn take_down(&mut self, name: &str) -> Result<(), Failure> {
        let Some(running) = self.running.remove(name) else { return Ok(()) };
        let Some(installed) = running.installed else { return Ok(()) };
        let _ = installed.tun.let_go();
        self.keeper.let_go(installed.id);
        self.withdraw(installed.id, installed.ifindex, Some(name))?;
        installed.drain.abort();
        let _ = installed.drain.await;
        // Whoever keeps the descriptor may not have read yet that it is to let go.
        self.netlink.remove(installed.ifindex).await
    }

    fn withdraw(&mut self, id: u32, ifindex: u32, name: Option<&str>) -> Result<(), Failure> {
        for (peer, owner) in self.kernel.peers() {
            if owner == id {
                self.kernel.clear_peer(&peer)?;
            }
        }
        self.withdraw_labels(id)?;
        self.kernel.clear_tunnel(id)?;
        self.kernel.allow_only(id, &[])?;
        self.kernel.clear_port(ifindex)?;
        self.kernel.detach(ifindex, name);
        Ok(())
    }

    /// Removes tunnels of an earlier daemon that the configuration no longer has.
    pub(super) async fn remove_stale_tunnels(&mut self, links: &[Link]) -> Result<(), Failure> {
        for (ifindex, port) in self.kernel.ports() {
            let Some(id) = port.tunnel_id() else { continue };
            let link = by_index(links, ifindex);
            if link.is_some_and(|link| self.table.get(&link.name).is_some()) {
                continue;
            }
            // Held until the entries are gone, as when a tunnel is taken down.
            let kept = link.and_then(|link| self.keeper.take(&link.name)).map(|kept| kept.tun);
            let tun = match (kept, link) {
                (None, Some(link)) => Some(Tun::open(&link.name)?),
                (kept, _) => kept,
            };
            self.keeper.let_go(id);
            if let (Some(link), Some(tun)) = (link, &tun) {
                log::info!("tunnel {}: no longer configured, removed", link.name);
                tun.let_go().map_err(|error| Failure::io(format!("removing {}", link.name), &error))?;
            }
            self.withdraw(id, ifindex, link.map(|link| link.name.as_str()))?;
            if link.is_some() {
                self.netlink.remove(ifindex).await?;
            }
        }
        Ok(())
    }

    /// Removes interfaces that were kept for an earlier daemon which died while it took their tunnels down.
    pub(super) async fn remove_forgotten(&mut self, links: &[Link]) {
        for (name, kept) in self.keeper.take_rest() {
            let _ = kept.tun.let_go();
            let is_used = self.running.values().any(|running| running.has_id(kept.id));
            if !is_used {
                self.keeper.let_go(kept.id);
            }
            if let Some(link) = by_name(links, &name)
                && let Err(failure) = self.netlink.remove(link.index).await
            {
                log::warn!("{failure}");
            }
        }
    }

    /// Follows routes, addresses and interfaces: entry, MTU and running flag of every tunnel.
    pub(super) async fn reconcile_tunnels(&mut self, links: &[Link]) {
        for tunnel in &self.table.clone() {
            if let Err(failure) = self.follow(tunnel, links).await {
                log::error!("tunnel {}: {failure}", tunnel.name);
                if let Some(running) = self.running.get_mut(&tunnel.name) {
                    running.reason = failure.message;
                }
            }
        }
    }

    /// Brings one tunnel to what is written of it and to what the interfaces and routes are now.
    pub(super) async fn follow(&mut self, tunnel: &Tunnel, links: &[Link]) -> Result<(), Failure> {
        let Some(installed) = self.running.get(&tunnel.name).and_then(|running| running.installed.as_ref())
        else {
            return Ok(());
        };
        let (id, ifindex) = (installed.id, installed.ifindex);
        let Some(link) = by_index(links, ifindex) else {
            return self.lost(&tunnel.name, id, ifindex);
        };
        let (facts, reason) = self.facts(tunnel, id, ifindex, links).await;
        self.follow_entry(tunnel, id, ifindex, &facts)?;
        self.follow_role(tunnel, id, ifindex)?;
        if reason.is_empty() {
            self.resolve_next_hop(tunnel, &facts, links).await;
        }
        let mtu = lower::actual_mtu(tunnel, &facts);
        if link.mtu != u32::from(mtu) {
            self.netlink.set_mtu(ifindex, mtu).await?;
        }
        if !link.is_up && !tunnel.disabled && self.is_first_look(&tunnel.name) {
            self.netlink.set_up(ifindex).await?;
        }
        let Some(running) = self.running.get_mut(&tunnel.name) else { return Ok(()) };
        if let Some(installed) = running.installed.as_mut() {
            installed.mtu = mtu;
            installed.was_up |= !tunnel.disabled;
            installed.limits.store(tunnel.remote.is_ipv6(), Ordering::Relaxed);
            let carrier = reason.is_empty();
            if installed.carrier != Some(carrier) {
                installed.tun.set_carrier(carrier).map_err(|error| Failure::io("setting carrier", &error))?;
                installed.carrier = Some(carrier);
            }
        }
        running.reason = reason;
        Ok(())
    }

    /// Writes the interface's role anew when the host begins or ceases to take labelled packets there.
    fn follow_role(&mut self, tunnel: &Tunnel, id: u32, ifindex: u32) -> Result<(), Failure> {
        let role = tunnel_role(id, &tunnel.name);
        let running = self.running.get_mut(&tunnel.name);
        let Some(installed) = running.and_then(|running| running.installed.as_mut()) else { return Ok(()) };
        if installed.role != role {
            self.kernel.set_port(ifindex, &role)?;
            installed.role = role;
        }
        Ok(())
    }

    /// Up and down belong to the user after the first time that the tunnel may run. A disabled one is not set down: that
    /// would cost it its routes and its IPv6 addresses.
    fn is_first_look(&self, name: &str) -> bool {
        self.running
            .get(name)
            .and_then(|running| running.installed.as_ref())
            .is_some_and(|installed| !installed.was_up)
    }

    /// Writes entry and peers where they changed: the entry before the peers that lead to it, and after the
    /// prefixes that it asks for.
    fn follow_entry(&mut self, tunnel: &Tunnel, id: u32, ifindex: u32, facts: &Facts) -> Result<(), Failure> {
        let wanted = lower::lower(tunnel, id, ifindex, facts);
        let installed = self.running.get(&tunnel.name).and_then(|running| running.installed.as_ref());
        if installed.is_some_and(|installed| installed.entry == wanted && wanted.is_some()) {
            return Ok(());
        }
        let peers = wanted.as_ref().map(lower::peers).unwrap_or_default();
        let allowed = lower::allowed(tunnel, id);
        if let Some(entry) = &wanted {
            self.kernel.allow(id, &allowed)?;
            self.kernel.set_tunnel(&TunnelEntry::new(entry))?;
            self.kernel.allow_only(id, &allowed)?;
        }
        for peer in &peers {
            self.kernel.set_peer(peer, id)?;
        }
        for (other, owner) in self.kernel.peers() {
            if owner == id && !peers.contains(&other) {
                self.kernel.clear_peer(&other)?;
            }
        }
        let running = self.running.get_mut(&tunnel.name);
        if let Some(installed) = running.and_then(|running| running.installed.as_mut()) {
            installed.entry = wanted;
        }
        Ok(())
    }

    /// Somebody removed the interface by hand.
    fn lost(&mut self, name: &str, id: u32, ifindex: u32) -> Result<(), Failure> {
        if let Some(running) = self.running.get_mut(name) {
            if let Some(installed) = running.installed.take() {
                installed.drain.abort();
                self.keeper.let_go(id);
            }
            GONE.clone_into(&mut running.reason);
        }
        self.withdraw(id, ifindex, None)
    }

    /// The ID of a tunnel interface that an earlier daemon made.
    fn installed_id(&self, ifindex: u32) -> Option<u32> {
        self.kernel.ports().into_iter().find(|(index, _)| *index == ifindex)?.1.tunnel_id()
    }

    fn free_id(&self) -> Result<u32, Failure> {
        let used: BTreeSet<u32> =
            self.kernel.ports().iter().filter_map(|(_, port)| port.tunnel_id()).collect();
        (1..MAX_TUNNELS).find(|id| !used.contains(id)).ok_or_else(|| {
            Failure::new(FailureKind::Conflict, format!("there are {} tunnels already", MAX_TUNNELS - 1))
                .with_hint("remove one first")
        })
    }
}
