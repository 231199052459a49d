//! The root file system of a Debian 12, for tests of the package.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::sh::{self, Step};
use crate::{apt, dist, mirror};

const SUITE: &str = "bookworm";
/// What the tests want beside the bare system: what the package needs, and readers of what it brings.
const PACKAGES: &str = "systemd,man-db,iproute2,bash-completion";

/// Returns the root; makes it the first time.
pub(crate) fn base() -> Result<PathBuf> {
    let base = dist::folder().join(SUITE);
    let stamp = dist::folder().join(format!("{SUITE}.packages"));
    if fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGES) {
        return Ok(base);
    }
    apt::ensure(&["debootstrap", "debian-archive-keyring"], "testing the package in a Debian of its own")?;
    let archives = dist::folder().join("archives");
    fs::create_dir_all(&archives).with_context(|| format!("creating {}", archives.display()))?;
    let mut remove = sh::as_root(Path::new("rm"), &[]);
    if !sh::show(remove.arg("-rf").arg(&base))?.success() {
        bail!("{} is in the way", base.display());
    }
    let mut command = sh::as_root(Path::new("debootstrap"), &[]);
    command.args(["--variant=minbase", &format!("--include={PACKAGES}")]);
    command.arg(format!("--cache-dir={}", archives.display()));
    command.arg(SUITE).arg(&base).arg(mirror::mirror()?);
    let step = Step {
        what: &format!("making a Debian ({SUITE}) to test the package in (once)"),
        about: "1 to 3 minutes",
        limit: Some(Duration::from_mins(30)),
    };
    step.run(&mut command)?;
    fs::write(&stamp, PACKAGES).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(base)
}
