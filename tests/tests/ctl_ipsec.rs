//! The secrets of IPsec: where they are kept, who sees them, and what goes through a tunnel that has no keys.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::raw::Raw;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

const SECRET: &str = "not-to-be-shown-anywhere";
const FOLLOW: Duration = Duration::from_secs(10);

/// Runs a command line that reads this from standard input; returns its exit code and all that it printed.
fn with_input(
    daemon: &Daemon<'_>,
    ctl: &Path,
    namespace: &Netns,
    line: &str,
    input: &str,
) -> (Option<i32>, String) {
    let mut command = namespace.command(ctl);
    command.arg("--socket").arg(daemon.socket()).args(line.split_whitespace());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting ipip-ctl");
    let mut pipe = child.stdin.take().expect("a pipe");
    // One that reads nothing has closed it.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("waiting for ipip-ctl");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_secret_is_kept_for_root_alone_and_shown_nowhere() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    let mut shown = Vec::new();
    let mut give = |line: &str, input: &str, code: i32| {
        let (found, text) = with_input(&daemon, &ctl, &pair.host1, line, input);
        assert_eq!(found, Some(code), "{line}: {text}");
        shown.push(text);
    };
    let added = format!("add berlin local-address={} remote-address={}", Pair::HOST1, Pair::HOST2);
    let stored = daemon.config().with_file_name("berlin.psk");
    give(&format!("{added} ipsec-secret=- mtu=9"), SECRET, 2);
    give(&format!("{added} ipsec-secret=-"), "", 2);
    give(&format!("{added} ipsec-secret={SECRET}"), "", 2);
    assert!(!stored.exists());
    give(&format!("{added} ipsec-secret=-"), &format!("{SECRET}\n"), 0);
    let found = fs::metadata(&stored).expect("the stored secret");
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, 0));
    // What is refused leaves the old one.
    give("set berlin ipsec-secret=- allow-fast-path=yes", "another", 2);
    assert_eq!(fs::read_to_string(&stored).expect("the secret"), format!("{SECRET}\n"));
    give("set berlin ipsec-secret=-", &format!("{SECRET}-2\n"), 0);
    give("set berlin ipsec-secret=-", &format!("{SECRET}-3\n"), 0);
    assert_eq!(daemon.tunnel("berlin")["ipsec"], true);
    fs::set_permissions(&stored, Permissions::from_mode(0o644)).expect("setting its mode");
    give("reload", "", 0);
    wait::until_true("the mode is told", FOLLOW, || {
        daemon.tunnel("berlin")["reason"].as_str().is_some_and(|reason| reason.contains("chmod 600"))
    });
    daemon.refuses(&format!("add two remote-address=10.9.0.3 ipsec-secret-file={}", stored.display()), 2);
    fs::set_permissions(&stored, Permissions::from_mode(0o600)).expect("setting its mode");
    for line in [
        "print",
        "print detail",
        "print --json",
        "export",
        "export --routeros",
        "status",
        "stats",
        "events --no-follow --json",
    ] {
        give(line, "", 0);
    }
    let text = fs::read_to_string(daemon.config()).expect("the configuration");
    assert!(text.contains(&format!("ipsec-secret-file = \"{}\"", stored.display())), "{text}");
    give("set berlin ipsec-secret=", "", 0);
    assert_eq!(daemon.tunnel("berlin")["ipsec"], false);
    wait::until_true("it runs in the clear, as asked for", FOLLOW, || {
        daemon.tunnel("berlin")["running"] == true
    });
    shown.extend([text, daemon.log()]);
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// An IPv4 header with nothing behind it, from the far end's inner address to the near one's.
const INNER: [u8; 20] = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 59, 0x95, 0x5a, 192, 168, 50, 2, 192, 168, 50, 1];

#[test]
fn without_keys_nothing_goes_in_the_clear() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    pair.host1.forward();
    let daemon = Daemon::start(&ctl, &pair.host1);
    let options = format!("local-address={} remote-address={}", Pair::HOST1, Pair::HOST2);
    let (code, text) =
        with_input(&daemon, &ctl, &pair.host1, &format!("add ipip1 {options} ipsec-secret=-"), SECRET);
    assert_eq!(code, Some(0), "{text}");
    wait::until_true("it says that there is no IKE daemon", FOLLOW, || {
        daemon.tunnel("ipip1")["reason"].as_str().is_some_and(|reason| reason.contains("no IKE daemon"))
    });
    let far = Raw::open(&pair.host2, 4);
    far.send(Pair::HOST1, &INNER);
    let refused =
        || ["xdp", "tc"].map(|tier| daemon.refused("ipip1", tier, "unprotected")).iter().sum::<u64>();
    wait::until_true("what comes in the clear is dropped", FOLLOW, || refused() == 1);
    assert_eq!(daemon.counter("ipip1", "daemon", "received-packets"), 0);
    pair.host1.address("ipip1", "192.168.50.1/30");
    let far_inner = Ipv4Addr::new(192, 168, 50, 2);
    let ping =
        pair.host1.command("ping").args(["-c", "2", "-i", "0.1", "-W", "1", &far_inner.to_string()]).output();
    assert!(!ping.expect("starting ping").status.success());
    assert!(far.receive(Duration::from_millis(300)).is_none());
}
