//! `cargo xtask run`: the tunnel at work on this machine alone, in network namespaces.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Two sites in network namespaces with a real daemon at both ends of a tunnel, and traffic between them.
///
/// Exits with 0 only if all of the traffic went through the tunnel. Needs root and the program `ip`, and leaves
/// nothing behind.
#[derive(Parser)]
#[command(name = "ipip-lab", version)]
struct Arguments {
    /// The program ipip-ctl that serves both ends
    #[arg(long, value_name = "PATH", env = "IPIP_CTL", default_value = "target/release/ipip-ctl")]
    ctl: PathBuf,
    /// How long the traffic runs
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ipip_tests::lab::run(&arguments.ctl, arguments.seconds)
}
