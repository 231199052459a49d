//! What the daemon does: brings the kernel to what the configuration says, and keeps it there.
//!
//! [`Engine::reconcile`] looks at all interfaces, addresses and routes as they are now and changes what differs. After a
//! word from the kernel [`Engine::follow_changes`] does so for what the word is about, and once a second
//! [`Engine::look_around`] for some of the tunnels: what no word tells.

mod commands;
mod commit;
mod ecn;
mod facts;
mod follow;
mod ipsec;
mod keep;
mod left_over;
mod links;
mod loops;
mod mirror;
mod ports;
mod removal;
mod rename;
mod spread;
mod tell;
mod tunnels;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use ipip_common::abi::{LabelEntry, MAX_TUNNELS, Port};

use self::left_over::Buffer;
use self::links::Links;
use self::ports::PortState;
use self::spread::CpuWatch;
use self::tell::Seen;
use self::tunnels::Running;
use crate::alive::{self, Alive, Hook};
use crate::config::{Config, ConfigFile};
use crate::dataplane::Kernel;
use crate::events::{Event, Events};
use crate::failure::Failure;
use crate::ipsec::{Carriers, Ike};
use crate::keeper::Keeper;
use crate::metrics::Address;
use crate::netlink::{Link, Listener, Netlink};
use crate::privileges::Files;
use crate::table::TunnelTable;

/// The daemon's state.
#[derive(Debug)]
pub struct Engine {
    file: ConfigFile,
    interfaces: Option<Vec<String>>,
    /// Where the file had metrics served when the daemon began.
    metrics: Option<Address>,
    table: TunnelTable,
    kernel: Kernel,
    netlink: Netlink,
    listener: Listener,
    /// The kernel did not answer when changes were to be followed: everything is to be looked at again.
    is_behind: bool,
    /// Interfaces from which somebody took a hook, and which have not been looked at since.
    unhooked: BTreeSet<u32>,
    /// The interfaces as they were last looked at.
    links: Links,
    keeper: Keeper,
    files: Files,
    ports: BTreeMap<u32, PortState>,
    running: BTreeMap<String, Running>,
    cpus: CpuWatch,
    /// The tunnels that are in the kernel, by the index of their interface.
    by_ifindex: HashMap<u32, String>,
    /// The same by ID.
    by_id: HashMap<u32, String>,
    /// IDs that no tunnel has.
    free_ids: BTreeSet<u32>,
    /// Interfaces have names that are not written yet: their roles tell the old ones, which a daemon would find that starts now.
    is_renaming: bool,
    /// Until when interfaces are waited for that others hold.
    patient_until: Option<Instant>,
    /// Tunnels whose packets another one gets.
    rivals: BTreeSet<String>,
    /// The number in the list of the tunnel that is looked at next.
    next: usize,
    buffer: Buffer,
    /// The host's addresses, as the programs know them.
    addresses: HashSet<IpAddr>,
    /// Where MPLS labels lead, as the programs know it.
    labels: BTreeMap<u32, LabelEntry>,
    events: Events,
    seen: Seen,
    /// The far ends of the tunnels, and their carriers.
    alive: Alive,
    /// What is told of running flags that come and go.
    hook: Hook,
    /// The keys of tunnels with IPsec.
    ike: Ike,
    /// What carries their packets, once there is one.
    carriers: Option<Carriers>,
}

impl Engine {
    /// An engine that has not done anything yet.
    #[must_use]
    pub fn new(
        file: ConfigFile,
        config: Config,
        (kernel, keeper): (Kernel, Keeper),
        (netlink, listener): (Netlink, Listener),
        events: Events,
        (alive, hook, ike): (Alive, Hook, Ike),
    ) -> Self {
        hook.set(config.hook);
        let taken: BTreeSet<u32> = kernel.ports().values().filter_map(Port::tunnel_id).collect();
        Self {
            file,
            interfaces: config.interfaces,
            metrics: config.metrics,
            table: config.tunnels,
            labels: kernel.labels(),
            kernel,
            netlink,
            listener,
            is_behind: false,
            unhooked: BTreeSet::new(),
            links: Links::default(),
            keeper,
            files: Files::Open,
            ports: BTreeMap::new(),
            running: BTreeMap::new(),
            cpus: CpuWatch::default(),
            by_ifindex: HashMap::new(),
            by_id: HashMap::new(),
            free_ids: (1..MAX_TUNNELS).filter(|id| !taken.contains(id)).collect(),
            is_renaming: false,
            patient_until: None,
            rivals: BTreeSet::new(),
            next: 0,
            buffer: left_over::buffer(),
            addresses: HashSet::new(),
            events,
            seen: Seen::default(),
            alive,
            hook,
            ike,
            carriers: None,
        }
    }

    /// Tells how much of the way to files this process has closed, for `status`.
    pub fn set_confinement(&mut self, files: Files) {
        self.files = files;
    }

    /// Takes over what an earlier daemon left, and removes what the configuration no longer has.
    ///
    /// # Errors
    ///
    /// The kernel refuses something that concerns every tunnel.
    pub async fn start(&mut self) -> Result<(), Failure> {
        if self.kernel.is_moving() {
            self.alive.hold();
        }
        self.look_at_all_links().await?;
        self.name_strays().await;
        let left: BTreeSet<u32> =
            self.kernel.ports().keys().chain(self.kernel.roles_before().keys()).copied().collect();
        let left = left.into_iter().filter(|ifindex| self.links.get(*ifindex).is_some()).count();
        self.remove_stale_tunnels().await;
        self.remove_stale_ports();
        self.remove_stale_addresses().await?;
        for tunnel in &self.table.clone() {
            if let Err(failure) = self.bring_back(tunnel).await {
                log::error!("tunnel {}: {failure}", tunnel.name);
                self.running.insert(tunnel.name.clone(), Running::invalid(&failure));
            }
        }
        // From here on nobody is waited for.
        self.patient_until = Some(Instant::now());
        self.remove_forgotten().await;
        self.reconcile().await?;
        self.ike.know_all();
        self.move_layouts();
        if left > 0 {
            self.events.emit(Event::ProgramsReplaced { interfaces: left });
        }
        self.events.emit(Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() });
        Ok(())
    }

    /// Puts our programs in the place of those of another layout, now that our maps are filled.
    fn move_layouts(&mut self) {
        if !self.kernel.is_moving() {
            return;
        }
        log::info!(
            "taking over from a daemon with maps of layout {}: counters begin at 0",
            self.kernel.layouts().join(" and ")
        );
        let links = |indices: Vec<u32>| -> Vec<Link> {
            indices.into_iter().filter_map(|index| self.links.get(index).cloned()).collect()
        };
        let ports = links(self.ports.keys().copied().collect());
        let tunnels = links(self.by_ifindex.keys().copied().collect());
        self.kernel.finish_moving(&ports, &tunnels);
        self.alive.release();
    }

    /// Brings ports and tunnels to what the interfaces and routes are now.
    ///
    /// # Errors
    ///
    /// The kernel does not answer at all.
    pub async fn reconcile(&mut self) -> Result<(), Failure> {
        self.look_at_all_links().await?;
        // The addresses come first: they tell whether a tunnel may run.
        self.reconcile_addresses().await?;
        self.reconcile_ports().await;
        self.restore_hooks();
        let names: Vec<String> = self.table.iter().map(|tunnel| tunnel.name.clone()).collect();
        self.follow_all(&names).await;
        self.reconcile_labels().await;
        self.tell().await;
        Ok(())
    }

    /// Takes notice of a running flag that came or went with a far end.
    pub fn heed(&mut self, change: &alive::Change) {
        let running = self.running.get_mut(&change.tunnel);
        if let Some(running) = running
            && let Some(installed) = &running.installed
            // The word may be old.
            && let Some(reason) = self.alive.reason(installed.id)
        {
            running.reason = reason;
        }
        self.tell_of_tunnel(&change.tunnel);
    }

    /// Removes everything from the kernel: a clean stop.
    pub async fn purge(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        self.take_down(&names).await;
        for (ifindex, port) in std::mem::take(&mut self.ports) {
            self.drop_port(ifindex, Some(&port.name));
        }
        self.kernel.forget();
        self.keeper.end();
        self.ike.finish();
    }
}
