//! One frame through the paths on the host, in a world that answers as the one of `prog` does.

use std::net::{IpAddr, Ipv4Addr};

use ipip_common::abi::{
    Action, Course, Family, KnownFlow, Labels, PeerKey, Reason, Tier, TierTraffic, Traffic, TunnelEntry,
    Worth, address, words,
};
use ipip_common::env::{Env, Memory};
use ipip_common::frame::Raw as _;
use ipip_common::packet::{PROTOCOL_MPLS, flow::Flow, outer::Outer, probe::Probe};
use ipip_common::path::{
    decap::decap,
    encap::encap,
    known::{self, Known},
};
use ipip_common::testing::{self, TableEnv, VecFrame};
use ipip_common::verdict::{Hop, Link, Verdict, Way};

use crate::case::{Case, Direction, mac};
use crate::outcome::{Fate, Outcome};
use crate::routes::{Answer, lookup};
use crate::tunnel::Tunnel;

/// The tunnel's interface; the others' numbers do not matter.
const IFINDEX: u32 = 9;
/// Where packets are handed over to.
const OTHER_CPU: u32 = 3;

/// The tables of `ipip_common`, and the world's routes instead of fixed ones.
struct Host<'a> {
    tables: TableEnv,
    tunnel: &'a Tunnel,
}

fn ip(family: Family, words: [u32; 4]) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(words[0]).into(),
        Family::V6 => address(words).into(),
    }
}

/// Family and words of an address, as the paths know it.
fn known(ip: IpAddr) -> (Family, [u32; 4]) {
    match ip {
        IpAddr::V4(ip) => (Family::V4, [ip.to_bits(), 0, 0, 0]),
        IpAddr::V6(ip) => (Family::V6, words(ip)),
    }
}

/// The first `length` bits of an address.
fn mask(length: u8) -> [u32; 4] {
    words(u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0).into())
}

/// Tier 1's hop.
fn wire(answer: Answer) -> Result<Hop, Reason> {
    match answer {
        Answer::Lan => Ok(Hop::wire(1, Link::new(mac::CLIENT, mac::LAN), 1500)),
        Answer::Wan => Ok(Hop::wire(2, Link::new(mac::GATEWAY, mac::WAN), 1500)),
        Answer::Slow | Answer::Tunnel => Err(Reason::SlowPort),
        Answer::Nobody => Err(Reason::NoNeighbour),
        Answer::TooBig => Err(Reason::TooBig),
        Answer::Local => Err(Reason::Local),
        Answer::None => Err(Reason::NoRoute),
    }
}

impl Host<'_> {
    fn is_xdp(&self) -> bool {
        self.tables.tier == Tier::Xdp
    }
}

impl Env for Host<'_> {
    fn forwards(&self) -> bool {
        self.tables.forwards()
    }

    fn tunnel_to(&self, flow: &Flow) -> Option<&TunnelEntry> {
        let route = || lookup(ip(flow.family, flow.source), ip(flow.family, flow.destination), 0);
        if self.is_xdp() && route() != Answer::Tunnel { None } else { self.tables.tunnel_to(flow) }
    }

    fn tunnel_of_label(&self, label: u32) -> Option<(u32, &TunnelEntry)> {
        self.tables.tunnel_of_label(label)
    }

    fn tunnel_from(&self, peer: &PeerKey) -> Option<&TunnelEntry> {
        self.tables.tunnel_from(peer)
    }

    fn other_cpu(&self, tunnel: &TunnelEntry, flow: &Flow) -> Option<u32> {
        self.tables.other_cpu(tunnel, flow)
    }

    fn remember(&self, flow: &Flow, labels: &Labels, course: &Course<'_>) {
        self.tables.remember(flow, labels, course);
    }

    fn is_own(&self, family: Family, address: [u32; 4]) -> bool {
        self.tables.is_own(family, address)
    }

    fn is_allowed(&self, tunnel: &TunnelEntry, family: Family, address: [u32; 4]) -> bool {
        self.tables.is_allowed(tunnel, family, address)
    }

    fn route_outer(&self, _tunnel: &TunnelEntry, outer: &Outer, length: u32) -> Result<Hop, Reason> {
        let answer = lookup(self.tunnel.local, self.tunnel.remote, length);
        let needs_neighbour = outer.protocol == PROTOCOL_MPLS;
        match answer {
            Answer::Tunnel if self.is_xdp() => Err(Reason::Loop),
            _ if self.is_xdp() => wire(answer),
            Answer::Lan | Answer::Wan if needs_neighbour => wire(answer),
            Answer::Lan | Answer::Wan | Answer::Slow | Answer::Nobody if !needs_neighbour => {
                Ok(Hop::neighbour(2))
            }
            Answer::Slow => Ok(Hop::wire(3, Link::new(mac::CLIENT, mac::SLOW), 0)),
            Answer::Nobody => Err(Reason::NoNeighbour),
            Answer::Tunnel => Err(if needs_neighbour { Reason::NoNeighbour } else { Reason::Loop }),
            Answer::TooBig => Err(Reason::TooBig),
            Answer::Lan | Answer::Wan | Answer::Local | Answer::None => Err(Reason::NoRoute),
        }
    }

    fn route_inner(&self, tunnel: &TunnelEntry, flow: &Flow, length: u32) -> Result<Hop, Reason> {
        if self.is_xdp() {
            wire(lookup(ip(flow.family, flow.source), ip(flow.family, flow.destination), length))
        } else {
            self.tables.route_inner(tunnel, flow, length)
        }
    }

    fn route_label(&self, tunnel: &TunnelEntry, label: u32, length: u32) -> Result<(u32, Hop), Reason> {
        let (out, hop) = self.tables.route_label(tunnel, label, length)?;
        let via = self.tunnel.labels.iter().find(|route| route.label == label).and_then(|route| route.via);
        match via {
            Some(via) if self.is_xdp() => Ok((out, wire(lookup(via, via, length))?)),
            Some(_) | None => Ok((out, hop)),
        }
    }

    fn next_ident(&self, tunnel: &TunnelEntry, segments: u32) -> u16 {
        self.tables.next_ident(tunnel, segments)
    }

    fn take_answer(&self, tunnel: &TunnelEntry, probe: &Probe, nonce: u64) -> Worth {
        self.tables.take_answer(tunnel, probe, nonce)
    }

    fn count_sent(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        self.tables.count_sent(tunnel, packets, bytes);
    }

    fn count_received(&self, tunnel: &TunnelEntry, packets: u32, bytes: u32) {
        self.tables.count_received(tunnel, packets, bytes);
    }

    fn count_refused(&self, tunnel: &TunnelEntry, reason: Reason) {
        self.tables.count_refused(tunnel, reason);
    }
}

impl Memory for Host<'_> {
    fn known(&self, place: u64) -> Option<&KnownFlow> {
        self.tables.known(place)
    }

    fn epoch(&self) -> u32 {
        self.tables.epoch()
    }

    fn now(&self) -> u32 {
        self.tables.now()
    }

    fn ifindex(&self) -> u32 {
        self.tables.ifindex()
    }

    fn ident_block(&self) -> u32 {
        self.tables.ident_block()
    }

    fn with_traffic<R>(&self, tunnel: u32, change: impl FnOnce(&mut Traffic) -> R) -> Option<R> {
        self.tables.with_traffic(tunnel, change)
    }
}

fn world(case: &Case, tier: Tier) -> Host<'_> {
    let tunnel = &case.tunnel;
    let mut tables = TableEnv::new(tier, tunnel.entry(1, IFINDEX));
    tables.ident.set(case.ident);
    tables.own = tunnel.own.iter().map(|address| known(*address)).collect();
    let prefix = |(network, length): &(IpAddr, u8)| {
        let (family, words) = known(*network);
        (family, words, mask(*length))
    };
    tables.allowed = tunnel.allowed.iter().map(prefix).collect();
    tables.labels = tunnel.labels.iter().map(|route| (route.label, route.entry(1, 1))).collect();
    Host { tables, tunnel }
}

/// What the program of this tier and direction makes of the case's frame.
pub fn run(case: &Case, tier: Tier) -> Outcome {
    run_and_tell(case, tier).0
}

/// The same, and how a carried packet goes on.
pub fn run_and_tell(case: &Case, tier: Tier) -> (Outcome, Option<Way>) {
    tell(&world(case, tier), case, tier)
}

/// The same after a packet of the flow: tier 1 knows its course.
pub fn run_again(case: &Case) -> Outcome {
    let world = world(case, Tier::Xdp);
    let mut frame = VecFrame::new(&case.input);
    world.tables.address.set(frame.get64(0));
    let _ = testing::port(&mut frame, &world);
    world.tables.ident.set(case.ident);
    world.tables.traffic.set(TierTraffic::default());
    world.tables.refused.borrow_mut().clear();
    tell(&world, case, Tier::Xdp).0
}

/// What the short way of tier 1 makes of the case's frame after a packet of its flow.
pub fn carry_known(case: &Case) -> Known {
    let world = world(case, Tier::Xdp);
    let mut frame = VecFrame::new(&case.input);
    world.tables.address.set(frame.get64(0));
    let _ = testing::port(&mut frame, &world);
    known::carry(&mut VecFrame::new(&case.input), &world)
}

/// The same on another CPU, where the first one hands the packet over; a flow's first packet, and the next.
pub fn run_handed_over(case: &Case) -> Outcome {
    let case = Case { tunnel: case.tunnel.clone().with(|tunnel| tunnel.flags.spread = true), ..case.clone() };
    let world = world(&case, Tier::Xdp);
    for _ in 0..2 {
        let mut frame = VecFrame::new(&case.input);
        world.tables.address.set(frame.get64(0));
        world.tables.other_cpu.set(Some(OTHER_CPU));
        if testing::port(&mut frame, &world) != Verdict::HandOver(OTHER_CPU) {
            world.tables.refused.borrow_mut().clear();
            world.tables.traffic.set(TierTraffic::default());
            world.tables.ident.set(case.ident);
            break;
        }
        assert_eq!(frame.bytes, case.input, "{}", case.name);
        assert_eq!(world.tables.traffic.get(), TierTraffic::default(), "{}", case.name);
        assert!(world.tables.refused.borrow().is_empty(), "{}", case.name);
    }
    // That CPU knows nothing of what this one remembers.
    world.tables.known.borrow_mut().clear();
    world.tables.other_cpu.set(None);
    tell(&world, &case, Tier::Xdp).0
}

fn tell(world: &Host<'_>, case: &Case, tier: Tier) -> (Outcome, Option<Way>) {
    let mut frame = VecFrame::new(&case.input);
    world.tables.address.set(frame.get64(0));
    let verdict = match (tier, case.direction) {
        (Tier::Xdp, _) => testing::port(&mut frame, world),
        (Tier::Tc | Tier::Daemon, Direction::Encap) => encap(&mut frame, world),
        (Tier::Tc | Tier::Daemon, Direction::Decap) => decap(&mut frame, world),
    };
    let refused = world.tables.refused.borrow().clone();
    match verdict {
        Verdict::Pass(reason) | Verdict::Drop(reason) => assert_eq!(refused, [reason], "{}", case.name),
        Verdict::Foreign | Verdict::Taken => assert!(refused.is_empty(), "{}: {refused:?}", case.name),
        Verdict::HandOver(cpu) => panic!("{}: handed over to CPU {cpu}", case.name),
        Verdict::Forward(_) => {
            assert!(
                refused.iter().all(|reason| reason.action() == Action::Note),
                "{}: {refused:?}",
                case.name
            );
        }
    }
    let fate = match verdict {
        Verdict::Foreign | Verdict::Pass(_) | Verdict::HandOver(_) => Fate::Passed,
        Verdict::Drop(_) | Verdict::Taken => Fate::Dropped,
        Verdict::Forward(_) => Fate::Carried,
    };
    let way = if let Verdict::Forward(hop) = verdict { Some(hop.way) } else { None };
    (Outcome { fate, bytes: frame.bytes, traffic: world.tables.traffic.get(), refused }, way)
}
