//! Underlays with VLAN tags, where the kernel has VLANs: one tag and two.

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, exercise, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;

const V4: &[Family] = &[Family::V4];

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
