//! What the daemon has given up while it runs.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::topology::Pair;
use serde_json::Value;

/// `CAP_CHOWN`, `CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_BPF`, by their bits.
const CAPABILITIES: u64 = 1 | 1 << 12 | 1 << 13 | 1 << 39;
/// Needed for loading programs, and given up after it.
const PERFMON: u64 = 1 << 38;

#[test]
fn every_thread_has_the_capabilities_that_it_needs_and_no_other() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let mut daemon = Daemon::start(&ctl, &pair.host1);
    daemon.add(Pair::HOST1, Pair::HOST2, "");
    let threads: Vec<_> = fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap().flatten().collect();
    assert!(threads.len() > 1, "there is more than one thread");
    for thread in threads {
        let status = fs::read_to_string(thread.path().join("status")).unwrap();
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let set = |name: &str| u64::from_str_radix(field(name), 16).unwrap();
        assert_eq!((set("CapPrm:"), set("CapEff:")), (CAPABILITIES, CAPABILITIES), "{}", field("Name:"));
        assert_eq!((set("CapInh:"), set("CapAmb:")), (0, 0), "{}", field("Name:"));
        assert_eq!(set("CapBnd:") & !(CAPABILITIES | PERFMON), 0, "{}", field("Name:"));
        assert_eq!(field("NoNewPrivs:"), "1", "{}", field("Name:"));
    }
    let status: Value = serde_json::from_str(&daemon.run("status --json")).unwrap();
    let named = serde_json::json!(["cap_bpf", "cap_chown", "cap_net_admin", "cap_net_raw"]);
    assert_eq!(status["capabilities"], named);
}

#[test]
fn files_of_others_are_out_of_reach() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let daemon = Daemon::start(&ctl, &pair.host1);
    let status: Value = serde_json::from_str(&daemon.run("status --json")).unwrap();
    assert_ne!(status["files-closed"], "no", "this kernel has no Landlock, or does not use it (lsm=)");
    // Somebody who can write to the configuration's directory does not make the daemon read what it should not.
    let elsewhere = tempfile::TempDir::with_prefix("ipip-other").unwrap();
    let other = elsewhere.path().join("other.toml");
    fs::write(&other, "").unwrap();
    fs::remove_file(daemon.config()).unwrap();
    std::os::unix::fs::symlink(&other, daemon.config()).unwrap();
    let refused = daemon.refuses("reload", 5);
    assert!(refused.contains("Permission denied"), "{refused}");
    // Its own it writes as before.
    fs::remove_file(daemon.config()).unwrap();
    daemon.run("add ipip1 remote-address=203.0.113.2");
    assert!(fs::read_to_string(daemon.config()).unwrap().contains("203.0.113.2"));
}

#[test]
fn a_configuration_of_another_owner_is_saved_and_stays_theirs() {
    let Some(ctl) = need::ctl() else { return };
    let pair = Pair::new();
    let daemon = Daemon::start(&ctl, &pair.host1);
    for (owner, group, mode) in [(12345, 0, 0o644), (0, 12345, 0o640), (12345, 12345, 0o604)] {
        chown(daemon.config(), Some(owner), Some(group)).unwrap();
        fs::set_permissions(daemon.config(), fs::Permissions::from_mode(mode)).unwrap();
        daemon.run("add ipip1 remote-address=203.0.113.2");
        daemon.run("remove ipip1");
        let kept = fs::metadata(daemon.config()).unwrap();
        assert_eq!((kept.uid(), kept.gid(), kept.mode() & 0o7777), (owner, group, mode));
    }
}
