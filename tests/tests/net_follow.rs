//! What happens to interfaces, addresses and routes is followed by a tunnel at once.
//!
//! Beside the one that is looked at there are so many tunnels that the daemon's own rounds come to it every six seconds:
//! what is followed sooner, the kernel's word has told of.

use std::time::Duration;

use ipip_tests::crowd::crowd;
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::{Netns, connect};
use ipip_tests::topology::Pair;
use ipip_tests::wait;

/// Enough for a round of six seconds.
const OTHERS: usize = 1500;
const AT_ONCE: Duration = Duration::from_secs(3);

#[track_caller]
fn at_once(what: &str, probe: impl FnMut() -> bool) {
    wait::until_true(what, AT_ONCE, probe);
}

/// A daemon with `ipip1`, as its lines of the configuration say, among many that are disabled.
fn daemon<'a>(ctl: &std::path::Path, namespace: &'a Netns, ipip1: &str) -> Daemon<'a> {
    let others = crowd(OTHERS, "disabled = true\n");
    let config = format!("[[tunnel]]\nname = \"ipip1\"\n{ipip1}{others}");
    let mut daemon = Daemon::prepare(ctl, namespace, &config);
    daemon.restart();
    daemon
}

/// Whether a tunnel's interface has carrier: what its running flag is to everybody else.
fn runs(host: &Netns) -> bool {
    host.find_link("ipip1").is_some_and(|link| link.flags.iter().any(|flag| flag == "LOWER_UP"))
}

#[track_caller]
fn because(daemon: &Daemon<'_>, reason: &str) {
    let tunnel = daemon.tunnel("ipip1");
    assert_eq!(tunnel["reason"], reason);
    assert_eq!(tunnel["running"], reason.is_empty());
}

#[test]
fn an_underlay_interface_that_goes_and_comes_is_followed() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let host = &pair.host1;
    let ends = "local-address = \"10.9.0.1\"\nremote-address = \"10.9.0.2\"\n";
    let near = daemon(&ctl, host, ends);
    at_once("it runs", || runs(host));
    let no_way = "no route to 10.9.0.2 from 10.9.0.1";
    let no_address = "local-address 10.9.0.1 is not an address of this host";

    host.run("ip link set wan0 down");
    at_once("down", || !runs(host));
    because(&near, no_way);
    host.run("ip link set wan0 up");
    at_once("up again", || runs(host));
    because(&near, "");

    pair.host2.run("ip link set wan0 down");
    at_once("without carrier", || !runs(host));
    because(&near, "interface wan0 is down");
    pair.host2.run("ip link set wan0 up");
    at_once("with carrier", || runs(host));

    host.run("ip link set wan0 mtu 1400");
    at_once("a smaller MTU", || host.link("ipip1").mtu == 1380);
    host.run("ip link set wan0 mtu 1500");
    at_once("a larger MTU", || host.link("ipip1").mtu == 1480);

    host.run("ip link set wan0 down");
    host.run("ip link set wan0 name uplink");
    host.run("ip link set uplink up");
    at_once("renamed", || runs(host));
    assert_eq!(near.port("uplink")["name"], "uplink");

    host.run("ip link delete uplink");
    at_once("deleted", || !runs(host));
    because(&near, no_address);
    connect((host, "wan0"), (&pair.host2, "wan0"));
    pair.number("wan0");
    at_once("made again", || runs(host));
    at_once("its port", || near.run("status --json").contains("\"wan0\""));

    host.run("ip address del 10.9.0.1/24 dev wan0");
    at_once("without its address", || !runs(host));
    because(&near, no_address);
    host.address("wan0", "10.9.0.3/24");
    near.run("set ipip1 local-address=10.9.0.3");
    at_once("with another address", || runs(host));
}

/// Sends packets through `ipip1` until the far tunnel has counted one.
#[track_caller]
fn arrives(host: &Netns, far: &Daemon<'_>, tunnel: &str) {
    let counted =
        || far.counter(tunnel, "tc", "received-packets") + far.counter(tunnel, "xdp", "received-packets");
    let before = counted();
    at_once(&format!("packets arrive by {tunnel}"), || {
        // Nobody answers; only the way there is looked at.
        let _ = host.command("ping").args(["-c", "1", "-W", "0.05", "192.168.50.2"]).output();
        counted() > before
    });
}

#[test]
fn a_new_default_route_gives_a_new_port_and_a_new_source() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let host = &pair.host1;
    connect((host, "wan1"), (&pair.host2, "wan1"));
    host.address("wan1", "10.8.0.1/24");
    pair.host2.address("wan1", "10.8.0.2/24");
    pair.host2.address("lo", "10.99.0.2/32");
    host.route("default via 10.9.0.2");
    let near = daemon(&ctl, host, "remote-address = \"10.99.0.2\"\n");
    let far = Daemon::start(&ctl, &pair.host2);
    for (name, source) in [("by0", "10.9.0.1"), ("by1", "10.8.0.1"), ("by2", "10.8.0.7")] {
        far.run(&format!("add {name} local-address=10.99.0.2 remote-address={source}"));
    }
    host.address("ipip1", "192.168.50.1/30");
    arrives(host, &far, "by0");
    host.run("ip route replace default via 10.8.0.2");
    arrives(host, &far, "by1");
    host.run("ip route replace default via 10.8.0.2 src 10.8.0.1 mtu 1300");
    at_once("the route's MTU", || host.link("ipip1").mtu == 1280);
    host.run("ip route del default");
    at_once("no way", || !runs(host));
    because(&near, "no route to 10.99.0.2");
    host.route("10.99.0.0/24 via 10.8.0.2");
    at_once("a narrower route", || runs(host));
    host.address("wan1", "10.8.0.7/24");
    host.run("ip route replace 10.99.0.0/24 via 10.8.0.2 src 10.8.0.7");
    arrives(host, &far, "by2");
    host.run("ip address del 10.8.0.7/24 dev wan1");
    at_once("the route is gone with its source", || !runs(host));
    host.route("10.99.0.0/24 via 10.8.0.2");
    arrives(host, &far, "by1");

    // Rules: packets to the remote are looked up in a table that has another way.
    host.run("ip route add 10.99.0.2/32 via 10.9.0.2 table 77");
    host.run("ip rule add to 10.99.0.2 lookup 77");
    arrives(host, &far, "by0");
    host.run("ip rule del to 10.99.0.2 lookup 77");
    arrives(host, &far, "by1");
}

#[test]
fn a_tunnels_interface_is_looked_after() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let host = &pair.host1;
    let ends = "local-address = \"10.9.0.1\"\nremote-address = \"10.9.0.2\"\n";
    let near = daemon(&ctl, host, ends);
    let far = Daemon::start(&ctl, &pair.host2);
    far.add(Pair::HOST2, Pair::HOST1, "");
    host.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    let pings = || {
        let ping = host.command("ping").args(["-c", "1", "-W", "0.2", "192.168.50.2"]).output();
        ping.is_ok_and(|ping| ping.status.success())
    };
    at_once("the far end answers", pings);

    // Its MTU is the daemon's; up and down are the user's.
    host.run("ip link set ipip1 mtu 1000");
    at_once("the MTU is as it was", || host.link("ipip1").mtu == 1480);
    host.run("ip link set ipip1 down");
    at_once("it is out of use", || near.tunnel("ipip1")["reason"] == "its interface is down");
    host.run("ip link set ipip1 up");
    at_once("the far end answers again", pings);

    host.run("tc qdisc del dev ipip1 clsact");
    at_once("the programs are back", pings);
    host.run("tc filter del dev ipip1 egress");
    at_once("the program of one way is back", pings);

    host.run("ip link delete ipip1");
    let gone = "its interface was removed; `ipip-ctl enable` makes it again";
    at_once("it is marked", || near.tunnel("ipip1")["reason"] == gone);
    assert!(near.run("print where name=ipip1").contains('I'));
    assert_eq!(near.run("enable ipip1"), "restored ipip1\n");
    at_once("it runs again", || runs(host));
    host.address("ipip1", "192.168.50.1/30");
    at_once("the far end answers at last", pings);
}
