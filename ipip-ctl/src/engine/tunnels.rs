//! Tunnels: what of them is in the kernel, and how it gets there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use ipip_common::abi::{Carried, MAX_TUNNELS, Port, TunnelConfig};
use nix::net::if_::if_nametoindex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Engine;
use super::ecn::EcnWatch;
use super::ipsec::Protection;
use super::left_over::drain;
use super::loops::Loop;
use super::ports::tunnel_role;
use crate::failure::{Failure, FailureKind};
use crate::lower::Facts;
use crate::tun::{self, Tun, switch_ipv6};
use crate::tunnel::Tunnel;

/// Why a tunnel does not run whose interface somebody removed by hand.
pub(super) const GONE: &str = "its interface was removed; `ipip-ctl enable` makes it again";

/// How long a start waits for processes that end and hold interfaces.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// The surroundings that it was last brought to.
    pub(super) facts: Facts,
    pub(super) tun: Arc<Tun>,
    pub(super) drain: JoinHandle<()>,
    /// What stands in the map.
    pub(super) role: Port,
    pub(super) entry: Option<TunnelConfig>,
    /// It has been set up at least once.
    pub(super) was_up: bool,
    /// Its route has led through itself.
    pub(super) looped: Loop,
    /// The tunnel is over IPv6, where encapsulation has a limit.
    pub(super) limits: Arc<AtomicBool>,
    /// What it has of IPsec.
    pub(super) protection: Protection,
}

/// What of a tunnel an earlier daemon made.
#[derive(Clone, Copy, Debug)]
struct TakenOver {
    /// The maps know the tunnel.
    entry: bool,
    /// The interface is there.
    interface: bool,
    /// It has been set up before.
    was_up: bool,
    /// The ID that it had in maps of another layout.
    before: Option<u32>,
}

impl Running {
    pub(super) fn invalid(failure: &Failure) -> Self {
        Self { installed: None, reason: failure.message.clone() }
    }

    /// Its interface is not there.
    pub(super) fn gone() -> Self {
        Self { installed: None, reason: GONE.to_owned() }
    }

    pub(super) fn has_id(&self, id: u32) -> bool {
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
    /// What of a tunnel is in the kernel.
    pub(super) fn installed(&self, name: &str) -> Option<&Installed> {
        self.running.get(name)?.installed.as_ref()
    }

    pub(super) fn installed_mut(&mut self, name: &str) -> Option<&mut Installed> {
        self.running.get_mut(name)?.installed.as_mut()
    }

    /// Sets a tunnel up that an earlier daemon may have left. What cannot be taken over stays, with the addresses and routes
    /// that its user gave it, and carries nothing: nobody would look after it.
    pub(super) async fn bring_back(&mut self, tunnel: &Tunnel) -> Result<(), Failure> {
        let Err(failure) = self.bring_up(tunnel).await else { return Ok(()) };
        let index = if_nametoindex(tunnel.name.as_str()).unwrap_or(0);
        let role = |roles: &BTreeMap<u32, Port>| roles.get(&index).copied();
        if let Some(id) = role(self.kernel.ports()).and_then(|role| role.tunnel_id()) {
            self.silence(&[(id, index)]);
        } else if let Some(id) = role(self.kernel.roles_before()).and_then(|role| role.tunnel_id()) {
            // Its programs would go on with the maps of the other layout, which nobody fills any more. It stays known as a
            // tunnel's when they are gone.
            self.kernel.detach(index, Some(&tunnel.name));
            let free = self.free_ids.get(&id).or_else(|| self.free_ids.first()).copied();
            if let Some(id) = free.filter(|id| self.free_ids.remove(id)) {
                self.kernel.set_port(index, &tunnel_role(id, &tunnel.name, true))?;
            }
        } else {
            return Err(failure);
        }
        if let Err(failure) = self.netlink.drop_carrier(index).await {
            log::warn!("tunnel {}: {failure}", tunnel.name);
        }
        Err(failure)
    }

    /// Makes an interface, or takes hold of it. A process that held it and has ended may take a moment to let go.
    async fn open(&mut self, name: &str) -> Result<Tun, Failure> {
        loop {
            if let Some(tun) = Tun::open(name)? {
                return Ok(tun);
            }
            let now = Instant::now();
            // For all of them together: each of thousands may be held.
            if *self.patient_until.get_or_insert(now + PATIENCE) <= now {
                return Err(tun::held(name));
            }
            sleep(PATIENCE / 100).await;
        }
    }

    /// Whether an earlier daemon's tunnel has this ID, which is still to be taken over.
    fn is_promised(&self, id: u32) -> bool {
        let before = || self.kernel.roles_before().values().any(|role| role.tunnel_id() == Some(id));
        self.keeper.has_id(id) || before()
    }

    /// Sets a tunnel up. Its interface is taken over if an earlier daemon made it. After an error nothing is left.
    pub(super) async fn bring_up(&mut self, tunnel: &Tunnel) -> Result<(), Failure> {
        // Asked of the kernel: the name may have been taken a moment ago.
        let existing = if_nametoindex(tunnel.name.as_str()).ok();
        let role = existing.and_then(|ifindex| self.kernel.ports().get(&ifindex).copied());
        let known = role.and_then(|role| role.tunnel_id());
        let before = existing.and_then(|ifindex| self.kernel.roles_before().get(&ifindex).copied());
        let before_id = before.and_then(|role| role.tunnel_id());
        // An ID that an interface was kept under stays its own, so that keeping one never lets go of another.
        let own_id = self.keeper.id_of(&tunnel.name).or(before_id).filter(|id| self.free_ids.contains(id));
        let kept = self.keeper.take(&tunnel.name).filter(|_| existing.is_some());
        if existing.is_some() && known.is_none() && before_id.is_none() && kept.is_none() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("interface {}: the name is another interface's", tunnel.name),
            )
            .with_hint("choose another name, or remove that interface"));
        }
        let free = || self.free_ids.iter().copied().find(|id| !self.is_promised(*id));
        let id = known.or(own_id).or_else(free).ok_or_else(|| {
            Failure::new(FailureKind::Conflict, format!("there are {} tunnels already", MAX_TUNNELS - 1))
                .with_hint("remove one first")
        })?;
        let (kept_id, tun) = match kept {
            Some(kept) => (Some(kept.id), kept.tun),
            None => (None, self.open(&tunnel.name).await?),
        };
        // After an error the new interface goes away with its descriptor.
        let was_up = role.filter(|_| known.is_some()).or(before).is_some_and(|role| role.was_up());
        let taken_over =
            TakenOver { entry: known.is_some(), interface: existing.is_some(), was_up, before: before_id };
        // Without carrier until the way to the remote is known; the kernel gives it some when it is opened. A descriptor
        // that was kept has kept carrier too.
        if kept_id.is_none() {
            tun.set_carrier(false).map_err(|error| Failure::io("setting carrier", &error))?;
        }
        let installed = self.install(tunnel, id, taken_over, &tun).await;
        if installed.is_err()
            && let Some(kept) = kept_id
        {
            // Nobody is to hold it when it is tried again.
            self.keeper.let_go(kept);
        }
        let ifindex = installed?;
        self.keeper.keep(id, &tun);
        if let Some(other) = kept_id.filter(|kept| *kept != id) {
            self.keeper.let_go(other);
        }
        self.free_ids.remove(&id);
        self.by_ifindex.insert(ifindex, tunnel.name.clone());
        self.by_id.insert(id, tunnel.name.clone());
        let tun = Arc::new(tun);
        let left_over = Arc::new(AtomicU64::new(0));
        let limits = Arc::new(AtomicBool::new(tunnel.remote.is_ipv6()));
        let drain = tokio::spawn(drain(
            Arc::clone(&tun),
            ifindex,
            Arc::clone(&self.buffer),
            Arc::clone(&limits),
            Arc::clone(&left_over),
        ));
        let ecn = EcnWatch::from(self.dangerous(id));
        let installed = Installed {
            id,
            ifindex,
            mtu: 0,
            left_over,
            ecn,
            facts: Facts::default(),
            tun,
            drain,
            role: tunnel_role(id, &tunnel.name, taken_over.was_up),
            entry: None,
            was_up: taken_over.was_up,
            looped: Loop::default(),
            limits,
            protection: Protection::default(),
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
        taken_over: TakenOver,
        tun: &Tun,
    ) -> Result<u32, Failure> {
        if !taken_over.entry {
            self.kernel.clear_counters(id)?;
            self.alive.forget(id);
            if let Some(before) = taken_over.before {
                self.kernel.keep_liveness(before, id);
            }
        }
        switch_ipv6(&tunnel.name, tunnel.kind.carries(Carried::Ipv6));
        let made = if_nametoindex(tunnel.name.as_str()).unwrap_or(0);
        let link =
            self.netlink.link(made).await?.filter(|link| link.name == tunnel.name).ok_or_else(|| {
                Failure::new(
                    FailureKind::Failed,
                    format!("interface {}: gone as soon as it was made", tunnel.name),
                )
            })?;
        let attached = self
            .kernel
            .attach_tunnel(&link, taken_over.interface)
            .and_then(|()| self.kernel.set_port(link.index, &tunnel_role(id, &link.name, taken_over.was_up)));
        if let Err(failure) = attached {
            self.kernel.detach(link.index, None);
            return Err(failure);
        }
        // Last: a daemon that dies before leaves no interface that nobody knows.
        if let Err(error) = tun.keep() {
            self.withdraw(&[(id, link.index)]);
            return Err(Failure::io("making the interface persistent", &error));
        }
        let ifindex = link.index;
        self.links.put(link);
        Ok(ifindex)
    }
}
