//! Keepalive between two hosts: the running flag goes with the far end, and comes back with it.

use std::time::{Duration, Instant};

use ipip_ctl::spec::Word;
use ipip_ctl::tunnel::Keepalive;
use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::topology::Pair;
use ipip_tests::wait;
use serde_json::Value;

const FOLLOW: Duration = Duration::from_secs(10);
/// How much later than by the rule something may be seen on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

fn is_running(daemon: &Daemon<'_>) -> bool {
    daemon.tunnel("ipip1")["running"] == true
}

/// Waits until the tunnel runs, or not, and returns how long that took.
fn running_is(daemon: &Daemon<'_>, running: bool, limit: Duration) -> Duration {
    let started = Instant::now();
    wait::until_true(&format!("running is {running}"), limit, || is_running(daemon) == running);
    started.elapsed()
}

fn liveness(daemon: &Daemon<'_>) -> Value {
    daemon.tunnel("ipip1")["liveness"].clone()
}

fn is_answered_by(daemon: &Daemon<'_>, way: &str) {
    let until = Instant::now() + FOLLOW;
    loop {
        let tunnel = daemon.tunnel("ipip1");
        let liveness = &tunnel["liveness"];
        if liveness["answered-by"] == way
            && liveness["answers"].as_u64() > Some(2)
            && tunnel["running"] == true
        {
            return;
        }
        assert!(Instant::now() < until, "no answer by {way}: {tunnel}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn k1_every_kind_is_asked_and_answers() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    for (kind, is_v6, addresses, mode, way) in [
        ("ipip", false, None, "auto", "reflect"),
        ("ipip", false, None, "reflect", "reflect"),
        ("ipip", false, Some(["10.99.0.1/30", "10.99.0.2/30"]), "echo", "echo"),
        ("6in4", false, None, "auto", "echo-link"),
        ("4in6", true, Some(["10.99.0.1/30", "10.99.0.2/30"]), "echo", "echo"),
        ("4in6", true, Some(["10.99.0.1/24", "10.99.0.2/24"]), "reflect", "reflect-own"),
        ("6in6", true, None, "reflect", "reflect"),
        ("6in6", true, None, "auto", "echo-link"),
        ("any", false, None, "reflect", "reflect"),
        ("ipipv6", true, None, "echo", "echo-link"),
    ] {
        pair.host2.forward();
        let [local, remote] = Pair::ends(is_v6);
        far.run(&format!(
            "add ipip1 --kind {kind} --local-address {remote} --remote-address {local} --keepalive 0"
        ));
        near.add(local, remote, &format!("--kind {kind} --keepalive 100ms,5 --keepalive-mode {mode}"));
        if let Some([near, far]) = addresses {
            pair.host1.address("ipip1", near);
            pair.host2.address("ipip1", far);
        }
        is_answered_by(&near, way);
        let liveness = liveness(&near);
        assert_eq!(liveness["state"], "alive", "{kind} {mode}: {liveness}");
        let rtt = liveness["rtt-us"].as_u64().unwrap();
        assert!((1..500_000).contains(&rtt), "{kind} {mode}: {liveness}");
        near.run("remove ipip1");
        far.run("remove ipip1");
    }
}

/// Interval and retries of a setting.
fn read(keepalive: &str) -> (Duration, u32) {
    match Keepalive::try_from(Word::from(keepalive)) {
        Ok(Keepalive::Every { interval, retries, .. }) => (interval, retries),
        Ok(Keepalive::Off) => panic!("{keepalive} asks nothing"),
        Err(failure) => panic!("{failure}"),
    }
}

/// Also with the settings in `IPIP_KEEPALIVE`, which may take longer: `10s,2`.
#[test]
fn k1_a_dead_far_end_is_noticed_in_time_and_so_is_its_return() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 0");
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 0");
    let more = std::env::var("IPIP_KEEPALIVE").unwrap_or_default();
    let settings: Vec<&str> =
        ["50ms,3", "200ms,5", "1s,2"].into_iter().chain(more.split_whitespace()).collect();
    for keepalive in &settings {
        let (interval, retries) = read(keepalive);
        near.run(&format!("set ipip1 --keepalive {keepalive}"));
        is_answered_by(&near, "reflect");
        far.run("disable ipip1");
        let gone = running_is(&near, false, interval * (retries + 1) + SLACK);
        println!("{keepalive}: gone after {gone:?}");
        assert!(gone + interval >= interval * retries, "{keepalive}: gone after {gone:?}");
        let reason = near.tunnel("ipip1")["reason"].as_str().unwrap().to_owned();
        assert_eq!(reason, format!("10.9.0.2 does not answer (keepalive {keepalive})"));
        assert!(pair.host1.run("ip link show ipip1").contains("NO-CARRIER"));
        far.run("enable ipip1");
        let back = running_is(&near, true, interval + SLACK);
        println!("{keepalive}: back after {back:?}");
        assert!(!pair.host1.run("ip link show ipip1").contains("NO-CARRIER"));
    }
    assert_eq!(liveness(&near)["downs"], settings.len());
    assert_eq!(liveness(&near)["ups"], settings.len());
}

/// A far end that answers nothing: its silence means nothing in mode auto, and what it sends counts in mode passive.
#[test]
fn k1_a_far_end_that_never_answered_stays_and_one_that_must_send_does_not() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    pair.host2.set("net.ipv4.icmp_echo_ignore_all", "1");
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 50ms,2");
    wait::until_true("20 probes", FOLLOW, || liveness(&near)["probes"].as_u64() > Some(20));
    let tunnel = near.tunnel("ipip1");
    assert_eq!((&tunnel["running"], &tunnel["liveness"]["state"]), (&true.into(), &"unproved".into()));
    assert_eq!(tunnel["liveness"]["answers"], 0);
    // It never will, where it is asked in one way alone.
    near.run("set ipip1 --keepalive-mode reflect");
    running_is(&near, false, FOLLOW);
    // Asked in every way again, its silence means nothing again.
    near.run("set ipip1 --keepalive-mode auto");
    running_is(&near, true, FOLLOW);
    assert_eq!(liveness(&near)["state"], "unproved");

    near.run("set ipip1 --keepalive 200ms,3 --keepalive-mode passive");
    running_is(&near, false, FOLLOW);
    assert_eq!(near.tunnel("ipip1")["reason"], "nothing comes from 10.9.0.2 (keepalive 200ms,3)");
    let far = Daemon::start(&ctl, &pair.host2);
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 0");
    pair.host2.address("ipip1", "10.99.0.2/30");
    let send = || {
        pair.host2.command("ping").args(["-c", "20", "-i", "0.1", "-W", "1", "10.99.0.1"]).output().unwrap()
    };
    std::thread::scope(|scope| {
        scope.spawn(send);
        running_is(&near, true, FOLLOW);
    });
    running_is(&near, false, FOLLOW);
}

/// A mode that asks in one way has to have one.
#[test]
fn k1_a_far_end_that_cannot_be_asked_is_not_there() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "--kind 6in4 --keepalive 50ms,2 --keepalive-mode reflect");
    running_is(&near, false, FOLLOW);
    let reason = "10.9.0.2 does not answer (keepalive 50ms,2); sending fails: no address to ask from";
    assert_eq!(near.tunnel("ipip1")["reason"], reason);
    near.run("set ipip1 --keepalive-mode auto");
    running_is(&near, true, FOLLOW);
    // It says so where that means nothing too, until there is an address.
    near.run("remove ipip1");
    let [local, remote] = Pair::ends(true);
    near.add(local, remote, "--kind 4in6 --keepalive 50ms,2");
    running_is(&near, true, FOLLOW);
    let trouble = || liveness(&near)["trouble"].clone();
    assert_eq!(trouble(), "no address to ask from");
    let says_so = || near.run("print detail").contains("keepalive-trouble=\"no address to ask from\"");
    assert!(says_so());
    pair.host1.address("ipip1", "10.99.0.1/30");
    wait::until_true("an address to ask from", FOLLOW, || trouble().is_null());
    assert!(!says_so());
}

/// What the far end answered too late, twice, or never, brings nothing back.
#[test]
fn k1_forged_repeated_and_late_answers_do_not_keep_a_dead_tunnel_alive() {
    let Some(ctl) = need::ctl() else { return };
    if !need::program("python3") {
        return;
    }
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 0");
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 100ms,3");
    is_answered_by(&near, "reflect");
    far.run("disable ipip1");
    running_is(&near, false, FOLLOW);
    let before = liveness(&near)["answers"].clone();
    // Whoever holds the far end's address now sees the probes, and sends them back: as they are but later, again and
    // again; and with a bit of the nonce, the time or the number changed.
    let output = pair.host2.command("python3").args(["-c", FORGER]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tunnel = near.tunnel("ipip1");
    assert_eq!((&tunnel["running"], &tunnel["liveness"]["answers"]), (&false.into(), &before), "{tunnel}");
    let refused = tunnel["refused"].as_array().unwrap().iter();
    let bad: u64 =
        refused.filter(|row| row["reason"] == "bad-answer").filter_map(|row| row["packets"].as_u64()).sum();
    assert!(bad >= 15, "{tunnel}");
}

/// Takes probes off the wire for as long as none of them counts any more, and sends what could be made of them.
const FORGER: &str = "
import socket, struct, time
taken = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
taken.settimeout(5)
probes = [taken.recv(200) for _ in range(10)]
time.sleep(0.5)
def outside(packet):
    packet = bytearray(packet)
    packet[8] -= 1
    packet[10:12] = bytes(2)
    return bytes(packet)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for probe in probes:
    inner = probe[20:]
    for bit in (None, 28 + 31, 28 + 16, 28 + 11):
        forged = bytearray(inner)
        if bit is not None:
            forged[bit] ^= 1
        sender.sendto(outside(forged), ('10.9.0.1', 0))
time.sleep(0.5)
";

#[test]
fn k1_nothing_flaps_when_the_daemon_dies_and_returns() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (mut near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 0");
    near.add(Pair::HOST1, Pair::HOST2, "--keepalive 100ms,3 --keepalive-mode reflect");
    is_answered_by(&near, "reflect");
    for far_is_there in [true, false] {
        if !far_is_there {
            far.run("disable ipip1");
            running_is(&near, false, FOLLOW);
        }
        let before = liveness(&near);
        near.kill();
        std::thread::sleep(Duration::from_secs(1));
        near.restart();
        let tunnel = near.tunnel("ipip1");
        assert_eq!(tunnel["running"], far_is_there, "{tunnel}");
        let after = &tunnel["liveness"];
        assert!(after["answers"].as_u64() >= before["answers"].as_u64(), "{after}");
        assert!(after["probes"].as_u64() >= before["probes"].as_u64(), "{after}");
        assert_eq!(
            after["rtt-min-us"].as_u64().min(before["rtt-min-us"].as_u64()),
            after["rtt-min-us"].as_u64()
        );
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(is_running(&near), far_is_there);
    }
    far.run("enable ipip1");
    running_is(&near, true, FOLLOW);
}
