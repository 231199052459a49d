//! What clients ask for.

use std::path::{Path, PathBuf};

use super::Engine;
use super::commit::Restore;
use super::ports::PortState;
use super::tunnels::Running;
use super::views;
use crate::api::change::{Change, Changed, PropertyChange};
use crate::api::protocol::{DaemonStatus, Reply, Request};
use crate::config::Config;
use crate::events::Event;
use crate::failure::{Failure, FailureKind};
use crate::ipsec::{Secret, Stored};
use crate::privileges;
use crate::select::select;
use crate::spec::{TunnelSpec, Word};
use crate::table::{TunnelTable, free_names};
use crate::tunnel::Tunnel;

impl Engine {
    /// Carries out a request.
    ///
    /// # Errors
    ///
    /// The request is wrong, or cannot be carried out; nothing is changed then.
    pub async fn answer(&mut self, request: Request) -> Result<Reply, Failure> {
        self.follow_changes().await?;
        let changed: Changed = match request {
            Request::Add { tunnel, ipsec_secret } => return self.add(tunnel, ipsec_secret).await,
            Request::Print => return Ok(Reply::Tunnels { tunnels: self.views()? }),
            Request::Status => return Ok(Reply::Status(self.status())),
            Request::Export => {
                return Ok(Reply::Specs { tunnels: self.table.iter().map(Tunnel::to_short_spec).collect() });
            }
            Request::Import { tunnels, dry_run } => self.import(tunnels, dry_run).await.map(Changed::from),
            Request::Set { tunnels, properties, ipsec_secret } => {
                self.set(&tunnels, &properties, ipsec_secret).await.map(Changed::from)
            }
            Request::Enable { tunnels } => self.switch(&tunnels, false).await.map(Changed::from),
            Request::Disable { tunnels } => self.switch(&tunnels, true).await.map(Changed::from),
            Request::Remove { tunnels } => self.remove(&tunnels).await.map(Changed::from),
            Request::Apply { text, origin, dry_run } => self.apply(text, Path::new(&origin), dry_run).await,
            Request::Reload => self.reload().await,
            Request::Stop { purge } => {
                if purge {
                    self.purge().await;
                }
                return Ok(Reply::Stopped);
            }
            Request::Events { .. } => {
                let message = "events: they are told where the request came in";
                return Err(Failure::new(FailureKind::Unsupported, message));
            }
        }?;
        Ok(Reply::Changed { changes: changed.changes, settings: changed.settings })
    }

    async fn add(&mut self, mut spec: TunnelSpec, secret: Option<Secret>) -> Result<Reply, Failure> {
        let (mut table, names) = self.with(vec![spec.clone()])?;
        let name = names.into_iter().next().unwrap_or_default();
        let stored = match secret {
            Some(secret) => {
                let (stored, with_secret) = self.store_secret(&name, &secret)?;
                spec.name = Some(name.clone());
                spec = spec.merged(&with_secret).map_err(|error| Failure::new(FailureKind::Usage, error))?;
                table = self.with(vec![spec.clone()])?.0;
                Some(stored)
            }
            None => None,
        };
        let mut edit = self.file.edit()?;
        edit.add(&as_kept(spec, &table, &name));
        self.commit(table, Some(edit.finish()?), Restore::Nothing).await?;
        stored.into_iter().for_each(Stored::keep);
        Ok(Reply::Added { name })
    }

    /// Those that are there already just as they are written are left alone.
    async fn import(&mut self, specs: Vec<TunnelSpec>, dry_run: bool) -> Result<Vec<Change>, Failure> {
        let is_there = |spec: &TunnelSpec| {
            let named = spec.name.as_deref().and_then(|name| self.table.get(name));
            named.is_some_and(|there| Tunnel::try_from(spec.clone()).is_ok_and(|tunnel| tunnel == *there))
        };
        let specs: Vec<TunnelSpec> = specs.into_iter().filter(|spec| !is_there(spec)).collect();
        let (table, names) = self.with(specs.clone())?;
        if dry_run {
            return Ok(names.iter().filter_map(|name| table.get(name)).map(Change::added).collect());
        }
        let mut edit = self.file.edit()?;
        for (spec, name) in specs.into_iter().zip(&names) {
            edit.add(&as_kept(spec, &table, name));
        }
        self.commit(table, Some(edit.finish()?), Restore::Nothing).await
    }

    /// The table with more tunnels, and their names.
    fn with(&self, specs: Vec<TunnelSpec>) -> Result<(TunnelTable, Vec<String>), Failure> {
        let mut table = self.table.clone();
        let mut names = Vec::new();
        let mut free = free_names(|name| self.links.has_name(name));
        for mut spec in specs {
            let name =
                spec.name.take().or_else(|| free.find(|name| !table.contains(name))).unwrap_or_default();
            spec.name = Some(name.clone());
            table.insert(Tunnel::try_from(spec)?)?;
            names.push(name);
        }
        Ok((table, names))
    }

    async fn set(
        &mut self,
        written: &[String],
        changes: &TunnelSpec,
        secret: Option<Secret>,
    ) -> Result<Vec<Change>, Failure> {
        let names = self.select(written)?;
        let mut table = self.table.clone();
        let mut edit = self.file.edit()?;
        let (mut stored, mut renames) = (Vec::new(), Vec::new());
        for name in &names {
            let tunnel = match &secret {
                Some(secret) => {
                    let (one, with_secret) = self.store_secret(name, secret)?;
                    stored.push(one);
                    let changes = changes.merged(&with_secret);
                    let changes = changes.map_err(|error| Failure::new(FailureKind::Usage, error))?;
                    edit.set(name, &changes)?
                }
                None => edit.set(name, changes)?,
            };
            if tunnel.name != *name {
                renames.push((name.clone(), tunnel.name.clone()));
            }
            table.replace(name, tunnel)?;
        }
        let text = edit.finish()?;
        self.is_renaming = !renames.is_empty();
        let renames = self.rename(renames).await;
        let committed = self.commit(table, Some(text), Restore::Nothing).await;
        self.is_renaming = false;
        let Ok(mut done) = committed else {
            self.rename_back(renames).await;
            return committed;
        };
        stored.into_iter().for_each(Stored::keep);
        let new_names: Vec<String> = renames.iter().map(|(_, new)| new.clone()).collect();
        self.tell_of_names(renames, &mut done);
        self.follow_all(&new_names).await;
        self.tell().await;
        if secret.is_some() {
            for name in &names {
                // Where only the secret is another one, nothing else tells.
                if !done.iter().any(|change| change.tunnel == *name) && self.table.contains(name) {
                    done.push(Change::with_secret(name));
                }
            }
            self.read_secrets_again(&names).await;
        }
        Ok(done)
    }

    /// Enables or disables tunnels. To enable one also makes its interface again, where that is gone.
    async fn switch(&mut self, written: &[String], off: bool) -> Result<Vec<Change>, Failure> {
        let names = self.select(written)?;
        let mut table = self.table.clone();
        let mut edit = self.file.edit()?;
        // What is written of a tunnel that is as it should be stays as it is.
        let word = if off { Word::from("yes") } else { Word::from("") };
        let changes = TunnelSpec { disabled: Some(word), ..TunnelSpec::default() };
        let mut is_changed = false;
        for name in &names {
            if self.table.get(name).is_some_and(|tunnel| tunnel.disabled != off) {
                table.replace(name, edit.set(name, &changes)?)?;
                is_changed = true;
            }
        }
        let text = if is_changed { Some(edit.finish()?) } else { None };
        self.commit(table, text, if off { Restore::Nothing } else { Restore::These(&names) }).await
    }

    async fn remove(&mut self, written: &[String]) -> Result<Vec<Change>, Failure> {
        let names = self.select(written)?;
        let mut table = self.table.clone();
        table.remove(&names.iter().map(String::as_str).collect());
        let mut edit = self.file.edit()?;
        let is_changed = edit.remove(&names);
        let text = if is_changed { Some(edit.finish()?) } else { None };
        self.commit(table, text, Restore::Nothing).await
    }

    async fn apply(&mut self, text: String, origin: &Path, dry_run: bool) -> Result<Changed, Failure> {
        let config = Config::parse(&text, origin)?;
        if dry_run {
            let changes = crate::api::change::between(&self.table, &config.tunnels);
            return Ok(Changed { changes, settings: self.settings_to(&config) });
        }
        let is_new = self.file.text().is_ok_and(|there| there != text);
        self.take_over(config, is_new.then_some(text)).await
    }

    /// Reads the configuration file again, and changes what differs.
    ///
    /// # Errors
    ///
    /// The file is wrong, or something in it cannot be set up; nothing is changed then.
    pub async fn reload(&mut self) -> Result<Changed, Failure> {
        let config = Config::load(self.file.path());
        let done = match config {
            Ok(config) => self.take_over(config, None).await,
            Err(failure) => Err(failure),
        };
        done.inspect_err(|failure| self.events.emit(Event::ReloadFailed { reason: failure.message.clone() }))
    }

    async fn take_over(&mut self, config: Config, text: Option<String>) -> Result<Changed, Failure> {
        let settings = self.settings_to(&config);
        let names: Vec<String> = config.tunnels.iter().map(|tunnel| tunnel.name.clone()).collect();
        let changes = self.commit(config.tunnels, text, Restore::WhatCanBe).await?;
        if self.metrics != config.metrics {
            log::warn!("metrics: another address takes effect when the daemon starts again");
        }
        self.hook.set(config.hook);
        if self.interfaces != config.interfaces {
            self.interfaces = config.interfaces;
            self.reconcile_ports().await;
        }
        self.read_secrets_again(&names).await;
        self.events.emit(Event::Reloaded);
        Ok(Changed { changes, settings })
    }

    /// What of the daemon's own settings a configuration changes.
    fn settings_to(&self, config: &Config) -> Vec<PropertyChange> {
        let names = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.join(", "));
        let path = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        [
            ("interfaces", names(&self.interfaces), names(&config.interfaces)),
            ("hook", path(self.hook.command()), path(config.hook.clone())),
            (
                "metrics",
                self.metrics.as_ref().map(ToString::to_string),
                config.metrics.as_ref().map(ToString::to_string),
            ),
        ]
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(property, from, to)| PropertyChange { property: property.to_owned(), from, to })
        .collect()
    }

    /// The names of the tunnels that are meant, each once.
    fn select(&self, written: &[String]) -> Result<Vec<String>, Failure> {
        let names: Vec<&str> = self.table.iter().map(|tunnel| tunnel.name.as_str()).collect();
        select(&names, written)
    }

    fn status(&self) -> DaemonStatus {
        let count = |is: &dyn Fn(&Tunnel, bool) -> bool| {
            let runs = |tunnel: &Tunnel| self.running.get(&tunnel.name).is_some_and(Running::is_running);
            let counted = self.table.iter().filter(|tunnel| is(tunnel, runs(tunnel))).count();
            u64::try_from(counted).unwrap_or(u64::MAX)
        };
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tunnels: count(&|_, _| true),
            running: count(&|_, runs| runs),
            disabled: count(&|tunnel, _| tunnel.disabled),
            invalid: count(&|tunnel, runs| !runs && !tunnel.disabled),
            ports: self.ports.values().map(PortState::view).collect(),
            programs: self.kernel.runs().iter().map(views::program).collect(),
            maps: self.kernel.fills().iter().map(views::map).collect(),
            carrier_kept_by: self.keeper.describe().to_owned(),
            capabilities: privileges::capabilities(),
            files_closed: self.files.name().to_owned(),
        }
    }
}

/// A tunnel as it is kept in the file: by its name, and without other systems' words for its kind, which are understood.
fn as_kept(spec: TunnelSpec, table: &TunnelTable, name: &str) -> TunnelSpec {
    let kind = table.get(name).map(|tunnel| tunnel.kind.into());
    TunnelSpec { name: Some(name.to_owned()), kind: spec.kind.and(kind), ..spec }
}
