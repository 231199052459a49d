//! The kernel's own tunnels at the far end, where the kernel has them: ipip, sit and ip6tnl.

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, exercise, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;

const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];
const BOTH: &[Family] = &[Family::V4, Family::V6];

/// Our kind, the kernel's interface at the far end, and what goes through them.
struct Peer {
    kind: &'static str,
    kernel: &'static str,
    is_over_v6: bool,
    families: &'static [Family],
    mtu: u32,
}

#[rustfmt::skip]
const PEERS: [Peer; 5] = [
    Peer { kind: "ipip", kernel: "ipip", is_over_v6: false, families: V4, mtu: 1480 },
    Peer { kind: "6in4", kernel: "sit", is_over_v6: false, families: V6, mtu: 1480 },
    Peer { kind: "any", kernel: "sit mode any", is_over_v6: false, families: BOTH, mtu: 1480 },
    Peer { kind: "ipipv6", kernel: "ip6tnl mode any encaplimit none", is_over_v6: true, families: BOTH, mtu: 1460 },
    // The kernel's default: its packets bring the option, and ours need not.
    Peer { kind: "ipipv6", kernel: "ip6tnl mode any", is_over_v6: true, families: BOTH, mtu: 1452 },
];

#[test]
fn the_kernels_tunnels_are_peers() {
    let Some(ctl) = need::ctl() else { return };
    let modules = ["ipip", "sit", "ip6_tunnel"];
    if !modules.into_iter().all(need::module) {
        return;
    }
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    for Peer { kind, kernel, is_over_v6, families, mtu } in PEERS {
        let [local, remote] = Pair::ends(is_over_v6);
        near.add(local, remote, &format!("--kind {kind} --mtu {mtu}"));
        let (of, modes) = kernel.split_once(' ').unwrap_or((kernel, ""));
        pair.host2.run(&format!("ip link add peer0 type {of} local {remote} remote {local} {modes}"));
        pair.host2.run(&format!("ip link set peer0 up mtu {mtu}"));
        number([(&pair.host1, "ipip1"), (&pair.host2, "peer0")], families);
        exercise([&pair.host1, &pair.host2], families, mtu);
        pair.host2.run("ip link del peer0");
        near.run("remove ipip1");
    }
}
