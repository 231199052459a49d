//! The harness itself: worlds are what they say, and leave nothing behind.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::process::Command;

use ipip_tests::netns::Netns;
use ipip_tests::topology::{Pair, Sites};

fn namespaces() -> String {
    let output = Command::new("ip").args(["netns", "list"]).output().expect("starting ip");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hosts_reach_each_other_over_the_router() {
    let sites = Sites::new();
    sites.host1.run("ping -c 1 -W 2 152.16.10.2");
    sites.client.run("ping -c 1 -W 2 192.168.10.1");
    sites.server.run("ping -c 1 -W 2 192.168.20.1");
    let lost = sites.client.command("ping").args(["-c", "1", "-W", "1", "192.168.20.2"]).output();
    assert!(!lost.expect("starting ping").status.success(), "the sites are connected without a tunnel");
}

#[test]
fn a_panic_leaves_no_namespace() {
    let name = std::panic::catch_unwind(|| {
        let pair = Pair::new();
        pair.host1.run("ping -c 1 -W 2 10.9.0.2");
        std::panic::panic_any(pair.host2.name().to_owned());
    })
    .expect_err("it panics");
    let name = name.downcast_ref::<String>().expect("a name");
    assert!(!namespaces().contains(name.as_str()), "{name} is still there");
}

#[test]
fn a_closure_runs_inside() {
    let namespace = Netns::new("inside");
    namespace.run("ip link add name here type veth peer name there");
    assert!(
        namespace
            .enter(|| std::fs::read_to_string("/proc/thread-self/net/dev"))
            .expect("read")
            .contains("here")
    );
    assert!(namespace.link("here").index > 0);
    assert_eq!(namespace.find_link("nowhere"), None);
}
