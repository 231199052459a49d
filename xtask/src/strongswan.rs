//! Gets strongSwan for the tests without a change to this machine: packages that are unpacked and never installed, since
//! installed they would start an IKE daemon.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::sh::Step;
use crate::{apt, kernel};

/// The daemon, its plugins and its command line.
const PACKAGES: [&str; 6] = [
    "charon-systemd",
    "libcharon-extra-plugins",
    "libstrongswan",
    "libstrongswan-standard-plugins",
    "strongswan-libcharon",
    "strongswan-swanctl",
];

/// Returns the folder with its `usr`; downloads and unpacks it the first time.
pub(crate) fn tree() -> Result<PathBuf> {
    let home = kernel::folder().join("strongswan");
    let (tree, mark) = (home.join("tree"), home.join("complete"));
    if mark.exists() {
        return Ok(tree);
    }
    let _ = fs::remove_dir_all(&home);
    let downloads = home.join("downloads");
    for folder in [&tree, &downloads] {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    apt::update();
    let step = Step { what: "downloading strongSwan (once)", about: "3 MB", limit: None };
    let mut download = Command::new("apt-get");
    download.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]).args(PACKAGES);
    step.run(download.current_dir(&downloads))?;
    for file in downloads.read_dir().context("listing strongSwan's packages")?.flatten() {
        let step = Step { what: "unpacking a part of strongSwan", about: "a second", limit: None };
        step.run(Command::new("dpkg-deb").arg("--extract").arg(file.path()).arg(&tree))?;
    }
    fs::write(&mark, PACKAGES.join(" ")).context("marking strongSwan as complete")?;
    Ok(tree)
}
