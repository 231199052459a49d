//! The daemon may die and come back: what it built in the kernel goes on without it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::sites::{Carried, connected, tunnelled};
use ipip_tests::topology::{Pair, Sites};
use ipip_tests::traffic::{connect, paced_udp, tcp};
use ipip_tests::wait;

const MEGABYTE: usize = 1 << 20;
const SERVER_END: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 168, 50, 2);
/// Five thousand datagrams in ten seconds.
const STREAM: (u32, usize, Duration) = (5000, 200, Duration::from_millis(2));
const LENGTH: Duration = Duration::from_secs(10);

#[test]
fn a_transfer_goes_on_when_both_daemons_are_killed() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        for (client, server) in
            [(&sites.client, (&sites.server, Sites::SERVER)), (&sites.host1, (&sites.host2, SERVER_END))]
        {
            let before = Carried::read(&world.near);
            let size = 64 * MEGABYTE;
            connect(client, server).transfer(size, |arrived| {
                let has_begun = || arrived.load(Ordering::Relaxed) > MEGABYTE;
                wait::until_true("the transfer has begun", Duration::from_secs(10), has_begun);
                world.near.kill();
                world.far.kill();
                assert!(arrived.load(Ordering::Relaxed) < size, "it was over before the daemons died");
            });
            tcp(client, server, MEGABYTE);
            world.near.restart();
            world.far.restart();
            let carried = Carried::read(&world.near).since(&before);
            assert!(carried.all() > 40_000, "the counters went on: {carried:?}");
            tcp(client, server, MEGABYTE);
        }
    });
}

#[test]
fn no_packet_is_lost_while_daemons_die_and_return() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        for (client, server) in
            [(&sites.client, (&sites.server, Sites::SERVER)), (&sites.host1, (&sites.host2, SERVER_END))]
        {
            let before = Carried::read(&world.far);
            let started = Instant::now();
            let lost = paced_udp(client, server, STREAM, || {
                for _ in 0..2 {
                    world.near.kill();
                    world.far.kill();
                    world.near.restart();
                    world.far.restart();
                }
                assert!(started.elapsed() < LENGTH, "the restarts took longer than the stream");
            });
            assert_eq!(lost, [0; 0], "{}", world.far.run("print detail"));
            let carried = Carried::read(&world.far).since(&before);
            assert!(carried.all() >= 5000, "{carried:?}");
        }
    });
}

#[test]
fn a_restarted_daemon_takes_over_what_is_pinned() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let pins = |daemon: &Daemon<'_>| names(&daemon.pins());
        let (tunnel, pinned) = (world.near.tunnel("ipip1"), pins(&world.near));
        let index = world.sites.host1.link("ipip1").index;
        assert!(!pinned.is_empty());
        world.near.kill();
        assert_eq!(pins(&world.near), pinned, "what was pinned outlives the daemon");
        world.near.restart();
        wait::until_true("the tunnel runs", Duration::from_secs(10), || {
            world.near.tunnel("ipip1")["running"] == true
        });
        assert_eq!(pins(&world.near), pinned, "nothing was pinned twice");
        assert_eq!(world.sites.host1.link("ipip1").index, index, "the interface is the same");
        for property in ["local-address", "remote-address", "mtu", "actual-mtu", "dscp", "clamp-tcp-mss"] {
            assert_eq!(world.near.tunnel("ipip1")[property], tunnel[property], "{property}");
        }
    });
}

#[test]
fn a_daemon_that_is_stopped_leaves_its_tunnels_and_remove_ends_them() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, _far] = connected(&ctl, &pair);
    near.stop();
    let report = pair.host1.run("ping -c 10 -i 0.05 -W 2 192.168.50.2");
    assert!(report.contains(" 0% packet loss"), "{report}");
    near.restart();
    let report = pair.host2.run("ping -c 10 -i 0.05 -W 2 192.168.50.1");
    assert!(report.contains(" 0% packet loss"), "{report}");
    near.run("remove ipip1");
    assert_eq!(pair.host1.find_link("ipip1"), None);
    near.kill();
    near.restart();
    assert!(near.tunnels().is_empty(), "it stays removed");
}

#[test]
fn an_interface_that_the_user_has_set_down_stays_down() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "");
    near.run("add later --local-address 10.9.0.1 --remote-address 10.9.0.3 --disabled yes");
    let is_up = |name: &str| pair.host1.link(name).flags.iter().any(|flag| flag == "UP");
    assert!(is_up("ipip1") && !is_up("later"));
    pair.host1.run("ip link set ipip1 down");
    near.kill();
    near.restart();
    assert!(!is_up("ipip1") && !is_up("later"));
    // Its first time comes later.
    near.run("enable later");
    assert!(is_up("later"));
    pair.host1.run("ip link set ipip1 up");
    near.kill();
    near.restart();
    assert!(is_up("ipip1") && is_up("later"));
}

/// Everything under a directory, sorted.
fn names(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten()
        {
            found.push(entry.path());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
