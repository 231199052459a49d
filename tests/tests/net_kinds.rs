//! Every kind of tunnel between two hosts: tier 2, with the segmentation offloads of both families, on every kernel.

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, exercise, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;

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

/// A tunnel of IPv6 packets whose outer packets go through a tunnel of IPv4 ones.
#[test]
fn a_tunnel_goes_through_a_tunnel_of_the_other_family() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1, Pair::HOST2, "--kind 6in4");
    far.add(Pair::HOST2, Pair::HOST1, "--kind 6in4");
    number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], V6);
    for (daemon, local, remote) in
        [(&near, "2001:db8:50::1", "2001:db8:50::2"), (&far, "2001:db8:50::2", "2001:db8:50::1")]
    {
        daemon.run(&format!("add inner --kind 4in6 --local-address {local} --remote-address {remote}"));
        ipip_tests::wait::until_true("the inner tunnel runs", std::time::Duration::from_secs(10), || {
            daemon.tunnel("inner")["running"] == true
        });
    }
    number([(&pair.host1, "inner"), (&pair.host2, "inner")], V4);
    for host in [&pair.host1, &pair.host2] {
        let to = if std::ptr::eq(host, &raw const pair.host1) { "192.168.50.2" } else { "192.168.50.1" };
        let report = host.run(&format!("ping -c 5 -i 0.05 -W 4 -s 1000 {to}"));
        assert!(report.contains(" 0% packet loss"), "{report}");
    }
}
