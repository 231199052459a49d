//! Tunnels get other names, and their interfaces with them: addresses, routes and packets stay.

use std::collections::HashMap;

use ipip_common::abi::name_mark;

use super::Engine;
use crate::api::change::{Action, Change, PropertyChange};
use crate::netlink::Link;

/// A name, and the one that takes its place.
pub(super) type Rename = (String, String);

impl Engine {
    /// Gives tunnels other names, where their interfaces can get them, and returns those that it did. An interface that has
    /// the new name already was renamed by hand. Before Linux 6.2 one that is up keeps its name: the tunnel gets another
    /// interface then, as one that is new.
    pub(super) async fn rename(&mut self, renames: Vec<Rename>) -> Vec<Rename> {
        let mut done = Vec::new();
        for (old, new) in renames {
            if self.rename_interface(&old, &new).await && self.rename_tunnel(&old, &new) {
                done.push((old, new));
            }
        }
        done
    }

    /// Takes that back.
    pub(super) async fn rename_back(&mut self, renames: Vec<Rename>) {
        let back = renames.into_iter().rev().map(|(old, new)| (new, old)).collect();
        self.rename(back).await;
    }

    /// Returns whether the interface has the new name.
    async fn rename_interface(&mut self, old: &str, new: &str) -> bool {
        let Some(ifindex) = self.installed(old).map(|installed| installed.ifindex) else { return false };
        let Some(mut link) = self.links.get(ifindex).cloned() else { return false };
        if link.name == new {
            return true;
        }
        if let Err(failure) = self.netlink.rename(ifindex, new).await {
            log::info!("tunnel {old}: {failure}; it gets another interface");
            return false;
        }
        new.clone_into(&mut link.name);
        self.links.put(link);
        true
    }

    fn rename_tunnel(&mut self, old: &str, new: &str) -> bool {
        let Some(mut tunnel) = self.table.get(old).cloned() else { return false };
        new.clone_into(&mut tunnel.name);
        if self.table.replace(old, tunnel).is_err() {
            return false;
        }
        if let Some(running) = self.running.remove(old) {
            if let Some(installed) = &running.installed {
                self.by_ifindex.insert(installed.ifindex, new.to_owned());
                self.by_id.insert(installed.id, new.to_owned());
            }
            self.running.insert(new.to_owned(), running);
        }
        if self.rivals.remove(old) {
            self.rivals.insert(new.to_owned());
        }
        self.seen.rename(old, new);
        // Its keys are asked for by the new name.
        self.ike.forget(old);
        true
    }

    /// Interfaces that somebody renamed by hand, or a daemon that died before it had written the new name, get the names that
    /// the configuration has for their tunnels: under others they would be nobody's.
    pub(super) async fn name_strays(&mut self) {
        let lacking: HashMap<[u8; 6], &str> = self
            .table
            .iter()
            .filter(|tunnel| !self.links.has_name(&tunnel.name))
            .map(|tunnel| (name_mark(&tunnel.name), tunnel.name.as_str()))
            .collect();
        let roles = self.kernel.ports().iter().chain(self.kernel.roles_before());
        let strays: Vec<(Link, String)> = roles
            .filter(|(_, role)| role.tunnel_id().is_some())
            .filter_map(|(ifindex, role)| {
                let link = self.links.tun(*ifindex).filter(|link| !self.table.contains(&link.name))?;
                Some((link.clone(), (*lacking.get(&role.name())?).to_owned()))
            })
            .collect();
        for (mut link, name) in strays {
            if let Err(failure) = self.netlink.rename(link.index, &name).await {
                log::warn!("tunnel {name}: its interface is named {}: {failure}", link.name);
                continue;
            }
            log::info!("tunnel {name}: its interface was named {}", link.name);
            self.keeper.rename(&link.name, &name);
            link.name = name;
            self.links.put(link);
        }
    }

    /// Notes new names among what a command changed.
    pub(super) fn tell_of_names(&mut self, renames: Vec<Rename>, changes: &mut Vec<Change>) {
        for (old, new) in renames {
            let name = PropertyChange { property: "name".to_owned(), from: Some(old), to: Some(new.clone()) };
            self.tell_of_changes(&[Change {
                tunnel: new.clone(),
                action: Action::Changed,
                properties: vec![name.clone()],
            }]);
            match changes.iter_mut().find(|change| change.tunnel == new) {
                Some(change) => change.properties.insert(0, name),
                None => {
                    changes.push(Change { tunnel: new, action: Action::Changed, properties: vec![name] });
                }
            }
        }
    }
}
