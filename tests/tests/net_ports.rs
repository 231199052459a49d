//! The daemon finds its ports by itself: interfaces that are up, now and later, and no others.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::{Netns, connect};
use ipip_tests::wait;

const LIMIT: Duration = Duration::from_secs(10);

/// The ports that the daemon names, sorted.
fn ports(daemon: &Daemon<'_>) -> Vec<String> {
    let status: serde_json::Value = serde_json::from_str(&daemon.run("status --json")).expect("JSON");
    let ports = status["ports"].as_array().expect("a list of ports");
    let mut names: Vec<String> =
        ports.iter().filter_map(|port| Some(port["name"].as_str()?.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn interfaces_that_come_up_later_become_ports_and_go_with_their_interface() {
    let Some(ctl) = need::ctl() else { return };
    let (host, other) = (Netns::new("host"), Netns::new("other"));
    connect((&host, "early"), (&other, "early"));
    host.run("ip link add name quiet type veth peer name still");
    let daemon = Daemon::start(&ctl, &host);
    wait::until_true("the first port is there", LIMIT, || ports(&daemon) == ["early"]);
    connect((&host, "later"), (&other, "later"));
    wait::until_true("the second port is there", LIMIT, || ports(&daemon) == ["early", "later"]);
    host.run("ip link delete later");
    wait::until_true("the second port is gone", LIMIT, || ports(&daemon) == ["early"]);
}

#[test]
fn only_interfaces_that_the_file_names_become_ports() {
    let Some(ctl) = need::ctl() else { return };
    let (host, other) = (Netns::new("host"), Netns::new("other"));
    for name in ["wan0", "lan0"] {
        connect((&host, name), (&other, name));
    }
    let mut daemon = Daemon::prepare(&ctl, &host, "interfaces = [\"wan0\"]\n");
    daemon.restart();
    wait::until_true("the port is there", LIMIT, || ports(&daemon) == ["wan0"]);
    let link = host.run("ip -details link show dev lan0");
    assert!(!link.contains("xdp"), "{link}");
}

#[test]
fn daemons_of_two_namespaces_know_nothing_of_each_other() {
    let Some(ctl) = need::ctl() else { return };
    let (left, right) = (Netns::new("left"), Netns::new("right"));
    connect((&left, "l0"), (&right, "r0"));
    let (near, far) = (Daemon::start(&ctl, &left), Daemon::start(&ctl, &right));
    near.run("add ipip1 --local-address 10.0.0.1 --remote-address 10.0.0.2");
    far.run("add ipip1 --local-address 10.0.0.1 --remote-address 10.0.0.2");
    wait::until_true("each has its port", LIMIT, || ports(&near) == ["l0"] && ports(&far) == ["r0"]);
    near.run("remove ipip1");
    assert_eq!((near.tunnels().len(), far.tunnels().len()), (0, 1));
    assert!(right.find_link("ipip1").is_some());
}
