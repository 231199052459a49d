//! Tunnels with `ipsec-secret`: strongSwan's IKE daemon at both ends, and the kernel's own ipip at the far one.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ipip_tests::charon::Charon;
use ipip_tests::ctl::Daemon;
use ipip_tests::inside::{Family, number};
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::sites::Capture;
use ipip_tests::topology::Pair;
use ipip_tests::traffic::tcp;
use ipip_tests::wait;

const SECRET: &str = "not-to-be-shown-anywhere";
/// Addresses of the tunnel's interfaces.
const NEAR: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 1);
/// See [`NEAR`].
const FAR: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 2);
/// Bytes of a transfer.
const TRANSFER: usize = 200_000;
/// How long IKE may take, emulated.
const KEYS: Duration = Duration::from_mins(5);

/// What the kernel and strongSwan need of this machine.
fn needs() -> Option<(PathBuf, PathBuf)> {
    let (ctl, tree) = (need::ctl()?, need::strongswan()?);
    let modules = ["overlay", "ipip", "esp4", "xfrm_user"];
    modules.into_iter().all(need::module).then_some((ctl, tree))
}

/// The far end's share, for any implementation that reads such settings.
fn far_settings() -> String {
    let [near, far] = Pair::ends(false);
    format!(
        "connections {{ far {{\n local_addrs = {far}\n remote_addrs = {near}\n version = 2\n\
         local {{ auth = psk\n id = {far} }}\n remote {{ auth = psk\n id = {near} }}\n\
         children {{ far {{ mode = transport\n local_ts = {far}/32[4]\n remote_ts = {near}/32[4]\n\
         start_action = trap }} }} }} }}\n secrets {{ ike-far {{ secret = {SECRET} }} }}\n",
    )
}

fn runs(near: &Daemon<'_>) -> bool {
    near.tunnel("ipip1")["running"] == true
}

#[track_caller]
fn wait_for_keys(near: &mut Daemon<'_>, charons: &[&Charon<'_>]) {
    let end = std::time::Instant::now() + KEYS;
    while !runs(near) {
        if std::time::Instant::now() > end {
            let logs: Vec<String> = charons.iter().map(|charon| charon.log()).collect();
            panic!("{}\n{}\n{}", near.tunnel("ipip1"), near.log(), logs.join("\n---\n"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A secret as a person would write it.
fn secret_file(near: &Daemon<'_>) -> PathBuf {
    let file = near.config().with_file_name("berlin.psk");
    fs::write(&file, format!("{SECRET}\n")).expect("writing the secret");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("setting its mode");
    file
}

/// Nothing that a person or a program sees has the secret.
#[track_caller]
fn is_hidden(near: &mut Daemon<'_>) {
    let file = fs::read_to_string(near.config()).expect("the configuration");
    let mut shown = vec![file, near.log()];
    let lines = [
        "print detail",
        "print --json",
        "export",
        "export --routeros",
        "status",
        "events --no-follow --json",
    ];
    shown.extend(lines.map(|line| near.run(line)));
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn pings(from: &Netns, to: &str) -> bool {
    let words = to.split_whitespace();
    let output = from.command("ping").args(["-c", "3", "-W", "2"]).args(words).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn ipsec_with_the_kernels_ipip_at_the_far_end() {
    let Some((ctl, tree)) = needs() else { return };
    let pair = Pair::new();
    let mut near = Daemon::start(&ctl, &pair.host1);
    let file = secret_file(&near);
    let [local, remote] = Pair::ends(false);
    near.run(&format!(
        "add ipip1 --local-address {local} --remote-address {remote} --ipsec-secret-file {} --keepalive 0",
        file.display()
    ));
    // Nobody agrees on keys yet: it is there, and does not run.
    wait::until_true("it says that there is no IKE daemon", KEYS, || {
        near.tunnel("ipip1")["reason"].as_str().is_some_and(|reason| reason.contains("no IKE daemon"))
    });
    let wire = Capture::start(&pair.host1, "wan0", "ipsec", "ip and not udp");
    let mut here = Charon::start(&tree, &pair.host1, &near.vici());
    let there = Charon::start(&tree, &pair.host2, &near.vici().with_extension("far"));
    there.load(&far_settings());
    pair.host2.run(&format!("ip link add peer0 type ipip local {remote} remote {local}"));
    pair.host2.run("ip link set peer0 up mtu 1422");
    wait_for_keys(&mut near, &[&here, &there]);
    number([(&pair.host1, "ipip1"), (&pair.host2, "peer0")], &[Family::V4]);
    assert_eq!(near.tunnel("ipip1")["actual-mtu"], 1422);
    // Through two daemons and ESP, emulated, the last answer needs the second that ping waits with this interval.
    for (host, to) in [(&pair.host1, "192.168.50.2"), (&pair.host2, "192.168.50.1")] {
        assert!(pings(host, &format!("-M do -s 1394 {to}")));
        assert!(pings(host, to));
    }
    tcp(&pair.host1, (&pair.host2, FAR), TRANSFER);
    tcp(&pair.host2, (&pair.host1, NEAR), TRANSFER);
    wait::until_true("tier 3 has counted", KEYS, || near.counter("ipip1", "daemon", "sent-packets") > 50);
    assert!(near.counter("ipip1", "daemon", "received-packets") > 50);
    assert_eq!(
        near.counter("ipip1", "tc", "sent-packets") + near.counter("ipip1", "xdp", "received-packets"),
        0
    );
    is_hidden(&mut near);
    // A daemon that starts again goes on with the keys that are there.
    near.kill();
    // Nobody takes what the far end sends meanwhile, and nobody says so in the clear.
    assert!(!pings(&pair.host2, "192.168.50.1"));
    near.restart();
    wait_for_keys(&mut near, &[&here, &there]);
    assert!(pings(&pair.host1, "192.168.50.2"));
    // Without IKE daemon there are no keys, and nothing goes in the clear.
    here.stop();
    wait::until_true("it does not run any more", KEYS, || !runs(&near));
    assert!(!pings(&pair.host1, "192.168.50.2"));
    here.restart();
    wait_for_keys(&mut near, &[&here, &there]);
    wait::until_true("packets pass again", KEYS, || pings(&pair.host1, "192.168.50.2"));
    let protocols: Vec<String> = wire.fields(&["ip.proto"]).into_iter().flatten().collect();
    assert!(protocols.len() > 100, "{}", protocols.len());
    let others: Vec<&String> = protocols.iter().filter(|protocol| *protocol != "50").collect();
    assert!(others.is_empty(), "not ESP: {others:?}");

    // A far end that sends in the clear is not heard.
    let before = near.counter("ipip1", "daemon", "received-packets");
    pair.host2.run("ip xfrm policy flush");
    assert!(!pings(&pair.host2, "192.168.50.1"));
    let refused = |tier| near.refused("ipip1", tier, "unprotected");
    assert!(refused("xdp") + refused("tc") >= 3, "{}", near.tunnel("ipip1"));
    assert_eq!(near.counter("ipip1", "daemon", "received-packets"), before);

    // What is removed is forgotten.
    near.run("remove ipip1");
    wait::until_true("the IKE daemon has forgotten it", KEYS, || {
        !here.swanctl("--list-conns").contains("ipip1")
    });
}
