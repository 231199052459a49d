//! Writes the manual pages of `ipip-ctl` and its verbs into a directory: `man-pages DIRECTORY`.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use ipip_ctl::cli::Cli;

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: man-pages DIRECTORY"))?;
    std::fs::create_dir_all(&directory)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory)
}
