//! Underlays with VLAN tags, where the kernel has VLANs: one tag and two.

use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, exercise, number};
use ipip_tests::netns::{Netns, connect};
use ipip_tests::offload::receive_redirected;
use ipip_tests::topology::Pair;
use ipip_tests::{need, wait};

const V4: &[Family] = &[Family::V4];

/// What a VLAN on a port brings is the VLAN's business, also where the driver takes the tag out of the frame.
///
/// conformance: D11
#[test]
fn tagged_frames_are_not_taken_for_untagged_ones() {
    let Some(ctl) = need::ctl() else { return };
    if !need::module("8021q") {
        return;
    }
    let (pair, client) = (Pair::new(), Netns::new("client"));
    let host = &pair.host1;
    connect((&client, "lan0"), (host, "lan0"));
    receive_redirected(&client, "lan0");
    host.forward();
    for (namespace, address) in [(host, "10.5.0.1/24"), (&client, "10.5.0.2/24")] {
        namespace.run("ip link add link lan0 name tagged type vlan id 5");
        namespace.run("ip link set tagged up");
        namespace.address("tagged", address);
    }
    client.route("default via 10.5.0.1");
    host.set("net.ipv4.conf.tagged.forwarding", "0");
    let near = Daemon::start(&ctl, host);
    near.add(Pair::HOST1, Pair::HOST2, "");
    host.address("ipip1", "192.168.50.1/30");
    host.route("192.168.60.0/24 dev ipip1");
    let says_so = || near.port("lan0")["reason"].as_str().is_some_and(|why| why.contains("rxvlan off"));
    wait::until_true("the reason is told", Duration::from_secs(10), says_so);
    client.run("ping -c 1 -W 5 10.5.0.1");
    let ping = client.command("ping").args(["-c", "5", "-i", "0.1", "-W", "1", "192.168.60.1"]).output();
    assert!(!ping.expect("ping runs").status.success());
    for tier in ["xdp", "tc"] {
        assert_eq!(near.counter("ipip1", tier, "sent-packets"), 0, "{}", near.run("print detail"));
    }
    host.run("ip link delete tagged");
    let has_tier_1 = || near.port("lan0")["tiers"] == serde_json::json!(["xdp", "tc"]);
    wait::until_true("tier 1 is there", Duration::from_secs(10), has_tier_1);
}

/// What a bridge or a bond is made of is no port of its own, and can join it while the daemon runs.
#[test]
fn a_tunnel_goes_over_a_bridge_and_over_a_bond() {
    let Some(ctl) = need::ctl() else { return };
    if !need::module("bridge") || !need::module("bonding") {
        return;
    }
    for kind in ["bridge", "bond"] {
        let pair = Pair::unnumbered();
        let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
        for (host, daemon) in [(&pair.host1, &near), (&pair.host2, &far)] {
            host.forward();
            wait::until_true("wan0 is a port", Duration::from_secs(10), || has_port(daemon, "wan0"));
            host.run(&format!("ip link add over type {kind}"));
            host.run("ip link set over up");
            wait::until_true("the empty one is a port", Duration::from_secs(10), || has_port(daemon, "over"));
            host.run("ip link set wan0 down");
            host.run("ip link set wan0 master over");
            host.run("ip link set wan0 up");
            wait::until_true("wan0 is none", Duration::from_secs(10), || !has_port(daemon, "wan0"));
        }
        pair.number("over");
        near.add(Pair::HOST1, Pair::HOST2, "");
        far.add(Pair::HOST2, Pair::HOST1, "");
        number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], V4);
        exercise([&pair.host1, &pair.host2], V4, 1480);
    }
}

fn has_port(daemon: &Daemon<'_>, name: &str) -> bool {
    let status: serde_json::Value = serde_json::from_str(&daemon.run("status --json")).unwrap_or_default();
    status["ports"].as_array().is_some_and(|ports| ports.iter().any(|port| port["name"] == name))
}

/// conformance: D11
#[test]
fn a_tunnel_goes_over_one_tag_and_over_two() {
    let Some(ctl) = need::ctl() else { return };
    if !need::module("8021q") {
        return;
    }
    for tags in [1, 2] {
        let pair = Pair::unnumbered();
        for host in [&pair.host1, &pair.host2] {
            let below = if tags == 2 {
                host.run("ip link add link wan0 name outer type vlan proto 802.1ad id 100");
                host.run("ip link set outer up");
                "outer"
            } else {
                "wan0"
            };
            host.run(&format!("ip link add link {below} name tagged type vlan id 5"));
            host.run("ip link set tagged up");
            // Tier 1 on the untagged port, which must leave tagged frames alone.
            host.forward();
        }
        pair.number("tagged");
        let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
        near.add(Pair::HOST1, Pair::HOST2, "");
        far.add(Pair::HOST2, Pair::HOST1, "");
        number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], V4);
        exercise([&pair.host1, &pair.host2], V4, 1480);
    }
}
