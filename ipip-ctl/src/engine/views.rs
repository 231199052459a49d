//! What clients see of the tunnels.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use ipip_common::abi::{Reason, Tier};

use super::Engine;
use super::tunnels::Installed;
use crate::api::protocol::{MapView, ProgramView, Refused, TierTraffic, Traffic, TunnelView};
use crate::dataplane::{Counters, MapFill, ProgramRuns, RefusedPackets};
use crate::failure::Failure;
use crate::tunnel::Tunnel;

impl Engine {
    /// All tunnels in their order.
    pub(super) fn views(&self) -> Result<Vec<TunnelView>, Failure> {
        let all = self.running.values().filter_map(|running| running.installed.as_ref());
        all.filter_map(|installed| installed.protection.link()).for_each(|link| link.carrier().count());
        let mut refused = self.kernel.all_refused();
        self.table.iter().map(|tunnel| self.view(tunnel, &mut refused)).collect()
    }

    fn view(
        &self,
        tunnel: &Tunnel,
        all_refused: &mut HashMap<u32, Vec<RefusedPackets>>,
    ) -> Result<TunnelView, Failure> {
        let running = self.running.get(&tunnel.name);
        let installed = running.and_then(|running| running.installed.as_ref());
        let mut counters = Counters::default();
        if let Some(installed) = installed {
            let refused = all_refused.remove(&installed.id).unwrap_or_default();
            counters = Counters { traffic: self.kernel.traffic(installed.id)?, refused };
            counters.refuse(Tier::Daemon, Reason::NoSlowPath, installed.left_over.load(Ordering::Relaxed));
        }
        let liveness = installed.and_then(|installed| self.alive.view(installed.id));
        let is_over_ipv6 = tunnel.remote.is_ipv6();
        Ok(TunnelView {
            name: tunnel.name.clone(),
            kind: tunnel.kind,
            local_address: tunnel.written_local().to_string(),
            remote_address: tunnel.remote.to_string(),
            mtu: tunnel.mtu,
            actual_mtu: installed.map(|installed| installed.mtu),
            ttl: tunnel.ttl,
            dscp: tunnel.dscp,
            decap_dscp: tunnel.decap_dscp,
            ecn: tunnel.ecn,
            flow_label: is_over_ipv6.then_some(tunnel.flow_label),
            encapsulation_limit: is_over_ipv6.then_some(tunnel.encapsulation_limit),
            dont_fragment: tunnel.dont_fragment,
            allowed_inner: tunnel.allowed_inner.iter().map(ToString::to_string).collect(),
            clamp_tcp_mss: tunnel.clamp_tcp_mss,
            keepalive: tunnel.keepalive.to_string(),
            keepalive_mode: tunnel.keepalive_mode,
            allow_fast_path: tunnel.allow_fast_path,
            spread: tunnel.spread,
            spreading: installed.is_some_and(Installed::is_spread),
            ipsec: tunnel.has_ipsec(),
            disabled: tunnel.disabled,
            comment: tunnel.comment.clone().unwrap_or_default(),
            running: running.is_some_and(super::tunnels::Running::is_running),
            reason: running.map(|running| running.reason.clone()).unwrap_or_default(),
            traffic: Traffic {
                xdp: share(&counters, Tier::Xdp),
                tc: share(&counters, Tier::Tc),
                daemon: share(&counters, Tier::Daemon),
            },
            liveness,
            refused: counters.refused.iter().map(refused).collect(),
        })
    }
}

pub(super) fn program(runs: &ProgramRuns) -> ProgramView {
    let run_time_ns = u64::try_from(runs.time.as_nanos()).unwrap_or(u64::MAX);
    ProgramView { name: runs.name.to_owned(), run_count: runs.count, run_time_ns }
}

pub(super) fn map(fill: &MapFill) -> MapView {
    let entries = u64::try_from(fill.entries).unwrap_or(u64::MAX);
    MapView { name: fill.name.to_owned(), entries, entries_max: u64::from(fill.most) }
}

fn share(counters: &Counters, tier: Tier) -> TierTraffic {
    let traffic = counters.traffic.tier(tier);
    TierTraffic {
        sent_packets: traffic.sent_packets,
        sent_bytes: traffic.sent_bytes,
        received_packets: traffic.received_packets,
        received_bytes: traffic.received_bytes,
    }
}

fn refused(refused: &RefusedPackets) -> Refused {
    Refused {
        tier: refused.tier.name().to_owned(),
        reason: refused.reason.name().to_owned(),
        action: refused.reason.action().into(),
        packets: refused.packets,
    }
}
