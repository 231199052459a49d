//! What a test needs of its machine. Without it a test skips, and says so; with `IPIP_REQUIRE=1` it fails.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether this process is root; the test returns when it is not.
#[must_use]
pub fn root() -> bool {
    nix::unistd::geteuid().is_root() || skip("it needs root")
}

/// The linked programs, `IPIP_BPF_OBJECT` or what `cargo xtask build` leaves in target/; for root only.
#[must_use]
pub fn bpf() -> Option<PathBuf> {
    if !root() {
        return None;
    }
    let path = std::env::var_os("IPIP_BPF_OBJECT").map_or_else(|| target("bpf/ipip-ebpf.o"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("there is no {}: build it with `cargo xtask build`", path.display()));
    None
}

/// The programs with those of the benchmark beside them; for root only.
pub fn bench_object() -> Option<PathBuf> {
    if !root() {
        return None;
    }
    let path = target("bpf/ipip-bench.o");
    if path.exists() {
        return Some(path);
    }
    skip(&format!("there is no {}: `cargo xtask test net` builds it", path.display()));
    None
}

/// The program `ipip-ctl`, `IPIP_CTL` or what cargo leaves in target/; for root only.
#[must_use]
pub fn ctl() -> Option<PathBuf> {
    if !root() {
        return None;
    }
    let built = ["debug/ipip-ctl", "release/ipip-ctl"].map(target).into_iter().filter(|path| path.exists());
    let newest = built.max_by_key(|path| path.metadata().and_then(|file| file.modified()).ok());
    let path = std::env::var_os("IPIP_CTL").map(PathBuf::from).or(newest).filter(|path| path.exists());
    if path.is_none() {
        skip("there is no ipip-ctl: build it with `cargo xtask build`");
    }
    path
}

/// The root of a Debian, and two packages, of an older version and a newer one, as `cargo xtask test package` makes them;
/// for root only.
#[must_use]
pub fn packages() -> Option<[PathBuf; 3]> {
    if !root() {
        return None;
    }
    let paths = ["IPIP_DEBIAN", "IPIP_PACKAGE_OLD", "IPIP_PACKAGE"]
        .map(|name| std::env::var_os(name).map(PathBuf::from));
    if let [Some(base), Some(old), Some(new)] = paths {
        return Some([base, old, new]);
    }
    skip("there is no package: `cargo xtask test package` makes one");
    None
}

/// The folder with strongSwan's `usr`, `IPIP_STRONGSWAN` or what `cargo xtask test vm` leaves in target/.
#[must_use]
pub fn strongswan() -> Option<PathBuf> {
    let tree =
        std::env::var_os("IPIP_STRONGSWAN").map_or_else(|| target("vm/strongswan/tree"), PathBuf::from);
    let is_there = tree.join("usr/sbin/charon-systemd").exists();
    (is_there || skip("strongSwan is not there: `cargo xtask test vm` gets it")).then_some(tree)
}

/// Whether a program can be started.
#[must_use]
pub fn program(name: &str) -> bool {
    let mut command = Command::new(name);
    let started = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok() || skip(&format!("the program {name} is not installed"))
}

/// Whether the kernel has a module, or what it does built in.
#[must_use]
pub fn module(name: &str) -> bool {
    let mut command = Command::new("modprobe");
    let loaded = command.arg(name).stdout(Stdio::null()).stderr(Stdio::null()).status();
    loaded.is_ok_and(|status| status.success()) || skip(&format!("the kernel has no module {name}"))
}

/// The running kernel's version, major and minor.
pub fn kernel() -> (u32, u32) {
    let name = nix::sys::utsname::uname().expect("asking for the kernel's version");
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn target(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(path)
}

/// Says why, in the log and to the machinery that counts. Always false, for `condition || skip(..)`.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) -> bool {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: {why}");
    assert!(
        std::env::var("IPIP_REQUIRE").as_deref() != Ok("1"),
        "{line}, and IPIP_REQUIRE=1 forbids skipping"
    );
    eprintln!("skipped {line}");
    if let Some(log) = std::env::var_os("IPIP_SKIP_LOG") {
        let mut file =
            OpenOptions::new().create(true).append(true).open(&log).expect("opening IPIP_SKIP_LOG");
        writeln!(file, "{line}").expect("writing IPIP_SKIP_LOG");
    }
    false
}
