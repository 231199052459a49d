//! Carrier outlives the daemon: a process keeps the descriptors of the interfaces until there is nothing left to keep.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use ipip_tests::{need, wait};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn carrier_does_not_change_when_the_daemon_dies_and_returns() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let before = pair.host1.carrier_changes("ipip1");
    let keeper = daemon.keeper().expect("a process keeps descriptors");
    for end in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGKILL] {
        daemon.signal(end);
        daemon.wait(LIMIT);
        assert!(has_carrier(&pair.host1), "after {end}");
        daemon.restart();
        wait::until_true("the tunnel runs", LIMIT, || daemon.tunnel("ipip1")["running"] == true);
        assert_eq!(pair.host1.carrier_changes("ipip1"), before, "after {end}");
        assert_eq!(daemon.keeper(), Some(keeper), "it is the same process");
    }
    // The daemon that came back follows the tunnel as the first one did.
    daemon.run("disable ipip1");
    wait::until_true("carrier falls", LIMIT, || !has_carrier(&pair.host1));
    daemon.kill();
    daemon.restart();
    assert!(!has_carrier(&pair.host1), "a disabled tunnel has none after a restart");
    daemon.run("remove ipip1");
    assert_eq!(
        pair.host1.find_link("ipip1"),
        None,
        "the descriptor that is kept does not keep the interface"
    );
}

#[test]
fn keeper_can_do_nothing_and_leaves_with_the_last_interface() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let process = daemon.keeper().expect("a process keeps descriptors");
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(field(set), 16), Ok(0), "{set}");
    }
    assert_eq!((field("NoNewPrivs:"), field("Threads:")), ("1", "1"));

    daemon.kill();
    assert_eq!(daemon.keeper(), Some(process), "it outlives the daemon");
    pair.host1.run("ip link delete ipip1");
    wait::until_true("it leaves with the interface", LIMIT, || daemon.keeper().is_none());

    daemon.restart();
    assert!(daemon.keeper().is_some());
    daemon.run("stop --purge");
    wait::until_true("it leaves with everything", LIMIT, || daemon.keeper().is_none());

    daemon.restart();
    daemon.kill();
    let purge = format!("stop --purge --pin-dir {}", daemon.pins().display());
    daemon.run(&purge);
    wait::until_true("it leaves with what a dead daemon left", LIMIT, || daemon.keeper().is_none());
}

#[test]
fn keeper_leaves_with_the_pins_and_lets_the_namespace_go() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let process = daemon.keeper().expect("a process keeps descriptors");
    daemon.kill();
    // The file system with the pins is unmounted: nobody can take anything over any more.
    drop(daemon);
    wait::until_true("it leaves", LIMIT, || !Path::new(&format!("/proc/{process}")).exists());
}

fn has_carrier(namespace: &Netns) -> bool {
    namespace.link("ipip1").flags.iter().any(|flag| flag == "LOWER_UP")
}
