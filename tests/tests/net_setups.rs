//! Set-ups as operators write them down, from the addresses to the last packet: S3's namespaces, R1 and R2, site to
//! site, a tunnel broker, IPv4 over IPv6, and underlays of `PPPoE`'s size.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::IpAddr;

use ipip_tests::ctl::Daemon;
use ipip_tests::foreign::receive_unmerged;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::offload::{Offload, set};
use ipip_tests::sites::{Capture, Carried};
use ipip_tests::topology::{PLAN, Plan, Site, Sites, bare};
use ipip_tests::traffic::{connect, tcp};
use nix::sys::socket::{getsockopt, sockopt::TcpMaxSeg};

const MEGABYTE: usize = 1 << 20;

/// A set-up and what it is to show.
struct Setup {
    name: &'static str,
    plan: Plan,
    /// Options of `add`.
    options: &'static str,
    /// Addresses of the tunnel's interfaces.
    tunnel: [&'static str; 2],
    /// Routes through the tunnel.
    routes: [&'static str; 2],
    /// What tshark calls the headers up to the inner one.
    headers: &'static str,
    /// MTU of the tunnel.
    mtu: u64,
    /// MSS of a connection between the machines.
    mss: u32,
}

const SITE_TO_SITE: Plan = Plan {
    near: Site { wan: "198.51.100.1/24", gateway: "198.51.100.254/24", ..PLAN.near },
    far: Site { wan: "203.0.113.2/24", gateway: "203.0.113.254/24", ..PLAN.far },
    mtu: 1500,
};
const OVER_IPV6: Plan = Plan {
    near: Site { wan: "2001:db8:a::1/64", gateway: "2001:db8:a::ffff/64", ..PLAN.near },
    far: Site { wan: "2001:db8:b::1/64", gateway: "2001:db8:b::ffff/64", ..PLAN.far },
    mtu: 1500,
};
const ROUTES: [&str; 2] = ["192.168.20.0/24 dev ipip1", "192.168.10.0/24 dev ipip1"];

impl Setup {
    fn run(&self) {
        let Some(ctl) = need::ctl() else { return };
        let Some(object) = need::bpf() else { return };
        if !need::program("tcpdump") || !need::program("tshark") {
            return;
        }
        let sites = Sites::of(&self.plan);
        sites.complete_frames_on_the_wire();
        let (near, far) = (Daemon::start(&ctl, &sites.host1), Daemon::start(&ctl, &sites.host2));
        let (local, remote) = (bare(self.plan.near.wan), bare(self.plan.far.wan));
        near.add(local, remote, self.options);
        far.add(remote, local, self.options);
        for (host, address, route) in
            [(&sites.host1, self.tunnel[0], self.routes[0]), (&sites.host2, self.tunnel[1], self.routes[1])]
        {
            host.address("ipip1", address);
            host.route(route);
        }
        near.wait_for_tier_1(&["lan0", "wan0"]);
        far.wait_for_tier_1(&["lan0", "wan0"]);
        assert_eq!(near.tunnel("ipip1")["actual-mtu"], self.mtu);
        self.pings(&sites);
        let _unmerged = ["wan1", "wan2"].map(|port| receive_unmerged(&object, &sites.router, port));
        let capture = Capture::start(&sites.router, "wan1", self.name, "ip or ip6");
        let before = Carried::read(&near);
        self.transfers(&sites);
        let carried = Carried::read(&near).since(&before);
        assert!(carried.all() > 5000 && carried.xdp * 1000 >= carried.all() * 999, "{carried:?}");
        self.look_at(capture);
    }

    fn pings(&self, sites: &Sites) {
        let machines = [self.plan.near.machine[0], self.plan.far.machine[0]].map(bare);
        let ends = self.tunnel.map(bare);
        // The first packets resolve neighbours.
        sites.client.run(&format!("ping -c 3 -i 0.1 -W 2 {}", machines[1]));
        sites.server.run(&format!("ping -c 3 -i 0.1 -W 2 {}", machines[0]));
        for (from, to) in [
            (&sites.host1, ends[1]),
            (&sites.host2, ends[0]),
            (&sites.client, machines[1]),
            (&sites.server, machines[0]),
        ] {
            let report = from.run(&format!("ping -c 20 -i 0.01 -W 2 {to}"));
            assert!(report.contains(" 0% packet loss"), "{report}");
        }
        // The largest packet that fits, unfragmented.
        let headers = if machines[1].contains(':') { 48 } else { 28 };
        let report =
            sites.client.run(&format!("ping -c 3 -W 2 -M do -s {} {}", self.mtu - headers, machines[1]));
        assert!(report.contains(" 0% packet loss"), "{report}");
    }

    fn transfers(&self, sites: &Sites) {
        let address = |machine: &str| -> IpAddr { bare(machine).parse().unwrap() };
        let (client, server) = (address(self.plan.near.machine[0]), address(self.plan.far.machine[0]));
        for end in [&sites.client, &sites.server] {
            end.set("net.ipv4.tcp_timestamps", "0");
        }
        let connection = connect(&sites.client, (&sites.server, server));
        for end in [&connection.client, &connection.server] {
            assert_eq!(getsockopt(end, TcpMaxSeg), Ok(self.mss));
        }
        connection.transfer(8 * MEGABYTE, |_| ());
        tcp(&sites.server, (&sites.client, client), 8 * MEGABYTE);
    }

    fn look_at(&self, capture: Capture) {
        let fields = [
            "frame.protocols",
            "frame.len",
            "ip.checksum.status",
            "tcp.checksum.status",
            "_ws.malformed",
            "_ws.expert.message",
        ];
        let packets = capture.fields(&fields);
        let tunnelled: Vec<&Vec<String>> =
            packets.iter().filter(|packet| packet[0].starts_with(self.headers)).collect();
        assert!(tunnelled.len() > 5000, "{} of {} packets", tunnelled.len(), packets.len());
        for packet in &packets {
            // Beside the tunnel there is only what finds neighbours.
            let is_neighbour_discovery = packet[0].ends_with(":icmpv6") && !packet[0].contains("ip:");
            assert!(packet[0].starts_with(self.headers) || is_neighbour_discovery, "{packet:?}");
        }
        for packet in tunnelled {
            let length: u32 = packet[1].parse().unwrap();
            assert!(length <= self.plan.mtu + 14, "{packet:?}");
            assert!(packet[2].split(',').all(|status| status == "1" || status.is_empty()), "{packet:?}");
            assert!(packet[3] == "1" || packet[3].is_empty(), "{packet:?}");
            assert!(packet[4].is_empty(), "{packet:?}");
        }
    }
}

#[test]
fn set_up_1_namespaces() {
    Setup {
        name: "setup 1",
        plan: PLAN,
        options: "",
        tunnel: ["192.168.50.1/30", "192.168.50.2/30"],
        routes: ROUTES,
        headers: "eth:ethertype:ip:ip:",
        mtu: 1480,
        mss: 1440,
    }
    .run();
}

#[test]
fn set_up_2_two_routers() {
    let near = Site { wan: "10.0.0.1/24", gateway: "10.0.0.254/24", ..PLAN.near };
    let far = Site { wan: "22.63.11.6/24", gateway: "22.63.11.254/24", ..PLAN.far };
    Setup {
        name: "setup 2",
        plan: Plan { near, far, mtu: 1500 },
        options: "",
        tunnel: ["1.1.1.1/24", "1.1.1.2/24"],
        routes: ["192.168.20.0/24 via 1.1.1.2", "192.168.10.0/24 via 1.1.1.1"],
        headers: "eth:ethertype:ip:ip:",
        mtu: 1480,
        mss: 1440,
    }
    .run();
}

#[test]
fn set_up_3_site_to_site() {
    Setup {
        name: "setup 3",
        plan: SITE_TO_SITE,
        options: "--kind ipip",
        tunnel: ["10.10.10.1/30", "10.10.10.2/30"],
        routes: ["192.168.20.0/24 via 10.10.10.2", "192.168.10.0/24 via 10.10.10.1"],
        headers: "eth:ethertype:ip:ip:",
        mtu: 1480,
        mss: 1440,
    }
    .run();
}

/// One router and two sites, each behind a tunnel of its own.
#[test]
fn set_up_4_one_router_and_two_sites() {
    let Some(ctl) = need::ctl() else { return };
    let [a, b, c, underlay] = ["a", "b", "c", "underlay"].map(Netns::new);
    underlay.forward();
    let hosts = [(&a, "198.51.100.1", 1), (&b, "203.0.113.2", 2), (&c, "192.0.2.3", 3)];
    for (host, address, number) in hosts {
        let port = format!("wan{number}");
        ipip_tests::netns::connect((host, "wan0"), (&underlay, &port));
        host.forward();
        host.address("wan0", &format!("{address}/24"));
        let gateway = address.rsplit_once('.').map(|(network, _)| format!("{network}.254")).unwrap();
        underlay.address(&port, &format!("{gateway}/24"));
        host.route(&format!("default via {gateway}"));
        // The site's network.
        host.address("lo", &format!("192.168.{number}0.1/24"));
    }
    let [at_a, at_b, at_c] = [&a, &b, &c].map(|host| Daemon::start(&ctl, host));
    at_a.add("198.51.100.1", "203.0.113.2", "");
    at_a.run("add ipip2 --local-address 198.51.100.1 --remote-address 192.0.2.3");
    at_b.add("203.0.113.2", "198.51.100.1", "");
    at_c.add("192.0.2.3", "198.51.100.1", "");
    for (host, interface, address, route) in [
        (&a, "ipip1", "10.10.1.1/30", "192.168.20.0/24 via 10.10.1.2"),
        (&a, "ipip2", "10.10.2.1/30", "192.168.30.0/24 via 10.10.2.2"),
        (&b, "ipip1", "10.10.1.2/30", "192.168.0.0/16 via 10.10.1.1 src 192.168.20.1"),
        (&c, "ipip1", "10.10.2.2/30", "192.168.0.0/16 via 10.10.2.1 src 192.168.30.1"),
    ] {
        host.address(interface, address);
        host.route(route);
    }
    let networks = ["192.168.10.1", "192.168.20.1", "192.168.30.1"];
    for (host, own) in [(&a, networks[0]), (&b, networks[1]), (&c, networks[2])] {
        for other in networks.iter().filter(|other| **other != own) {
            host.run(&format!("ping -c 1 -W 2 -I {own} {other}"));
            let report = host.run(&format!("ping -c 20 -i 0.01 -W 2 -I {own} {other}"));
            assert!(report.contains(" 0% packet loss"), "from {own}: {report}");
        }
    }
    // From one site to the other: out of one tunnel and into the next.
    assert!(at_a.counter("ipip2", "tc", "sent-packets") > 40, "{}", at_a.run("print detail"));
    // What the hub's card has merged comes out of one tunnel in large packets, and goes into the next as it is.
    set(&a, "wan0", Offload::GenericReceive, true);
    for ((from, to), address) in [((&b, &c), networks[2]), ((&c, &b), networks[1])] {
        let before = at_a.counter("ipip2", "tc", "sent-packets");
        tcp(from, (to, address.parse::<IpAddr>().unwrap()), 8 * MEGABYTE);
        assert!(at_a.counter("ipip2", "tc", "sent-packets") > before, "{}", at_a.run("print detail"));
    }
    assert_eq!(at_a.refused("ipip2", "tc", "no-room"), 0);
}

#[test]
fn set_up_5_tunnel_broker() {
    let near = Site {
        machine: &["2001:db8:abcd:1::2/64"],
        lan: &["2001:db8:abcd:1::1/64"],
        wan: "203.0.113.2/24",
        gateway: "203.0.113.254/24",
    };
    let far = Site {
        machine: &["2001:db8:ffff::2/64"],
        lan: &["2001:db8:ffff::1/64"],
        wan: "216.66.80.30/24",
        gateway: "216.66.80.254/24",
    };
    Setup {
        name: "setup 5",
        plan: Plan { near, far, mtu: 1500 },
        options: "--kind 6in4",
        tunnel: ["2001:db8:1234:1::2/64", "2001:db8:1234:1::1/64"],
        routes: ["default via 2001:db8:1234:1::1", "2001:db8:abcd:1::/64 via 2001:db8:1234:1::2"],
        headers: "eth:ethertype:ip:ipv6:",
        mtu: 1480,
        mss: 1420,
    }
    .run();
}

#[test]
fn set_up_6_ipv4_over_ipv6() {
    Setup {
        name: "setup 6",
        plan: OVER_IPV6,
        options: "--kind 4in6",
        tunnel: ["10.99.0.1/30", "10.99.0.2/30"],
        routes: ["192.168.20.0/24 via 10.99.0.2", "192.168.10.0/24 via 10.99.0.1"],
        headers: "eth:ethertype:ipv6:ip:",
        mtu: 1460,
        mss: 1420,
    }
    .run();
}

#[test]
fn set_up_7_pppoe_over_ipv4() {
    Setup {
        name: "setup 7 over ipv4",
        plan: Plan { mtu: 1492, ..SITE_TO_SITE },
        options: "",
        tunnel: ["10.10.10.1/30", "10.10.10.2/30"],
        routes: ROUTES,
        headers: "eth:ethertype:ip:ip:",
        mtu: 1472,
        mss: 1432,
    }
    .run();
}

#[test]
fn set_up_7_pppoe_over_ipv6() {
    Setup {
        name: "setup 7 over ipv6",
        plan: Plan { mtu: 1492, ..OVER_IPV6 },
        options: "--kind 4in6",
        tunnel: ["10.99.0.1/30", "10.99.0.2/30"],
        routes: ROUTES,
        headers: "eth:ethertype:ipv6:ip:",
        mtu: 1452,
        mss: 1412,
    }
    .run();
}
