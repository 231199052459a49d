//! Events: what the daemon tells of tunnels and ports, to the command line and over the socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::process::Running;
use ipip_tests::topology::Pair;
use ipip_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

const FOLLOW: Duration = Duration::from_secs(10);

/// All events that the daemon keeps.
fn kept(daemon: &Daemon<'_>) -> Vec<Value> {
    let text = daemon.run("events --no-follow --json");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The kinds of a tunnel's events, in their order.
fn kinds(daemon: &Daemon<'_>, tunnel: &str) -> Vec<String> {
    let of_tunnel = kept(daemon).into_iter().filter(|event| event["tunnel"] == tunnel);
    of_tunnel.map(|event| event["kind"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_tunnels_life_is_told_with_its_reasons() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "");
    near.run("set ipip1 mtu=1400");
    near.run("disable ipip1");
    near.run("enable ipip1");
    near.run("set ipip1 comment=x disabled=yes");
    near.run("enable ipip1");
    pair.host1.run("ip link del ipip1");
    wait::until_true("the loss is told", FOLLOW, || {
        kinds(&near, "ipip1").last().is_some_and(|it| it == "invalid")
    });
    near.run("enable ipip1");
    near.run("add lost remote-address=192.0.2.77");
    near.run("remove lost ipip1");
    assert_eq!(
        kinds(&near, "ipip1"),
        [
            "added", "running", "changed", "disabled", "enabled", "running", "changed", "disabled",
            "enabled", "running", "invalid", "restored", "running", "removed"
        ]
    );
    assert_eq!(kinds(&near, "lost"), ["added", "invalid", "removed"]);
    let events = kept(&near);
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence"].as_u64().expect("a number")).collect();
    assert!(numbers.iter().zip(numbers[0]..).all(|(number, wanted)| *number == wanted), "{numbers:?}");
    let reasons: Vec<&Value> =
        events.iter().filter(|it| it["kind"] == "invalid").map(|event| &event["reason"]).collect();
    assert!(reasons[0].to_string().contains("interface was removed"), "{reasons:?}");
    assert!(reasons[1].to_string().contains("no route to 192.0.2.77"), "{reasons:?}");
    let changed = events.iter().find(|event| event["kind"] == "changed").expect("a change");
    assert_eq!(
        changed["properties"],
        serde_json::json!([{ "property": "mtu", "from": "auto", "to": "1400" }])
    );
    assert!(events[0]["time"].as_str().expect("a time").ends_with('Z') && events[0]["schema"] == 1);
    assert!(events.iter().any(|event| event["kind"] == "started"));
}

#[test]
fn a_route_that_goes_and_comes_stops_and_starts_the_tunnel() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    pair.host1.run("ip route add 192.0.2.9/32 via 10.9.0.2");
    near.run("add far remote-address=192.0.2.9");
    wait::until_true("it runs", FOLLOW, || kinds(&near, "far").ends_with(&["running".to_owned()]));
    pair.host1.run("ip route del 192.0.2.9/32");
    wait::until_true("it stops", FOLLOW, || kinds(&near, "far").ends_with(&["invalid".to_owned()]));
    pair.host1.run("ip route add 192.0.2.9/32 via 10.9.0.2");
    wait::until_true("it runs", FOLLOW, || kinds(&near, "far").ends_with(&["running".to_owned()]));
}

#[test]
fn ports_daemons_and_files_are_told_of() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("evports");
    let mut daemon = Daemon::start(&ctl, &namespace);
    namespace.run("ip link add name p1 type veth peer name p2");
    namespace.run("ip link set p1 up");
    let told = |daemon: &Daemon<'_>, kind: &str| kept(daemon).into_iter().find(|event| event["kind"] == kind);
    let came = wait::until("the port is told", FOLLOW, || told(&daemon, "port-came"));
    assert_eq!((&came["port"], &came["tiers"]), (&Value::from("p1"), &serde_json::json!(["tc"])));
    assert!(came["reason"].to_string().contains("forwarding is off"), "{came}");
    namespace.run("sysctl -q -w net.ipv4.ip_forward=1");
    let changed = wait::until("the tier is told", FOLLOW, || told(&daemon, "port-changed"));
    assert_eq!(changed["tiers"], serde_json::json!(["xdp", "tc"]));
    daemon.run("reload");
    assert!(told(&daemon, "reloaded").is_some());
    fs::write(daemon.config(), "[[tunel]]\n").expect("writing the file");
    daemon.signal(Signal::SIGHUP);
    let failed = wait::until("the failure is told", FOLLOW, || told(&daemon, "reload-failed"));
    assert!(failed["reason"].to_string().contains("tunel"), "{failed}");
    fs::write(daemon.config(), "").expect("writing the file");
    daemon.stop();
    daemon.restart();
    let replaced = told(&daemon, "programs-replaced").expect("the next daemon replaces the programs");
    assert_eq!(replaced["interfaces"], 1);
    namespace.run("ip link del p1");
    let went = wait::until("it is told", FOLLOW, || told(&daemon, "port-went"));
    assert_eq!(went["port"], "p1");
}

#[test]
fn the_command_follows_and_ends_as_it_is_asked() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("evfollow");
    let mut daemon = Daemon::start(&ctl, &namespace);
    daemon.run("add a remote-address=10.0.0.1");
    let follow = |line: &str| {
        let mut command = namespace.command(&ctl);
        command.arg("--socket").arg(daemon.socket()).args(line.split_whitespace());
        Running::start(&mut command)
    };
    daemon.run("add berlin remote-address=10.0.0.2");
    // By its number in the list, and by the beginning of its name.
    let mut both = ["1", "be"].map(|word| follow(&format!("events {word} --since all --count 3")));
    let mut new = follow("events");
    // It listens as soon as it has told something that comes.
    wait::until_true("it follows", FOLLOW, || {
        daemon.run("set a comment=x");
        daemon.run("set a comment=");
        new.output().contains("changed")
    });
    daemon.run("set berlin comment=x");
    for told in both.each_mut().map(|it| it.succeed(FOLLOW)) {
        let words = told.lines().map(|line| line.split_whitespace().skip(2).take(2).collect::<Vec<_>>());
        let wanted = ["added", "invalid", "changed"].map(|kind| vec!["berlin", kind]);
        assert_eq!(words.collect::<Vec<_>>(), wanted, "{told}");
        assert!(told.contains("no route to 10.0.0.2"), "{told}");
    }
    daemon.run("remove berlin");
    // What is told of one that is gone is found by its whole name.
    assert_eq!(daemon.run("events berlin --no-follow").lines().count(), 4);
    for nobody in ["be", "7", "rome"] {
        daemon.refuses(&format!("events {nobody} --no-follow"), 3);
    }
    assert!(!new.output().contains("started"), "old events are told only on demand: {}", new.output());
    let last = kept(&daemon).last().expect("an event")["sequence"].clone();
    assert_eq!(daemon.run(&format!("events --no-follow --since {last}")), "");
    assert_eq!(daemon.run("events --no-follow --since 1h").lines().count(), kept(&daemon).len());
    daemon.refuses("events --since yesterday --json", 2);
    daemon.stop();
    assert_eq!(new.wait(FOLLOW).code(), Some(4), "{}", new.output());
    assert!(new.output().contains("has ended"), "{}", new.output());
}

/// What a daemon and its clients take for the list of groups, without a change to this machine.
const WITH_GROUPS: &str = "mount --bind \"$1\" /etc/group && shift && exec \"$@\"";
const MEMBERS: &str = "4711";

#[test]
fn the_socket_is_for_root_and_the_group_and_for_nobody_else() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("evgroup");
    let daemon = Daemon::prepare(&ctl, &namespace, "");
    let folder = daemon.config().parent().expect("a directory").to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("opening the directory");
    let groups = folder.join("group");
    fs::write(&groups, format!("root:x:0:\nipip:x:{MEMBERS}:\n")).expect("writing the groups");
    let plain = daemon.command();
    let mut command = namespace.command("unshare");
    command.args(["--mount", "sh", "-c", WITH_GROUPS, "sh"]).arg(&groups);
    let mut running = Running::start(command.arg(plain.get_program()).args(plain.get_args()));
    wait::until_true("the daemon answers", Duration::from_secs(30), || {
        assert!(running.ended().is_none(), "{}", running.output());
        daemon.try_run("status").code == Some(0)
    });
    let file = fs::metadata(daemon.socket()).expect("a socket");
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid().to_string()), (0o660, 0, MEMBERS.to_owned()));
    let status_as = |group: &str| {
        let mut command = namespace.command("setpriv");
        command.args(["--reuid", "65534", "--regid", group, "--clear-groups"]).arg(&ctl);
        ipip_tests::ctl::answer(command.arg("--socket").arg(daemon.socket()).arg("status"))
    };
    let (member, stranger) = (status_as(MEMBERS), status_as("65534"));
    assert_eq!(member.code, Some(0), "{member:?}");
    assert!(stranger.errors.contains("a member of the group ipip"), "{stranger:?}");
    stranger.is_failure(5);
}

#[test]
fn the_socket_tells_events_line_by_line() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("evsocket");
    let daemon = Daemon::start(&ctl, &namespace);
    let mut stream = UnixStream::connect(daemon.socket()).expect("a daemon");
    stream.set_read_timeout(Some(FOLLOW)).expect("a socket");
    stream.write_all(b"{\"protocol\":1,\"request\":{\"events\":{}}}\n").expect("writing");
    let mut lines = BufReader::new(&stream).lines().map(|line| line.expect("a line"));
    let head = lines.next().expect("a reply");
    assert!(head.starts_with("{\"protocol\":1,\"reply\":{\"events\":{\"kept\":0,\"last\":"), "{head}");
    daemon.run("add a remote-address=10.0.0.1");
    let event: Value = serde_json::from_str(&lines.next().expect("an event")).expect("JSON");
    assert_eq!(event["reply"]["event"]["kind"], "added");
}
