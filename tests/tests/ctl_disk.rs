//! A file that cannot be written: the change is refused as a whole, and the file is as it was.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ipip_tests::ctl::{Daemon, answer};
use ipip_tests::need;
use ipip_tests::netns::Netns;
use ipip_tests::process::Running;
use ipip_tests::wait;

const FAILED: i32 = 1;
const TEXT: &str = "# Ours.\n\n[[tunnel]]\nname = \"a\"\nremote-address = \"10.0.0.1\"\n";

/// A file system of 64 KiB, unmounted when it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().expect("a directory"));
        disk.mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"]);
        fs::write(disk.config(), TEXT).expect("writing the configuration");
        disk
    }

    fn mount(&self, options: &[&str]) {
        let done = answer(Command::new("mount").args(options).arg(self.0.path()));
        assert_eq!(done.code, Some(0), "{}", done.errors);
    }

    fn config(&self) -> std::path::PathBuf {
        self.0.path().join("ipip.toml")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Best effort: a panic while a panic unwinds would end the whole test program.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Starts a daemon whose configuration is on the disk, makes the disk refuse, and demands that nothing changes.
fn refuses(ctl: &Path, label: &str, spoil: impl FnOnce(&Disk), words: &str) {
    let namespace = Netns::new(label);
    let disk = Disk::new();
    let daemon = Daemon::prepare(ctl, &namespace, "");
    let mut command = namespace.command(ctl);
    command.arg("daemon").arg("--config").arg(disk.config()).arg("--socket").arg(daemon.socket());
    let state = tempfile::tempdir().expect("a directory");
    command.arg("--state-dir").arg(state.path()).arg("--pin-dir").arg(daemon.pins());
    let running = Running::start(&mut command);
    wait::until_true("the daemon answers", std::time::Duration::from_secs(30), || {
        daemon.try_run("print").code == Some(0)
    });
    spoil(&disk);
    let index = namespace.link("a").index;
    for line in ["add b remote-address=10.0.0.2", "set a mtu=1400", "disable a", "remove a"] {
        let error = daemon.refuses(line, FAILED);
        assert!(error.contains("ipip.toml") && error.contains(words), "{line}: {error}");
        assert_eq!(fs::read_to_string(disk.config()).expect("a file"), TEXT, "{line}");
        let tunnel = daemon.tunnel("a");
        assert!(tunnel["mtu"] == "auto" && tunnel["disabled"] == false, "{line}: {tunnel}");
        assert_eq!((namespace.link("a").index, namespace.find_link("b")), (index, None), "{line}");
    }
    drop(running);
}

#[test]
fn a_full_disk_changes_nothing() {
    let Some(ctl) = need::ctl() else { return };
    let fill = |disk: &Disk| {
        let mut size = 64 * 1024;
        while size > 0 {
            // Whatever still fits.
            let _ = fs::write(disk.0.path().join(format!("fill{size}")), vec![0; size]);
            size /= 2;
        }
    };
    refuses(&ctl, "full", fill, "No space left");
}

#[test]
fn a_read_only_directory_changes_nothing() {
    let Some(ctl) = need::ctl() else { return };
    refuses(&ctl, "readonly", |disk| disk.mount(&["-o", "remount,ro"]), "Read-only file system");
}
