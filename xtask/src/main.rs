//! Tasks of this repository: `cargo xtask --help`.
//!
//! One file a verb. `build`, `run` and `test` set up everything they need on a fresh machine, say what they do, and
//! keep what they make under `target/`; `sh.rs` is the one place that starts other programs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod apt;
mod bench;
mod build;
mod conformance;
mod debian;
mod dist;
mod docs;
mod kernel;
mod licences;
mod linker;
mod lint;
mod mentions;
mod mirror;
mod object_shape;
mod python;
mod run;
mod setup;
mod sh;
mod strongswan;
mod tally;
mod test;
mod tool;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and tests ipip, on a fresh machine too: what is missing is installed or built first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds or installs the compiler and the linker for eBPF, and nothing else
    Setup,
    /// Builds the eBPF programs and the daemon `ipip-ctl` with the programs inside
    Build {
        /// Builds the daemon with optimisation (the programs always are)
        #[arg(long)]
        release: bool,
        /// Builds programs that log every refused packet through the daemon (`RUST_LOG=debug`)
        #[arg(long)]
        trace: bool,
    },
    /// Runs the lab, or with ARGS `ipip-ctl ARGS` as root on this machine
    Run(run::Args),
    /// Runs the tests, all tiers or those named
    Test(test::Args),
    /// Measures what a packet costs, beside floors and peers in the same run (about ten minutes)
    Bench(bench::Args),
    /// Makes a Debian package of the daemon
    Dist(dist::Args),
    /// Checks format, lints, docs, licences, spelling, and the shape of the eBPF object
    Lint,
    /// Writes the documents that are made from the code
    Docs(docs::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Setup => setup::toolchain().map(|found| {
            println!("{}", found.describe());
            ExitCode::SUCCESS
        }),
        Command::Build { release, trace } => build::all(release, trace).map(|built| {
            println!("object  {}\ndaemon  {}", built.object.display(), built.ctl.display());
            ExitCode::SUCCESS
        }),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Lint => lint::run(),
        Command::Docs(args) => docs::run(&args),
    };
    done.unwrap_or_else(|error| {
        // Not `{error:?}`: with RUST_BACKTRACE set, that buries the words to act on under a page of addresses.
        eprintln!("error: {error}");
        error.chain().skip(1).for_each(|cause| eprintln!("  because: {cause}"));
        ExitCode::FAILURE
    })
}
