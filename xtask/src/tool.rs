//! Tools from crates.io, built once under `target/tools`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::sh::{self, Step};

/// Returns the program of a crate that has its name; builds it the first time.
pub(crate) fn cargo(name: &str, version: &str, about: &str) -> Result<PathBuf> {
    let tools = sh::target().join("tools");
    let program = tools.join("bin").join(name);
    let is_there = sh::answer(Command::new(&program).arg("--version"))
        .is_some_and(|text| text.split_whitespace().last() == Some(version));
    if is_there {
        return Ok(program);
    }
    let build = tools.join("build");
    let mut command = sh::cargo();
    command.args(["install", name, "--version", version, "--locked", "--force", "--root"]).arg(&tools);
    command.env("CARGO_TARGET_DIR", &build);
    let step = Step {
        what: &format!("building {name} {version} (once)"),
        about,
        limit: Some(Duration::from_mins(30)),
    };
    step.run(&mut command)?;
    // The intermediate files are of no further use, and big.
    let _ = fs::remove_dir_all(build);
    program.exists().then_some(program).with_context(|| format!("cargo installed no {name}"))
}
