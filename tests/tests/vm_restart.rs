//! Daemons that die and return where ports have filters instead of links, as on Linux before 6.6.

use std::fs;

use ipip_common::abi::{ABI_VERSION, program};
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::sites::connected;
use ipip_tests::topology::Pair;

/// Whether ports have links (tcx).
fn has_links() -> bool {
    need::kernel() >= (6, 6)
}

/// How many TC programs of ours there are on the port that packets come by.
fn on_port(daemon: &Daemon<'_>, host: &Netns) -> usize {
    if has_links() {
        let index = host.link("wan0").index;
        return daemon.layout(ABI_VERSION).join(format!("{}-{index}", program::TC_PORT)).exists().into();
    }
    let filters = host.run("tc filter show dev wan0 ingress");
    filters.lines().filter(|line| line.contains(program::TC_PORT)).count()
}

fn pings(from: &Netns) -> bool {
    let ping = from.command("ping").args(["-c", "3", "-i", "0.2", "-W", "5", "192.168.50.2"]).output();
    ping.is_ok_and(|ping| ping.status.success())
}

#[test]
fn a_port_has_one_program_whenever_the_daemon_died() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, _far] = connected(&ctl, &pair);
    assert!(pings(&pair.host1));
    assert_eq!(on_port(&near, &pair.host1), 1);

    // Before its last step, and before its first one.
    for is_half_done in [false, true] {
        near.kill();
        if is_half_done && !has_links() {
            pair.host1.run("tc filter del dev wan0 ingress");
        }
        near.restart();
        assert_eq!(on_port(&near, &pair.host1), 1);
        assert!(pings(&pair.host1));
    }

    // Of another layout, which has a port that is none any more.
    near.kill();
    fs::rename(near.layout(ABI_VERSION), near.layout(ABI_VERSION - 1)).expect("moving the pins");
    let config = fs::read_to_string(near.config()).expect("the configuration");
    fs::write(near.config(), format!("interfaces = [\"lan0\"]\n{config}")).expect("writing it");
    near.restart();
    assert_eq!(on_port(&near, &pair.host1), 0);
    near.run("stop --purge");
    assert!(!near.pins().exists());
    assert_eq!(pair.host1.find_link("ipip1"), None);
}
