//! What clients ask for.

use super::{Engine, by_name};
use crate::api::protocol::{DaemonStatus, PortView, Reply, Request};
use crate::failure::Failure;
use crate::spec::TunnelSpec;
use crate::tunnel::Tunnel;

impl Engine {
    /// Carries out a request.
    ///
    /// # Errors
    ///
    /// The request is wrong, or cannot be carried out; nothing is changed then.
    pub async fn answer(&mut self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::Add { tunnel } => self.add(tunnel).await,
            Request::Remove { name } => self.remove(&name).await,
            Request::Print => Ok(Reply::Tunnels { tunnels: self.views()? }),
            Request::Status => Ok(Reply::Status(self.status())),
        }
    }

    async fn add(&mut self, mut spec: TunnelSpec) -> Result<Reply, Failure> {
        let links = self.netlink.links().await?;
        if spec.name.is_none() {
            spec.name = Some(self.table.free_name(|name| by_name(&links, name).is_some()));
        }
        let tunnel = Tunnel::try_from(spec.clone())?;
        // Other systems' words for a kind are understood, and not kept.
        spec.kind = spec.kind.map(|_| tunnel.kind.into());
        let mut table = self.table.clone();
        table.insert(tunnel.clone())?;
        self.bring_up(&tunnel, &links).await?;
        if let Err(failure) = self.file.add(&spec) {
            self.take_down(&tunnel.name).await?;
            return Err(failure);
        }
        self.table = table;
        self.reconcile().await?;
        Ok(Reply::Added { name: tunnel.name })
    }

    async fn remove(&mut self, name: &str) -> Result<Reply, Failure> {
        let mut table = self.table.clone();
        table.remove(name)?;
        self.file.remove(name)?;
        self.table = table;
        self.take_down(name).await?;
        Ok(Reply::Removed { name: name.to_owned() })
    }

    fn status(&self) -> DaemonStatus {
        let ports = self.ports.values().map(|port| {
            let mut tiers = Vec::new();
            if port.xdp.is_ok() {
                tiers.push("xdp".to_owned());
            }
            if port.tc.is_ok() {
                tiers.push("tc".to_owned());
            }
            PortView { name: port.name.clone(), tiers, reason: port.reason() }
        });
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tunnels: u64::try_from(self.table.len()).unwrap_or(u64::MAX),
            ports: ports.collect(),
        }
    }
}
