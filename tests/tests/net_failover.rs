//! Two tunnels between two sites: traffic takes the second one when the far end of the first is dead, and comes back. And
//! a tunnel at full load, which no probe takes for dead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::connect as connect_hosts;
use ipip_tests::sites::{Tunnelled, tunnelled};
use ipip_tests::topology::Sites;
use ipip_tests::traffic::{connect, paced_udp};
use ipip_tests::wait;

const FOLLOW: Duration = Duration::from_secs(10);
/// How often the far ends are asked.
const KEEPALIVE: &str = "100ms,3";
/// Each host's second address.
const SECOND: [&str; 2] = ["172.16.10.3", "152.16.10.3"];
/// How long the load lasts, seconds, unless `IPIP_LOAD` says otherwise.
const LOAD: u64 = 60;

fn running(daemon: &Daemon<'_>, name: &str) -> bool {
    daemon.tunnel(name)["running"] == true
}

fn wait_for(daemons: [&Daemon<'_>; 2], name: &str, is_running: bool) {
    wait::until_true(&format!("{name} runs: {is_running}"), FOLLOW, || {
        daemons.iter().all(|daemon| running(daemon, name) == is_running)
    });
}

/// Packets that a tunnel has taken out of its other end.
fn received(daemon: &Daemon<'_>, name: &str) -> u64 {
    ["xdp", "tc"].into_iter().map(|tier| daemon.counter(name, tier, "received-packets")).sum()
}

/// Sends datagrams from the client to the server, and returns how many never arrived.
fn lost(sites: &Sites, count: u32, meanwhile: impl FnOnce()) -> usize {
    let pace = (count, 100, Duration::from_millis(5));
    paced_udp(&sites.client, (&sites.server, Sites::SERVER), pace, meanwhile).len()
}

/// The second tunnel, and both sites' routes: the first tunnel as long as it has carrier.
fn second_tunnel(world: &Tunnelled<'_>) {
    let sites = world.sites;
    for (host, daemon, [local, remote], network) in [
        (&sites.host1, &world.near, SECOND, Sites::SERVERS),
        (&sites.host2, &world.far, [SECOND[1], SECOND[0]], Sites::CLIENTS),
    ] {
        host.address("wan0", &format!("{local}/24"));
        daemon.run(&format!(
            "add ipip2 --local-address {local} --remote-address {remote} --keepalive {KEEPALIVE}"
        ));
        host.set("net.ipv4.conf.all.ignore_routes_with_linkdown", "1");
        host.run(&format!("ip route replace {network} dev ipip2 metric 20"));
        host.run(&format!("ip route del {network} dev ipip1"));
        host.run(&format!("ip route add {network} dev ipip1 metric 10"));
    }
    let daemons = [&world.near, &world.far];
    for name in ["ipip1", "ipip2"] {
        wait_for(daemons, name, true);
        wait::until_true("both ends are answered", FOLLOW, || {
            daemons.iter().all(|daemon| daemon.tunnel(name)["liveness"]["state"] == "alive")
        });
    }
}

#[test]
fn k1_traffic_moves_to_the_second_tunnel_and_back() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, &format!("--keepalive {KEEPALIVE}"), |world| {
        second_tunnel(world);
        let (sites, daemons) = (world.sites, [&world.near, &world.far]);
        let at_first = received(&world.far, "ipip2");
        assert_eq!(lost(sites, 200, || ()), 0);
        // Nothing but probes.
        assert!(received(&world.far, "ipip2") < at_first + 100);

        // By itself the kernel would let a second pass after this before it acts on another carrier that is gone.
        if need::kernel() >= (6, 8) {
            connect_hosts((&sites.host1, "other0"), (&sites.host2, "other0"));
            sites.host2.run("ip link set other0 down");
        }
        // The underlay loses what is for the first far end, and what it sends, and tells nobody.
        for end in [Sites::HOST1, Sites::HOST2] {
            sites.router.run(&format!("ip route add blackhole {end}/32"));
        }
        wait_for(daemons, "ipip1", false);
        let before = received(&world.far, "ipip2");
        assert_eq!(lost(sites, 200, || ()), 0, "{}", world.near.run("print detail"));
        assert!(received(&world.far, "ipip2") >= before + 200);
        assert!(running(&world.near, "ipip2"));

        for end in [Sites::HOST1, Sites::HOST2] {
            sites.router.run(&format!("ip route del blackhole {end}/32"));
        }
        wait_for(daemons, "ipip1", true);
        let before = received(&world.far, "ipip1");
        assert_eq!(lost(sites, 200, || ()), 0);
        assert!(received(&world.far, "ipip1") >= before + 200);

        // In the middle of a stream: what is lost is what was sent until the far end was known to be gone.
        let gone = || {
            for end in [Sites::HOST1, Sites::HOST2] {
                sites.router.run(&format!("ip route add blackhole {end}/32"));
            }
        };
        let lost = lost(sites, 600, gone);
        println!("{lost} of 600 packets lost, one each 5 ms, keepalive {KEEPALIVE}");
        assert!((1..400).contains(&lost), "{lost} lost");
    });
}

#[test]
fn k1_full_load_is_no_false_alarm() {
    let Some(ctl) = need::ctl() else { return };
    let seconds = std::env::var("IPIP_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(LOAD);
    tunnelled(&ctl, &format!("--keepalive {KEEPALIVE}"), |world| {
        let daemons = [&world.near, &world.far];
        let is_alive = |daemon: &&Daemon<'_>| daemon.tunnel("ipip1")["liveness"]["state"] == "alive";
        wait::until_true("both are answered", FOLLOW, || daemons.iter().all(is_alive));
        let (sites, is_over) = (world.sites, AtomicBool::new(false));
        let until = Instant::now() + Duration::from_secs(seconds);
        std::thread::scope(|scope| {
            // As much as goes through, forwarded, both ways at once.
            for (from, to) in [
                (&sites.client, (&sites.server, Sites::SERVER)),
                (&sites.server, (&sites.client, Sites::CLIENT)),
            ] {
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        connect(from, to).transfer(32 << 20, |_| ());
                    }
                });
            }
            while Instant::now() < until {
                for daemon in daemons {
                    let tunnel = daemon.tunnel("ipip1");
                    let downs = &tunnel["liveness"]["downs"];
                    if downs != 0 || tunnel["running"] != true {
                        is_over.store(true, Ordering::Relaxed);
                        panic!("a false alarm: {tunnel}");
                    }
                }
                std::thread::sleep(Duration::from_secs(1));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        for daemon in daemons {
            let liveness = daemon.tunnel("ipip1")["liveness"].clone();
            assert_eq!(liveness["downs"], 0, "{liveness}");
            assert!(liveness["probes"].as_u64().unwrap() > seconds * 5, "{liveness}");
            println!("{liveness}");
        }
    });
}
