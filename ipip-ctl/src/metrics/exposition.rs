//! The daemon's numbers as text, in the `OpenMetrics` format: docs/metrics.md lists them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::alive::Liveness;
use crate::api::protocol::{DaemonStatus, TierTraffic, TunnelView};
use crate::failure::{Failure, FailureKind};

/// What stands in front of all names.
const PREFIX: &str = "ipip";

/// The daemon's numbers at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The tunnels.
    pub tunnels: Vec<TunnelView>,
    /// The daemon, its interfaces, programs and maps.
    pub status: DaemonStatus,
}

/// Writes all metrics.
///
/// # Errors
///
/// They cannot be written as text.
pub fn exposition(snapshot: Snapshot) -> Result<String, Failure> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(snapshot));
    let mut output = String::new();
    text::encode(&mut output, &registry)
        .map_err(|error| Failure::new(FailureKind::Failed, format!("writing metrics: {error}")))?;
    Ok(output)
}

/// A metric's name without prefix, unit and suffix; what it says; its unit.
type About = (&'static str, &'static str, Option<Unit>);
/// Name and help of a state, and whether a tunnel is in it.
type State = (&'static str, &'static str, fn(&TunnelView) -> bool);
/// Name and help of a time, and where it is, in microseconds.
type Time = (&'static str, &'static str, fn(&Liveness) -> Option<u64>);
/// Name, help and unit of a counter, and its value.
type Column = (&'static str, &'static str, Unit, fn(TierTraffic) -> u64);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_daemon(&mut encoder)?;
        self.encode_states(&mut encoder)?;
        self.encode_liveness(&mut encoder)?;
        self.encode_traffic(&mut encoder)
    }
}

impl Snapshot {
    fn encode_daemon(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let DaemonStatus { version, running, disabled, invalid, ports, programs, maps, .. } = &self.status;
        let build = [([("version", version.as_str())], 1_u64)];
        gauge(encoder, ("build_info", "Version of the daemon", None), build)?;
        let states = [("running", running), ("disabled", disabled), ("invalid", invalid)];
        gauge(
            encoder,
            ("tunnels", "Number of tunnels by state", None),
            states.map(|(state, count)| ([("state", state)], *count)),
        )?;
        let works = ports.iter().flat_map(|port| {
            let works = |tier| u64::from(port.tiers.iter().any(|it| it == tier));
            ["xdp", "tc"].map(|tier| ([("port", port.name.as_str()), ("tier", tier)], works(tier)))
        });
        gauge(encoder, ("port_tier", "Whether a tier works on an interface of the underlay", None), works)?;
        let entries = maps.iter().map(|map| ([("map", map.name.as_str())], map.entries));
        gauge(encoder, ("map_entries", "Number of entries of a BPF map", None), entries)?;
        let most = maps.iter().map(|map| ([("map", map.name.as_str())], map.entries_max));
        gauge(encoder, ("map_entries_max", "Number of entries that a BPF map has room for", None), most)?;
        let times = programs.iter().map(|program| {
            let time = std::time::Duration::from_nanos(program.run_time_ns);
            ([("program", program.name.as_str())], time.as_secs_f64())
        });
        let about = "Time that a BPF program ran, while kernel.bpf_stats_enabled is 1";
        counter(encoder, ("program_run", about, Some(Unit::Seconds)), times)?;
        let runs = programs.iter().map(|program| ([("program", program.name.as_str())], program.run_count));
        counter(
            encoder,
            ("program_runs", "Number of runs of a BPF program, while kernel.bpf_stats_enabled is 1", None),
            runs,
        )
    }

    fn encode_states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let info = self.tunnels.iter().map(|tunnel| {
            let labels = [
                ("tunnel", tunnel.name.as_str()),
                ("kind", tunnel.kind.name()),
                ("local_address", &tunnel.local_address),
                ("remote_address", &tunnel.remote_address),
            ];
            (labels, 1_u64)
        });
        gauge(encoder, ("tunnel_info", "Kind and addresses of a tunnel", None), info)?;
        let states: [State; 3] = [
            ("tunnel_enabled", "Whether a tunnel is switched on", |tunnel| !tunnel.disabled),
            ("tunnel_running", "Whether a tunnel carries traffic", |tunnel| tunnel.running),
            ("tunnel_invalid", "Whether a tunnel is switched on and carries no traffic", |tunnel| {
                !tunnel.running && !tunnel.disabled
            }),
        ];
        for (name, help, is) in states {
            let rows = self.tunnels.iter().map(|tunnel| (of_tunnel(tunnel), u64::from(is(tunnel))));
            gauge(encoder, (name, help, None), rows)?;
        }
        let mtus = self.tunnels.iter();
        let mtus = mtus.filter_map(|tunnel| Some((of_tunnel(tunnel), u64::from(tunnel.actual_mtu?))));
        gauge(encoder, ("tunnel_mtu", "Largest inner packet of a tunnel in force", Some(Unit::Bytes)), mtus)
    }

    /// What keepalive knows of far ends; nothing of those that are not asked.
    fn encode_liveness(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let known = || {
            let all = self.tunnels.iter();
            all.filter_map(|tunnel| {
                let liveness = tunnel.liveness.as_ref().filter(|liveness| liveness.is_known())?;
                Some((of_tunnel(tunnel), liveness))
            })
        };
        let dead = known().map(|(labels, liveness)| (labels, u64::from(liveness.state == "dead")));
        gauge(encoder, ("tunnel_peer_dead", "Whether the far end of a tunnel does not answer", None), dead)?;
        let probes = known().map(|(labels, liveness)| (labels, liveness.probes));
        counter(encoder, ("tunnel_probes", "Keepalive probes of a tunnel", None), probes)?;
        let answers = known().map(|(labels, liveness)| (labels, liveness.answers));
        counter(encoder, ("tunnel_probe_answers", "Answers to them", None), answers)?;
        let lost = known().map(|(labels, liveness)| (labels, u64::from(liveness.lost)));
        gauge(encoder, ("tunnel_probes_lost", "How many of the last 64 had no answer", None), lost)?;
        let times: [Time; 2] = [
            ("tunnel_round_trip", "Mean round-trip time of a tunnel's probes", |it| it.rtt_mean_us),
            ("tunnel_jitter", "Mean change of it from one probe to the next", |it| it.jitter_us),
        ];
        for (name, help, time) in times {
            let rows = known().filter_map(|(labels, liveness)| {
                Some((labels, std::time::Duration::from_micros(time(liveness)?).as_secs_f64()))
            });
            gauge(encoder, (name, help, Some(Unit::Seconds)), rows)?;
        }
        Ok(())
    }

    fn encode_traffic(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let packets = || Unit::Other("packets".to_owned());
        let columns: [Column; 4] = [
            ("tunnel_sent", "Packets into a tunnel", packets(), |it| it.sent_packets),
            ("tunnel_sent", "Bytes into a tunnel, without outer headers", Unit::Bytes, |it| it.sent_bytes),
            ("tunnel_received", "Packets out of a tunnel", packets(), |it| it.received_packets),
            ("tunnel_received", "Bytes out of a tunnel, without outer headers", Unit::Bytes, |it| {
                it.received_bytes
            }),
        ];
        for (name, help, unit, value) in columns {
            let rows = self.tunnels.iter().flat_map(|tunnel| {
                let traffic = tunnel.traffic;
                [("xdp", traffic.xdp), ("tc", traffic.tc), ("daemon", traffic.daemon)].map(
                    |(tier, of_tier)| ([("tunnel", tunnel.name.as_str()), ("tier", tier)], value(of_tier)),
                )
            });
            counter(encoder, (name, help, Some(unit)), rows)?;
        }
        let refused = self.tunnels.iter().flat_map(|tunnel| {
            tunnel.refused.iter().map(|refused| {
                let labels = [
                    ("tunnel", tunnel.name.as_str()),
                    ("tier", refused.tier.as_str()),
                    ("reason", refused.reason.as_str()),
                    ("action", refused.action.name()),
                ];
                (labels, refused.packets)
            })
        });
        let about = "Packets that a tier did not carry, by reason and what became of them (docs/reasons.md)";
        counter(encoder, ("tunnel_refused", about, Some(packets())), refused)
    }
}

fn of_tunnel(tunnel: &TunnelView) -> [(&'static str, &str); 1] {
    [("tunnel", tunnel.name.as_str())]
}

fn gauge<'a, const N: usize, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): About,
    rows: impl IntoIterator<Item = ([(&'static str, &'a str); N], V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    for (labels, value) in rows {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn counter<'a, const N: usize, V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): About,
    rows: impl IntoIterator<Item = ([(&'static str, &'a str); N], V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
    for (labels, value) in rows {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, V, u64>(&value, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
