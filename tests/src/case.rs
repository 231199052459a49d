//! A case: a packet, a tunnel, and what each tier is to make of it. The tables of cases are in `cases`.

use ipip_common::abi::{Reason, Tier};

use crate::bytes::{Any, ethernet};
use crate::tunnel::Tunnel;

/// Ethernet addresses of the world that all cases happen in.
pub mod mac {
    /// The host's interface `lan0`, towards the client.
    pub const LAN: [u8; 6] = [2, 0, 0, 0, 0, 1];
    /// The host's interface `wan0`, towards the gateway.
    pub const WAN: [u8; 6] = [2, 0, 0, 0, 0, 2];
    /// The host's interface `slow0`.
    pub const SLOW: [u8; 6] = [2, 0, 0, 0, 0, 4];
    /// Of an interface that nothing arrives at.
    pub const SPARE: [u8; 6] = [2, 0, 0, 0, 0, 5];
    /// The client.
    pub const CLIENT: [u8; 6] = [2, 0, 0, 0, 1, 1];
    /// The gateway that the tunnel's remote is behind.
    pub const GATEWAY: [u8; 6] = [2, 0, 0, 0, 2, 1];
}

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of MPLS unicast.
pub const MPLS: u16 = 0x8847;

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

/// One row of a table.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
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
    /// EtherType of what is carried on.
    pub out_ethertype: u16,
    /// Whether the stack forwards the packet that it sends into the tunnel (tier 2): it came in by another interface.
    pub is_transit: bool,
    /// Whether any flow label but zero is right in the outer header.
    pub has_any_label: bool,
    /// Whether the packet goes back where it came from.
    pub is_reflected: bool,
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

    /// A packet of any kind on its way into the tunnel.
    pub fn into_tunnel(name: &str, packet: &Any) -> Self {
        let frame = ethernet(mac::LAN, mac::CLIENT, packet.ethertype(), &packet.bytes());
        Self::new(name, Direction::Encap, frame)
    }

    /// A packet of any family that arrives on the underlay.
    pub fn out_of_tunnel(name: &str, packet: &Any) -> Self {
        let frame = ethernet(mac::WAN, mac::GATEWAY, packet.ethertype(), &packet.bytes());
        Self::new(name, Direction::Decap, frame)
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
            out_ethertype: IPV4,
            is_transit: false,
            has_any_label: false,
            is_reflected: false,
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

    /// EtherType of the frame.
    pub fn ethertype(&self) -> u16 {
        u16::from_be_bytes([self.input[12], self.input[13]])
    }

    /// The frame's bytes from the network header on.
    pub fn packet(&self) -> &[u8] {
        &self.input[14..]
    }
}
