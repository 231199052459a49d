//! Keepalive against the kernel's own tunnels: ipip, sit and ip6tnl.

use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;
use ipip_tests::wait;
use serde_json::Value;

/// The machine is emulated, and slow.
const FOLLOW: Duration = Duration::from_mins(1);
const KEEPALIVE: &str = "200ms,10";

fn liveness(daemon: &Daemon<'_>) -> Value {
    daemon.tunnel("ipip1")["liveness"].clone()
}

/// What the kernel's far end is like, and the ways that it may answer by.
struct Peer {
    kind: &'static str,
    kernel: &'static str,
    is_over_v6: bool,
    /// Addresses on the tunnel itself.
    families: &'static [Family],
    /// `rp_filter` of the far end.
    filter: u8,
    answers: &'static [&'static str],
}

const NONE: &[Family] = &[];
const V4: &[Family] = &[Family::V4];

#[rustfmt::skip]
const PEERS: [Peer; 7] = [
    Peer { kind: "ipip", kernel: "ipip", is_over_v6: false, families: V4, filter: 1, answers: &["echo"] },
    Peer { kind: "ipip", kernel: "ipip", is_over_v6: false, families: NONE, filter: 0, answers: &["echo-outer"] },
    // Nothing that it answers: its silence means nothing.
    Peer { kind: "ipip", kernel: "ipip", is_over_v6: false, families: NONE, filter: 1, answers: &[] },
    Peer { kind: "6in4", kernel: "sit", is_over_v6: false, families: NONE, filter: 1, answers: &["echo-link"] },
    Peer { kind: "6in6", kernel: "ip6tnl mode ip6ip6 encaplimit none", is_over_v6: true, families: NONE, filter: 1, answers: &["echo-link", "echo-outer"] },
    Peer { kind: "4in6", kernel: "ip6tnl mode ipip6", is_over_v6: true, families: V4, filter: 1, answers: &["echo"] },
    Peer { kind: "ipipv6", kernel: "ip6tnl mode any", is_over_v6: true, families: V4, filter: 1, answers: &["echo", "echo-link"] },
];

#[test]
fn k1_the_kernels_tunnels_answer_and_are_missed() {
    let Some(ctl) = need::ctl() else { return };
    if !["ipip", "sit", "ip6_tunnel"].into_iter().all(need::module) {
        return;
    }
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    for Peer { kind, kernel, is_over_v6, families, filter, answers } in PEERS {
        let [local, remote] = Pair::ends(is_over_v6);
        let (of, modes) = kernel.split_once(' ').unwrap_or((kernel, ""));
        pair.host2.run(&format!("ip link add peer0 type {of} local {remote} remote {local} {modes}"));
        pair.host2.set("net.ipv4.conf.all.rp_filter", "0");
        pair.host2.set("net.ipv4.conf.peer0.rp_filter", &filter.to_string());
        pair.host2.run("ip link set peer0 up");
        near.add(local, remote, &format!("--kind {kind} --keepalive {KEEPALIVE}"));
        number([(&pair.host1, "ipip1"), (&pair.host2, "peer0")], families);
        let what = format!("{kind} to {kernel}, rp_filter {filter}");

        // Idle for as long as a dead one would need, and more.
        let sent = liveness(&near)["probes"].as_u64().unwrap();
        wait::until_true("thirty probes", FOLLOW, || liveness(&near)["probes"].as_u64() > Some(sent + 30));
        let tunnel = near.tunnel("ipip1");
        assert_eq!(
            (&tunnel["running"], &tunnel["liveness"]["downs"]),
            (&true.into(), &0.into()),
            "{what}: {tunnel}"
        );
        let way = tunnel["liveness"]["answered-by"].as_str().unwrap_or_default();
        assert_eq!(way.is_empty(), answers.is_empty(), "{what}: {tunnel}");
        assert!(answers.is_empty() || answers.contains(&way), "{what}: {tunnel}");
        println!("{what}: answered by `{way}`, {}", tunnel["liveness"]);

        pair.host2.run("ip link set peer0 down");
        if answers.is_empty() {
            std::thread::sleep(Duration::from_secs(4));
            assert_eq!(near.tunnel("ipip1")["running"], true, "{what}");
        } else {
            wait::until_true(&format!("{what}: it is missed"), FOLLOW, || {
                near.tunnel("ipip1")["running"] == false
            });
            pair.host2.run("ip link set peer0 up");
            wait::until_true(&format!("{what}: it is back"), FOLLOW, || {
                near.tunnel("ipip1")["running"] == true
            });
        }
        pair.host2.run("ip link del peer0");
        near.run("remove ipip1");
    }
}
