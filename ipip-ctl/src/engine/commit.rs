//! From one list of tunnels to another, all of it or nothing.
//!
//! The file is the point of no return. Before it, new tunnels are set up and changed ones rewritten in place, and all of
//! that is taken back if one of them fails; after it, what is gone is taken down. A daemon that dies on the way finds
//! at its start the file as it was or as it is to be, and brings the kernel there.

use std::collections::HashSet;

use nix::net::if_::if_nametoindex;

use super::Engine;
use super::ipsec::check_secret;
use super::tunnels::Running;
use crate::api::change::{self, Action, Change};
use crate::failure::Failure;
use crate::table::TunnelTable;
use crate::tunnel::Tunnel;

impl Engine {
    /// Makes `table` the list of tunnels, and `text` the configuration file's where it changes. Tunnels that do not differ keep
    /// all they have.
    pub(super) async fn commit(
        &mut self,
        table: TunnelTable,
        text: Option<String>,
        restore: Restore<'_>,
    ) -> Result<Vec<Change>, Failure> {
        let mut changes = change::between(&self.table, &table);
        let mut done = Done::default();
        let attempt = self.prepare(&table, &changes, restore, &mut done).await;
        let saved = attempt.and_then(|()| text.map_or(Ok(()), |text| self.file.save(&text)));
        if let Err(failure) = saved {
            self.take_back(done).await;
            return Err(failure);
        }
        done.made.append(&mut done.taken_over);
        self.table = table;
        let names = |action| changes.iter().filter(move |change| change.action == action);
        let gone: Vec<String> = names(Action::Removed).map(|change| change.tunnel.clone()).collect();
        self.take_down(&gone).await;
        let new: HashSet<&str> = names(Action::Added).map(|change| change.tunnel.as_str()).collect();
        let restored = done.made.iter().filter(|name| !new.contains(name.as_str()));
        let restored: Vec<Change> = restored.map(|name| Change::restored(name)).collect();
        changes.extend(restored);
        self.tell_of_changes(&changes);
        let mut touched = done.made;
        touched.extend(done.changed.into_iter().map(|tunnel| tunnel.name));
        self.follow_all(&touched).await;
        self.reconcile_labels().await;
        self.tell().await;
        Ok(changes)
    }

    async fn prepare(
        &mut self,
        table: &TunnelTable,
        changes: &[Change],
        restore: Restore<'_>,
        done: &mut Done,
    ) -> Result<(), Failure> {
        for change in changes {
            let Some(tunnel) = table.get(&change.tunnel) else { continue };
            if self.table.get(&tunnel.name).map(|old| &old.ipsec_secret_file)
                != Some(&tunnel.ipsec_secret_file)
            {
                check_secret(tunnel)?;
            }
            match change.action {
                Action::Added => self.make(tunnel, done).await?,
                Action::Changed => {
                    done.changed.extend(self.table.get(&tunnel.name).cloned());
                    self.follow(tunnel).await.map_err(|failure| failure.within(&tunnel.name))?;
                }
                Action::Removed | Action::Restored => {}
            }
        }
        let is_asked_for = matches!(restore, Restore::These(_));
        let wanted: Vec<&Tunnel> = match restore {
            Restore::Nothing => Vec::new(),
            Restore::These(names) => names.iter().filter_map(|name| table.get(name)).collect(),
            Restore::WhatCanBe => table.iter().collect(),
        };
        for tunnel in wanted {
            let is_gone = |running: &Running| running.installed.is_none();
            if self.running.get(&tunnel.name).is_some_and(is_gone) {
                let made = self.make(tunnel, done).await;
                if is_asked_for {
                    made?;
                } else {
                    // It is as it was, but for the reason.
                    self.report(&tunnel.name, made);
                }
            }
        }
        Ok(())
    }

    async fn make(&mut self, tunnel: &Tunnel, done: &mut Done) -> Result<(), Failure> {
        let is_new = !self.table.contains(&tunnel.name) || if_nametoindex(tunnel.name.as_str()).is_err();
        self.bring_up(tunnel).await?;
        let list = if is_new { &mut done.made } else { &mut done.taken_over };
        list.push(tunnel.name.clone());
        Ok(())
    }

    async fn take_back(&mut self, done: Done) {
        self.take_down(&done.made).await;
        for name in done.made.into_iter().filter(|name| self.table.contains(name)) {
            self.seen.touch(&name);
            self.running.insert(name, Running::gone());
        }
        self.follow_all(&done.taken_over).await;
        for tunnel in done.changed {
            self.seen.touch(&tunnel.name);
            if let Err(failure) = self.follow(&tunnel).await {
                log::error!("tunnel {}: {failure}", tunnel.name);
            }
        }
    }
}

/// Which tunnels get interfaces that are gone, or could not be had.
#[derive(Clone, Copy, Debug)]
pub(super) enum Restore<'a> {
    /// None.
    Nothing,
    /// These, or all of it fails.
    These(&'a [String]),
    /// All that can get one; of the others the reason is told.
    WhatCanBe,
}

/// What would have to be taken back.
#[derive(Default)]
struct Done {
    /// Names of tunnels whose interfaces were made.
    made: Vec<String>,
    /// Names of tunnels whose interfaces were there, with what their users gave them. They stay.
    taken_over: Vec<String>,
    /// Tunnels that were changed, as they were before.
    changed: Vec<Tunnel>,
}
