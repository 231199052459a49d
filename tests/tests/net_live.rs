//! Changes under traffic: a packet that the new value still allows is not lost.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipip_tests::crowd::{crowd, size};
use ipip_tests::ctl::Daemon;
use ipip_tests::sites::tunnelled;
use ipip_tests::topology::{Pair, Sites};
use ipip_tests::traffic::paced_udp;
use ipip_tests::{need, wait};

const SERVER_END: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 2);
/// How long the daemon may take to follow.
const FOLLOW: Duration = Duration::from_secs(10);
/// Between two packets.
const PACE: Duration = Duration::from_millis(2);

/// What is set, one after the other; each leaves both streams allowed.
const CHANGES: &[&str] = &[
    "mtu=1400",
    "mtu=",
    "ttl=17",
    "ttl=inherit",
    "ttl=",
    "dscp=46",
    "dscp=",
    "decap-dscp=yes",
    "decap-dscp=",
    "ecn=compatibility",
    "ecn=",
    "clamp-tcp-mss=no",
    "clamp-tcp-mss=",
    "dont-fragment=inherit",
    "dont-fragment=",
    "allow-fast-path=no",
    "allow-fast-path=",
    "spread=on",
    "spread=off",
    "spread=",
    "keepalive=1s,3",
    "keepalive-mode=echo",
    "keepalive-mode=",
    "keepalive=0",
    "keepalive=",
    "comment=changed",
    "comment=",
    "allowed-inner=192.168.0.0/16",
    "allowed-inner=192.168.10.0/24,192.168.20.0/24,192.168.50.0/24",
    "allowed-inner=",
    "kind=any",
    "kind=ipip",
];

#[test]
fn a_live_change_of_any_property_loses_no_packet() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        // Another pair of ends at the far side accepts what comes after a change of an address.
        sites.host1.address("wan0", "172.16.10.3/24");
        sites.host2.address("wan0", "152.16.10.3/24");
        world.far.run("add other1 local-address=152.16.10.3 remote-address=172.16.10.2");
        world.far.run("add other2 local-address=152.16.10.2 remote-address=172.16.10.3");
        let addresses = ["remote-address=152.16.10.3", "remote-address=152.16.10.2"];
        let locals = ["local-address=172.16.10.3", "local-address="];
        for (client, server, address) in
            [(&sites.client, &sites.server, Sites::SERVER), (&sites.host1, &sites.host2, SERVER_END)]
        {
            let (mut made, started) = (0, Instant::now());
            let mut took = Duration::ZERO;
            let lost = paced_udp(client, (server, address), (2500, 200, PACE), || {
                for change in CHANGES {
                    for daemon in [&world.near, &world.far] {
                        daemon.run(&format!("set ipip1 {change}"));
                        made += 1;
                    }
                }
                for change in addresses.iter().chain(&locals) {
                    world.near.run(&format!("set ipip1 {change}"));
                    made += 1;
                }
                took = started.elapsed();
            });
            assert!(took < PACE * 2500, "{made} changes took {took:?}, longer than the stream");
            assert_eq!(lost, [0; 0], "{}\n{}", world.near.run("print detail"), world.far.run("print detail"));
            // What was set is what there is: everything is as it was.
            assert_eq!(world.near.tunnel("ipip1")["remote-address"], "152.16.10.2");
            world.near.run("set ipip1 local-address=172.16.10.2");
        }
    });
}

/// The interface keeps what it has; before Linux 6.2 one that is up keeps its name, too.
#[test]
fn a_tunnel_gets_another_name_under_traffic() {
    let Some(ctl) = need::ctl() else { return };
    if need::kernel() < (6, 2) {
        return;
    }
    tunnelled(&ctl, "", |world| {
        let (sites, near) = (world.sites, &mut world.near);
        let index = sites.host1.link("ipip1").index;
        let lost = paced_udp(&sites.client, (&sites.server, Sites::SERVER), (1500, 200, PACE), || {
            assert_eq!(
                near.run("set ipip1 name=berlin mtu=1400"),
                "changed berlin: name ipip1 -> berlin, mtu auto -> 1400\n"
            );
            assert_eq!(sites.host1.link("berlin").index, index);
            // To a name that is taken it is not renamed, and nothing is changed.
            near.refuses("set berlin name=wan0", 7);
            // Somebody else does it, and the daemon is told.
            sites.host1.run("ip link set berlin name rome");
            wait::until_true("it is said", FOLLOW, || {
                let reason = near.tunnel("berlin")["reason"].clone();
                reason == "its interface is named rome now; `ipip-ctl set berlin name=rome` follows it"
            });
            near.run("set berlin name=rome");
            wait::until_true("it runs", FOLLOW, || near.tunnel("rome")["running"] == true);
            // A daemon that starts knows whose it is, too.
            sites.host1.run("ip link set rome name paris");
            near.kill();
            near.restart();
            wait::until_true("it runs", FOLLOW, || near.tunnel("rome")["running"] == true);
            assert_eq!(sites.host1.link("rome").index, index);
            near.run("set rome name=ipip1 mtu=");
        });
        assert_eq!(lost, [0; 0], "{}", near.run("print detail"));
        assert_eq!(sites.host1.link("ipip1").index, index);
        let kinds = near.run("events --no-follow");
        assert!(kinds.contains("name rome -> ipip1"), "{kinds}");
        assert_eq!(near.tunnels().len(), 1);
    });
}

/// What only an IPv6 header has.
#[test]
fn a_live_change_over_ipv6_loses_no_packet() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1_V6, Pair::HOST2_V6, "--kind ipipv6");
    far.add(Pair::HOST2_V6, Pair::HOST1_V6, "--kind ipipv6");
    pair.host1.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    pair.host1.run("ping -c 3 -i 0.1 -W 2 192.168.50.2");
    let changes = [
        "flow-label=no",
        "encapsulation-limit=4",
        "encapsulation-limit=0",
        "flow-label=auto",
        "encapsulation-limit=",
        "kind=any",
        "kind=ipipv6",
    ];
    let started = Instant::now();
    let mut took = Duration::ZERO;
    let lost = paced_udp(&pair.host1, (&pair.host2, SERVER_END), (1000, 200, PACE), || {
        for change in changes {
            for daemon in [&near, &far] {
                daemon.run(&format!("set ipip1 {change}"));
            }
        }
        took = started.elapsed();
    });
    assert!(took < PACE * 1000, "the changes took {took:?}, longer than the stream");
    assert_eq!(lost, [0; 0], "{}\n{}", near.run("print detail"), far.run("print detail"));
    let tunnel = near.tunnel("ipip1");
    assert_eq!((&tunnel["flow-label"], &tunnel["encapsulation-limit"]), (&"auto".into(), &"none".into()));
}

#[test]
fn other_prefixes_take_the_place_of_those_before() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let (sites, near) = (world.sites, &world.near);
        let answers = |to: &str| {
            let ping = sites.client.command("ping").args(["-c", "1", "-W", "1", to]).output();
            ping.is_ok_and(|ping| ping.status.success())
        };
        let server = Sites::SERVER.to_string();
        for (prefixes, is_allowed) in [
            ("192.168.20.0/24", true),
            ("192.168.30.0/24", false),
            ("192.168.30.0/24,192.168.20.0/24", true),
            ("192.168.40.0/24,192.168.30.0/24", false),
            ("", true),
        ] {
            near.run(&format!("set ipip1 allowed-inner={prefixes}"));
            assert_eq!(answers(&server), is_allowed, "{prefixes}: {}", near.run("print detail"));
        }
    });
}

#[test]
fn many_tunnels_come_and_go_beside_one_that_carries_traffic() {
    let Some(ctl) = need::ctl() else { return };
    let count = size(300);
    tunnelled(&ctl, "", |world| {
        let (sites, near) = (world.sites, &world.near);
        let alone = fs::read_to_string(near.config()).expect("the configuration");
        let [many, few] = ["many", "few"].map(|name| near.config().with_extension(name));
        fs::write(&many, format!("{alone}{}", crowd(count, ""))).expect("writing a file");
        fs::write(&few, &alone).expect("writing a file");
        let index = sites.host1.link("ipip1").index;
        // The machine may be slow: for each tunnel as long as there is room in the stream.
        let packets = 3000 + u32::try_from(count).expect("a small number") * 10;
        let mut took = [Duration::ZERO; 2];
        let lost = paced_udp(&sites.client, (&sites.server, Sites::SERVER), (packets, 200, PACE), || {
            for (file, took) in [&many, &few].into_iter().zip(&mut took) {
                let started = Instant::now();
                near.run(&format!("apply {}", file.display()));
                *took = started.elapsed();
            }
        });
        println!("{count} tunnels came in {:?} and went in {:?}", took[0], took[1]);
        assert!(took[0] + took[1] < PACE * packets, "{took:?} is longer than the stream");
        assert_eq!(lost, [0; 0], "{}", near.run("print detail"));
        assert_eq!(near.tunnels().len(), 1);
        assert_eq!(sites.host1.link("ipip1").index, index, "its interface is the same");
        let links = sites.host1.run("ip -oneline link show type tun");
        assert_eq!(links.lines().count(), 1, "{links}");
    });
}
