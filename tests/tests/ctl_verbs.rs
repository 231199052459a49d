//! The verbs that change tunnels: by name, number and beginning of a name, several at once, all of it or nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ipip_tests::ctl::{Daemon, answer};
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::topology::Pair;
use ipip_tests::wait;

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 7;
const FOLLOW: Duration = Duration::from_secs(10);

/// A daemon with three tunnels that have no way to their remotes: `berlin`, `bern` and `rome`.
fn three<'a>(ctl: &std::path::Path, namespace: &'a Netns) -> Daemon<'a> {
    let daemon = Daemon::start(ctl, namespace);
    for (number, name) in ["berlin", "bern", "rome"].iter().enumerate() {
        daemon.run(&format!("add {name} remote-address=10.0.0.{}", number + 1));
    }
    daemon
}

fn names(daemon: &Daemon<'_>) -> Vec<String> {
    daemon.tunnels().iter().map(|tunnel| tunnel["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn tunnels_are_meant_by_name_number_and_beginning() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("select");
    let daemon = three(&ctl, &namespace);
    assert_eq!(
        daemon.run("set berl 2 mtu=1400 --dscp 46"),
        "changed berlin: mtu auto -> 1400, dscp inherit -> 46\nchanged rome: mtu auto -> 1400, dscp inherit -> 46\n"
    );
    assert_eq!(daemon.run("set 0,2 mtu=1400"), "nothing to change\n");
    assert_eq!(
        daemon.run("disable 1,rome"),
        "changed bern: disabled no -> yes\nchanged rome: disabled no -> yes\n"
    );
    assert_eq!(daemon.tunnel("rome")["disabled"], true);
    assert_eq!(daemon.run("enable rome"), "changed rome: disabled yes -> no\n");
    assert_eq!(daemon.run("set rome mtu= dscp="), "changed rome: mtu 1400 -> auto, dscp 46 -> inherit\n");
    assert_eq!(daemon.run("remove 0 bern"), "removed berlin\nremoved bern\n");
    assert_eq!(names(&daemon), ["rome"]);
    assert_eq!(
        fs::read_to_string(daemon.config()).expect("a file"),
        "[[tunnel]]\nname = \"rome\"\nremote-address = \"10.0.0.3\"\n"
    );
}

#[test]
fn what_is_not_meant_clearly_changes_nothing() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("unclear");
    let daemon = three(&ctl, &namespace);
    let text = fs::read_to_string(daemon.config()).expect("a file");
    for (line, code, words) in [
        ("set ber mtu=1400", USAGE, "berlin, bern"),
        ("set rome,9 mtu=1400", NOT_FOUND, "the last is 2"),
        ("remove berlin nobody", NOT_FOUND, "nobody"),
        ("enable brelin", NOT_FOUND, "did you mean `berlin`?"),
        ("set rome", USAGE, "mtu=1472"),
        ("set rome mtu=9", USAGE, "tunnel rome: mtu `9`"),
        ("set rome mtuu=1400", USAGE, "did you mean `mtu`?"),
        ("set rome ipsec-secret=hush", USAGE, "standard input"),
        ("set rome ipsec-secret-file=hush", USAGE, "absolute path"),
        ("set rome remote-address=10.0.0.1", CONFLICT, "berlin"),
        ("set berlin bern remote-address=10.0.0.9", CONFLICT, "berlin"),
        ("set rome name=bern", CONFLICT, "bern"),
        ("set rome name=", USAGE, "name"),
        ("set rome name=lo", CONFLICT, "lo"),
        ("add x remote-address=10.0.0.1", CONFLICT, "berlin"),
    ] {
        let error = daemon.refuses(line, code);
        assert!(error.contains(words), "{line}: {error}");
        assert!(!error.contains("hush"), "{error}");
        assert_eq!(names(&daemon), ["berlin", "bern", "rome"], "{line}");
        assert_eq!(fs::read_to_string(daemon.config()).expect("a file"), text, "{line}");
    }
    assert_eq!(daemon.tunnels()[2]["mtu"], "auto");
}

#[test]
fn a_file_is_applied_as_a_whole_or_not_at_all() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("apply");
    namespace.run("ip link add name taken type veth peer name other");
    let daemon = three(&ctl, &namespace);
    let index = namespace.link("rome").index;
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("new.toml");
    let write = |text: &str| fs::write(&file, text).expect("writing a file");
    let line = |options: &str| format!("apply {} {options}", file.display());
    let good = "# Ours.\n[[tunnel]]\nname = \"rome\"\nremote-address = \"10.0.0.3\"\nttl = 9 # short\n\n\
                [[tunnel]]\nname = \"paris\"\nremote-address = \"10.0.0.1\"\n";
    let before = fs::read_to_string(daemon.config()).expect("a file");
    // Everything but the last tunnel could be set up.
    write(&format!("{good}[[tunnel]]\nname = \"taken\"\nremote-address = \"10.0.0.7\"\n"));
    assert!(daemon.refuses(&line(""), CONFLICT).contains("taken"));
    write("[[tunnel]]\nname = \"rome\"\nremote = \"10.0.0.3\"\n");
    let error = daemon.refuses(&line(""), USAGE);
    assert!(error.contains("new.toml:3:1") && error.contains("did you mean `remote-address`?"), "{error}");
    assert!(daemon.refuses("apply /nowhere", FAILED).contains("/nowhere"));
    assert_eq!((names(&daemon).len(), fs::read_to_string(daemon.config()).expect("a file")), (3, before));
    assert_eq!(namespace.find_link("paris"), None, "nothing is left of an attempt");
    assert_eq!(daemon.tunnel("rome")["ttl"], 64);

    write(good);
    let told = "would be removed berlin\nwould be removed bern\nwould be changed rome: ttl 64 -> 9\nwould be added paris\n";
    assert_eq!(daemon.run(&line("--dry-run")), told);
    assert_eq!(
        daemon.run(&line("--diff")),
        "- berlin\n-     remote-address=10.0.0.1\n- bern\n-     remote-address=10.0.0.2\n  rome\n-     ttl=64\n\
         +     ttl=9\n+ paris\n+     remote-address=10.0.0.1\n"
    );
    assert_eq!(daemon.run(&line("")), "nothing to change\n");
    assert_eq!(names(&daemon), ["rome", "paris"]);
    assert_eq!(namespace.link("rome").index, index, "it kept its interface");
    assert_eq!(fs::read_to_string(daemon.config()).expect("a file"), good, "comments are kept");
}

#[test]
fn a_file_is_read_again_by_verb_and_by_signal() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("reload");
    let mut daemon = three(&ctl, &namespace);
    let text = fs::read_to_string(daemon.config()).expect("a file");
    fs::write(daemon.config(), format!("{text}mtu = 1300\n")).expect("writing the file");
    assert_eq!(daemon.run("reload"), "changed rome: mtu auto -> 1300\n");
    fs::write(daemon.config(), format!("{text}mtu = 13\n")).expect("writing the file");
    let error = daemon.refuses("reload", USAGE);
    assert!(error.contains("ipip.toml:"), "{error}");
    assert_eq!(daemon.tunnel("rome")["mtu"], 1300);
    fs::write(daemon.config(), format!("{text}mtu = 1350\n")).expect("writing the file");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    wait::until_true("the file was read", FOLLOW, || daemon.tunnel("rome")["mtu"] == 1350);
}

#[test]
fn check_needs_no_daemon() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("check");
    let daemon = Daemon::prepare(&ctl, &namespace, "[[tunnel]]\nremote-address = \"10.0.0.1\"\n");
    let line = format!("check {}", daemon.config().display());
    assert_eq!(daemon.run(&line), format!("{}: good, 1 tunnel\n", daemon.config().display()));
    for (text, place, words) in [
        ("[[tunnel]]\nremote-address = \"10.0.0.1\"\nmtu = \n", "3:7", "not TOML"),
        ("[[tunnel]]\nremote-address = \"10.0.0.1", "2:", "not TOML"),
        ("[[tunnel]]\nname = \"a\"\nremote_address = \"::1\"\n", "3:1", "did you mean `remote-address`?"),
        ("[[tunel]]\n", "1:3", "did you mean `tunnel`?"),
        ("[[tunnel]]\nremote-address = \"10.0.0.1\"\ndscp = 64\n", "3:1", "0 to 63"),
    ] {
        fs::write(daemon.config(), text).expect("writing the file");
        let error = daemon.refuses(&line, USAGE);
        assert!(error.contains(&format!("ipip.toml:{place}")) && error.contains(words), "{text}: {error}");
    }

    // Nor root.
    let folder = daemon.config().parent().expect("a directory").to_owned();
    let program = folder.join("ipip-ctl");
    fs::copy(&ctl, &program).expect("copying ipip-ctl");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("opening the directory");
    for (text, code) in [("[[tunnel]]\nremote-address = \"10.0.0.1\"\n", 0), ("[[tunel]]\n", USAGE)] {
        fs::write(daemon.config(), text).expect("writing the file");
        fs::set_permissions(daemon.config(), fs::Permissions::from_mode(0o644)).expect("opening the file");
        let mut command = namespace.command("setpriv");
        command.args(["--reuid=65534", "--clear-groups"]).arg(&program).arg("check").arg(daemon.config());
        assert_eq!(answer(&mut command).code, Some(code), "{text}");
    }
}

#[test]
fn an_interface_that_was_removed_by_hand_comes_back_with_enable() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let near = Daemon::start(&ctl, &pair.host1);
    near.add(Pair::HOST1, Pair::HOST2, "");
    pair.host1.run("ip link del ipip1");
    wait::until_true("the loss is noticed", FOLLOW, || near.tunnel("ipip1")["running"] == false);
    let reason = near.tunnel("ipip1")["reason"].to_string();
    assert!(reason.contains("enable"), "{reason}");
    assert!(near.run("print").contains(" 0  I  ipip1 "));
    assert_eq!(near.run("enable ipip1"), "restored ipip1\n");
    wait::until_true("it runs", FOLLOW, || near.tunnel("ipip1")["running"] == true);
    assert!(pair.host1.find_link("ipip1").is_some());
    assert_eq!(near.run("enable ipip1"), "nothing to change\n");
}

#[test]
fn a_disabled_tunnel_keeps_its_addresses_and_routes() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let (near, far) = (Daemon::start(&ctl, &pair.host1), Daemon::start(&ctl, &pair.host2));
    near.add(Pair::HOST1, Pair::HOST2, "");
    far.add(Pair::HOST2, Pair::HOST1, "");
    pair.host1.address("ipip1", "192.168.50.1/30");
    pair.host2.address("ipip1", "192.168.50.2/30");
    pair.host1.route("192.168.20.0/24 dev ipip1");
    let reaches = || {
        let ping =
            pair.host1.command("ping").args(["-c", "3", "-i", "0.1", "-W", "1", "192.168.50.2"]).output();
        ping.is_ok_and(|ping| ping.status.success())
    };
    assert!(reaches());
    near.run("disable ipip1");
    assert!(near.run("print").contains(" 0  X  ipip1 "));
    assert!(!pair.host1.link("ipip1").flags.contains(&"LOWER_UP".to_owned()) && !reaches());
    near.run("enable ipip1");
    wait::until_true("it carries again", FOLLOW, reaches);
    assert!(pair.host1.run("ip route show 192.168.20.0/24").contains("dev ipip1"));
}
