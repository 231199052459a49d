//! Who is accepted for which tunnel, and what each interface is. The daemon alone writes these maps, and keeps what is
//! in them at hand.

use std::collections::{BTreeMap, HashMap};

use aya::maps::MapData;
use ipip_common::abi::{LOW_PORTS, PeerKey, Port, map};

use super::Kernel;
use super::kernel::gone;
use crate::failure::Failure;

/// Peers, each with the ID of its tunnel, and those of each tunnel.
#[derive(Debug, Default)]
pub(super) struct Owners {
    owners: HashMap<PeerKey, u32>,
    peers: HashMap<u32, Vec<PeerKey>>,
}

impl Owners {
    /// What an earlier daemon left.
    pub(super) fn read(peers: &aya::maps::HashMap<MapData, PeerKey, u32>) -> Self {
        let mut owners = Self::default();
        for (peer, id) in peers.iter().filter_map(Result::ok) {
            owners.put(peer, id);
        }
        owners
    }

    fn put(&mut self, peer: PeerKey, id: u32) {
        self.remove(&peer);
        self.owners.insert(peer, id);
        self.peers.entry(id).or_default().push(peer);
    }

    fn remove(&mut self, peer: &PeerKey) {
        let Some(id) = self.owners.remove(peer) else { return };
        if let Some(peers) = self.peers.get_mut(&id) {
            peers.retain(|other| other != peer);
            if peers.is_empty() {
                self.peers.remove(&id);
            }
        }
    }
}

impl Kernel {
    /// Accepts a peer for a tunnel.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_peer(&mut self, peer: &PeerKey, id: u32) -> Result<(), Failure> {
        let result = self.peers.insert(peer, id, 0);
        self.wrote(map::PEERS, result)?;
        self.owners.put(*peer, id);
        Ok(())
    }

    /// Accepts a peer no longer.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that there was none is no error.
    pub fn clear_peer(&mut self, peer: &PeerKey) -> Result<(), Failure> {
        let result = gone(self.peers.remove(peer));
        self.wrote(map::PEERS, result)?;
        self.owners.remove(peer);
        Ok(())
    }

    /// The ID of the tunnel that a peer is accepted for.
    #[must_use]
    pub fn owner(&self, peer: &PeerKey) -> Option<u32> {
        self.owners.owners.get(peer).copied()
    }

    /// The peers that are accepted for a tunnel.
    #[must_use]
    pub fn peers_of(&self, id: u32) -> Vec<PeerKey> {
        self.owners.peers.get(&id).cloned().unwrap_or_default()
    }

    /// Sets an interface's role.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_port(&mut self, ifindex: u32, port: &Port) -> Result<(), Failure> {
        let result = self.ports.insert(ifindex, port, 0);
        self.wrote(map::PORTS, result)?;
        self.roles.insert(ifindex, *port);
        self.set_low_port(ifindex, port)
    }

    /// Takes an interface's role away.
    ///
    /// # Errors
    ///
    /// The kernel refuses; that it had none is no error.
    pub fn clear_port(&mut self, ifindex: u32) -> Result<(), Failure> {
        self.set_low_port(ifindex, &bytemuck::Zeroable::zeroed())?;
        let result = gone(self.ports.remove(&ifindex));
        self.wrote(map::PORTS, result)?;
        self.roles.remove(&ifindex);
        Ok(())
    }

    /// What the hash says of a low index is also in the array. The hash is written first and cleared last: what an earlier
    /// daemon left is found there.
    fn set_low_port(&mut self, ifindex: u32, port: &Port) -> Result<(), Failure> {
        if ifindex >= LOW_PORTS {
            return Ok(());
        }
        let result = self.low_ports.set(ifindex, port, 0);
        self.wrote(map::LOW_PORTS, result)
    }

    /// All interfaces with a role.
    #[must_use]
    pub fn ports(&self) -> &BTreeMap<u32, Port> {
        &self.roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipip_common::abi::Ends;

    #[test]
    fn a_peer_has_one_owner() {
        let peer = |remote: &str| {
            let ends = Ends::new("192.0.2.1".parse().unwrap(), remote.parse().unwrap()).unwrap();
            PeerKey::of(ends, 4)
        };
        let (first, second) = (peer("192.0.2.2"), peer("192.0.2.3"));
        let mut owners = Owners::default();
        owners.put(first, 1);
        owners.put(second, 1);
        owners.put(first, 2);
        assert_eq!((owners.owners[&first], owners.owners[&second]), (2, 1));
        assert_eq!((&owners.peers[&1], &owners.peers[&2]), (&vec![second], &vec![first]));
        owners.remove(&first);
        owners.remove(&first);
        owners.remove(&second);
        assert!(owners.owners.is_empty() && owners.peers.is_empty());
    }
}
