//! `ipip-ctl`: see [`ipip_ctl`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ipip_ctl::cli::complete();
    ipip_ctl::cmd::main(std::env::args_os().collect())
}
