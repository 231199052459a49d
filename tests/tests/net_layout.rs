//! A daemon takes over from one whose maps have another layout, as after an upgrade, or a downgrade, under traffic.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::time::Duration;

use ipip_common::abi::ABI_VERSION;
use ipip_tests::ctl::Daemon;
use ipip_tests::sites::{Carried, tunnelled};
use ipip_tests::topology::{Pair, Sites};
use ipip_tests::traffic::paced_udp;
use ipip_tests::{need, wait};

const SERVER_END: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 168, 50, 2);
/// For long enough that a daemon which starts is a small part of it.
const STREAM: (u32, usize, Duration) = (6000, 200, Duration::from_millis(3));
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn no_packet_is_lost_when_the_layout_changes_up_and_down() {
    let Some(ctl) = need::ctl() else { return };
    tunnelled(&ctl, "", |world| {
        let sites = world.sites;
        let index = sites.host1.link("ipip1").index;
        for (other, (client, server)) in [
            (ABI_VERSION - 1, (&sites.client, (&sites.server, Sites::SERVER))),
            (ABI_VERSION + 1, (&sites.host1, (&sites.host2, SERVER_END))),
        ] {
            let before = Carried::read(&world.far);
            let lost = paced_udp(client, server, STREAM, || {
                let daemon = &mut world.near;
                daemon.kill();
                // What a daemon of another layout leaves is the same but for the directory.
                let [own, old] = [ABI_VERSION, other].map(|layout| daemon.layout(layout));
                fs::rename(&own, &old).unwrap();
                daemon.restart();
                assert!(daemon.log().contains(&format!("layout {other}")), "{}", daemon.log());
                assert!(own.exists() && !old.exists(), "the other layout's maps are gone");
                wait::until_true("the tunnel runs", LIMIT, || daemon.tunnel("ipip1")["running"] == true);
            });
            assert_eq!(lost, [0; 0], "from layout {other}: {}", world.near.run("print detail"));
            assert_eq!(sites.host1.link("ipip1").index, index, "the interface is the same");
            // Both directions are carried by the new programs, which have counted from zero.
            sites.client.run("ping -c 20 -i 0.02 -W 2 192.168.20.2");
            wait::until_true("the new programs carry", LIMIT, || Carried::read(&world.near).all() >= 20);
            assert!(Carried::read(&world.far).since(&before).all() >= 6000);
        }
    });
}

#[test]
fn tunnels_whose_descriptors_nobody_keeps_are_known_in_another_layout() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    wait::until_true("it is up", LIMIT, || is_up(&pair));
    pair.host1.run("ip address add 192.168.50.1/30 dev ipip1");
    pair.host1.run("ip link set ipip1 down");
    let index = pair.host1.link("ipip1").index;
    for other in [ABI_VERSION - 1, ABI_VERSION + 1] {
        leave_as(&mut daemon, other);
        daemon.restart();
        assert_eq!(daemon.tunnel("ipip1")["reason"], "its interface is down");
        assert_eq!(pair.host1.link("ipip1").index, index, "the interface is the same");
        let addresses = pair.host1.run("ip -oneline address show dev ipip1");
        assert!(addresses.contains("192.168.50.1/30"), "{addresses}");
        assert!(!is_up(&pair), "the user set it down");
    }
    leave_as(&mut daemon, ABI_VERSION - 1);
    let purge = format!("stop --purge --pin-dir {}", daemon.pins().display());
    daemon.run(&purge);
    assert_eq!(pair.host1.find_link("ipip1"), None);
    assert!(!daemon.pins().exists());
}

/// Of a far end that is gone and of one that is there, the new daemon knows as much as the old one did; it asks them when its
/// programs take the answers.
#[test]
fn what_is_known_of_far_ends_is_known_in_another_layout() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (mut near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 50ms,3");
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 50ms,3");
    near.run("add gone --local-address 10.9.0.1 --remote-address 10.9.0.77 --keepalive 50ms,3 --keepalive-mode echo");
    let state = |near: &Daemon<'_>, name: &str| near.tunnel(name)["liveness"]["state"].clone();
    wait::until_true("both are known", LIMIT, || {
        state(&near, "ipip1") == "alive" && state(&near, "gone") == "dead"
    });
    let changes = || ["ipip1", "gone"].map(|name| pair.host1.carrier_changes(name));
    for other in [ABI_VERSION - 1, ABI_VERSION + 1] {
        let before = changes();
        let answers = near.tunnel("ipip1")["liveness"]["answers"].as_u64().expect("a number");
        near.kill();
        fs::rename(near.layout(ABI_VERSION), near.layout(other)).expect("moving the pins");
        near.restart();
        let liveness = near.tunnel("ipip1")["liveness"].clone();
        assert!(liveness["answers"].as_u64() >= Some(answers), "{liveness}");
        assert_eq!(
            (&liveness["state"], state(&near, "gone")),
            (&"alive".into(), "dead".into()),
            "{liveness}"
        );
        // Long enough for silence to be taken for something.
        wait::until_true("it is asked", LIMIT, || {
            near.tunnel("ipip1")["liveness"]["answers"].as_u64() > Some(answers + 10)
        });
        assert_eq!(changes(), before, "carrier came or went");
    }
}

fn is_up(pair: &Pair) -> bool {
    pair.host1.link("ipip1").flags.iter().any(|flag| flag == "UP")
}

/// The daemon and whoever keeps descriptors for it end, and what they leave is of another layout.
fn leave_as(daemon: &mut Daemon<'_>, other: u32) {
    daemon.kill();
    daemon.end_keeper();
    fs::rename(daemon.layout(ABI_VERSION), daemon.layout(other)).expect("moving the pins");
}

#[test]
fn tunnels_of_another_layout_that_are_not_configured_are_removed() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    daemon.kill();
    fs::rename(daemon.layout(ABI_VERSION), daemon.layout(ABI_VERSION + 1)).unwrap();
    fs::write(daemon.config(), "").unwrap();
    daemon.restart();
    assert_eq!(pair.host1.find_link("ipip1"), None);
    daemon.run("stop --purge");
    assert!(!daemon.pins().exists());
}
