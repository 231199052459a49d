//! `cargo xtask bench`: what a packet costs, against floors and peers on the same machine in the same run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::build::{self, OBJECT_VARIABLE};
use crate::{apt, run, sh, vm};

/// What the benchmark starts beside our own programs.
const PROGRAMS: [&str; 4] = ["iproute2", "ethtool", "iperf3", "tcpdump"];

/// What `cargo xtask bench` understands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which parts, of ns, insn, veth, tcp and scale; all when none is named
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    /// Fewer packets and rounds: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Shows what has changed since an earlier report.json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Builds for speed and runs the parts; the report is in target/bench.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let object = build::bench_object()?;
    let built = build::all(true, false)?;
    eprintln!("==> building the benchmark");
    let mut cargo = sh::cargo();
    cargo.args(["build", "--profile", "measure", "--package", "ipip-tests", "--bin", "ipip-bench"]);
    sh::must(cargo.env(OBJECT_VARIABLE, build::object_path()))?;
    apt::ensure(&PROGRAMS, "the benchmark")?;
    run::mount_bpffs()?;
    let folder = sh::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let bench = sh::target().join("measure/ipip-bench");
    let mut parts: Vec<&str> = args.parts.iter().map(String::as_str).collect();
    if parts.is_empty() {
        parts = vec!["ns", "insn", "veth", "tcp", "scale"];
    }
    if parts.contains(&"insn") {
        let counted = folder.join("insn.json");
        let _ = std::fs::remove_file(&counted);
        if let Err(error) = vm::count(&object, &bench, &counted) {
            eprintln!("==> no instructions are counted: {error:#}");
        }
    }
    let mut command = sh::as_root(&bench, &[]);
    command.arg("--object").arg(&object).arg("--ctl").arg(&built.ctl).arg("--folder").arg(&folder);
    command.args(&parts);
    if args.quick {
        command.arg("--quick");
    }
    if let Some(earlier) = &args.compare {
        command.arg("--compare").arg(earlier);
    }
    eprintln!("==> {}", sh::line(&command));
    Ok(sh::exit_code(sh::show(&mut command)?))
}
