//! `spread`: all CPUs decapsulate what one receive queue brings, each its share of the flows, and every flow in order.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use aya::maps::{Map, MapData, PerCpuArray};
use etherparse::PacketBuilder;
use ipip_common::abi::{ABI_VERSION, Traffic, map};
use ipip_tests::ctl::Daemon;
use ipip_tests::netns::Netns;
use ipip_tests::raw::Raw;
use ipip_tests::topology::Sites;
use ipip_tests::{need, traffic, wait};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

const FLOWS: u16 = 32;
const PACKETS: u32 = 200;
const ALL: u64 = FLOWS as u64 * PACKETS as u64;
/// Packets of a flow that may be on their way before the next two go out: those of all flows fit into a veth's ring of 256,
/// of which up to 16 places are given back late, however late a CPU gets to run.
const AHEAD: u32 = 4;
/// IPv4 in IPv4.
const IPIP: i32 = 4;
/// How long a machine may take that has much else to do.
const PATIENCE: Duration = Duration::from_mins(1);
/// An address behind the port by which the outer packets come in.
const BACK: Ipv4Addr = Ipv4Addr::new(192, 168, 30, 2);

/// Packets that each CPU decapsulated in tier 1.
fn by_cpu(daemon: &Daemon<'_>) -> Vec<u64> {
    let file = daemon.layout(ABI_VERSION).join(map::TRAFFIC);
    let map = Map::PerCpuArray(MapData::from_pin(file).unwrap());
    let traffic: PerCpuArray<_, Traffic> = map.try_into().unwrap();
    let id = 1;
    traffic.get(&id, 0).unwrap().iter().map(|traffic| traffic.xdp.received_packets).collect()
}

/// Packets that tier 1 left to tier 2, by chance: one checksum in 65,536 looks like one that hardware is to finish.
fn left_to_tier_2(daemon: &Daemon<'_>) -> u64 {
    daemon.refused("ipip1", "xdp", "partial-checksum")
}

/// Sends numbered datagrams of many flows, all from one CPU as from one receive queue, in bursts; each flow must arrive
/// complete and in order.
fn send_flows(client: &Netns, (server, address): (&Netns, Ipv4Addr)) {
    let receivers: Vec<UdpSocket> = (0..FLOWS)
        .map(|_| {
            let receiver = server.enter(|| UdpSocket::bind((address, 0))).unwrap();
            receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            receiver
        })
        .collect();
    let addresses: Vec<SocketAddr> =
        receivers.iter().map(|receiver| receiver.local_addr().unwrap()).collect();
    let senders: Vec<UdpSocket> =
        (0..FLOWS).map(|_| client.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap()).collect();
    let arrived = AtomicU32::new(0);
    thread::scope(|threads| {
        threads.spawn(|| {
            let mut first = CpuSet::new();
            first.set(0).unwrap();
            sched_setaffinity(Pid::from_raw(0), &first).unwrap();
            for number in 0..PACKETS {
                for (sender, address) in senders.iter().zip(&addresses) {
                    sender.send_to(&number.to_be_bytes(), address).unwrap();
                }
                let due = number.saturating_sub(AHEAD) * u32::from(FLOWS);
                wait::until_true("packets arrive", Duration::from_secs(10), || {
                    arrived.load(Ordering::Relaxed) >= due
                });
            }
        });
        for receiver in &receivers {
            let arrived = &arrived;
            threads.spawn(move || {
                let mut buffer = [0; 64];
                for number in 0..PACKETS {
                    let length = receiver
                        .recv(&mut buffer)
                        .unwrap_or_else(|error| panic!("packet {number} is missing: {error}"));
                    arrived.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(buffer[..length], number.to_be_bytes(), "lost, or out of order");
                }
            });
        }
    });
}

fn start<'a>(sites: &'a Sites, ctl: &std::path::Path) -> [Daemon<'a>; 2] {
    let near = Daemon::start(ctl, &sites.host1);
    let far = Daemon::start(ctl, &sites.host2);
    near.run(&format!("add ipip1 --local-address {} --remote-address {}", Sites::HOST1, Sites::HOST2));
    far.run(&format!("add ipip1 --local-address {} --remote-address {}", Sites::HOST2, Sites::HOST1));
    sites.route_through("ipip1");
    for daemon in [&near, &far] {
        daemon.wait_for_tier_1(&["lan0", "wan0"]);
        wait::until_true("the tunnel runs", Duration::from_secs(20), || {
            daemon.tunnel("ipip1")["running"] == true
        });
    }
    [near, far]
}

#[test]
fn flows_of_a_spread_tunnel_come_out_on_all_cpus_complete_and_in_order() {
    let Some(ctl) = need::ctl() else { return };
    let sites = Sites::new();
    let [_near, mut far] = start(&sites, &ctl);
    assert_eq!(far.tunnel("ipip1")["spreading"], false, "auto, and nothing to do");

    far.run("set ipip1 spread=off");
    send_flows(&sites.client, (&sites.server, Sites::SERVER));
    let before = by_cpu(&far);
    assert!(before.iter().filter(|packets| **packets > 0).count() <= 1, "{before:?}");

    far.run("set ipip1 spread=on");
    assert_eq!(far.tunnel("ipip1")["spreading"], true);
    let others = left_to_tier_2(&far);
    send_flows(&sites.client, (&sites.server, Sites::SERVER));
    let shares: Vec<u64> = by_cpu(&far).iter().zip(&before).map(|(now, before)| now - before).collect();
    let cpus = thread::available_parallelism().unwrap().get();
    let others = left_to_tier_2(&far) - others;
    assert_eq!(shares.iter().sum::<u64>() + others, ALL, "every packet once: {shares:?}, {others}");
    let working = shares.iter().filter(|packets| **packets > ALL / 32).count();
    assert_eq!(working, cpus.min(usize::from(FLOWS) / 8), "{shares:?}");
    traffic::tcp(&sites.client, (&sites.server, Sites::SERVER), 20 << 20);

    // Another daemon, and none: the CPUs go on sharing.
    far.kill();
    send_flows(&sites.client, (&sites.server, Sites::SERVER));
    far.restart();
    send_flows(&sites.client, (&sites.server, Sites::SERVER));
}

/// A driver turns packets around that leave by the port where they came in; a CPU that they were handed over to cannot. A
/// veth leaves what it turns around lying in the ring of a peer that polls and has no program, as here, until something else
/// comes: the last packets of each flow show it.
#[test]
fn packets_leave_by_the_port_that_they_came_in_by() {
    let Some(ctl) = need::ctl() else { return };
    let sites = Sites::new();
    let [_near, far] = start(&sites, &ctl);
    sites.host1.route(&format!("{BACK}/32 dev ipip1"));
    sites.host2.route(&format!("{BACK}/32 via 152.16.10.1"));
    sites.router.run("ip link set lo up");
    sites.router.address("lo", &format!("{BACK}/32"));
    // A neighbour that nobody has asked for yet is the stack's.
    sites.host2.run("ping -c 1 -W 5 152.16.10.1");
    for spread in ["off", "on"] {
        far.run(&format!("set ipip1 spread={spread}"));
        let looked_at = || far.counter("ipip1", "xdp", "received-packets") + left_to_tier_2(&far);
        let before = looked_at();
        send_flows(&sites.client, (&sites.router, BACK));
        assert_eq!(looked_at() - before, ALL, "spread={spread}: {}", far.tunnel("ipip1"));
    }
}

/// One sender keeps one CPU busy with all of its packets, from the wire to the end of the tunnel, until another one helps.
#[test]
fn a_tunnel_that_is_too_much_for_one_cpu_is_spread_until_it_is_not() {
    let Some(ctl) = need::ctl() else { return };
    let sites = Sites::new();
    let [_near, far] = start(&sites, &ctl);
    // The router is the far end now: a raw socket of it makes the outer header.
    let router = Raw::open(&sites.router, IPIP);
    far.run("set ipip1 remote-address=152.16.10.1");
    let is_spreading = || far.tunnel("ipip1")["spreading"] == true;
    assert!(!is_spreading());
    let packets: Vec<Vec<u8>> = (0..FLOWS)
        .map(|flow| {
            let addresses = (Sites::CLIENT.octets(), Sites::SERVER.octets());
            let step = PacketBuilder::ipv4(addresses.0, addresses.1, 64).udp(4000 + flow, 9);
            let mut packet = Vec::new();
            step.write(&mut packet, &[0; 32]).unwrap();
            packet
        })
        .collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            let mut first = CpuSet::new();
            first.set(0).unwrap();
            sched_setaffinity(Pid::from_raw(0), &first).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                for packet in &packets {
                    router.send(Sites::HOST2, packet);
                }
            }
        });
        let seen = catch_unwind(AssertUnwindSafe(|| {
            wait::until_true("all CPUs share the work", PATIENCE, is_spreading);
            let before = by_cpu(&far);
            wait::until_true("another CPU works", PATIENCE, || {
                let grown = by_cpu(&far).into_iter().zip(&before).map(|(now, before)| now - before);
                grown.filter(|packets| *packets > 10_000).count() > 1
            });
        }));
        is_over.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|panic| resume_unwind(panic));
    });
    wait::until_true("one CPU is enough again", PATIENCE, || !is_spreading());
}
