//! The tunnel's properties, as they show on real traffic.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::net::Ipv4Addr;

use ipip_tests::need;
use ipip_tests::offload::{self, Offload};
use ipip_tests::sites::{Capture, Carried, Tunnelled, tunnelled};
use ipip_tests::topology::Sites;
use ipip_tests::traffic::{connect, tcp};
use nix::sys::socket::{getsockopt, sockopt::TcpMaxSeg};

const MEGABYTE: usize = 1 << 20;
const SERVER_END: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 2);

#[test]
fn without_fast_path_forwarded_traffic_is_tier_2() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "--allow-fast-path no", |world| {
        let sites = world.sites;
        // Unfinished packets on the way through, as between virtual machines; the hosts merge them (GRO), and
        // segment what leaves.
        for end in [&sites.client, &sites.server] {
            offload::set(end, "lan0", Offload::TxChecksum, true);
        }
        let before = [Carried::read(&world.near), Carried::read(&world.far)];
        tcp(&sites.client, (&sites.server, Sites::SERVER), 32 * MEGABYTE);
        tcp(&sites.server, (&sites.client, Sites::CLIENT), 32 * MEGABYTE);
        for (daemon, before) in [&world.near, &world.far].into_iter().zip(before) {
            let carried = Carried::read(daemon).since(&before);
            assert_eq!((carried.xdp, carried.daemon), (0, 0), "{carried:?}");
            // Segments are counted, however few packets they came in.
            assert!(carried.tc > 40_000, "{carried:?}");
        }
    });
}

/// The MSS that the server sees in the client's SYN, and the client in the server's answer.
fn mss(world: &Tunnelled<'_>) -> [u32; 2] {
    let sites = world.sites;
    for end in [&sites.client, &sites.server] {
        end.set("net.ipv4.tcp_timestamps", "0");
    }
    let connection = connect(&sites.client, (&sites.server, Sites::SERVER));
    [&connection.server, &connection.client]
        .map(|end| getsockopt(end, TcpMaxSeg).expect("asking for the MSS"))
}

// conformance: M13
#[test]
fn the_clamp_lowers_the_mss_both_ways() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "--clamp-tcp-mss yes", |world| assert_eq!(mss(world), [1440, 1440]));
    tunnelled(&ctl, "--clamp-tcp-mss yes --mtu 1300", |world| assert_eq!(mss(world), [1260, 1260]));
}

#[test]
fn without_clamp_the_mss_is_that_of_the_lan() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "--clamp-tcp-mss no", |world| {
        assert_eq!(mss(world), [1460, 1460]);
        // The stack tells the sender of the tunnel's MTU instead.
        tcp(&world.sites.client, (&world.sites.server, Sites::SERVER), 4 * MEGABYTE);
        tcp(&world.sites.server, (&world.sites.client, Sites::CLIENT), 4 * MEGABYTE);
    });
}

/// What tshark reads of forwarded and of the host's own pings, sent with DSCP 46 and these more options.
fn pings(world: &Tunnelled<'_>, name: &str, options: &str, field: &str) -> Vec<String> {
    let sites = world.sites;
    let capture = Capture::start(&sites.router, "wan1", name, "ip proto 4 and src host 172.16.10.2");
    sites.client.run(&format!("ping -c 5 -i 0.01 -W 2 -Q 0xb8 {options} {}", Sites::SERVER));
    sites.host1.run(&format!("ping -c 5 -i 0.01 -W 2 -Q 0xb8 {options} {SERVER_END}"));
    let values: Vec<String> =
        capture.fields(&[field]).into_iter().map(|mut packet| packet.remove(0)).collect();
    assert_eq!(values.len(), 10, "{values:?}");
    values
}

// conformance: H13
#[test]
fn dscp_is_inherited_or_fixed() {
    let Some(ctl) = need::ctl() else { return };
    if !need::program("tcpdump") || !need::program("tshark") {
        return;
    }
    tunnelled(&ctl, "", |world| {
        for value in pings(world, "net dscp inherit", "", "ip.dsfield.dscp") {
            assert_eq!(value, "46,46", "outer, inner");
        }
    });
    tunnelled(&ctl, "--dscp 10", |world| {
        for value in pings(world, "net dscp fixed", "", "ip.dsfield.dscp") {
            assert_eq!(value, "10,46", "outer, inner");
        }
    });
}

// conformance: H6 H7
#[test]
fn dont_fragment_is_inherited_or_not() {
    let Some(ctl) = need::ctl() else { return };
    if !need::program("tcpdump") || !need::program("tshark") {
        return;
    }
    tunnelled(&ctl, "--dont-fragment inherit", |world| {
        for value in pings(world, "net df inherit", "-M do", "ip.flags.df") {
            assert_eq!(value.replace("True", "1"), "1,1", "outer, inner");
        }
    });
    tunnelled(&ctl, "--dont-fragment no", |world| {
        for value in pings(world, "net df no", "-M do", "ip.flags.df") {
            assert_eq!(value.replace("True", "1").replace("False", "0"), "0,1", "outer, inner");
        }
    });
}
