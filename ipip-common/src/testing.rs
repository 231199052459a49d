//! A packet in memory and a world of one tunnel, for tests on the host.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod frame;

use core::cell::{Cell, RefCell};
use std::{boxed::Box, collections::BTreeMap, vec::Vec};

pub use self::frame::{ETHERNET, VecFrame};
use crate::{
    abi::{
        Answers, Arrival, Carried, Course, Family, KnownFlow, LabelEntry, Labels, PeerKey, Probing, Reason,
        Tier, TierTraffic, Traffic, TunnelEntry, Worth, place_of,
    },
    env::{Env, Memory},
    packet::{flow::Flow, outer::Outer, probe::Probe},
    path::{
        decap::decap,
        encap::encap,
        known::{self, Known},
    },
    verdict::{Hop, Link, Verdict},
};

/// What tier 1 does with a frame, as its program does it: what is known first, then the whole paths.
pub fn port(frame: &mut VecFrame, env: &(impl Env + Memory)) -> Verdict {
    match known::carry(frame, env) {
        Known::Unknown | Known::NoRoom => {}
        Known::Foreign => return Verdict::Foreign,
        Known::Carried(ifindex) => return Verdict::Forward(Hop::wire(ifindex, Link::new([0; 6], [0; 6]), 0)),
        Known::HandOver(cpu) => return Verdict::HandOver(cpu),
        Known::Torn => return Verdict::Drop(Reason::Torn),
    }
    match decap(frame, env) {
        Verdict::Foreign => encap(frame, env),
        verdict @ (Verdict::Pass(_)
        | Verdict::Drop(_)
        | Verdict::Taken
        | Verdict::Forward(_)
        | Verdict::HandOver(_)) => verdict,
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
    /// Addresses of the host.
    pub own: Vec<(Family, [u32; 4])>,
    /// The tunnel's `allowed-inner`: network and mask.
    pub allowed: Vec<(Family, [u32; 4], [u32; 4])>,
    /// The tunnel's keepalive.
    pub probing: Probing,
    /// What was answered.
    pub answers: Cell<Answers>,
    /// Now, nanoseconds.
    pub now_ns: u64,
    /// Where labels lead.
    pub labels: Vec<(u32, LabelEntry)>,
    /// The CPU that all packets of a tunnel with `spread` are handed over to.
    pub other_cpu: Cell<Option<u32>>,
    /// What is remembered of flows. A test's few entries are never given back.
    pub known: RefCell<BTreeMap<u64, &'static KnownFlow>>,
    /// The first eight bytes of the frame at hand.
    pub address: Cell<u64>,
}

/// Where every packet of the world comes in.
const INGRESS: u32 = 77;
/// The world's only epoch.
const EPOCH: u32 = 4;

impl TableEnv {
    /// A world in which all packets go where the tier would send them.
    #[must_use]
    pub fn new(tier: Tier, tunnel: TunnelEntry) -> Self {
        let (outer, inner) = match tier {
            Tier::Xdp => {
                let wire = |ifindex| Hop::wire(ifindex, Link::new([2; 6], [4; 6]), 65_535);
                (wire(1), wire(2))
            }
            Tier::Tc | Tier::Daemon => (Hop::neighbour(1), Hop::stack(tunnel.ifindex())),
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
            own: Vec::new(),
            allowed: Vec::new(),
            probing: Probing::default(),
            answers: Cell::default(),
            now_ns: 0,
            labels: Vec::new(),
            other_cpu: Cell::new(None),
            known: RefCell::default(),
            address: Cell::new(0),
        }
    }
}

impl TableEnv {
    fn label(&self, label: u32) -> Option<&LabelEntry> {
        self.labels.iter().find(|(known, _)| *known == label).map(|(_, entry)| entry)
    }
}

impl Env for TableEnv {
    fn forwards(&self) -> bool {
        self.tier == Tier::Xdp
    }

    fn tunnel_to(&self, _flow: &Flow) -> Option<&TunnelEntry> {
        (self.leads_to_tunnel && self.tunnel.flags().enabled).then_some(&self.tunnel)
    }

    fn tunnel_of_label(&self, label: u32) -> Option<(u32, &TunnelEntry)> {
        if !self.tunnel.flags().enabled {
            return None;
        }
        if self.tier != Tier::Xdp {
            return Some((label, &self.tunnel));
        }
        let entry = self.label(label)?;
        (entry.tunnel_id() == Some(self.tunnel.id())).then_some((entry.out(), &self.tunnel))
    }

    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        let flags = self.tunnel.flags();
        let ends = self.tunnel.lift().ends;
        let is_mine = Carried::ALL
            .into_iter()
            .any(|kind| flags.carries(kind) && *peer == PeerKey::of(ends, kind.protocol()));
        (is_mine && flags.enabled).then_some(&self.tunnel)
    }

    fn other_cpu(&self, tunnel: &TunnelEntry, _flow: &Flow) -> Option<u32> {
        let flags = tunnel.flags();
        let is_spread = self.tier == Tier::Xdp && flags.spread && flags.allow_fast_path;
        self.other_cpu.get().filter(|_| is_spread)
    }

    fn remember(&self, flow: &Flow, labels: &Labels, course: &Course<'_>) {
        if self.tier == Tier::Xdp {
            let arrival =
                Arrival { ifindex: INGRESS, address: self.address.get(), epoch: EPOCH, turned: INGRESS };
            // Another flow stood in the place, and leaves what this one does not need.
            let mut known: KnownFlow = bytemuck::pod_read_unaligned(&[0xa5; size_of::<KnownFlow>()]);
            known.fill(&arrival, flow, labels, course);
            self.known.borrow_mut().insert(place_of(flow, labels), Box::leak(Box::new(known)));
        }
    }

    fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        self.own.contains(&(family, address))
    }

    fn is_allowed(&self, _tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
        self.allowed.iter().any(|(of, network, mask)| {
            let is_inside = |at: usize| address[at] & mask[at] == network[at] & mask[at];
            *of == family && (0..4).all(is_inside)
        })
    }

    fn route_outer(&self, _tunnel: &TunnelEntry, _outer: &Outer, _length: u32) -> Result<Hop, Reason> {
        self.outer
    }

    fn route_inner(&self, _tunnel: &TunnelEntry, _flow: &Flow, _length: u32) -> Result<Hop, Reason> {
        self.inner
    }

    fn route_label(&self, _tunnel: &TunnelEntry, label: u32, _length: u32) -> Result<(u32, Hop), Reason> {
        if self.tier != Tier::Xdp {
            return Ok((label, self.inner?));
        }
        let entry = self.label(label).ok_or(Reason::NoRoute)?;
        if entry.tunnel_id().is_some() { Err(Reason::SlowPort) } else { Ok((entry.out(), self.inner?)) }
    }

    fn next_ident(&self, _tunnel: &TunnelEntry, segments: u32) -> u16 {
        let ident = self.ident.get();
        self.ident.set(ident.wrapping_add(u16::try_from(segments).unwrap_or(u16::MAX)));
        ident
    }

    fn take_answer(&self, _tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth {
        let mut answers = self.answers.get();
        let worth = answers.take(&self.probing, probe, nonce, self.now_ns);
        self.answers.set(answers);
        worth
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

impl Memory for TableEnv {
    fn known(&self, place: u64) -> Option<&KnownFlow> {
        self.known.borrow().get(&place).copied()
    }

    fn epoch(&self) -> u32 {
        EPOCH
    }

    fn now(&self) -> u32 {
        0
    }

    fn ifindex(&self) -> u32 {
        INGRESS
    }

    fn ident_block(&self) -> u32 {
        1 << 16
    }

    fn with_traffic<R>(&self, _tunnel: u32, change: impl FnOnce(&mut Traffic) -> R) -> Option<R> {
        let mut traffic =
            Traffic { xdp: self.traffic.get(), ident: u32::from(self.ident.get()), ..Traffic::default() };
        let result = change(&mut traffic);
        self.traffic.set(traffic.xdp);
        self.ident.set((traffic.ident & 0xffff) as u16);
        Some(result)
    }
}
