//! What the daemon does: brings the kernel to what the configuration says, and keeps it there.
//!
//! Everything happens in [`Engine::reconcile`], which looks at the interfaces, addresses and routes as they are now and
//! changes what differs. It runs at the start, after each command and after each word from the kernel.

mod commands;
mod commit;
mod ecn;
mod facts;
mod left_over;
mod mirror;
mod ports;
mod spread;
mod tell;
mod tunnels;
mod views;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ipip_common::abi::LabelEntry;

use self::ports::PortState;
use self::spread::CpuWatch;
use self::tell::Seen;
use self::tunnels::Running;
use crate::config::{Config, ConfigFile};
use crate::dataplane::Kernel;
use crate::events::{Event, Events};
use crate::failure::Failure;
use crate::keeper::Keeper;
use crate::metrics::Address;
use crate::netlink::{Link, Netlink};
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
    keeper: Keeper,
    ports: BTreeMap<u32, PortState>,
    running: BTreeMap<String, Running>,
    cpus: CpuWatch,
    /// The host's addresses, as the programs know them.
    addresses: HashSet<IpAddr>,
    /// Where MPLS labels lead, as the programs know it.
    labels: BTreeMap<u32, LabelEntry>,
    events: Events,
    seen: Seen,
}

impl Engine {
    /// An engine that has not done anything yet.
    #[must_use]
    pub fn new(
        file: ConfigFile,
        config: Config,
        kernel: Kernel,
        netlink: Netlink,
        keeper: Keeper,
        events: Events,
    ) -> Self {
        Self {
            file,
            interfaces: config.interfaces,
            metrics: config.metrics,
            table: config.tunnels,
            labels: kernel.labels(),
            kernel,
            netlink,
            keeper,
            ports: BTreeMap::new(),
            running: BTreeMap::new(),
            cpus: CpuWatch::default(),
            addresses: HashSet::new(),
            events,
            seen: Seen::default(),
        }
    }

    /// Takes over what an earlier daemon left, and removes what the configuration no longer has.
    ///
    /// # Errors
    ///
    /// The kernel refuses something that concerns every tunnel.
    pub async fn start(&mut self) -> Result<(), Failure> {
        let links = self.netlink.links().await?;
        let ports = self.kernel.ports();
        let left = ports.iter().filter(|(ifindex, _)| by_index(&links, *ifindex).is_some()).count();
        self.remove_stale_tunnels(&links).await?;
        self.remove_stale_ports(&links);
        self.remove_stale_addresses().await?;
        for tunnel in &self.table.clone() {
            if let Err(failure) = self.bring_up(tunnel, &links).await {
                log::error!("tunnel {}: {failure}", tunnel.name);
                self.running.insert(tunnel.name.clone(), Running::invalid(&failure));
            }
        }
        self.remove_forgotten(&links).await;
        self.reconcile().await?;
        if left > 0 {
            self.events.emit(Event::ProgramsReplaced { interfaces: left });
        }
        self.events.emit(Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() });
        Ok(())
    }

    /// Brings ports and tunnels to what the interfaces and routes are now.
    ///
    /// # Errors
    ///
    /// The kernel does not answer at all.
    pub async fn reconcile(&mut self) -> Result<(), Failure> {
        let links = self.netlink.links().await?;
        // The addresses come first: they tell whether a tunnel may run.
        self.reconcile_addresses().await?;
        self.reconcile_ports(&links).await;
        self.watch_load();
        self.reconcile_tunnels(&links).await;
        self.reconcile_labels(&links).await;
        self.watch_ecn();
        self.tell();
        Ok(())
    }

    /// Removes everything from the kernel: a clean stop.
    pub async fn purge(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            if let Err(failure) = self.take_down(&name).await {
                log::error!("tunnel {name}: {failure}");
            }
        }
        for (ifindex, port) in std::mem::take(&mut self.ports) {
            self.drop_port(ifindex, Some(&port.name));
        }
        self.kernel.forget();
        self.keeper.end();
    }
}

fn by_name<'a>(links: &'a [Link], name: &str) -> Option<&'a Link> {
    links.iter().find(|link| link.name == name)
}

fn by_index(links: &[Link], index: u32) -> Option<&Link> {
    links.iter().find(|link| link.index == index)
}
