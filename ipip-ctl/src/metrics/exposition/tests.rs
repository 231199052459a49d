use std::collections::BTreeSet;

use super::*;
use crate::api::protocol::{Action, MapView, PortView, ProgramView, Refused};
use crate::report::tests::three;

const DASHBOARD: &str = include_str!("../../../../contrib/grafana/ipip.json");
const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

fn snapshot() -> Snapshot {
    let [mut berlin, off, lost] = three();
    berlin.traffic.xdp =
        TierTraffic { sent_packets: 7, sent_bytes: 700, received_packets: 3, received_bytes: 30 };
    berlin.liveness = Some(Liveness {
        state: "alive".into(),
        probes: 70,
        answers: 68,
        lost: 2,
        lost_of: 64,
        rtt_mean_us: Some(1500),
        jitter_us: Some(250),
        ..Liveness::default()
    });
    berlin.refused.push(Refused {
        tier: "tc".into(),
        reason: "too-big".into(),
        action: Action::Pass,
        packets: 2,
    });
    let status = DaemonStatus {
        version: "0.1.0".into(),
        tunnels: 3,
        running: 1,
        disabled: 1,
        invalid: 1,
        ports: vec![PortView { name: "e\"0\\".into(), tiers: vec!["tc".into()], reason: "x".into() }],
        programs: vec![ProgramView { name: "xdp_port".into(), run_count: 4, run_time_ns: 1_500_000_000 }],
        maps: vec![MapView { name: "PEERS".into(), entries: 2, entries_max: 64 }],
        carrier_kept_by: "process".into(),
        capabilities: vec!["cap_bpf".into()],
        files_closed: "yes".into(),
    };
    Snapshot { tunnels: vec![berlin, off, lost], status }
}

/// The names of all metrics, as samples have them.
fn names() -> BTreeSet<String> {
    let text = exposition(snapshot()).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn every_number_has_its_line() {
    let text = exposition(snapshot()).unwrap();
    for line in [
        "# TYPE ipip_tunnel_sent_bytes counter",
        "# UNIT ipip_tunnel_sent_bytes bytes",
        "# HELP ipip_tunnel_sent_bytes Bytes into a tunnel, without outer headers",
        "ipip_build_info{version=\"0.1.0\"} 1",
        "ipip_tunnels{state=\"invalid\"} 1",
        "ipip_port_tier{port=\"e\\\"0\\\\\",tier=\"xdp\"} 0",
        "ipip_port_tier{port=\"e\\\"0\\\\\",tier=\"tc\"} 1",
        "ipip_map_entries{map=\"PEERS\"} 2",
        "ipip_map_entries_max{map=\"PEERS\"} 64",
        "ipip_program_run_seconds_total{program=\"xdp_port\"} 1.5",
        "ipip_program_runs_total{program=\"xdp_port\"} 4",
        "ipip_tunnel_info{tunnel=\"berlin\",kind=\"ipip\",local_address=\"0.0.0.0\",remote_address=\"203.0.113.2\"} 1",
        "ipip_tunnel_enabled{tunnel=\"ipip1\"} 0",
        "ipip_tunnel_running{tunnel=\"berlin\"} 1",
        "ipip_tunnel_invalid{tunnel=\"ipip2\"} 1",
        "ipip_tunnel_invalid{tunnel=\"ipip1\"} 0",
        "ipip_tunnel_mtu_bytes{tunnel=\"berlin\"} 1480",
        "ipip_tunnel_peer_dead{tunnel=\"berlin\"} 0",
        "ipip_tunnel_probes_total{tunnel=\"berlin\"} 70",
        "ipip_tunnel_probe_answers_total{tunnel=\"berlin\"} 68",
        "ipip_tunnel_probes_lost{tunnel=\"berlin\"} 2",
        "ipip_tunnel_round_trip_seconds{tunnel=\"berlin\"} 0.0015",
        "ipip_tunnel_jitter_seconds{tunnel=\"berlin\"} 0.00025",
        "ipip_tunnel_sent_packets_total{tunnel=\"berlin\",tier=\"xdp\"} 7",
        "ipip_tunnel_sent_bytes_total{tunnel=\"berlin\",tier=\"xdp\"} 700",
        "ipip_tunnel_received_packets_total{tunnel=\"berlin\",tier=\"xdp\"} 3",
        "ipip_tunnel_received_bytes_total{tunnel=\"berlin\",tier=\"xdp\"} 30",
        "ipip_tunnel_sent_packets_total{tunnel=\"berlin\",tier=\"daemon\"} 0",
        "ipip_tunnel_refused_packets_total{tunnel=\"berlin\",tier=\"tc\",reason=\"too-big\",action=\"pass\"} 2",
        "# EOF",
    ] {
        assert!(text.lines().any(|it| it == line), "no line `{line}` in\n{text}");
    }
    assert!(!text.contains("mtu_bytes{tunnel=\"ipip2\"}"), "it has no interface, and so no MTU");
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let text = exposition(snapshot()).unwrap();
    let mut families = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(families.insert(name), "{name} is there twice");
        assert!(name.starts_with("ipip_"), "{name}");
        assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{name}");
        assert!(["gauge", "counter"].contains(&kind), "{line}");
        // The exposition gives counters their suffix, and only them.
        assert!(!name.ends_with("_total"), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    assert_eq!(families.len(), names().len(), "each has samples here");
}

#[test]
fn all_are_documented_and_nothing_else_is() {
    let documented: BTreeSet<String> = mentioned(DOCUMENT);
    assert_eq!(documented, names(), "docs/metrics.md");
}

#[test]
fn the_dashboard_asks_for_all_that_is_there() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = BTreeSet::new();
    collect_queries(&dashboard, &mut asked);
    assert_eq!(asked, names(), "contrib/grafana/ipip.json");
}

#[test]
fn panels_of_the_dashboard_have_their_own_place_and_number() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut numbers, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}", panel["id"]);
        let [left, top, width, height] =
            ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
        assert!(left + width <= 24, "{}", panel["title"]);
        for row in top..top + height {
            for column in left..left + width {
                assert!(cells.insert((row, column)), "{} lies on another", panel["title"]);
            }
        }
    }
}

/// The words of a text that could be metrics of ours.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("ipip_")).map(str::to_owned).collect()
}

/// The metrics in all queries: of panels (`expr`), and of variables (`query`, `definition`).
fn collect_queries(value: &serde_json::Value, asked: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        asked.extend(mentioned(text));
                    }
                    _ => collect_queries(member, asked),
                }
            }
        }
        serde_json::Value::Array(members) => members.iter().for_each(|member| collect_queries(member, asked)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
