//! The command that is told of running flags: it hears of what happens, may do what it needs, and stops nothing.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

const FOLLOW: Duration = Duration::from_secs(10);
/// How long a hook may take, and how much later it is seen to have been killed on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(5);

/// Writes an executable file into a directory.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\ncd \"${{0%/*}}\" || exit 1\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Writes the configuration: a tunnel to host2, and this hook.
fn configure(daemon: &Daemon<'_>, hook: &Path) {
    let (local, remote) = (Pair::HOST1, Pair::HOST2);
    let text = format!(
        "hook = \"{}\"\n[[tunnel]]\nname = \"ipip1\"\nlocal-address = \"{local}\"\nremote-address = \"{remote}\"\n\
         keepalive = \"100ms,3\"\nkeepalive-mode = \"reflect\"\n",
        hook.display()
    );
    fs::write(daemon.config(), text).unwrap();
}

/// The directory of the daemon's configuration, which is the hook's too.
fn folder(daemon: &Daemon<'_>) -> PathBuf {
    daemon.config().parent().unwrap().to_owned()
}

/// A daemon on `near` with a hook, and one on the other host that answers it, as soon as the tunnel runs.
fn start<'a>(ctl: &Path, [near, far]: [&'a Netns; 2], hook: &str) -> [Daemon<'a>; 2] {
    let far = Daemon::start(ctl, far);
    far.add(Pair::HOST2, Pair::HOST1, "--keepalive 0");
    let mut near = Daemon::prepare(ctl, near, "");
    let hook = script(&folder(&near), "hook", hook);
    configure(&near, &hook);
    near.restart();
    runs(&near, true);
    wait::until_true("the far end has answered", FOLLOW, || answers(&near) > 0);
    [near, far]
}

fn runs(daemon: &Daemon<'_>, running: bool) {
    wait::until_true(&format!("running is {running}"), FOLLOW, || {
        daemon.tunnel("ipip1")["running"] == running
    });
}

fn answers(daemon: &Daemon<'_>) -> u64 {
    daemon.tunnel("ipip1")["liveness"]["answers"].as_u64().unwrap_or_default()
}

/// Waits until a file has so many lines, and returns them.
fn lines(file: &Path, count: usize) -> Vec<String> {
    wait::until(&format!("{count} lines in {}", file.display()), FOLLOW, || {
        let lines: Vec<String> = fs::read_to_string(file).ok()?.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

fn is_logged(daemon: &mut Daemon<'_>, text: &str, limit: Duration) {
    let until = Instant::now() + limit;
    while !daemon.log().contains(text) {
        assert!(Instant::now() < until, "not logged: {text}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What it is told, and that it can change routes.
#[test]
fn k1_a_hook_hears_of_a_far_end_that_dies_and_returns() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let hook = "echo \"$1|$2|$3|$IPIP_TUNNEL|$IPIP_RUNNING|$IPIP_REASON\" >> told
        if [ $2 = down ]; then ip route add 192.0.2.0/24 via 10.9.0.2; else ip route del 192.0.2.0/24; fi 2>> errors
        echo $? >> codes";
    let [mut near, far] = start(&ctl, [&pair.host1, &pair.host2], hook);
    let folder = folder(&near);
    // The first one is that of the start.
    assert_eq!(lines(&folder.join("told"), 1), ["ipip1|up||ipip1|yes|"]);
    lines(&folder.join("codes"), 1);

    far.run("disable ipip1");
    let reason = "10.9.0.2 does not answer (keepalive 100ms,3)";
    let told = lines(&folder.join("told"), 2);
    assert_eq!(told[1], format!("ipip1|down|{reason}|ipip1|no|{reason}"));
    let codes = lines(&folder.join("codes"), 2);
    assert_eq!(codes[1], "0", "{}", fs::read_to_string(folder.join("errors")).unwrap_or_default());
    assert!(pair.host1.run("ip route show 192.0.2.0/24").contains("via 10.9.0.2"));

    far.run("enable ipip1");
    assert_eq!(lines(&folder.join("told"), 3)[2], "ipip1|up||ipip1|yes|");
    assert_eq!(lines(&folder.join("codes"), 3)[2], "0");
    assert_eq!(pair.host1.run("ip route show 192.0.2.0/24"), "");

    // The next daemon tells what is other than it was, and nothing else.
    near.kill();
    near.restart();
    runs(&near, true);
    near.kill();
    far.run("disable ipip1");
    near.restart();
    assert_eq!(lines(&folder.join("told"), 4)[3], format!("ipip1|down|{reason}|ipip1|no|{reason}"));

    // A tunnel that goes is told of, if it ran.
    far.run("enable ipip1");
    lines(&folder.join("told"), 5);
    near.run("remove ipip1");
    let reason = "its interface was removed";
    assert_eq!(lines(&folder.join("told"), 6)[5], format!("ipip1|down|{reason}|ipip1|no|{reason}"));
}

#[test]
fn k1_a_hook_that_fails_hangs_or_is_not_there_stops_nothing() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, far] = start(&ctl, [&pair.host1, &pair.host2], "exit 3");
    let hook = folder(&near).join("hook");
    is_logged(
        &mut near,
        &format!("hook {}: tunnel ipip1: it failed (exit status: 3)", hook.display()),
        FOLLOW,
    );

    // One that hangs, with what it started, while the tunnel comes, goes and comes again.
    let slow = script(
        &folder(&near),
        "slow",
        "echo $2 >> heard; [ $2 = up ] && exit; sleep 600 & echo $! > child; wait",
    );
    configure(&near, &slow);
    near.run("reload");
    far.run("disable ipip1");
    runs(&near, false);
    let heard = folder(&near).join("heard");
    assert_eq!(lines(&heard, 1), ["down"]);
    let began = Instant::now();
    let child: u32 = lines(&folder(&near).join("child"), 1)[0].parse().unwrap();
    far.run("enable ipip1");
    runs(&near, true);
    let before = answers(&near);
    wait::until_true("probes go on", FOLLOW, || answers(&near) > before + 10);
    near.run("set ipip1 comment=there");
    assert!(began.elapsed() < PATIENCE, "too slow a machine for this test: {:?}", began.elapsed());
    assert_eq!(lines(&heard, 1), ["down"], "it is called for one change after the other");
    let killed = format!("hook {}: tunnel ipip1: it took longer than 10 s, and was killed", slow.display());
    is_logged(&mut near, &killed, PATIENCE + SLACK);
    let process = PathBuf::from(format!("/proc/{child}/stat"));
    wait::until_true("what it started is gone", FOLLOW, || {
        fs::read_to_string(&process).map_or(true, |state| state.contains(") Z "))
    });
    // What has happened meanwhile is told then.
    assert_eq!(lines(&heard, 2), ["down", "up"]);
    assert_eq!(near.tunnel("ipip1")["liveness"]["downs"], 1);

    // None: told of when it is set, and when it should be called.
    let none = folder(&near).join("none");
    configure(&near, &none);
    near.run("reload");
    is_logged(&mut near, &format!("hook {}: No such file or directory", none.display()), FOLLOW);
    far.run("disable ipip1");
    runs(&near, false);
    is_logged(&mut near, &format!("hook {}: tunnel ipip1: No such file", none.display()), FOLLOW);
    far.run("enable ipip1");
    runs(&near, true);
}

/// What it says of a command that it can no longer reach, and that the next daemon can.
#[test]
fn k1_a_hook_out_of_reach_is_explained_and_works_after_a_restart() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let [mut near, far] = start(&ctl, [&pair.host1, &pair.host2], "exit 0");
    let status: serde_json::Value = serde_json::from_str(&near.run("status --json")).unwrap();
    assert_ne!(status["files-closed"], "no", "this kernel has no Landlock, or does not use it (lsm=)");
    let elsewhere = tempfile::TempDir::with_prefix("ipip-hook").unwrap();
    let route = "[ $2 = down ] && ip route add 192.0.2.0/24 via 10.9.0.2";
    let hook = script(elsewhere.path(), "hook", route);
    configure(&near, &hook);
    near.run("reload");
    let why = "Permission denied: it or its interpreter lies where the daemon cannot read";
    is_logged(&mut near, &format!("hook {}: {why}", hook.display()), FOLLOW);
    is_logged(&mut near, "start the daemon again (systemctl restart ipip; traffic goes on)", FOLLOW);
    far.run("disable ipip1");
    is_logged(&mut near, &format!("hook {}: tunnel ipip1: {why}", hook.display()), FOLLOW);
    far.run("enable ipip1");
    runs(&near, true);

    near.stop();
    near.restart();
    assert!(!near.log().contains("Permission denied"), "{}", near.log());
    far.run("disable ipip1");
    wait::until_true("the hook's route", FOLLOW, || {
        pair.host1.run("ip route show 192.0.2.0/24").contains("via 10.9.0.2")
    });
}
