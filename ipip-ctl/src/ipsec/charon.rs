//! What is asked of strongSwan's IKE daemon, charon.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};

use super::connection::Connection;
use super::message::Message;
use super::vici::Client;

/// How far the keys of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keys {
    /// Both ends are at it.
    Coming,
    /// They have agreed on keys that cannot serve: of another mode than asked for.
    Wrong,
    /// The kernel has them.
    Here,
}

/// Asks charon.
#[derive(Debug)]
pub(super) struct Charon<S> {
    client: Client<S>,
    /// How the names begin of what is ours there.
    prefix: String,
}

impl<S: Read + Write> Charon<S> {
    pub(super) const fn new(client: Client<S>, prefix: String) -> Self {
        Self { client, prefix }
    }

    /// The names of our connections that it knows with their secrets, and of those that it knows in part.
    pub(super) fn known(&mut self) -> io::Result<(HashSet<String>, HashSet<String>)> {
        let connections = self.client.request("get-conns", &Message::new())?.items("conns");
        let secrets = self.client.request("get-shared", &Message::new())?.items("keys");
        let ours = |names: Vec<String>| {
            names.into_iter().filter(|name| name.starts_with(&self.prefix)).collect::<HashSet<_>>()
        };
        let (connections, secrets) = (ours(connections), ours(secrets));
        let whole = connections.intersection(&secrets).cloned().collect();
        let in_part = connections.symmetric_difference(&secrets).cloned().collect();
        Ok((whole, in_part))
    }

    /// Makes a connection known, in the place of what it knew under this name. `Ok(Err)`: it says why not.
    pub(super) fn load(&mut self, connection: &Connection) -> io::Result<Result<(), String>> {
        // What it says of a secret is not repeated.
        let reply = self.client.request("load-shared", &connection.shared())?;
        if reply.text("success") != Some("yes") {
            return Ok(Err("it does not take the secret".to_owned()));
        }
        let reply = self.client.request("load-conn", &connection.connection())?;
        if reply.text("success") != Some("yes") {
            return Ok(Err(reply.text("errmsg").unwrap_or("it does not say why").to_owned()));
        }
        Ok(Ok(()))
    }

    /// Has it forget a connection, and end what it has agreed on.
    pub(super) fn unload(&mut self, name: &str) -> io::Result<()> {
        // That it does not know something any more is no failure.
        self.client.request("unload-conn", &Message::new().value("name", name))?;
        self.client.request("unload-shared", &Message::new().value("id", name))?;
        self.terminate(name)
    }

    /// Has it end what it has agreed on, without waiting for the far end.
    pub(super) fn terminate(&mut self, name: &str) -> io::Result<()> {
        let which = Message::new().value("ike", name).value("force", "yes").value("timeout", "-1");
        self.client.request("terminate", &which).map(drop)
    }

    /// Has it begin to agree on keys.
    pub(super) fn initiate(&mut self, name: &str) -> io::Result<()> {
        let which = Message::new().value("child", name).value("ike", name).value("timeout", "-1");
        self.client.request("initiate", &which).map(drop)
    }

    /// How far the keys are of the connections that have any.
    pub(super) fn keys(&mut self) -> io::Result<HashMap<String, Keys>> {
        let events = self.client.collect("list-sas", "list-sa")?;
        let mut all = HashMap::new();
        let associations = events.iter().flat_map(Message::sections);
        for (name, association) in associations.filter(|(name, _)| name.starts_with(&self.prefix)) {
            let found = all.entry(name.to_owned()).or_insert(Keys::Coming);
            *found = (*found).max(keys_of(name, association));
        }
        Ok(all)
    }
}

fn keys_of(name: &str, association: &Message) -> Keys {
    let children = association.sections().filter(|(section, _)| *section == "child-sas");
    let children = children.flat_map(|(_, children)| children.sections());
    let its = children.filter(|(_, child)| child.text("name") == Some(name));
    its.map(|(_, child)| {
        let has_keys = matches!(child.text("state"), Some("INSTALLED" | "REKEYING" | "REKEYED"));
        match child.text("mode") {
            Some("TRANSPORT") if has_keys => Keys::Here,
            Some(_) if has_keys => Keys::Wrong,
            _ => Keys::Coming,
        }
    })
    .max()
    .unwrap_or(Keys::Coming)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_here_once_the_kernel_has_them_in_transport_mode() {
        let child = |name: &str, state: &str, mode: &str| {
            Message::new().value("name", name).value("state", state).value("mode", mode)
        };
        let with =
            |children: Message| Message::new().value("state", "ESTABLISHED").section("child-sas", children);
        for (children, keys) in [
            (Message::new(), Keys::Coming),
            (Message::new().section("a-1", child("a", "INSTALLED", "TRANSPORT")), Keys::Here),
            (Message::new().section("a-1", child("a", "CREATED", "TRANSPORT")), Keys::Coming),
            (Message::new().section("a-1", child("a", "INSTALLED", "TUNNEL")), Keys::Wrong),
            (Message::new().section("b-1", child("b", "INSTALLED", "TRANSPORT")), Keys::Coming),
            (
                Message::new()
                    .section("a-1", child("a", "REKEYED", "TRANSPORT"))
                    .section("a-2", child("a", "INSTALLING", "TRANSPORT")),
                Keys::Here,
            ),
        ] {
            assert_eq!(keys_of("a", &with(children.clone())), keys, "{children:?}");
        }
    }
}
