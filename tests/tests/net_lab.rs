//! The lab as a user starts it: what it says, and that it leaves nothing behind.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use ipip_tests::process::Running;
use ipip_tests::{need, wait};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_mins(1);
/// What shells say of a program that Ctrl-C ended.
const INTERRUPTED: Option<i32> = Some(130);

/// Starts the lab in a process group of its own, as a shell does.
fn start(seconds: u32) -> Option<Running> {
    let ctl = need::ctl()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipip-lab"));
    command.arg("--ctl").arg(ctl).args(["--seconds", &seconds.to_string()]);
    Some(Running::start(command.process_group(0)))
}

/// Ctrl-C reaches the whole process group.
fn interrupt(lab: &Running) {
    let group = Pid::from_raw(i32::try_from(lab.id()).expect("a process ID"));
    killpg(group, Signal::SIGINT).expect("sending SIGINT");
}

/// Everything that is named after a lab: namespaces, mounts, files, and processes by their arguments.
fn left_behind(id: u32) -> Vec<String> {
    let (namespace, folder) = (format!("ipip-t{id}-"), format!("ipip-lab-{id}"));
    let names = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten();
    let names = |folder| names(folder).map(|file| file.path().display().to_string());
    let commands = names("/proc").filter_map(|process| fs::read_to_string(process + "/cmdline").ok());
    let mounts = fs::read_to_string("/proc/mounts").expect("reading /proc/mounts");
    let mounts = mounts.lines().map(str::to_owned);
    let all = names("/run/netns").chain(names("/run")).chain(commands).chain(mounts);
    all.filter(|name| name.contains(&namespace) || name.contains(&folder)).collect()
}

fn assert_nothing_left(id: u32, output: &str) {
    // The process that keeps descriptors for the next daemon hears of the end of its pins a moment later.
    let end = Instant::now() + Duration::from_secs(5);
    while !left_behind(id).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = left_behind(id);
    assert!(left.is_empty(), "left behind: {left:#?}\n{output}");
}

#[test]
fn all_traffic_goes_through_the_tunnel() {
    let Some(mut lab) = start(3) else { return };
    let output = lab.succeed(LIMIT);
    for said in [
        "all traffic went through the tunnel: yes",
        "answered, 0 lost",
        "TCP: every byte arrived, and is right",
        "protocol 4 (IP in IP)",
        "R goes after 0.",
        "R is back after 0.",
        "malformed or with a wrong checksum: none",
    ] {
        assert!(output.contains(said), "no `{said}` in:\n{output}");
    }
    assert!(
        output.lines().any(|line| line.starts_with("forwarded ") && line.contains(" 0.00 %")),
        "{output}"
    );
    let wide: Vec<&str> = output.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "wider than a terminal: {wide:#?}");
    assert_nothing_left(lab.id(), &output);
}

#[test]
fn ctrl_c_under_traffic_leaves_nothing() {
    let Some(mut lab) = start(60) else { return };
    wait::until_true("traffic runs", LIMIT, || lab.output().contains("RTT 0"));
    assert!(left_behind(lab.id()).len() >= 5, "the test knows what to look for");
    interrupt(&lab);
    assert_eq!(lab.wait(LIMIT).code(), INTERRUPTED, "{}", lab.output());
    assert_nothing_left(lab.id(), &lab.output());
}

#[test]
fn ctrl_c_while_it_is_built_leaves_nothing() {
    for pause in [20, 150, 400, 800] {
        let Some(mut lab) = start(60) else { return };
        wait::until_true("it has begun", LIMIT, || lab.output().contains("Two sites"));
        std::thread::sleep(Duration::from_millis(pause));
        interrupt(&lab);
        assert_eq!(lab.wait(LIMIT).code(), INTERRUPTED, "{}", lab.output());
        assert_nothing_left(lab.id(), &lab.output());
    }
}

#[test]
fn without_its_daemon_it_says_so() {
    if !need::root() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_ipip-lab"))
        .args(["--ctl", "/nowhere"])
        .output()
        .expect("starting the lab");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("/nowhere") && said.contains("cargo xtask build"), "{said}");
}
