//! A Debian of a test's own with systemd as its first process, in a network namespace of the test: namespaces over a root
//! file system that is not written to. Everything is gone with the guard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ctl::{Answer, answer};
use crate::netns::Netns;
use crate::process::Running;
use crate::wait;

/// How long it may take to start, and to end.
const START: Duration = Duration::from_mins(1);

/// What changes by itself, or by any package: not a trace of one.
const NO_TRACES: [&str; 9] =
    ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/log"];

/// Mounts a root in `$1` over the Debian in `$2`, with the cgroup `$3` of its own, and starts systemd there.
const BOOT: &str = "
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs $1
mkdir $1/over $1/work $1/root $1/cgroups
mount -t cgroup2 cgroup2 $1/cgroups
mkdir $1/cgroups/$3
echo $$ >$1/cgroups/$3/cgroup.procs
exec unshare --cgroup --pid --fork --kill-child --uts --ipc sh -e -c '
mount -t overlay overlay -o lowerdir=$2,upperdir=$1/over,workdir=$1/work $1/root
cd $1/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t bpf bpf sys/fs/bpf
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net
for node in null zero full random urandom tty net/tun; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
hostname debian
exec chroot . env -i container=ipip PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target
' sh $1 $2
";

/// Removes the cgroup `$2`, with a mount in `$1`.
const SWEEP: &str = "
mount --make-rprivate /
mount -t cgroup2 cgroup2 $1
for try in 1 2 3 4 5 6 7 8 9 10; do
    [ -d $1/$2 ] || exit 0
    find $1/$2 -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
done
";

/// A running Debian.
#[derive(Debug)]
pub struct Debian {
    unshare: Running,
    systemd: u32,
    cgroup: String,
    folder: TempDir,
}

impl Debian {
    /// Starts one over the root file system in `base`.
    pub fn boot(base: &Path, network: &Netns) -> Self {
        let folder = TempDir::with_prefix("ipip-debian").expect("creating a temporary directory");
        let cgroup = format!("ipip-debian-{}", std::process::id());
        let mut command = network.command("unshare");
        command.args(["--mount", "sh", "-c", BOOT, "sh"]).arg(folder.path()).arg(base).arg(&cgroup);
        let unshare = Running::start(&mut command);
        let mut debian = Self { unshare, systemd: 0, cgroup, folder };
        debian.systemd = wait::until("systemd starts", START, || {
            assert!(debian.unshare.ended().is_none(), "{}", debian.unshare.output());
            let pid = only_child(debian.unshare.id())?;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (name.trim() == "systemd").then_some(pid)
        });
        wait::until_true("Debian has started", START, || {
            debian.try_run("systemctl is-system-running").output.trim() == "running"
        });
        debian
    }

    /// A command that will run in there, to be given its arguments.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.systemd.to_string(), "--all", "--root", "--wd"]);
        command.args([
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND=noninteractive",
            program,
        ]);
        command
    }

    /// Runs a line of the shell.
    pub fn try_run(&self, line: &str) -> Answer {
        answer(self.command("bash").args(["-c", line]))
    }

    /// Runs it and returns what it printed; panics when it fails.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let done = self.try_run(line);
        assert_eq!(done.code, Some(0), "{line}: {} {}", done.output, done.errors);
        done.output
    }

    /// Copies a file in, and returns where it is there.
    pub fn take(&self, file: &Path) -> PathBuf {
        let name = file.file_name().expect("a file has a name");
        let root = PathBuf::from(format!("/proc/{}/root", self.systemd));
        let place = Path::new("/var/cache").join(name);
        fs::copy(file, root.join("var/cache").join(name))
            .unwrap_or_else(|error| panic!("copying {}: {error}", file.display()));
        place
    }

    /// Every path that belongs to somebody.
    pub fn files(&self) -> BTreeSet<String> {
        let leave_out: Vec<String> = NO_TRACES.iter().map(|path| format!("-path {path} -prune -o")).collect();
        let list = self.run(&format!("find / -xdev {} -print", leave_out.join(" ")));
        list.lines().map(str::to_owned).collect()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // The first process of the namespaces goes with the one that started it, and all others with that.
        self.unshare.end();
        let _ = Command::new("unshare")
            .args(["--mount", "sh", "-c", SWEEP, "sh"])
            .arg(self.folder.path())
            .arg(&self.cgroup)
            .status();
    }
}

fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
