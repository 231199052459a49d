//! What is not a tunnel's: packets of others pass untouched, and programs of others stay where they are.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::foreign::ForeignXdp;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::raw::Raw;
use ipip_tests::sites::{Carried, tunnelled};
use ipip_tests::topology::{Pair, Sites};
use ipip_tests::traffic::tcp;

const MEGABYTE: usize = 1 << 20;
const GRE: i32 = 47;
const IPIP: i32 = 4;
const IPV6_IN_IPV4: i32 = 41;

/// A raw packet of a protocol from one namespace to another; what the host there gets of it.
fn across(from: &Netns, to: (&Netns, Ipv4Addr), protocol: i32, payload: &[u8]) -> Option<Vec<u8>> {
    let receiver = Raw::open(to.0, protocol);
    Raw::open(from, protocol).send(to.1, payload);
    receiver.receive(Duration::from_secs(2))
}

// conformance: D11
#[test]
fn packets_of_others_pass_every_port_untouched() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        // The tunnel's own interface looks for IPv6 routers now and then, which this kind refuses.
        sites.host1.set("net.ipv6.conf.ipip1.disable_ipv6", "1");
        let before = [Carried::read(&world.near), Carried::read(&world.far)];
        let refused = world.near.tunnel("ipip1")["refused"].clone();
        // Plain IPv4 over the same ports, forwarded and for the host itself.
        tcp(&sites.router, (&sites.host1, Sites::HOST1), MEGABYTE);
        tcp(&sites.host1, (&sites.host2, Sites::HOST2), MEGABYTE);
        sites.client.run("ping -c 3 -i 0.01 -W 2 192.168.10.1");
        sites.router.route("192.168.10.0/24 via 172.16.10.2");
        tcp(&sites.router, (&sites.client, Sites::CLIENT), MEGABYTE);
        // IPv6, with its neighbour discovery; ARP anew.
        sites.router.run("ip address add 2001:db8::1/64 dev wan1 nodad");
        sites.host1.run("ip address add 2001:db8::2/64 dev wan0 nodad");
        sites.host1.run("ip neighbour flush dev wan0");
        sites.router.run("ping -6 -c 3 -i 0.01 -W 2 2001:db8::2");
        sites.host1.run("ping -c 3 -i 0.01 -W 2 172.16.10.1");
        // Other tunnels' protocols, and another peer's packets of ours.
        for protocol in [GRE, IPV6_IN_IPV4, IPIP] {
            let payload: Vec<u8> = (0..100).collect();
            let arrived = across(&sites.router, (&sites.host1, Sites::HOST1), protocol, &payload);
            let arrived = arrived.unwrap_or_else(|| panic!("protocol {protocol} did not arrive"));
            assert_eq!(arrived[20..], payload, "protocol {protocol}");
        }
        for (daemon, before) in [&world.near, &world.far].into_iter().zip(before) {
            assert_eq!(
                Carried::read(daemon).since(&before).all(),
                0,
                "a foreign packet was counted as carried"
            );
        }
        assert_eq!(world.near.tunnel("ipip1")["refused"], refused, "a foreign packet was counted as refused");
    });
}

#[test]
fn a_program_of_another_stays_and_tier_2_does_the_work() {
    let (Some(ctl), Some(object)) = (need::ctl(), need::bpf()) else { return };
    let pair = Pair::new();
    pair.host1.forward();
    let foreign = ForeignXdp::attach(&object, &pair.host1, "wan0");
    let shown = |pair: &Pair| pair.host1.run("ip -details link show dev wan0");
    assert!(shown(&pair).contains(&format!("id {}", foreign.id())), "{}", shown(&pair));
    let (mut near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1, Pair::HOST2, "");
    far.add(Pair::HOST2, Pair::HOST1, "");
    pair.host1.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    let report = pair.host1.run("ping -c 10 -i 0.05 -W 2 192.168.50.2");
    assert!(report.contains(" 0% packet loss"), "{report}");
    assert!(shown(&pair).contains(&format!("id {}", foreign.id())), "evicted: {}", shown(&pair));
    let reason = near.port("wan0")["reason"].clone();
    assert!(
        reason.as_str().is_some_and(|reason| reason.contains("occupied")),
        "it does not say so: {reason}"
    );
    assert!(near.log().contains("occupied"), "the log does not say so: {}", near.log());
    assert_eq!(Carried::read(&near).xdp, 0);
    near.kill();
    near.restart();
    assert!(
        shown(&pair).contains(&format!("id {}", foreign.id())),
        "evicted at the restart: {}",
        shown(&pair)
    );
    // Once it is gone there is room for ours.
    drop(foreign);
    let has_ours = || near.port("wan0")["tiers"] == serde_json::json!(["xdp", "tc"]);
    ipip_tests::wait::until_true("ours is attached", Duration::from_secs(10), has_ours);
}

#[test]
fn a_raw_socket_understands_what_the_tunnel_sends() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "");
    pair.host1.address("ipip1", "192.168.50.1/30");
    // The far end is no tunnel of ours: the kernel's own IP layer reads and writes the outer header.
    let far = Raw::open(&pair.host2, IPIP);
    let mut ping = pair.host1.command("ping");
    ping.args(["-c", "1", "-W", "5", "192.168.50.2"]);
    let mut ping = ipip_tests::process::Running::start(&mut ping);
    let packet = far.receive(Duration::from_secs(5)).expect("the outer packet arrives");
    let [outer, inner] = [&packet[..20], &packet[20..]];
    assert_eq!((outer[0], outer[9], &outer[12..16]), (0x45, 4, Pair::HOST1.octets().as_slice()));
    assert_eq!(&inner[12..20], [192, 168, 50, 1, 192, 168, 50, 2]);
    // Its answer: the same message with source and destination swapped, type 0, and so a checksum 0x0800 higher.
    let mut answer = inner.to_vec();
    answer[12..20].copy_from_slice(&[192, 168, 50, 2, 192, 168, 50, 1]);
    answer[20] = 0;
    let sum = u32::from(u16::from_be_bytes([answer[22], answer[23]])) + 0x0800;
    let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    answer[22..24].copy_from_slice(&sum.to_be_bytes());
    far.send(Pair::HOST1, &answer);
    ping.succeed(Duration::from_secs(10));
    assert_eq!(IpAddr::from(Pair::HOST2).to_string(), near.tunnel("ipip1")["remote-address"]);
}
