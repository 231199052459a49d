//! `cargo xtask bench`: what a packet costs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ipip_tests::bench::{self, Options, Part};

/// Measures what a packet costs, beside floors and peers in the same run. Needs root and the programs `ip` and `iperf3`.
///
/// Traffic stays in network namespaces that it makes and removes.
#[derive(Parser)]
#[command(name = "ipip-bench", version)]
struct Arguments {
    /// The programs with those of the benchmark
    #[arg(long, value_name = "FILE")]
    object: PathBuf,
    /// The program ipip-ctl
    #[arg(long, value_name = "PATH", default_value = "target/release/ipip-ctl")]
    ctl: PathBuf,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    folder: PathBuf,
    /// Fewer packets and rounds: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// In an emulated machine whose clock counts instructions: leaves rows for the part insn
    #[arg(long)]
    counting: bool,
    /// Shows what has changed since an earlier report.json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Which parts; all when none is named
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
}

#[expect(clippy::print_stderr, reason = "a command line tool talks to its user")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        object: arguments.object,
        ctl: arguments.ctl,
        folder: arguments.folder,
        quick: arguments.quick,
        counting: arguments.counting,
        compare: arguments.compare,
        parts: arguments.parts,
    };
    match bench::run(&options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
