//! Installs Debian packages where that is possible, and prints what to type where it is not.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::sh::{self, Step};

/// The package lists are fetched once in a run, and only when something is to be installed.
static UPDATED: AtomicBool = AtomicBool::new(false);

/// Returns those of `packages` that are not installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages.iter().copied().filter(|name| !is_installed(name)).collect()
}

fn is_installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", name]);
    sh::answer(&mut query).is_some_and(|status| status == "installed")
}

/// True when apt knows a version of the package that it could install.
pub(crate) fn offers(name: &str) -> bool {
    let mut policy = Command::new("apt-cache");
    policy.args(["policy", name]).env("LC_ALL", "C");
    sh::answer(&mut policy).is_some_and(|text| {
        text.lines()
            .any(|line| line.trim().strip_prefix("Candidate: ").is_some_and(|version| version != "(none)"))
    })
}

/// Returns the start of a command line that may install: `apt-get`, or `sudo -n apt-get`; `None` where we may not.
fn apt_get() -> Option<Command> {
    sh::answer(Command::new("apt-get").arg("--version"))?;
    let mut command = if sh::is_root() {
        Command::new("apt-get")
    } else {
        sh::answer(Command::new("sudo").args(["-n", "true"]))?;
        let mut command = Command::new("sudo");
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=120", "-qq"]);
    Some(command)
}

/// Fetches the package lists where that is allowed, once in a run.
pub(crate) fn update() {
    let Some(mut command) = apt_get().filter(|_| !UPDATED.swap(true, Ordering::Relaxed)) else { return };
    let step = Step {
        what: "fetching the package lists of apt",
        about: "about 5 s",
        limit: Some(Duration::from_mins(5)),
    };
    if let Err(error) = step.run(command.arg("update")) {
        // One unreachable source of several is common, and does not matter as long as the package is in another one.
        eprintln!("    going on with the lists apt has: {error:#}");
    }
}

/// Installs those of `packages` that are missing; fails with the command to type where it may not.
pub(crate) fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let Some(mut command) = apt_get() else {
        bail!(
            "{why} needs the Debian packages: {names}\nThey cannot be installed from here (that takes apt and root, or \
             sudo without a password). Type this, or install their like from your distribution:\n\n    \
             sudo apt-get update && sudo apt-get install --no-install-recommends {names}\n"
        );
    };
    update();
    let step = Step {
        what: &format!("installing {names} with apt: {why}"),
        about: "up to 2 minutes",
        limit: Some(Duration::from_mins(30)),
    };
    // --no-remove: nothing the machine has may go for our sake.
    step.run(command.args(["install", "--yes", "--no-remove", "--no-install-recommends"]).args(&missing))
}
