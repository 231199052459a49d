//! Every kind of tunnel between two hosts: tier 2, with the segmentation offloads of both families, on every kernel.

use std::net::IpAddr;
use std::path::Path;

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, exercise, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;
use ipip_tests::traffic::tcp;

const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];
const BOTH: &[Family] = &[Family::V4, Family::V6];

/// A kind of tunnel on a wire of 1500 bytes.
struct Kind {
    name: &'static str,
    is_over_v6: bool,
    families: &'static [Family],
    mtu: u32,
    options: &'static str,
}

#[rustfmt::skip]
const KINDS: [Kind; 8] = [
    Kind { name: "ipip", is_over_v6: false, families: V4, mtu: 1480, options: "" },
    Kind { name: "6in4", is_over_v6: false, families: V6, mtu: 1480, options: "" },
    Kind { name: "4in6", is_over_v6: true, families: V4, mtu: 1460, options: "" },
    Kind { name: "6in6", is_over_v6: true, families: V6, mtu: 1460, options: "" },
    Kind { name: "ipipv6", is_over_v6: true, families: BOTH, mtu: 1460, options: "" },
    Kind { name: "any", is_over_v6: false, families: BOTH, mtu: 1480, options: "" },
    Kind { name: "any", is_over_v6: true, families: BOTH, mtu: 1460, options: "" },
    Kind { name: "ipipv6", is_over_v6: true, families: BOTH, mtu: 1452, options: "--encapsulation-limit 4" },
];

#[test]
fn every_kind_carries_what_it_says() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    for Kind { name, is_over_v6, families, mtu, options } in KINDS {
        let [local, remote] = Pair::ends(is_over_v6);
        let options = format!("--kind {name} {options}");
        near.add(local, remote, &options);
        far.add(remote, local, &options);
        number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], families);
        exercise([&pair.host1, &pair.host2], families, mtu);
        for daemon in [&near, &far] {
            let carried = daemon.counter("ipip1", "tc", "received-packets");
            assert!(carried > 500, "{name}: {}", daemon.run("print detail"));
            daemon.run("remove ipip1");
        }
    }
}

/// Neighbour discovery over the tunnel: its interface has a link-local address, and the far end's answers.
///
/// conformance: D10
#[test]
fn link_local_addresses_answer_through_the_tunnel() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1, Pair::HOST2, "--kind 6in4");
    far.add(Pair::HOST2, Pair::HOST1, "--kind 6in4");
    let report = pair.host2.run("ip -6 -json address show dev ipip1 scope link");
    let links: serde_json::Value = serde_json::from_str(&report).unwrap_or_default();
    let address = links[0]["addr_info"][0]["local"].as_str().unwrap_or_default().to_owned();
    assert!(address.starts_with("fe80:"), "{report}");
    let report = pair.host1.run(&format!("ping -c 5 -i 0.05 -W 4 {address}%ipip1"));
    assert!(report.contains(" 0% packet loss"), "{report}");
    // All nodes on the link: the far end answers from the same address.
    let report = pair.host1.run("ping -c 1 -W 4 ff02::1%ipip1");
    assert!(report.contains(&address) || report.contains("from fe80:"), "{report}");
}

/// A tunnel through another one: which families, and whether segmentation offload survives it.
struct Nest {
    outer: (&'static str, &'static [Family]),
    inner: (&'static str, &'static [Family]),
    ends: [&'static str; 2],
    numbers: [&'static str; 2],
}

impl Nest {
    /// Sets both tunnels up and pings through the inner one.
    fn build<'a>(&self, ctl: &Path, pair: &'a Pair) -> [Daemon<'a>; 2] {
        let daemons = [Daemon::start(ctl, &pair.host1), Daemon::start(ctl, &pair.host2)];
        daemons[0].add(Pair::HOST1, Pair::HOST2, &format!("--kind {}", self.outer.0));
        daemons[1].add(Pair::HOST2, Pair::HOST1, &format!("--kind {}", self.outer.0));
        number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], self.outer.1);
        let [near, far] = self.ends;
        for (daemon, local, remote) in [(&daemons[0], near, far), (&daemons[1], far, near)] {
            let ends = format!("--local-address {local} --remote-address {remote}");
            daemon.run(&format!("add inner --kind {} {ends}", self.inner.0));
            ipip_tests::wait::until_true("the inner tunnel runs", std::time::Duration::from_secs(10), || {
                daemon.tunnel("inner")["running"] == true
            });
        }
        for (host, address) in [&pair.host1, &pair.host2].into_iter().zip(self.numbers) {
            host.address("inner", address);
        }
        for (host, to) in [&pair.host2, &pair.host1].into_iter().zip(self.numbers) {
            let to = ipip_tests::topology::bare(to);
            let report = host.run(&format!("ping -c 5 -i 0.05 -W 4 -s 1000 {to}"));
            assert!(report.contains(" 0% packet loss"), "{report}");
        }
        daemons
    }
}

/// A tunnel of IPv6 packets whose outer packets go through a tunnel of IPv4 ones.
#[test]
fn a_tunnel_goes_through_a_tunnel_of_the_other_family() {
    let Some(ctl) = need::ctl() else { return };
    Nest {
        outer: ("6in4", V6),
        inner: ("4in6", V4),
        ends: ["2001:db8:50::1", "2001:db8:50::2"],
        numbers: ["192.168.60.1/30", "192.168.60.2/30"],
    }
    .build(&ctl, &Pair::new());
}

/// Where both outer headers are of one family, large packets go through both tunnels as they are.
#[test]
fn tcp_goes_through_a_tunnel_in_a_tunnel() {
    let Some(ctl) = need::ctl() else { return };
    for (kind, inner) in [("ipip", "192.168.60.2"), ("6in4", "2001:db8:60::2")] {
        let is_v4 = kind == "ipip";
        let nest = Nest {
            outer: ("ipip", V4),
            inner: (kind, if is_v4 { V4 } else { V6 }),
            ends: ["192.168.50.1", "192.168.50.2"],
            numbers: if is_v4 {
                ["192.168.60.1/30", "192.168.60.2/30"]
            } else {
                ["2001:db8:60::1/64", "2001:db8:60::2/64"]
            },
        };
        let pair = Pair::new();
        let daemons = nest.build(&ctl, &pair);
        let far: IpAddr = inner.parse().expect("an address");
        tcp(&pair.host1, (&pair.host2, far), 2 << 20);
        for daemon in &daemons {
            assert_eq!(daemon.refused("ipip1", "tc", "no-room"), 0, "{}", daemon.run("print detail"));
        }
    }
}
