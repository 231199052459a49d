//! `cargo xtask docs`: documents that are made from the code, so that they cannot say something else.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ipip_common::abi::{Action, Reason};

use crate::{conformance, sh};

/// What `cargo xtask docs` understands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Writes nothing, and fails when a document is not what it would become
    #[arg(long)]
    check: bool,
}

/// Writes the documents.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.check {
        check()?;
        return Ok(ExitCode::SUCCESS);
    }
    for (path, text) in documents()? {
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails when a document is not fresh.
pub(crate) fn check() -> Result<()> {
    for (path, text) in documents()? {
        if fs::read_to_string(&path).unwrap_or_default() != text {
            bail!("{} does not match the code: run `cargo xtask docs` and commit it", path.display());
        }
    }
    Ok(())
}

/// Every document with what it is to hold.
fn documents() -> Result<[(PathBuf, String); 2]> {
    let path = |name| sh::root().join("docs").join(name);
    Ok([(path("reasons.md"), reasons()), (path("conformance.md"), conformance::document()?)])
}

fn reasons() -> String {
    let mut text = String::from(
        "<!-- Made by `cargo xtask docs` from ipip-common/src/abi/reason.rs. -->\n\n# Reasons\n\n\
         A packet of a tunnel that the programs do not carry is counted under exactly one of these. *pass*: it goes \
         on to the\nnext tier or to the host's stack as it arrived; *drop*: it ends here;\n*note*: it \
         is carried, and counted here too.\n\n\
         | number | name | then | what was true of the packet |\n| ---: | --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let then = match reason.action() {
            Action::Pass => "pass",
            Action::Drop => "drop",
            Action::Note => "note",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {} | `{}` | {then} | {} |", reason as u32, reason.name(), reason.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_row() {
        let rows = reasons().lines().filter(|line| line.starts_with("| ") && line.contains('`')).count();
        assert_eq!(rows, Reason::ALL.len());
    }
}
