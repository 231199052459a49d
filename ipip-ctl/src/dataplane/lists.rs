//! What the programs look up beside the tunnels: the host's addresses, allowed inner prefixes, labels.

use std::collections::BTreeMap;

use aya::maps::lpm_trie::Key;
use ipip_common::abi::{AllowedInner, LabelEntry, OwnAddress};

use super::kernel::gone;
use super::{Kernel, failed};
use crate::failure::Failure;

impl Kernel {
    /// Notes an address of this host.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_address(&mut self, address: OwnAddress) -> Result<(), Failure> {
        self.addresses.insert(address, 1, 0).map_err(|error| failed("writing map ADDRESSES", &error))
    }

    /// Forgets an address that was this host's.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it was not noted is no error.
    pub fn clear_address(&mut self, address: OwnAddress) -> Result<(), Failure> {
        gone(self.addresses.remove(&address)).map_err(|error| failed("writing map ADDRESSES", &error))
    }

    /// The addresses that are noted.
    #[must_use]
    pub fn addresses(&self) -> Vec<OwnAddress> {
        self.addresses.keys().filter_map(Result::ok).collect()
    }

    /// Allows these prefixes, each with the number of its bits that count, for the tunnel in them.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn allow(&mut self, prefixes: &[(AllowedInner, u32)]) -> Result<(), Failure> {
        for (prefix, bits) in prefixes {
            self.allowed
                .insert(&Key::new(*bits, *prefix), prefix.tunnel(), 0)
                .map_err(|error| failed("writing map ALLOWED", &error))?;
        }
        Ok(())
    }

    /// Allows a tunnel no other prefixes than these.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn allow_only(&mut self, id: u32, prefixes: &[(AllowedInner, u32)]) -> Result<(), Failure> {
        let stale: Vec<Key<AllowedInner>> = self
            .allowed
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.data().tunnel() == id && !prefixes.contains(&(key.data(), key.prefix_len())))
            .collect();
        for key in stale {
            gone(self.allowed.remove(&key)).map_err(|error| failed("writing map ALLOWED", &error))?;
        }
        Ok(())
    }

    /// Says where a label leads.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_label(&mut self, label: u32, entry: LabelEntry) -> Result<(), Failure> {
        self.labels.insert(label, entry, 0).map_err(|error| failed("writing map LABELS", &error))
    }

    /// Leaves a label to the kernel's own routing.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it led nowhere is no error.
    pub fn clear_label(&mut self, label: u32) -> Result<(), Failure> {
        gone(self.labels.remove(&label)).map_err(|error| failed("writing map LABELS", &error))
    }

    /// Where labels lead.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<u32, LabelEntry> {
        self.labels.iter().filter_map(Result::ok).collect()
    }
}
