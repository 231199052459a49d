//! What the programs look up beside the tunnels: the host's addresses, allowed inner prefixes, labels.

use std::collections::BTreeMap;

use aya::maps::MapData;
use aya::maps::lpm_trie::{Key, LpmTrie};
use ipip_common::abi::{AllowedInner, LabelEntry, OwnAddress, map};

use super::kernel::gone;
use super::{Kernel, failed};
use crate::failure::Failure;

/// The allowed prefixes by tunnel, so that none is looked for among those of all others.
#[derive(Debug, Default)]
pub(super) struct Prefixes(BTreeMap<u32, Vec<(AllowedInner, u32)>>);

impl Prefixes {
    /// What an earlier daemon left.
    pub(super) fn read(allowed: &LpmTrie<MapData, AllowedInner, u32>) -> Self {
        let mut prefixes = Self::default();
        for key in allowed.keys().filter_map(Result::ok) {
            prefixes.0.entry(key.data().tunnel()).or_default().push((key.data(), key.prefix_len()));
        }
        prefixes
    }

    /// How many there are, of all tunnels.
    pub(super) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

impl Kernel {
    /// Notes an address of this host.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_address(&mut self, address: OwnAddress) -> Result<(), Failure> {
        let result = self.addresses.insert(address, 1, 0);
        self.wrote(map::ADDRESSES, result)
    }

    /// Forgets an address that was this host's.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it was not noted is no error.
    pub fn clear_address(&mut self, address: OwnAddress) -> Result<(), Failure> {
        let result = gone(self.addresses.remove(&address));
        self.wrote(map::ADDRESSES, result)
    }

    /// The addresses that are noted.
    #[must_use]
    pub fn addresses(&self) -> Vec<OwnAddress> {
        self.addresses.keys().filter_map(Result::ok).collect()
    }

    /// Allows a tunnel these prefixes too, each with the number of its bits that count.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn allow(&mut self, id: u32, prefixes: &[(AllowedInner, u32)]) -> Result<(), Failure> {
        let allowed = self.prefixes.0.entry(id).or_default();
        for (prefix, bits) in prefixes {
            if allowed.contains(&(*prefix, *bits)) {
                continue;
            }
            self.allowed
                .insert(&Key::new(*bits, *prefix), id, 0)
                .map_err(|error| failed("writing map ALLOWED", &error))?;
            allowed.push((*prefix, *bits));
        }
        self.generation.raise();
        Ok(())
    }

    /// Whether these prefixes and no others are allowed to a tunnel.
    #[must_use]
    pub fn allows(&self, id: u32, prefixes: &[(AllowedInner, u32)]) -> bool {
        let allowed = self.prefixes.0.get(&id).map(Vec::as_slice).unwrap_or_default();
        allowed.iter().all(|prefix| prefixes.contains(prefix))
            && prefixes.iter().all(|prefix| allowed.contains(prefix))
    }

    /// Allows a tunnel no other prefixes than these.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn allow_only(&mut self, id: u32, prefixes: &[(AllowedInner, u32)]) -> Result<(), Failure> {
        let Some(allowed) = self.prefixes.0.get_mut(&id) else { return Ok(()) };
        let stale: Vec<_> = allowed.iter().copied().filter(|prefix| !prefixes.contains(prefix)).collect();
        for (prefix, bits) in stale {
            gone(self.allowed.remove(&Key::new(bits, prefix)))
                .map_err(|error| failed("writing map ALLOWED", &error))?;
            allowed.retain(|kept| *kept != (prefix, bits));
        }
        if allowed.is_empty() {
            self.prefixes.0.remove(&id);
        }
        self.generation.raise();
        Ok(())
    }

    /// Says where a label leads.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_label(&mut self, label: u32, entry: LabelEntry) -> Result<(), Failure> {
        let result = self.labels.insert(label, entry, 0);
        self.wrote(map::LABELS, result)
    }

    /// Leaves a label to the kernel's own routing.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it led nowhere is no error.
    pub fn clear_label(&mut self, label: u32) -> Result<(), Failure> {
        let result = gone(self.labels.remove(&label));
        self.wrote(map::LABELS, result)
    }

    /// Where labels lead.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<u32, LabelEntry> {
        self.labels.iter().filter_map(Result::ok).collect()
    }
}
