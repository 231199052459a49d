//! Tunnels with IPsec: what carries their packets, and the keys that they wait for.

use std::path::PathBuf;
use std::sync::Arc;

use ipip_common::abi::TunnelConfig;

use super::Engine;
use super::left_over::drain;
use crate::failure::Failure;
use crate::ipsec::{Carriers, Connection, Link, Secret, Stored, path_for};
use crate::spec::TunnelSpec;
use crate::tunnel::Tunnel;

/// What of IPsec a tunnel has that is in the kernel.
#[derive(Debug, Default)]
pub(super) struct Protection {
    /// What carries its packets.
    link: Option<Link>,
    /// Its secret, and where it was read.
    secret: Option<(PathBuf, Secret)>,
}

impl Protection {
    /// Lets go of all of it, with the tunnel.
    pub(super) fn end(&mut self) {
        if let Some(link) = self.link.take() {
            link.withdraw();
        }
    }

    /// What carries the tunnel's packets.
    pub(super) const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }
}

impl Engine {
    /// Brings a tunnel's protection to what is written. Returns why it does not run; empty where nothing is in the way.
    pub(super) fn follow_ipsec(&mut self, tunnel: &Tunnel) -> String {
        let Some(config) = self.installed(&tunnel.name).and_then(|installed| installed.entry) else {
            return String::new();
        };
        let followed = match &tunnel.ipsec_secret_file {
            Some(file) if config.flags.enabled => self.protect(tunnel, &config, file),
            Some(_) | None => self.unprotect(tunnel).map(|()| String::new()),
        };
        followed.unwrap_or_else(|failure| failure.to_string())
    }

    fn protect(&mut self, tunnel: &Tunnel, config: &TunnelConfig, file: &PathBuf) -> Result<String, Failure> {
        self.open_link(tunnel, config)?;
        let Some(installed) = self.installed_mut(&tunnel.name) else { return Ok(String::new()) };
        let known = installed.protection.secret.as_ref().filter(|(path, _)| path == file);
        let secret = if let Some((_, secret)) = known {
            secret.clone()
        } else {
            let secret = Secret::read(file);
            installed.protection.secret = secret.as_ref().ok().map(|secret| (file.clone(), secret.clone()));
            secret?
        };
        self.ike.want(&tunnel.name, Connection::new(self.ike.name_of(&tunnel.name), config, secret))
    }

    /// From here on the daemon takes what the interface sends, and the programs leave it there.
    fn open_link(&mut self, tunnel: &Tunnel, config: &TunnelConfig) -> Result<(), Failure> {
        let carriers = match &self.carriers {
            Some(carriers) => carriers.clone(),
            None => self.carriers.insert(Carriers::start(self.kernel.keepalive())?).clone(),
        };
        let Some(installed) = self.installed_mut(&tunnel.name) else { return Ok(()) };
        let is_same = |link: &Link| link.is_for(config, &tunnel.allowed_inner);
        if installed.protection.link().is_some_and(is_same) {
            return Ok(());
        }
        // The old one first: two would take each other's packets.
        match installed.protection.link.take() {
            Some(old) if !old.is_between(config.ends) => old.withdraw(),
            Some(_) | None => {}
        }
        installed.drain.abort();
        installed.tun.set_offloads(false).map_err(|error| Failure::io("switching offloads off", &error))?;
        let link = carriers.open(installed.tun.descriptor(), *config, &tunnel.allowed_inner)?;
        installed.protection.link = Some(link);
        Ok(())
    }

    /// From here on the programs carry it again.
    fn unprotect(&mut self, tunnel: &Tunnel) -> Result<(), Failure> {
        let buffer = Arc::clone(&self.buffer);
        let Some(installed) = self.installed_mut(&tunnel.name) else { return Ok(()) };
        let link = installed.protection.link.take();
        let was_protected = link.is_some();
        if let Some(link) = link {
            link.withdraw();
        }
        installed.protection.secret = None;
        if !was_protected && !installed.drain.is_finished() {
            return Ok(());
        }
        // A disabled tunnel with a secret carries nothing: its packets wait for nobody.
        installed.tun.set_offloads(true).map_err(|error| Failure::io("switching offloads on", &error))?;
        let (tun, limits) = (Arc::clone(&installed.tun), Arc::clone(&installed.limits));
        let left_over = Arc::clone(&installed.left_over);
        installed.drain = tokio::spawn(drain(tun, installed.ifindex, buffer, limits, left_over));
        self.ike.forget(&tunnel.name);
        Ok(())
    }

    /// The keys of a tunnel came or went.
    pub async fn heed_keys(&mut self, name: &str) {
        self.follow_all(&[name.to_owned()]).await;
        self.tell().await;
    }

    /// Reads the secrets of these tunnels again.
    pub(super) async fn read_secrets_again(&mut self, names: &[String]) {
        let mut touched = Vec::new();
        for name in names {
            let Some(installed) = self.installed_mut(name) else { continue };
            if installed.protection.secret.take().is_some() {
                touched.push(name.clone());
            }
        }
        if !touched.is_empty() {
            self.follow_all(&touched).await;
            self.tell().await;
        }
    }

    /// Stores a secret that came with a command beside the configuration, where the tunnel `name` finds it.
    pub(super) fn store_secret(&self, name: &str, secret: &Secret) -> Result<(Stored, TunnelSpec), Failure> {
        let path = path_for(self.file.path(), name);
        let changes =
            TunnelSpec { ipsec_secret_file: Some(path.display().to_string()), ..TunnelSpec::default() };
        Ok((Stored::write(&path, secret)?, changes))
    }
}

/// A tunnel that is new or changed can have its secret.
pub(super) fn check_secret(tunnel: &Tunnel) -> Result<(), Failure> {
    match &tunnel.ipsec_secret_file {
        Some(file) => {
            Secret::read(file).map(drop).map_err(|failure| failure.within(format!("tunnel {}", tunnel.name)))
        }
        None => Ok(()),
    }
}
