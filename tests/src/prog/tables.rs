//! A case's tunnel in the maps, and nothing of the one before.

use std::net::IpAddr;

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use ipip_common::abi::{AllowedInner, Carried, LabelEntry, OwnAddress, PeerKey, Traffic, TunnelEntry, map};

use super::{TUNNEL, open};
use crate::tunnel::{LabelRoute, Tunnel};

/// What is in the maps.
#[derive(Debug, Default)]
pub(super) struct Installed {
    tunnel: Option<Tunnel>,
    ident: Option<u16>,
    generation: u32,
}

impl Installed {
    /// Writes the tunnel, the only one. `interface` is its own, `lan` the one that labels lead to.
    pub(super) fn install(&mut self, programs: &mut Ebpf, tunnel: &Tunnel, [interface, lan]: [u32; 2]) {
        if self.tunnel.as_ref() == Some(tunnel) {
            return;
        }
        let entry = tunnel.entry(TUNNEL, interface);
        open(programs, map::TUNNELS, Array::<_, TunnelEntry>::try_from).set(TUNNEL, entry, 0).unwrap();
        let old = self.tunnel.replace(tunnel.clone());
        let before = |rows: fn(&Tunnel) -> Vec<PeerKey>| old.as_ref().map(rows).unwrap_or_default();
        replace::<_, u32>(programs, map::PEERS, &before(peers), &with(peers(tunnel), |_| TUNNEL));
        let (allowed, own, labels) = old.map(|old| (old.allowed, old.own, old.labels)).unwrap_or_default();
        if own != tunnel.own {
            let key = |address: &IpAddr| OwnAddress::of(*address);
            let old: Vec<OwnAddress> = own.iter().map(key).collect();
            let new = tunnel.own.iter().map(key).collect();
            replace::<_, u32>(programs, map::ADDRESSES, &old, &with(new, |_| 1));
        }
        if labels != tunnel.labels {
            let old: Vec<u32> = labels.iter().map(|route| route.label).collect();
            let entry = |route: &LabelRoute| (route.label, route.entry(TUNNEL, lan));
            let new: Vec<(u32, LabelEntry)> = tunnel.labels.iter().map(entry).collect();
            replace(programs, map::LABELS, &old, &new);
        }
        if allowed != tunnel.allowed {
            allow(programs, &allowed, &tunnel.allowed);
        }
        self.forget_flows(programs);
    }

    /// Makes the programs forget what they know of flows, as the daemon does after each change.
    pub(super) fn forget_flows(&mut self, programs: &mut Ebpf) {
        self.generation += 1;
        open(programs, map::VARIABLES, Array::<_, u32>::try_from).set(0, self.generation, 0).unwrap();
    }

    /// The next identification may have been used.
    pub(super) fn forget_ident(&mut self) {
        self.ident = None;
    }

    /// Sets the next identification of all processors.
    pub(super) fn set_ident(&mut self, programs: &mut Ebpf, ident: u16) {
        if self.ident == Some(ident) {
            return;
        }
        let mut traffic: PerCpuArray<_, Traffic> = open(programs, map::TRAFFIC, PerCpuArray::try_from);
        let now = traffic.get(&TUNNEL, 0).unwrap();
        let with = now.iter().map(|share| Traffic { ident: u32::from(ident), ..*share });
        traffic.set(TUNNEL, PerCpuValues::try_from(with.collect::<Vec<_>>()).unwrap(), 0).unwrap();
        self.ident = Some(ident);
    }
}

fn with<K: Copy, V>(keys: Vec<K>, value: impl Fn(K) -> V) -> Vec<(K, V)> {
    keys.into_iter().map(|key| (key, value(key))).collect()
}

/// Whom the tunnel accepts.
fn peers(tunnel: &Tunnel) -> Vec<PeerKey> {
    let ends = tunnel.entry(TUNNEL, 0).lift().ends;
    let carried = Carried::ALL.into_iter().filter(|kind| tunnel.flags.carries(*kind));
    carried.map(|kind| PeerKey::of(ends, kind.protocol())).collect()
}

/// Takes the old rows out of a hash map and puts the new ones in.
fn replace<K, V>(programs: &mut Ebpf, name: &str, old: &[K], new: &[(K, V)])
where
    K: aya::Pod + Eq,
    V: aya::Pod,
    for<'a> HashMap<&'a mut MapData, K, V>: TryFrom<&'a mut Map, Error = MapError>,
{
    let mut rows: HashMap<_, K, V> = open(programs, name, HashMap::try_from);
    for key in old.iter().filter(|key| new.iter().all(|(kept, _)| kept != *key)) {
        rows.remove(key).unwrap();
    }
    for (key, value) in new {
        rows.insert(key, value, 0).unwrap();
    }
}

fn allow(programs: &mut Ebpf, old: &[(IpAddr, u8)], new: &[(IpAddr, u8)]) {
    let mut prefixes: LpmTrie<_, AllowedInner, u32> = open(programs, map::ALLOWED, LpmTrie::try_from);
    let key = |(network, length): &(IpAddr, u8)| {
        let (data, bits) = AllowedInner::of(TUNNEL, *network, *length);
        Key::new(bits, data)
    };
    for prefix in old {
        prefixes.remove(&key(prefix)).unwrap();
    }
    for prefix in new {
        prefixes.insert(&key(prefix), 1, 0).unwrap();
    }
}
