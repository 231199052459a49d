//! Labelled packets from LAN to LAN, where the kernel routes labels: the client and the server push and pop, the
//! hosts swap, and the tunnel is one link of the label switched path.

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::sites::{Capture, Carried};
use ipip_tests::topology::{PLAN, Plan, Site, Sites, bare};
use ipip_tests::traffic::{paced_udp, tcp};
use ipip_tests::wait;
use std::time::Duration;

const OVER_IPV6: Plan = Plan {
    near: Site { wan: "2001:db8:a::1/64", gateway: "2001:db8:a::ffff/64", ..PLAN.near },
    far: Site { wan: "2001:db8:b::1/64", gateway: "2001:db8:b::ffff/64", ..PLAN.far },
    mtu: 1500,
};

/// Lets a namespace switch labels that arrive on these interfaces.
fn switch_labels(namespace: &Netns, interfaces: &[&str]) {
    namespace.set("net.mpls.platform_labels", "1000");
    for interface in interfaces {
        namespace.set(&format!("net.mpls.conf.{interface}.input"), "1");
    }
}

/// 100 becomes 200 in the tunnel and 300 behind it; the way back is 101, 201, 301.
fn label(sites: &Sites) {
    switch_labels(&sites.client, &["lan0"]);
    switch_labels(&sites.server, &["lan0"]);
    switch_labels(&sites.host1, &["lan0", "ipip1"]);
    switch_labels(&sites.host2, &["lan0", "ipip1"]);
    sites.client.run("ip route add 192.168.20.0/24 encap mpls 100 via 192.168.10.1");
    sites.client.run("ip -f mpls route add 301 dev lo");
    sites.server.run("ip route add 192.168.10.0/24 encap mpls 101 via 192.168.20.1");
    sites.server.run("ip -f mpls route add 300 dev lo");
    sites.host1.run("ip -f mpls route add 100 as 200 dev ipip1");
    sites.host1.run("ip -f mpls route add 201 as 301 via inet 192.168.10.2 dev lan0");
    sites.host2.run("ip -f mpls route add 101 as 201 dev ipip1");
    sites.host2.run("ip -f mpls route add 200 as 300 via inet 192.168.20.2 dev lan0");
}

fn switched(plan: &Plan, options: &str, tier: &str) {
    let Some(ctl) = need::ctl() else { return };
    let sites = Sites::of(plan);
    sites.complete_frames_on_the_wire();
    let (near, far) = (Daemon::start(&ctl, &sites.host1), Daemon::start(&ctl, &sites.host2));
    let (local, remote) = (bare(plan.near.wan), bare(plan.far.wan));
    near.add(local, remote, &format!("--kind mpls {options}"));
    far.add(remote, local, &format!("--kind mpls {options}"));
    if tier == "xdp" {
        near.wait_for_tier_1(&["lan0", "wan0"]);
        far.wait_for_tier_1(&["lan0", "wan0"]);
    }
    label(&sites);
    // The first packets resolve neighbours; the daemon looks at the label routes every second.
    wait::until_true("labelled packets arrive", Duration::from_secs(20), || {
        let ping = sites.client.command("ping").args(["-c", "1", "-W", "1", "192.168.20.2"]).output();
        ping.is_ok_and(|ping| ping.status.success())
    });
    std::thread::sleep(Duration::from_secs(3));
    let before = [Carried::read(&near), Carried::read(&far)];
    let capture = Capture::start(&sites.router, "wan1", &format!("mpls {tier} {remote}"), "ip or ip6");
    let stream = (50, 900, Duration::from_millis(10));
    assert_eq!(paced_udp(&sites.client, (&sites.server, Sites::SERVER), stream, || ()), [0; 0]);
    assert_eq!(paced_udp(&sites.server, (&sites.client, Sites::CLIENT), stream, || ()), [0; 0]);
    let packets = capture.fields(&["frame.protocols", "mpls.label", "mpls.ttl", "_ws.malformed"]);
    let labelled: Vec<_> = packets.iter().filter(|packet| packet[0].contains(":mpls:ip:udp")).collect();
    assert_eq!(labelled.len(), 100, "{packets:?}");
    for packet in labelled {
        assert!(packet[1] == "200" || packet[1] == "201", "{packet:?}");
        assert_eq!((packet[2].as_str(), packet[3].as_str()), ("63", ""), "{packet:?}");
    }
    tcp(&sites.client, (&sites.server, Sites::SERVER), 1 << 20);
    tcp(&sites.server, (&sites.client, Sites::CLIENT), 1 << 20);
    for (daemon, before) in [&near, &far].into_iter().zip(before) {
        let carried = Carried::read(daemon).since(&before);
        let share = if tier == "xdp" { carried.xdp } else { carried.tc };
        assert!(share > 1000 && share == carried.all(), "{tier}: {carried:?} {}", daemon.run("print detail"));
    }
}

fn has_labels() -> bool {
    ["mpls_router", "mpls_iptunnel"].into_iter().all(need::module)
        && ["tcpdump", "tshark"].into_iter().all(need::program)
}

/// Before Linux 6.3 nobody tells whether a veth takes redirected frames, and tier 1 leaves it alone.
#[test]
fn labelled_packets_are_forwarded_by_tier_1() {
    if has_labels() && need::kernel() >= (6, 3) {
        switched(&PLAN, "", "xdp");
        switched(&OVER_IPV6, "", "xdp");
    }
}

#[test]
fn labelled_packets_take_the_stack_without_fast_path() {
    if has_labels() {
        switched(&PLAN, "--allow-fast-path no", "tc");
        switched(&OVER_IPV6, "--allow-fast-path no", "tc");
    }
}
