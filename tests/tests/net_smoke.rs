//! The least that must work on every kernel: two hosts, a tunnel, a ping. Needs `ip`, `ping` and our programs.

use ipip_tests::need;
use ipip_tests::sites::connected;
use ipip_tests::topology::Pair;

#[test]
fn a_ping_passes_through_a_tunnel() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, far] = connected(&ctl, &pair);
    let report = pair.host1.run("ping -c 20 -i 0.05 -W 2 192.168.50.2");
    assert!(report.contains(" 0% packet loss"), "{report}");
    for (daemon, name) in [(&near, "near"), (&far, "far")] {
        let tiers = ["xdp", "tc", "daemon"];
        let sum = |counter| tiers.iter().map(|tier| daemon.counter("ipip1", tier, counter)).sum::<u64>();
        assert_eq!(
            (sum("sent-packets"), sum("received-packets")),
            (20, 20),
            "{name}: {}",
            daemon.run("print detail")
        );
        assert_eq!(sum("sent-bytes"), 20 * 84, "{name}: bytes are those of the inner packets");
    }
    // Where the kernel has no links for it, the port's program is a filter. It comes back when somebody takes it away.
    let _ = pair.host1.command("tc").args(["qdisc", "del", "dev", "wan0", "clsact"]).output();
    let answers = || {
        let ping = pair.host1.command("ping").args(["-c", "1", "-W", "1", "192.168.50.2"]).output();
        ping.is_ok_and(|ping| ping.status.success())
    };
    ipip_tests::wait::until_true("the far end answers", std::time::Duration::from_secs(10), answers);
    // The next daemon puts its own program there.
    near.kill();
    near.restart();
    let serves = || near.port("wan0")["tiers"] == serde_json::json!(["tc"]);
    ipip_tests::wait::until_true("tier 2 serves", std::time::Duration::from_secs(10), serves);
    assert!(!near.log().contains("attaching"), "{}", near.log());
    assert!(answers());
    near.run("remove ipip1");
    assert!(near.tunnels().is_empty());
    assert_eq!(pair.host1.find_link("ipip1"), None, "the interface is gone");
}
