//! The tunnels of a host in their order, and the rules that hold across them: a name is taken once, and so is
//! what tells the packets of two tunnels apart: local address, remote address and the protocol that is carried.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipip_common::abi::Carried;

use crate::failure::{Failure, FailureKind};
use crate::tunnel::Tunnel;

/// The prefix of names that are given to tunnels without one.
const NAME_PREFIX: &str = "ipip";

/// Local and remote address, and the protocol number of what is carried between them.
type Ends = (Option<IpAddr>, IpAddr, u8);

/// An ordered list of tunnels without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelTable {
    tunnels: Vec<Tunnel>,
    /// Where each stands, by name.
    places: HashMap<String, usize>,
    ends: HashSet<Ends>,
}

impl TunnelTable {
    /// Appends a tunnel.
    ///
    /// # Errors
    ///
    /// A [`FailureKind::Conflict`] if its name is taken, or its pair of addresses for something that it carries; the table is unchanged then.
    pub fn insert(&mut self, tunnel: Tunnel) -> Result<(), Failure> {
        self.check(&tunnel)?;
        self.places.insert(tunnel.name.clone(), self.tunnels.len());
        self.ends.extend(ends(&tunnel));
        self.tunnels.push(tunnel);
        Ok(())
    }

    fn check(&self, tunnel: &Tunnel) -> Result<(), Failure> {
        if self.contains(&tunnel.name) {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("tunnel {}: there is a tunnel of this name already", tunnel.name),
            )
            .with_hint("choose another name, or remove that one first"));
        }
        if let Some(other) = self.rival(tunnel) {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!(
                    "tunnel {}: {}, of kind {}, has the same local-address {} and remote-address {}",
                    tunnel.name,
                    other.name,
                    other.kind.name(),
                    tunnel.written_local(),
                    tunnel.remote,
                ),
            )
            .with_hint(format!("use {}, or set another local-address or kind", other.name)));
        }
        Ok(())
    }

    /// Takes tunnels out, and keeps the others in their order.
    pub fn remove(&mut self, names: &HashSet<&str>) {
        let (gone, kept) = std::mem::take(&mut self.tunnels)
            .into_iter()
            .partition(|tunnel| names.contains(tunnel.name.as_str()));
        self.tunnels = kept;
        let gone: Vec<Tunnel> = gone;
        for ends in gone.iter().flat_map(ends) {
            self.ends.remove(&ends);
        }
        self.places = self.tunnels.iter().enumerate().map(|(at, tunnel)| (tunnel.name.clone(), at)).collect();
    }

    /// Puts a tunnel in the place of the one named `name`, whose name may be another.
    ///
    /// # Errors
    ///
    /// As for [`Self::insert`] and [`Self::remove`]; the table is unchanged then.
    pub fn replace(&mut self, name: &str, tunnel: Tunnel) -> Result<(), Failure> {
        let (at, old) = self
            .places
            .get(name)
            .and_then(|at| Some((*at, self.tunnels.get(*at)?.clone())))
            .ok_or_else(|| unknown(name))?;
        self.places.remove(name);
        for ends in ends(&old) {
            self.ends.remove(&ends);
        }
        let checked = self.check(&tunnel);
        let kept = if checked.is_ok() { tunnel } else { old };
        self.places.insert(kept.name.clone(), at);
        self.ends.extend(ends(&kept));
        if let Some(place) = self.tunnels.get_mut(at) {
            *place = kept;
        }
        checked
    }

    /// Whether there is a tunnel of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Finds a tunnel by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tunnel> {
        self.tunnels.get(*self.places.get(name)?)
    }

    /// Finds a tunnel by its number in the list.
    #[must_use]
    pub fn at(&self, number: usize) -> Option<&Tunnel> {
        self.tunnels.get(number)
    }

    /// Walks through the tunnels in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tunnel> {
        self.tunnels.iter()
    }

    /// The number of tunnels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tunnels.len()
    }

    /// Whether there is no tunnel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tunnels.is_empty()
    }

    /// The tunnel that claims some of the same packets.
    fn rival(&self, tunnel: &Tunnel) -> Option<&Tunnel> {
        let claimed = ends(tunnel).find(|claimed| self.ends.contains(claimed))?;
        self.tunnels.iter().find(|other| ends(other).any(|ends| ends == claimed))
    }
}

/// What tells a tunnel's packets from all others.
fn ends(tunnel: &Tunnel) -> impl Iterator<Item = Ends> {
    let (local, remote, kind) = (tunnel.local, tunnel.remote, tunnel.kind);
    let carried = Carried::ALL.into_iter().filter(move |carried| kind.carries(*carried));
    carried.map(move |carried| (local, remote, carried.protocol()))
}

impl<'a> IntoIterator for &'a TunnelTable {
    type Item = &'a Tunnel;
    type IntoIter = std::slice::Iter<'a, Tunnel>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Those of ipip1, ipip2, ... that are free, without end.
pub(crate) fn free_names(is_taken: impl Fn(&str) -> bool) -> impl Iterator<Item = String> {
    (1_u64..).map(|number| format!("{NAME_PREFIX}{number}")).filter(move |name| !is_taken(name))
}

/// There is no tunnel of this name.
fn unknown(name: &str) -> Failure {
    Failure::new(FailureKind::NotFound, format!("tunnel {name}: there is no tunnel of this name"))
        .with_hint("`ipip-ctl print` lists the tunnels")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TunnelSpec;

    fn tunnel(name: &str, local: &str, remote: &str) -> Tunnel {
        Tunnel::try_from(TunnelSpec {
            name: Some(name.into()),
            local_address: Some(local.into()),
            remote_address: Some(remote.into()),
            ..TunnelSpec::default()
        })
        .unwrap()
    }

    fn of_kind(kind: &str, name: &str, local: &str, remote: &str) -> Tunnel {
        Tunnel::try_from(TunnelSpec { kind: Some(kind.into()), ..tunnel(name, local, remote).to_spec() })
            .unwrap()
    }

    fn table() -> TunnelTable {
        let mut table = TunnelTable::default();
        table.insert(tunnel("ipip1", "10.0.0.1", "10.0.0.2")).unwrap();
        table.insert(tunnel("ipip3", "0.0.0.0", "10.0.0.3")).unwrap();
        table
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut table = table();
        let failure = table.insert(tunnel("ipip1", "10.0.0.1", "10.0.0.9")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_pair_of_addresses_is_taken_once() {
        let mut table = table();
        let failure = table.insert(tunnel("a", "10.0.0.1", "10.0.0.2")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains("ipip1"), "{failure}");
        assert!(table.insert(tunnel("b", "0.0.0.0", "10.0.0.3")).is_err());
        table.insert(tunnel("c", "10.0.0.1", "10.0.0.3")).unwrap();
        table.insert(tunnel("d", "10.0.0.4", "10.0.0.2")).unwrap();
    }

    #[test]
    fn tunnels_of_different_kinds_share_their_ends() {
        let mut table = table();
        let (local, remote) = ("10.0.0.1", "10.0.0.2");
        table.insert(of_kind("6in4", "six", local, remote)).unwrap();
        table.insert(of_kind("mpls", "labels", local, remote)).unwrap();
        for (kind, other) in [("ipip", "ipip1"), ("sit", "six"), ("mpls", "labels"), ("any", "ipip1")] {
            let failure = table.insert(of_kind(kind, "more", local, remote)).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Conflict);
            assert!(failure.message.contains(other), "{kind}: {failure}");
        }
        let before = table.clone();
        table.remove(&["six"].into());
        assert_ne!(table, before);
        table.insert(of_kind("6in4", "six", local, remote)).unwrap();
    }

    #[test]
    fn removal_frees_name_and_addresses() {
        let mut table = table();
        table.remove(&["ipip1", "nobody"].into());
        assert_eq!((table.len(), table.get("ipip1"), table.contains("ipip3")), (1, None, true));
        table.insert(tunnel("ipip1", "10.0.0.1", "10.0.0.2")).unwrap();
        let order: Vec<&str> = table.iter().map(|tunnel| tunnel.name.as_str()).collect();
        assert_eq!(order, ["ipip3", "ipip1"]);
    }

    #[test]
    fn replacement_keeps_its_place_or_changes_nothing() {
        let mut table = table();
        table.replace("ipip1", tunnel("first", "10.0.0.1", "10.0.0.2")).unwrap();
        assert_eq!(table.at(0).unwrap().name, "first");
        let before = table.clone();
        let twin = tunnel("first", "0.0.0.0", "10.0.0.3");
        assert_eq!(table.replace("first", twin).unwrap_err().kind, FailureKind::Conflict);
        assert_eq!(
            table.replace("ipip9", tunnel("a", "10.0.0.9", "10.0.0.2")).unwrap_err().kind,
            FailureKind::NotFound
        );
        assert_eq!(table, before);
    }

    #[test]
    fn free_name_skips_tunnels_and_other_interfaces() {
        let free = free_names(|name| table().contains(name)).take(2).collect::<Vec<_>>();
        assert_eq!(free, ["ipip2", "ipip4"]);
    }
}
