//! Tools that are quickest to get from Python's package index, each in a place of its own under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::apt;
use crate::sh::{self, Step};

/// Returns the program of a package, `name==version`; installs it into `home` the first time.
pub(crate) fn tool(home: &Path, package: &str, program: &str) -> Result<PathBuf> {
    let path = home.join("bin").join(program);
    let stamp = home.join("installed");
    let is_there = fs::read_to_string(&stamp).is_ok_and(|text| text == package);
    if is_there && sh::answer(Command::new(&path).arg("--version")).is_some() {
        return Ok(path);
    }
    apt::ensure(&["python3-venv"], &format!("installing {package}"))?;
    let parent = home.parent().context("a place for tools")?;
    fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    let step = Step { what: &format!("making a place for {package}"), about: "about 5 s", limit: None };
    // The system's python by its path: version managers put others first in PATH.
    step.run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(home))?;
    let step = Step {
        what: &format!("installing {package} (once)"),
        about: "about 5 s",
        limit: Some(Duration::from_mins(10)),
    };
    step.run(Command::new(home.join("bin/pip")).args(["install", package]))?;
    fs::write(&stamp, package).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(path)
}
