//! The tunnel of a case, and what the host around it knows.

use std::net::IpAddr;

use ipip_common::abi::{Ends, LabelEntry, TunnelConfig, TunnelEntry, TunnelFlags};

use crate::bytes::{CLIENT, LABEL_BACK, LABEL_THERE, LOCAL, REMOTE};

/// Where a label leads, and the label that the packet leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelRoute {
    /// The label that arrives.
    pub label: u32,
    /// The label that leaves.
    pub out: u32,
    /// The neighbour that it leads to, on `lan0`; `None`: it leads into the tunnel.
    pub via: Option<IpAddr>,
}

impl LabelRoute {
    /// As it is written into the map.
    pub fn entry(&self, tunnel: u32, lan: u32) -> LabelEntry {
        self.via.map_or_else(
            || LabelEntry::into_tunnel(self.out, tunnel),
            |via| LabelEntry::to_neighbour(self.out, lan, via),
        )
    }
}

/// A tunnel's settings; the rest is the same for all cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Switches.
    pub flags: TunnelFlags,
    /// Near end.
    pub local: IpAddr,
    /// Far end.
    pub remote: IpAddr,
    /// Largest inner packet.
    pub mtu: u16,
    /// Outer TTL.
    pub ttl: u8,
    /// Outer DSCP where it is fixed.
    pub dscp: u8,
    /// The limit that is sent where one is set.
    pub encapsulation_limit: u8,
    /// Prefixes of inner addresses, where they are restricted: network and length.
    pub allowed: Vec<(IpAddr, u8)>,
    /// Addresses of the host, as the programs know them.
    pub own: Vec<IpAddr>,
    /// Where labels lead.
    pub labels: Vec<LabelRoute>,
}

impl Default for Tunnel {
    fn default() -> Self {
        let flags = TunnelFlags {
            enabled: true,
            allow_fast_path: true,
            carries_ipv4: true,
            ..TunnelFlags::default()
        };
        let there = LabelRoute { label: LABEL_THERE, out: LABEL_THERE + 100, via: None };
        let back = LabelRoute { label: LABEL_BACK, out: LABEL_BACK + 100, via: Some(CLIENT.into()) };
        Self {
            flags,
            local: LOCAL.into(),
            remote: REMOTE.into(),
            mtu: 1480,
            ttl: 255,
            dscp: 0,
            encapsulation_limit: 0,
            allowed: Vec::new(),
            own: Vec::new(),
            labels: vec![there, back],
        }
    }
}

impl Tunnel {
    /// The tunnel with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// As it is written into the map.
    pub fn entry(&self, id: u32, ifindex: u32) -> TunnelEntry {
        TunnelEntry::new(&TunnelConfig {
            id,
            flags: self.flags,
            ifindex,
            underlay: 0,
            ends: Ends::new(self.local, self.remote).expect("ends of one family"),
            mtu: self.mtu,
            ttl: self.ttl,
            dscp: self.dscp,
            encapsulation_limit: self.encapsulation_limit,
        })
    }
}
