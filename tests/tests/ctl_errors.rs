//! Bad input: each gives one line with the cause and the next step, a documented exit code, and changes nothing.

use std::fs;
use std::time::Duration;

use ipip_tests::ctl::{Answer, Daemon, answer};
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::process::Running;

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const NO_DAEMON: i32 = 4;
const NO_PERMISSION: i32 = 5;
const UNSUPPORTED: i32 = 6;
const CONFLICT: i32 = 7;

/// What a user could see change: tunnels and interfaces.
fn state(daemon: &Daemon<'_>, namespace: &Netns) -> (Vec<String>, String) {
    let names = daemon.tunnels().iter().map(|tunnel| tunnel["name"].to_string()).collect();
    (
        names,
        namespace
            .run("ip -oneline link show")
            .lines()
            .map(|line| line.split('<').next().unwrap_or_default())
            .collect(),
    )
}

#[test]
fn a_client_that_asks_for_nonsense_is_told_why() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("errors");
    namespace.run("ip link add name taken type veth peer name other");
    let daemon = Daemon::start(&ctl, &namespace);
    daemon.run("add ipip1 --local-address 10.0.0.1 --remote-address 10.0.0.2");
    let before = state(&daemon, &namespace);
    let ends = "--local-address 10.0.0.3 --remote-address 10.0.0.4";
    for (line, code, words) in [
        ("add x --local-address 10.0.0.3 --remote-address 10.0.0.3".to_owned(), USAGE, "10.0.0.3"),
        ("add x --local-address 10.0.0.3 --remote-address 2001:db8::1".into(), USAGE, "IPv6"),
        ("add x --local-address 10.0.0.3 --remote-address 300.1.1.1".into(), USAGE, "300.1.1.1"),
        ("add x --local-address 10.0.0.3 --remote-address 224.0.0.1".into(), USAGE, "224.0.0.1"),
        (format!("add x {ends} --mtu 67"), USAGE, "67"),
        (format!("add x {ends} --mtu 65536"), USAGE, "65536"),
        (format!("add x {ends} --dscp 64"), USAGE, "64"),
        (format!("add x {ends} --dont-fragment maybe"), USAGE, "maybe"),
        (format!("add this-name-is-too-long {ends}"), USAGE, "this-name-is-too-long"),
        (format!("add a/b {ends}"), USAGE, "a/b"),
        (format!("add ipip1 {ends}"), CONFLICT, "ipip1"),
        ("add x --local-address 10.0.0.1 --remote-address 10.0.0.2".into(), CONFLICT, "ipip1"),
        (format!("add taken {ends}"), CONFLICT, "taken"),
        (format!("add lo {ends}"), CONFLICT, "lo"),
        ("remove nobody".into(), NOT_FOUND, "nobody"),
        ("remove taken".into(), NOT_FOUND, "taken"),
    ] {
        let error = daemon.refuses(&line, code);
        assert!(error.contains(words), "{line}: {error}");
        assert_eq!(state(&daemon, &namespace), before, "{line} changed something");
    }
}

#[test]
fn a_command_line_against_the_grammar_is_shown_the_grammar() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("grammar");
    let daemon = Daemon::prepare(&ctl, &namespace, "");
    for (line, word) in [("fly", "fly"), ("print short", "short"), ("add x --colour red", "--colour")] {
        let answer = daemon.try_run(line);
        assert_eq!(answer.code, Some(USAGE), "{line}: {answer:?}");
        let first = answer.errors.lines().next().unwrap_or_default().to_owned();
        assert!(first.contains(word), "{line}: {answer:?}");
        assert!(answer.errors.contains("--help"), "{line}: {answer:?}");
    }
}

#[test]
fn a_failure_can_be_had_as_json() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("json");
    let daemon = Daemon::start(&ctl, &namespace);
    let Answer { code, output, errors } = daemon.try_run("remove nobody --json");
    assert_eq!(code, Some(NOT_FOUND));
    let text = if output.is_empty() { errors } else { output };
    let failure: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(failure.to_string().contains("nobody"), "{failure}");
}

#[test]
fn a_socket_that_nobody_serves_is_told() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("nobody");
    let daemon = Daemon::prepare(&ctl, &namespace, "");
    for line in ["print", "remove x", "add x --local-address 10.0.0.1 --remote-address 10.0.0.2", "status"] {
        let error = daemon.refuses(line, NO_DAEMON);
        assert!(error.contains(&daemon.socket().display().to_string()), "{error}");
    }
}

/// Starts a daemon that must not start, and returns what it says.
fn refused(daemon: &Daemon<'_>, code: i32) -> String {
    let mut running = Running::start(&mut daemon.command());
    let status = running.wait(Duration::from_secs(15));
    let text = running.output();
    assert_eq!(status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "not one line: {text}");
    assert!(!daemon.socket().exists(), "it left a socket");
    text
}

#[test]
fn a_bad_configuration_is_refused_as_a_whole() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("config");
    let good = "[[tunnel]]\nname = \"good\"\nlocal-address = \"10.0.0.1\"\nremote-address = \"10.0.0.2\"\n";
    for (bad, words) in [
        ("colour = \"red\"\n", "colour"),
        ("mtu = 10\n", "10"),
        ("dscp = \"many\"\n", "many"),
        ("clamp-tcp-mss = \"perhaps\"\n", "perhaps"),
        (
            "[[tunnel]]\nname = \"six\"\nlocal-address = \"10.0.0.5\"\nremote-address = \"2001:db8::1\"\n",
            "IPv6",
        ),
        (
            "[[tunnel]]\nname = \"good\"\nlocal-address = \"10.0.0.5\"\nremote-address = \"10.0.0.6\"\n",
            "good",
        ),
        (
            "[[tunnel]]\nname = \"twin\"\nlocal-address = \"10.0.0.1\"\nremote-address = \"10.0.0.2\"\n",
            "twin",
        ),
        (
            "[[tunnel]]\nname = \"me\"\nlocal-address = \"10.0.0.5\"\nremote-address = \"10.0.0.5\"\n",
            "10.0.0.5",
        ),
        (
            "[[tunnel]]\nname = \"much-too-long-a-name\"\nlocal-address = \"10.0.0.5\"\nremote-address = \"10.0.0.6\"\n",
            "much-too-long-a-name",
        ),
        ("= nonsense", "TOML"),
    ] {
        let daemon = Daemon::prepare(&ctl, &namespace, &format!("{good}{bad}"));
        let text = refused_with(&daemon, &[USAGE, CONFLICT]);
        assert!(text.contains(words), "{bad:?}: {text}");
        assert_eq!(namespace.find_link("good"), None, "{bad:?} made an interface all the same");
    }
}

/// As [`refused`], where more than one exit code is documented.
fn refused_with(daemon: &Daemon<'_>, codes: &[i32]) -> String {
    let answer = answer(&mut daemon.command());
    assert!(answer.code.is_some_and(|code| codes.contains(&code)), "{answer:?}");
    assert_eq!(answer.errors.lines().count(), 1, "not one line: {answer:?}");
    answer.errors
}

#[test]
fn a_name_that_is_taken_stops_no_other_tunnel_and_is_told() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("taken");
    namespace.run("ip link add name taken type veth peer name other");
    let index = namespace.link("taken").index;
    let daemon = Daemon::start(&ctl, &namespace);
    daemon.refuses("add taken --local-address 10.0.0.1 --remote-address 10.0.0.2", CONFLICT);
    assert_eq!(namespace.link("taken").index, index, "the interface of another was touched");
}

#[test]
fn a_second_daemon_on_the_same_state_socket_or_pins_is_refused() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("second");
    let daemon = Daemon::start(&ctl, &namespace);
    daemon.run("add ipip1 remote-address=203.0.113.2");
    let before = state(&daemon, &namespace);
    // The same state; the same socket; the same pins.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let [state_dir, socket] = ["state", "socket"].map(|name| elsewhere.path().join(name));
    let options = [("--state-dir", &state_dir), ("--socket", &socket)];
    for (count, words) in [(0, "--state-dir"), (1, "--socket"), (2, "--pin-dir")] {
        let mut command = namespace.command(&ctl);
        command.args(["daemon", "--pin-dir"]).arg(daemon.pins()).arg("--config").arg(daemon.config());
        let [own_state, own_socket] = [daemon.state_dir(), daemon.socket()];
        let own = [("--state-dir", &own_state), ("--socket", &own_socket)];
        command.args(options.iter().take(count).flat_map(|(name, path)| [name.as_ref(), path.as_os_str()]));
        command.args(own.iter().skip(count).flat_map(|(name, path)| [name.as_ref(), path.as_os_str()]));
        let answer = answer(&mut command);
        answer.is_failure(CONFLICT);
        assert!(answer.errors.contains("another daemon"), "{}", answer.errors);
        assert!(answer.errors.contains(words), "the next step: {}", answer.errors);
        assert_eq!(state(&daemon, &namespace), before, "the first one is unharmed");
    }
    daemon.run("set ipip1 mtu=1400");
}

#[test]
fn pins_outside_of_a_bpf_file_system_are_refused() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("nobpffs");
    let daemon = Daemon::prepare(&ctl, &namespace, "");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let mut command = namespace.command(&ctl);
    command.arg("daemon").arg("--config").arg(daemon.config()).arg("--socket").arg(daemon.socket());
    command.arg("--state-dir").arg(elsewhere.path()).arg("--pin-dir").arg(elsewhere.path().join("pins"));
    let answer = answer(&mut command);
    answer.is_failure(UNSUPPORTED);
    assert!(answer.errors.contains("mount"), "the next step: {}", answer.errors);
    assert!(!elsewhere.path().join("pins").exists());
}

#[test]
fn only_root_can_run_the_daemon() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("user");
    let folder = tempfile::tempdir().expect("a directory");
    // Where the program was built, others may not look.
    let program = folder.path().join("ipip-ctl");
    fs::copy(&ctl, &program).expect("copying ipip-ctl");
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), all).expect("opening the directory");
    let mut command = namespace.command("setpriv");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(&program).arg("daemon");
    command.arg("--state-dir").arg(folder.path()).arg("--socket").arg(folder.path().join("socket"));
    let answer = answer(&mut command);
    answer.is_failure(NO_PERMISSION);
    assert!(answer.errors.contains("root"), "{}", answer.errors);
}

#[test]
fn a_configuration_that_is_not_there_is_told() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("missing");
    let daemon = Daemon::prepare(&ctl, &namespace, "");
    fs::remove_file(daemon.config()).expect("removing the configuration");
    fs::create_dir(daemon.config()).expect("a directory in its place");
    let text = refused(&daemon, FAILED);
    assert!(text.contains(&daemon.config().display().to_string()), "{text}");
}
