//! `ipip-ctl stop`: what is left afterwards, and what is not.

use std::time::Duration;

use ipip_tests::ctl::{Daemon, answer};
use ipip_tests::need;
use ipip_tests::process::Running;
use ipip_tests::topology::Pair;

/// The process is gone when the command returns.
const AT_ONCE: Duration = Duration::from_millis(500);

#[test]
fn stop_leaves_the_tunnels_and_purge_removes_them() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");

    assert_eq!(daemon.run("stop"), "stopped; tunnels go on without the daemon\n");
    assert!(daemon.wait(AT_ONCE).success());
    assert!(pair.host1.find_link("ipip1").is_some() && daemon.pins().exists());
    daemon.refuses("stop", 4);

    daemon.restart();
    assert_eq!(daemon.run("stop --purge --json"), "{\"schema\":1,\"stopped\":true,\"purged\":true}\n");
    assert!(daemon.wait(AT_ONCE).success());
    assert!(pair.host1.find_link("ipip1").is_none() && !daemon.pins().exists());
}

#[test]
fn purge_removes_what_a_dead_daemon_left() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let purge = format!("stop --purge --pin-dir {}", daemon.pins().display());
    let config = std::fs::read_to_string(daemon.config()).unwrap();
    daemon.kill();
    daemon.run(&purge);
    assert!(pair.host1.find_link("ipip1").is_none() && !daemon.pins().exists());
    assert_eq!(std::fs::read_to_string(daemon.config()).unwrap(), config, "the configuration stays");
    // There is nothing left to remove, which is no failure.
    daemon.run(&purge);
    daemon.restart();
    assert!(pair.host1.find_link("ipip1").is_some());
}

#[test]
fn purge_does_not_take_a_daemon_s_tunnels_away_behind_its_back() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let mut command = pair.host1.command(&ctl);
    command.args(["stop", "--purge", "--socket", "/nonexistent/ipip.sock", "--pin-dir"]).arg(daemon.pins());
    let refused = answer(&mut command);
    refused.is_failure(7);
    assert!(refused.errors.contains("another daemon"), "{}", refused.errors);
    assert!(daemon.tunnel("ipip1")["running"] == true);

    // Two at once: the one that comes late finds nobody.
    let stop = || {
        let mut command = pair.host1.command(&ctl);
        Running::start(command.arg("stop").arg("--socket").arg(daemon.socket()))
    };
    let (mut first, mut second) = (stop(), stop());
    let codes = [first.wait(Duration::from_secs(20)).code(), second.wait(Duration::from_secs(20)).code()];
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(daemon.wait(AT_ONCE).success());
}
