//! A case: a packet, a tunnel, and what each tier is to make of it. The tables of cases are in `cases`.

use std::net::Ipv4Addr;

use ipip_common::abi::{Ends, Reason, Tier, TunnelConfig, TunnelEntry, TunnelFlags};

use crate::bytes::{LOCAL, Packet, REMOTE, ethernet};

/// Ethernet addresses of the world that all cases happen in.
pub mod mac {
    /// The host's interface `lan0`, towards the client.
    pub const LAN: [u8; 6] = [2, 0, 0, 0, 0, 1];
    /// The host's interface `wan0`, towards the gateway.
    pub const WAN: [u8; 6] = [2, 0, 0, 0, 0, 2];
    /// The client.
    pub const CLIENT: [u8; 6] = [2, 0, 0, 0, 1, 1];
    /// The gateway that the tunnel's remote is behind.
    pub const GATEWAY: [u8; 6] = [2, 0, 0, 0, 2, 1];
}

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the tunnel: arrives on `lan0` (tier 1), or leaves by the tunnel interface (tier 2).
    Encap,
    /// Out of the tunnel: arrives on `wan0`.
    Decap,
}

/// What a tier makes of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: it goes on untouched and uncounted.
    Foreign,
    /// Left to the next tier, untouched, counted under this reason.
    Pass(Reason),
    /// Ends here, untouched, counted under this reason.
    Drop(Reason),
    /// On its way as these bytes, from the network header on.
    Carried(Vec<u8>),
}

/// Which tiers of tests can run the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The paths on the host and the programs in the kernel.
    Everywhere,
    /// What only the programs see: to whom a frame is addressed, what the kernel's routes say.
    Programs,
}

/// A tunnel's settings; the rest is the same for all cases.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel {
    /// Switches.
    pub flags: TunnelFlags,
    /// Near end.
    pub local: [u8; 4],
    /// Far end.
    pub remote: [u8; 4],
    /// Largest inner packet.
    pub mtu: u16,
    /// Outer TTL.
    pub ttl: u8,
    /// Outer DSCP where it is fixed.
    pub dscp: u8,
}

impl Default for Tunnel {
    fn default() -> Self {
        let flags = TunnelFlags {
            enabled: true,
            allow_fast_path: true,
            carries_ipv4: true,
            ..TunnelFlags::default()
        };
        Self { flags, local: LOCAL, remote: REMOTE, mtu: 1480, ttl: 255, dscp: 0 }
    }
}

impl Tunnel {
    /// As it is written into the map.
    pub fn entry(&self, id: u32, ifindex: u32) -> TunnelEntry {
        TunnelEntry::new(&TunnelConfig {
            id,
            flags: self.flags,
            ifindex,
            underlay: 0,
            ends: Ends::V4 { local: Ipv4Addr::from(self.local), remote: Ipv4Addr::from(self.remote) },
            mtu: self.mtu,
            ttl: self.ttl,
            dscp: self.dscp,
            encapsulation_limit: 0,
        })
    }
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, with the conformance facts' IDs.
    pub name: String,
    /// Which way the packet goes.
    pub direction: Direction,
    /// The tunnel.
    pub tunnel: Tunnel,
    /// The frame, with its Ethernet header.
    pub input: Vec<u8>,
    /// The next outer identification.
    pub ident: u16,
    /// What the tunnel counts for a carried packet: its inner total length.
    pub inner_len: u32,
    /// What is counted beside a carried packet.
    pub note: Option<Reason>,
    /// What XDP makes of it.
    pub xdp: Expected,
    /// What TC makes of it.
    pub tc: Expected,
    /// Where it runs.
    pub reach: Reach,
    /// What the host's stand-in for the kernel's routes answers in tier 1, where it refuses.
    pub no_way: Option<Reason>,
    /// Whether the result is meant to look broken to a protocol analyser.
    pub looks_broken: bool,
}

impl Case {
    /// A packet on its way into the tunnel; it is foreign unless told otherwise.
    pub fn encap(name: &str, packet: &[u8]) -> Self {
        Self::new(name, Direction::Encap, ethernet(mac::LAN, mac::CLIENT, IPV4, packet))
    }

    /// A packet that arrives on the underlay; it is foreign unless told otherwise.
    pub fn decap(name: &str, packet: &[u8]) -> Self {
        Self::new(name, Direction::Decap, ethernet(mac::WAN, mac::GATEWAY, IPV4, packet))
    }

    fn new(name: &str, direction: Direction, input: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            direction,
            tunnel: Tunnel::default(),
            input,
            ident: 0x1234,
            inner_len: 0,
            note: None,
            xdp: Expected::Foreign,
            tc: Expected::Foreign,
            reach: Reach::Everywhere,
            no_way: None,
            looks_broken: false,
        }
    }

    /// Sets something of the tunnel.
    #[must_use]
    pub fn tunnel(mut self, change: impl FnOnce(&mut Tunnel)) -> Self {
        change(&mut self.tunnel);
        self
    }

    /// Sets anything of the case.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Both tiers do the same.
    #[must_use]
    pub fn both(self, expected: &Expected) -> Self {
        self.xdp(expected.clone()).tc(expected.clone())
    }

    /// What tier 1 does.
    #[must_use]
    pub fn xdp(mut self, expected: Expected) -> Self {
        self.xdp = expected;
        self
    }

    /// What tier 2 does.
    #[must_use]
    pub fn tc(mut self, expected: Expected) -> Self {
        self.tc = expected;
        self
    }

    /// The expectation for a tier.
    pub fn expected(&self, tier: Tier) -> &Expected {
        if tier == Tier::Xdp { &self.xdp } else { &self.tc }
    }

    /// The frame's bytes from the network header on.
    pub fn packet(&self) -> &[u8] {
        &self.input[14..]
    }
}

/// The packet as the stack forwards it: TTL one less.
pub fn forwarded(packet: &Packet) -> Packet {
    packet.clone().with(|packet| packet.ttl -= 1)
}
