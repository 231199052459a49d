//! What the far end is asked: the probes of an interval.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipip_common::abi::{TunnelConfig, TunnelEntry};
use ipip_common::packet::flow::Flow;
use ipip_common::packet::probe::{Probe, Way};

use super::packet::outer_packet;
use super::socket::{self, Sockets};
use super::watch::Watch;
use super::ways::{InterfaceAddress, ways};
use crate::dataplane::KeepaliveMaps;
use crate::tunnel::KeepaliveMode;

/// After so many probes all ways are tried again: a better one may have come up.
const CURIOSITY: u32 = 32;
/// Why a tunnel has no way of asking.
const NO_ADDRESS: &str = "no address to ask from";

/// What the far end is asked.
#[derive(Debug)]
pub(super) struct Ask {
    entry: TunnelEntry,
    local: IpAddr,
    remote: IpAddr,
    ways: Vec<(Way, Flow)>,
}

impl Ask {
    /// All that a tunnel with this entry and these addresses can be asked.
    pub(super) fn new(entry: &TunnelConfig, mode: KeepaliveMode, addresses: &[InterfaceAddress]) -> Self {
        Self {
            entry: TunnelEntry::new(entry),
            local: entry.ends.local(),
            remote: entry.ends.remote(),
            ways: ways(entry, mode, addresses),
        }
    }
}

impl Watch {
    /// Sends the probes of an interval: by the way that answered last, and by every way where that is not known, or no
    /// longer answers.
    pub(super) fn ask(&mut self, maps: &KeepaliveMaps, sockets: &Sockets) {
        if self.is_passive {
            self.is_out = true;
            return;
        }
        let Some(ask) = &self.ask else { return };
        let best = maps.way(self.id);
        let known = best.and_then(|best| ask.ways.iter().find(|(way, _)| *way == best));
        let is_curious = self.is_curious || self.probing.sent.is_multiple_of(CURIOSITY);
        let by_all = is_curious || known.is_none() || self.flag.missed() > 0 || !self.flag.is_there();
        let asked = ask.ways.iter().filter(|way| by_all || known == Some(way));
        self.probing.sent = self.probing.sent.wrapping_add(u32::from(!ask.ways.is_empty()));
        // Whoever chose one way of asking relies on an answer.
        let cannot_ask = ask.ways.is_empty() && self.watched.mode != KeepaliveMode::Auto;
        let mut trouble = cannot_ask.then(|| NO_ADDRESS.to_owned());
        let mut is_out = cannot_ask;
        for (way, flow) in asked {
            let probe = Probe { sequence: self.probing.sent, way: *way as u32, sent_ns: now_ns() };
            let packet = outer_packet(&ask.entry, self.probing.key, &probe, flow);
            let sent = match &self.watched.protected {
                Some(carrier) => carrier.send(&packet),
                // Not in the clear.
                None if ask.entry.flags().ipsec => Err(io::ErrorKind::NotConnected.into()),
                None => sockets.send(&packet, ask.local, ask.remote),
            };
            is_out |= !sent.as_ref().is_err_and(socket::is_shortage);
            if let Err(error) = sent {
                trouble = Some(error.to_string());
            }
        }
        if trouble != self.failed {
            if let Some(trouble) = &trouble {
                log::warn!("tunnel {}: sending a probe to {}: {trouble}", self.watched.name, ask.remote);
            }
            (self.failed, self.is_settled) = (trouble, false);
        }
        self.is_out = is_out;
        self.is_curious = false;
        // While every probe is answered, the answers say which one is the last.
        if is_out && (self.flag.missed() > 0 || !self.flag.has_answered() || !self.flag.is_there()) {
            self.write(maps);
        }
    }

    /// Why the far end cannot be asked now, though it is to be.
    pub(super) fn trouble(&self) -> Option<String> {
        self.interval?;
        let has_ways = self.ask.as_ref().is_some_and(|ask| !ask.ways.is_empty());
        // What the last probe met may be over: there was no address then, or there is none now.
        match &self.failed {
            _ if self.is_passive => None,
            _ if !has_ways => Some(NO_ADDRESS.to_owned()),
            Some(failed) if failed != NO_ADDRESS => Some(failed.clone()),
            Some(_) | None => None,
        }
    }
}

/// Now, as the programs know it.
pub(super) fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
