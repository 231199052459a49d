//! `cargo xtask run`: the lab, or `ipip-ctl` with the user's words, as root.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::build::{self, OBJECT_VARIABLE};
use crate::sh;

const BPFFS: &str = "/sys/fs/bpf";

/// What `cargo xtask run` understands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the traffic of the lab runs; 10 s when not given
    #[arg(long, value_name = "N", conflicts_with = "words")]
    seconds: Option<u64>,
    /// Builds programs that log every refused packet through the daemon (`RUST_LOG=debug`)
    #[arg(long)]
    trace: bool,
    /// Runs `ipip-ctl ARGS` on this machine instead of the lab
    #[arg(last = true, value_name = "ARGS")]
    words: Vec<String>,
}

/// Builds for speed and runs the lab or the daemon; returns the child's own exit status.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let built = build::all(true, args.trace)?;
    let mut command = if args.words.is_empty() {
        lab(&built.ctl, args.seconds)?
    } else {
        let mut command = sh::as_root(&built.ctl, &sh::set_among(&["RUST_LOG", "IPIP_SOCKET"]));
        command.args(&args.words);
        command
    };
    // The lab mounts a file system of its own.
    if args.words.iter().any(|word| word == "daemon") {
        mount_bpffs()?;
    }
    eprintln!("==> {}", sh::line(&command));
    Ok(sh::exit_code(sh::show(&mut command)?))
}

fn lab(ctl: &Path, seconds: Option<u64>) -> Result<Command> {
    eprintln!("==> building the lab");
    let mut cargo = sh::cargo();
    cargo.args(["build", "--release", "--package", "ipip-tests", "--bin", "ipip-lab"]);
    sh::must(cargo.env(OBJECT_VARIABLE, build::object_path()))?;
    let mut command = sh::as_root(&sh::target().join("release/ipip-lab"), &[]);
    command.arg("--ctl").arg(ctl);
    if let Some(seconds) = seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    Ok(command)
}

/// Mounts the BPF file system where maps are pinned, when nobody did (containers, early boot).
pub(crate) fn mount_bpffs() -> Result<()> {
    let kind = statfs(BPFFS).with_context(|| format!("looking at {BPFFS}: does this kernel have BPF?"))?;
    if kind.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    eprintln!("==> mounting the BPF file system on {BPFFS}, where maps are pinned");
    let mut command = sh::as_root(Path::new("mount"), &[]);
    let status = sh::show(command.args(["-t", "bpf", "bpf", BPFFS]))?;
    if !status.success() {
        bail!(
            "mounting the BPF file system failed ({status}); maps cannot be pinned without. Try `{}` as root",
            sh::line(&command)
        );
    }
    Ok(())
}
