//! All the traffic of the lab: every flow at once, and all of it bounded.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;

use super::echo::{self, Echo, Echoes};
use super::flow::{Flow, Owner, Site};
use super::transfer::{Transfer, Transferred};
use crate::netns::Netns;
use crate::topology::Sites;

const HOST1: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 1);
const HOST2: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 2);
/// The identifier of the first ping flow.
const PING: u16 = 0x6970;

/// Every flow, ready or running.
pub(super) struct Traffic {
    pub(super) echoes: Vec<Echo>,
    pub(super) transfers: Vec<Transfer>,
    done: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    answerers: Vec<JoinHandle<()>>,
}

/// What became of every flow.
pub(super) struct Outcome {
    pub(super) echoes: Vec<(Flow, Echoes)>,
    pub(super) transfers: Vec<(Flow, Transferred)>,
}

/// Both directions of both owners.
const FLOWS: [(Owner, Site); 4] = [
    (Owner::Hosts, Site::One),
    (Owner::Hosts, Site::Two),
    (Owner::Forwarded, Site::One),
    (Owner::Forwarded, Site::Two),
];

impl Traffic {
    /// Opens every socket, and lets every host find out its neighbours.
    pub(super) fn prepare(sites: &Sites) -> Result<Self> {
        let mut traffic = Self {
            echoes: Vec::new(),
            transfers: Vec::new(),
            done: Arc::default(),
            closed: Arc::default(),
            answerers: Vec::new(),
        };
        for (id, flow) in (PING..).zip(FLOWS.map(|ends| flow("ping", ends))) {
            traffic.echoes.push(Echo::prepare(flow, near(sites, &flow), Some(id))?);
        }
        let udp = flow("udp", (Owner::Forwarded, Site::One));
        traffic.answerers.push(echo::answer(far(sites, &udp), &traffic.closed)?);
        traffic.echoes.push(Echo::prepare(udp, near(sites, &udp), None)?);
        for flow in FLOWS.map(|ends| flow("tcp", ends)) {
            traffic.transfers.push(Transfer::prepare(flow, far(sites, &flow))?);
        }
        traffic.echoes.iter().try_for_each(Echo::warm_up)?;
        Ok(traffic)
    }

    /// Starts every flow.
    pub(super) fn start(&mut self, sites: &Sites) -> Result<()> {
        for echo in &mut self.echoes {
            echo.start(&self.done)?;
        }
        for transfer in &mut self.transfers {
            transfer.start(near(sites, &transfer.flow), &self.done)?;
        }
        Ok(())
    }

    /// Ends every flow, and waits for what is still on its way.
    pub(super) fn finish(mut self) -> Outcome {
        self.done.store(true, Ordering::Relaxed);
        let transfers =
            self.transfers.iter_mut().map(|transfer| (transfer.flow, transfer.finish())).collect();
        let echoes = self.echoes.iter_mut().map(|echo| (echo.flow, echo.finish())).collect();
        self.closed.store(true, Ordering::Relaxed);
        for answerer in self.answerers.drain(..) {
            // One that panicked has ended this process.
            let _ = answerer.join();
        }
        Outcome { echoes, transfers }
    }
}

impl Outcome {
    /// The packets that the tunnel must have carried towards site two and towards site one.
    pub(super) fn packets(&self, owner: Owner) -> [u64; 2] {
        let mut packets = [0; 2];
        for (flow, echoes) in self.echoes.iter().filter(|(flow, _)| flow.owner == owner) {
            packets[flow.from.direction()] += echoes.sent;
            packets[flow.from.back()] += echoes.received;
        }
        for (flow, transferred) in self.transfers.iter().filter(|(flow, _)| flow.owner == owner) {
            packets[flow.from.direction()] += transferred.packets[0];
            packets[flow.from.back()] += transferred.packets[1];
        }
        packets
    }
}

fn flow(kind: &'static str, (owner, from): (Owner, Site)) -> Flow {
    let target = match (owner, from) {
        (Owner::Hosts, Site::One) => HOST2,
        (Owner::Hosts, Site::Two) => HOST1,
        (Owner::Forwarded, Site::One) => Sites::SERVER,
        (Owner::Forwarded, Site::Two) => Sites::CLIENT,
    };
    Flow { kind, owner, from, target }
}

fn near<'a>(sites: &'a Sites, flow: &Flow) -> &'a Netns {
    match (flow.owner, flow.from) {
        (Owner::Hosts, Site::One) => &sites.host1,
        (Owner::Hosts, Site::Two) => &sites.host2,
        (Owner::Forwarded, Site::One) => &sites.client,
        (Owner::Forwarded, Site::Two) => &sites.server,
    }
}

fn far<'a>(sites: &'a Sites, flow: &Flow) -> &'a Netns {
    let back = match flow.from {
        Site::One => Site::Two,
        Site::Two => Site::One,
    };
    near(sites, &Flow { from: back, ..*flow })
}
