//! The world as tier 3 sees it: one tunnel, behind its interface and its sockets.

use std::cell::Cell;

use ipip_common::abi::{Family, PeerKey, Reason, TunnelEntry, Worth, address};
use ipip_common::env::Env;
use ipip_common::packet::{flow::Flow, outer::Outer, probe::Probe};
use ipip_common::verdict::Hop;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

use super::counters::Counters;
use crate::dataplane::KeepaliveMaps;

/// A tunnel and what it needs.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) entry: &'a TunnelEntry,
    pub(super) allowed: &'a [IpNet],
    pub(super) maps: &'a KeepaliveMaps,
    pub(super) counters: &'a Counters,
    /// Bytes of the packet at hand that count once it is on its way.
    pub(super) carried: Cell<u32>,
}

impl Env for World<'_> {
    fn forwards(&self) -> bool {
        false
    }

    fn is_behind_ipsec(&self) -> bool {
        true
    }

    fn tunnel_to(&self, _flow: &Flow) -> Option<&TunnelEntry> {
        Some(self.entry)
    }

    fn tunnel_of_label(&self, _label: u32) -> Option<(u32, &TunnelEntry)> {
        None
    }

    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        let is_its = |key: PeerKey| key == *peer;
        let ends = self.entry.lift().ends;
        is_its(PeerKey::of(ends, peer.protocol())).then_some(self.entry)
    }

    fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        self.maps.is_own(family, address)
    }

    fn is_allowed(&self, _tunnel: &TunnelEntry, family: Family, words: [u32; 4]) -> bool {
        let inner: IpAddr = match family {
            Family::V4 => Ipv4Addr::from_bits(words[0]).into(),
            Family::V6 => address(words).into(),
        };
        self.allowed.iter().any(|prefix| prefix.contains(&inner))
    }

    fn route_outer(&self, tunnel: &TunnelEntry, _outer: &Outer, _length: u32) -> Result<Hop, Reason> {
        if tunnel.underlay() == tunnel.ifindex() { Err(Reason::Loop) } else { Ok(Hop::neighbour(0)) }
    }

    fn route_inner(&self, tunnel: &TunnelEntry, _flow: &Flow, _length: u32) -> Result<Hop, Reason> {
        Ok(Hop::stack(tunnel.ifindex()))
    }

    fn route_label(&self, _tunnel: &TunnelEntry, _label: u32, _length: u32) -> Result<(u32, Hop), Reason> {
        Err(Reason::NoRoute)
    }

    /// The kernel gives the outer packet its identification.
    fn next_ident(&self, _tunnel: &TunnelEntry, _segments: u32) -> u16 {
        0
    }

    fn take_answer(&self, tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth {
        self.maps.take_answer(tunnel.id(), probe, nonce)
    }

    fn count_sent(&self, _tunnel: &TunnelEntry, _packets: u32, bytes: u32) {
        self.carried.set(bytes);
    }

    fn count_received(&self, _tunnel: &TunnelEntry, _packets: u32, bytes: u32) {
        self.carried.set(bytes);
    }

    fn count_refused(&self, _tunnel: &TunnelEntry, reason: Reason) {
        self.counters.refuse(reason);
    }
}
