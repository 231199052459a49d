//! Two sites behind two routers: what is forwarded and what the hosts say themselves, and how it looks on the
//! wire between them.

use std::time::Duration;

use ipip_tests::foreign::receive_unmerged;
use ipip_tests::need;
use ipip_tests::sites::{Capture, Carried, tunnelled};
use ipip_tests::topology::Sites;
use ipip_tests::traffic::{paced_udp, tcp};

const MEGABYTE: usize = 1 << 20;
const SERVER_END: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 168, 50, 2);
const CLIENT_END: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 168, 50, 1);

#[test]
fn traffic_arrives_intact_both_ways() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        for (from, to) in [(&sites.client, "192.168.20.2"), (&sites.server, "192.168.10.2")] {
            let report = from.run(&format!("ping -c 50 -i 0.01 -W 2 {to}"));
            assert!(report.contains(" 0% packet loss"), "{report}");
            let report = from.run(&format!("ping -c 5 -i 0.01 -s 1452 -M do -W 2 {to}"));
            assert!(report.contains(" 0% packet loss"), "full packets: {report}");
        }
        tcp(&sites.client, (&sites.server, Sites::SERVER), 16 * MEGABYTE);
        tcp(&sites.server, (&sites.client, Sites::CLIENT), 16 * MEGABYTE);
        tcp(&sites.host1, (&sites.host2, SERVER_END), 16 * MEGABYTE);
        tcp(&sites.host2, (&sites.host1, CLIENT_END), 16 * MEGABYTE);
        for size in [5, 100, 1452] {
            let stream = (200, size, Duration::from_millis(2));
            let lost = paced_udp(&sites.client, (&sites.server, Sites::SERVER), stream, || ());
            assert_eq!(lost, [0; 0], "forwarded datagrams of {size} bytes");
            let lost = paced_udp(&sites.host2, (&sites.host1, CLIENT_END), stream, || ());
            assert_eq!(lost, [0; 0], "the host's own datagrams of {size} bytes");
        }
    });
}

#[test]
fn forwarded_traffic_is_tier_1_and_the_hosts_own_is_tier_2() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        let before = [Carried::read(&world.near), Carried::read(&world.far)];
        tcp(&sites.client, (&sites.server, Sites::SERVER), 32 * MEGABYTE);
        tcp(&sites.server, (&sites.client, Sites::CLIENT), 32 * MEGABYTE);
        for (daemon, before) in [&world.near, &world.far].into_iter().zip(before) {
            let carried = Carried::read(daemon).since(&before);
            assert!(carried.all() > 40_000, "{carried:?}");
            assert!(
                carried.xdp * 1000 >= carried.all() * 999,
                "forwarded: {carried:?} {}",
                daemon.run("print detail")
            );
        }
        let before = [Carried::read(&world.near), Carried::read(&world.far)];
        tcp(&sites.host1, (&sites.host2, SERVER_END), 32 * MEGABYTE);
        tcp(&sites.host2, (&sites.host1, CLIENT_END), 32 * MEGABYTE);
        for (daemon, before) in [&world.near, &world.far].into_iter().zip(before) {
            let carried = Carried::read(daemon).since(&before);
            assert!(carried.all() > 20_000, "{carried:?}");
            assert_eq!((carried.xdp, carried.daemon), (0, 0), "the hosts' own: {carried:?}");
        }
    });
}

// conformance: C1 C2
#[test]
fn an_analyser_finds_nothing_wrong_on_the_wire() {
    let Some(ctl) = need::ctl() else { return };
    let Some(object) = need::bpf() else { return };
    if !need::program("tcpdump") || !need::program("tshark") {
        return;
    }
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        let _unmerged = ["wan1", "wan2"].map(|port| receive_unmerged(&object, &sites.router, port));
        let capture = Capture::start(&sites.router, "wan1", "net topology", "ip");
        tcp(&sites.client, (&sites.server, Sites::SERVER), MEGABYTE);
        tcp(&sites.server, (&sites.client, Sites::CLIENT), MEGABYTE);
        tcp(&sites.host1, (&sites.host2, SERVER_END), MEGABYTE);
        tcp(&sites.host2, (&sites.host1, CLIENT_END), MEGABYTE);
        sites.client.run("ping -c 5 -i 0.01 192.168.20.2");
        let fields =
            ["ip.proto", "ip.checksum.status", "tcp.checksum.status", "_ws.malformed", "ip.src", "ip.len"];
        let packets = capture.fields(&fields);
        assert!(packets.len() > 3000, "only {} packets", packets.len());
        for packet in &packets {
            let [protocol, ip, tcp, malformed, source, lengths] = packet.as_slice() else {
                panic!("{packet:?}")
            };
            assert!(protocol == "4,6" || protocol == "4,1", "{packet:?}");
            assert_eq!(ip, "1,1", "header checksums: {packet:?}");
            assert!(tcp == "1" || tcp.is_empty(), "TCP checksum: {packet:?}");
            assert!(malformed.is_empty(), "{packet:?}");
            assert!(source.starts_with("172.16.10.2,") || source.starts_with("152.16.10.2,"), "{packet:?}");
            let lengths: Vec<u32> = lengths.split(',').map(|length| length.parse().unwrap()).collect();
            assert_eq!(lengths[0], lengths[1] + 20, "{packet:?}");
            assert!(lengths[0] <= 1500, "{packet:?}");
        }
    });
}
