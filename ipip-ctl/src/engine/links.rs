//! The interfaces as they were when they were last looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Engine;
use crate::failure::Failure;
use crate::netlink::Link;

/// With more changed interfaces than this, listing all is faster than looking at each.
const EACH_MAX: usize = 200;

/// Interfaces by index and by name.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_index: BTreeMap<u32, Link>,
    by_name: HashMap<String, u32>,
}

impl Links {
    pub(super) fn get(&self, index: u32) -> Option<&Link> {
        self.by_index.get(&index)
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// In the order of their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_index.values()
    }

    /// An interface that may be a tunnel's: its number may be another's by now, which came from another namespace.
    pub(super) fn tun(&self, index: u32) -> Option<&Link> {
        self.get(index).filter(|link| link.kind == "tun")
    }

    /// Whether VLANs stand on an interface.
    pub(super) fn has_vlans(&self, index: u32) -> bool {
        self.iter().any(|link| link.kind == "vlan" && link.lower == Some(index))
    }

    /// Notes an interface as it is now.
    pub(super) fn put(&mut self, link: Link) {
        self.remove(link.index);
        self.by_name.insert(link.name.clone(), link.index);
        self.by_index.insert(link.index, link);
    }

    pub(super) fn remove(&mut self, index: u32) {
        let Some(old) = self.by_index.remove(&index) else { return };
        // Somebody else may have the name by now.
        if self.by_name.get(&old.name) == Some(&index) {
            self.by_name.remove(&old.name);
        }
    }

    /// Notes what an interface was changed to, so that the kernel's word of it is no news.
    pub(super) fn edit(&mut self, index: u32, edit: impl FnOnce(&mut Link)) {
        if let Some(link) = self.by_index.get_mut(&index) {
            edit(link);
        }
    }

    /// A number of a group that no interface is in.
    pub(super) fn free_group(&self) -> u32 {
        let taken: BTreeSet<u32> = self.iter().map(|link| link.group).collect();
        // Far from what people write.
        (0x6970_6970..u32::MAX).find(|group| !taken.contains(group)).unwrap_or(u32::MAX)
    }

    /// Notes all interfaces; gives the indices of those that are other than they were.
    fn replace(&mut self, links: Vec<Link>) -> BTreeSet<u32> {
        let new: Self = links.into();
        let changed = new.iter().filter(|link| self.get(link.index) != Some(link)).map(|link| link.index);
        let gone = self.by_index.keys().copied().filter(|index| new.get(*index).is_none());
        let all = changed.chain(gone).collect();
        *self = new;
        all
    }
}

impl From<Vec<Link>> for Links {
    fn from(list: Vec<Link>) -> Self {
        let mut links = Self::default();
        for link in list {
            links.put(link);
        }
        links
    }
}

impl Engine {
    /// Looks at all interfaces; gives the indices of those that are other than they were.
    pub(super) async fn look_at_all_links(&mut self) -> Result<BTreeSet<u32>, Failure> {
        let list = self.netlink.links().await?;
        Ok(self.links.replace(list))
    }

    /// Looks at these interfaces; gives the indices of those that are other than they were.
    pub(super) async fn look_at_links(&mut self, indices: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Failure> {
        if indices.len() > EACH_MAX {
            return self.look_at_all_links().await;
        }
        let mut changed = BTreeSet::new();
        for index in indices {
            let now = self.netlink.link(*index).await?;
            if now.as_ref() != self.links.get(*index) {
                changed.insert(*index);
                match now {
                    Some(link) => self.links.put(link),
                    None => self.links.remove(*index),
                }
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mtu: 1500,
            mac: None,
            is_up: true,
            is_running: true,
            kind: String::new(),
            lower: None,
            master: None,
            has_xdp: false,
            group: 0,
        }
    }

    #[test]
    fn names_follow_their_interfaces() {
        let mut links = Links::from(vec![link(2, "eth0"), link(3, "eth1")]);
        // Two interfaces that swap names are heard of one after the other.
        links.put(link(2, "eth1"));
        links.put(link(3, "eth0"));
        assert!(links.has_name("eth0") && links.has_name("eth1"));
        links.remove(2);
        assert!(links.has_name("eth0") && !links.has_name("eth1"));
        assert_eq!(links.get(3), Some(&link(3, "eth0")));
    }

    #[test]
    fn what_is_other_than_before_is_told() {
        let mut links = Links::from(vec![link(2, "eth0"), link(3, "eth1"), link(4, "eth2")]);
        let wider = Link { mtu: 9000, ..link(3, "eth1") };
        let changed = links.replace(vec![link(2, "eth0"), wider.clone(), link(5, "eth3")]);
        assert_eq!(changed, [3, 4, 5].into());
        links.edit(3, |link| link.mtu = 1500);
        assert_eq!(links.replace(vec![link(2, "eth0"), link(3, "eth1"), link(5, "eth3")]), [].into());
    }

    #[test]
    fn a_group_that_somebody_uses_is_not_taken() {
        let first = Links::default().free_group();
        let links = Links::from(vec![Link { group: first, ..link(2, "eth0") }]);
        assert_eq!(links.free_group(), first + 1);
    }
}
