//! What clients see of the tunnels.

use std::sync::atomic::Ordering;

use ipip_common::abi::{Reason, Tier};

use super::Engine;
use super::tunnels::Installed;
use crate::api::protocol::{Refused, TierTraffic, Traffic, TunnelView};
use crate::dataplane::Counters;
use crate::failure::Failure;
use crate::tunnel::Tunnel;

impl Engine {
    /// All tunnels in their order.
    pub(super) fn views(&self) -> Result<Vec<TunnelView>, Failure> {
        self.table.iter().map(|tunnel| self.view(tunnel)).collect()
    }

    fn view(&self, tunnel: &Tunnel) -> Result<TunnelView, Failure> {
        let running = self.running.get(&tunnel.name);
        let installed = running.and_then(|running| running.installed.as_ref());
        let mut counters = Counters::default();
        if let Some(installed) = installed {
            counters = self.kernel.counters(installed.id)?;
            counters.refuse(Tier::Daemon, Reason::NoSlowPath, installed.left_over.load(Ordering::Relaxed));
        }
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
            keepalive: "0".to_owned(),
            allow_fast_path: tunnel.allow_fast_path,
            spread: tunnel.spread,
            spreading: installed.is_some_and(Installed::is_spread),
            disabled: tunnel.disabled,
            comment: tunnel.comment.clone().unwrap_or_default(),
            running: running.is_some_and(super::tunnels::Running::is_running),
            reason: running.map(|running| running.reason.clone()).unwrap_or_default(),
            traffic: Traffic {
                xdp: share(&counters, Tier::Xdp),
                tc: share(&counters, Tier::Tc),
                daemon: share(&counters, Tier::Daemon),
            },
            refused: counters.refused.iter().map(refused).collect(),
        })
    }
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

fn refused(refused: &crate::dataplane::RefusedPackets) -> Refused {
    Refused {
        tier: refused.tier.name().to_owned(),
        reason: refused.reason.name().to_owned(),
        packets: refused.packets,
    }
}
