//! What a tunnel says when it cannot run, and what it answers when a packet may not go in.

use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, number};
use ipip_tests::need;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

const FOLLOW: Duration = Duration::from_secs(10);

/// Waits until the tunnel gives this reason for not running; an empty one means that it runs.
fn wait_for_reason(daemon: &Daemon<'_>, reason: &str) {
    wait::until_true(&format!("reason `{reason}`"), FOLLOW, || {
        let tunnel = daemon.tunnel("ipip1");
        tunnel["reason"] == reason && tunnel["running"] == reason.is_empty()
    });
}

/// conformance: H16
#[test]
fn a_local_address_that_is_not_there_is_named_and_waited_for() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    for (local, remote, interface) in
        [("10.9.0.77", "10.9.0.2", "/24"), ("2001:db8:9::77", "2001:db8:9::2", "/64")]
    {
        near.run(&format!("add ipip1 --local-address {local} --remote-address {remote}"));
        let reason = format!("local-address {local} is not an address of this host");
        wait_for_reason(&near, &reason);
        pair.host1.address("wan0", &format!("{local}{interface}"));
        wait_for_reason(&near, "");
        pair.host1.run(&format!("ip address del {local}{interface} dev wan0"));
        wait_for_reason(&near, &reason);
        near.run("remove ipip1");
    }
}

/// Of a tunnel whose ends nobody knows any more, the old ones get nothing either.
#[test]
fn another_remote_without_a_way_ends_the_way_to_the_one_before() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.run("add ipip1 --remote-address 10.9.0.2");
    wait_for_reason(&near, "");
    pair.host1.address("ipip1", "192.168.50.1/30");
    let ping = || {
        let ping =
            pair.host1.command("ping").args(["-c", "3", "-i", "0.1", "-W", "1", "192.168.50.2"]).output();
        assert!(ping.is_ok_and(|ping| !ping.status.success()));
        near.counter("ipip1", "tc", "sent-packets")
    };
    let sent = ping();
    assert!(sent >= 3);
    near.run("set ipip1 remote-address=198.51.100.9 keepalive=0");
    wait_for_reason(&near, "no route to 198.51.100.9");
    let sent = near.counter("ipip1", "tc", "sent-packets");
    assert_eq!(ping(), sent, "{}", near.run("print detail"));
}

/// conformance: L6
#[test]
fn a_route_through_the_tunnel_itself_is_no_way() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "");
    pair.host1.route("10.9.0.2/32 dev ipip1");
    wait_for_reason(&near, "the route to 10.9.0.2 leads through the tunnel itself");
    // What is sent all the same ends at once, and not in the kernel's limit of recursion.
    let ping = pair.host1.command("ping").args(["-c", "2", "-i", "0.1", "-W", "1", "10.9.0.2"]).output();
    assert!(ping.is_ok_and(|ping| !ping.status.success()));
    pair.host1.run("ip route del 10.9.0.2/32 dev ipip1");
    wait_for_reason(&near, "");

    // Where a route without carrier does not count there is another way as soon as carrier is gone; it stays gone.
    pair.host1.set("net.ipv4.conf.all.ignore_routes_with_linkdown", "1");
    pair.host1.set("net.ipv4.conf.ipip1.ignore_routes_with_linkdown", "1");
    pair.host1.route("10.9.0.2/32 dev ipip1");
    let reason = "the route to 10.9.0.2 leads through the tunnel itself";
    wait_for_reason(&near, reason);
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(near.tunnel("ipip1")["reason"], reason);
    }
    pair.host1.run("ip route del 10.9.0.2/32 dev ipip1");
    wait_for_reason(&near, "");
}

/// A socket whose packets bring an encapsulation limit of 0, and the error that comes back for them.
const EXHAUSTED: &str = "
import errno, socket, sys, time
sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 4, 1, int(sys.argv[1]), 1, 1, 0]))
sender.settimeout(5)
sender.connect(('2001:db8:50::2', 4242))
sender.send(b'too deep')
try:
    sender.recv(1)
except OSError as error:
    print(errno.errorcode.get(error.errno, 'none'))
";

/// conformance: L4
#[test]
fn an_exhausted_encapsulation_limit_is_answered() {
    let Some(ctl) = need::ctl() else { return };
    if !need::program("python3") {
        return;
    }
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    let [local, remote] = Pair::ends(true);
    near.add(local, remote, "");
    far.add(remote, local, "");
    number([(&pair.host1, "ipip1"), (&pair.host2, "ipip1")], &[Family::V6]);
    pair.host1.run("ping -c 3 -i 0.1 -W 2 2001:db8:50::2");
    let sent = |limit: &str| {
        let output = pair.host1.command("python3").args(["-c", EXHAUSTED, limit]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    // ICMPv6 Parameter Problem is EPROTO to a socket; Port Unreachable, from the far end, ECONNREFUSED.
    assert_eq!(sent("0"), "EPROTO", "{}", near.run("print detail"));
    assert_eq!(sent("1"), "ECONNREFUSED", "{}", near.run("print detail"));
}
