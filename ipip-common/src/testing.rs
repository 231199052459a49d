//! A packet in memory and a world of one tunnel, for tests on the host.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

use core::cell::{Cell, RefCell};
use std::vec::Vec;

use crate::{
    abi::{PeerKey, Reason, Tier, TierTraffic, TunnelEntry},
    env::{Env, Ports},
    frame::Frame,
    packet::{checksum, ipv4::Ipv4},
    verdict::Hop,
};

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// A frame in a vector, with an Ethernet header in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VecFrame {
    /// All bytes, Ethernet header first.
    pub bytes: Vec<u8>,
    /// What [`Frame::segments`] says.
    pub segments: u32,
}

impl VecFrame {
    /// A frame of these bytes; fewer than an Ethernet header's are filled up with zeros.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        if bytes.len() < ETHERNET {
            bytes.resize(ETHERNET, 0);
        }
        Self { bytes, segments: 1 }
    }

    fn get(&self, at: u32, count: usize) -> Option<&[u8]> {
        let start = ETHERNET + at as usize;
        self.bytes.get(start..start + count)
    }

    fn put(&mut self, at: u32, value: &[u8]) -> Option<()> {
        let start = ETHERNET + at as usize;
        self.bytes.get_mut(start..start + value.len())?.copy_from_slice(value);
        Some(())
    }
}

impl Frame for VecFrame {
    fn ethertype(&self) -> u16 {
        u16::from_be_bytes([self.bytes[12], self.bytes[13]])
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len() - ETHERNET).unwrap_or(u32::MAX)
    }

    fn segments(&self) -> u32 {
        self.segments
    }

    fn pull(&mut self, _bytes: u32) {}

    fn byte(&self, at: u32) -> Option<u8> {
        self.get(at, 1).map(|bytes| bytes[0])
    }

    fn half(&self, at: u32) -> Option<u16> {
        self.get(at, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn words<const N: usize>(&self, at: u32) -> Option<[u32; N]> {
        let bytes = self.get(at, 4 * N)?;
        let mut words = [0; N];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        Some(words)
    }

    fn put_half(&mut self, at: u32, value: u16) -> Option<()> {
        self.put(at, &value.to_be_bytes())
    }

    fn put_words<const N: usize>(&mut self, at: u32, values: [u32; N]) -> Option<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        self.put(at, &bytes)
    }

    fn mend_transport_sum(&mut self, checksum_at: u32, old: u16, new: u16) -> Option<()> {
        let field = self.half(checksum_at)?;
        self.put_half(checksum_at, checksum::update(field, old, new))
    }

    fn trim(&mut self, length: u32) -> Result<(), Reason> {
        self.bytes.truncate(ETHERNET + length as usize);
        Ok(())
    }

    fn push_front<const N: u32>(&mut self) -> Result<(), Reason> {
        self.bytes.splice(ETHERNET..ETHERNET, core::iter::repeat_n(0, N as usize));
        Ok(())
    }

    fn pull_front<const N: u32>(&mut self) -> Result<(), Reason> {
        self.bytes.drain(ETHERNET..ETHERNET + N as usize);
        Ok(())
    }

    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()> {
        if let Hop::Wire { destination, source, .. } = hop {
            self.bytes[..6].copy_from_slice(destination);
            self.bytes[6..12].copy_from_slice(source);
        }
        self.bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
        Some(())
    }
}

/// A world with one tunnel, in which every route is given.
#[derive(Debug)]
pub struct TableEnv {
    /// The tier whose rules hold: [`Tier::Xdp`] forwards, the others stand behind the stack.
    pub tier: Tier,
    /// The tunnel.
    pub tunnel: TunnelEntry,
    /// What the route of an inner packet says: whether it leads into the tunnel.
    pub leads_to_tunnel: bool,
    /// The way to the remote.
    pub outer: Result<Hop, Reason>,
    /// The way on after decapsulation.
    pub inner: Result<Hop, Reason>,
    /// The next identification.
    pub ident: Cell<u16>,
    /// What was counted as carried.
    pub traffic: Cell<TierTraffic>,
    /// What was counted as refused.
    pub refused: RefCell<Vec<Reason>>,
}

impl TableEnv {
    /// A world in which all packets go where the tier would send them.
    #[must_use]
    pub fn new(tier: Tier, tunnel: TunnelEntry) -> Self {
        let (outer, inner) = match tier {
            Tier::Xdp => {
                let wire = |ifindex| Hop::Wire { ifindex, destination: [2; 6], source: [4; 6] };
                (wire(1), wire(2))
            }
            Tier::Tc | Tier::Daemon => {
                (Hop::Neighbour { ifindex: 1 }, Hop::Stack { ifindex: tunnel.ifindex() })
            }
        };
        Self {
            tier,
            tunnel,
            leads_to_tunnel: true,
            outer: Ok(outer),
            inner: Ok(inner),
            ident: Cell::new(0),
            traffic: Cell::default(),
            refused: RefCell::default(),
        }
    }
}

impl Env for TableEnv {
    fn forwards(&self) -> bool {
        self.tier == Tier::Xdp
    }

    fn tunnel_to(&self, _inner: &Ipv4, _ports: Ports) -> Option<&TunnelEntry> {
        (self.leads_to_tunnel && self.tunnel.flags().enabled).then_some(&self.tunnel)
    }

    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        let mine = PeerKey::v4(self.tunnel.local(), self.tunnel.remote(), crate::packet::PROTOCOL_IPV4);
        (*peer == mine && self.tunnel.flags().enabled).then_some(&self.tunnel)
    }

    fn route_outer(&self, _tunnel: &TunnelEntry, _tos: u8, _length: u32) -> Result<Hop, Reason> {
        self.outer
    }

    fn route_inner(&self, _tunnel: &TunnelEntry, _inner: &Ipv4, _ports: Ports) -> Result<Hop, Reason> {
        self.inner
    }

    fn next_ident(&self, segments: u32) -> u16 {
        let ident = self.ident.get();
        self.ident.set(ident.wrapping_add(u16::try_from(segments).unwrap_or(u16::MAX)));
        ident
    }

    fn count_sent(&self, _tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        let mut traffic = self.traffic.get();
        traffic.sent_packets += u64::from(packets);
        traffic.sent_bytes += u64::from(bytes);
        self.traffic.set(traffic);
    }

    fn count_received(&self, _tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        let mut traffic = self.traffic.get();
        traffic.received_packets += u64::from(packets);
        traffic.received_bytes += u64::from(bytes);
        self.traffic.set(traffic);
    }

    fn count_refused(&self, _tunnel: &TunnelEntry, reason: Reason) {
        self.refused.borrow_mut().push(reason);
    }
}
