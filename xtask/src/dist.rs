//! `cargo xtask dist`: a Debian package of the daemon, with manual pages and completions made from the command line's
//! grammar.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build::{self, Built, OBJECT_VARIABLE};
use crate::sh::{self, Step};
use crate::{apt, tool};

const CARGO_DEB: &str = "3.8.0";
/// The shells that completions are made for, and how their files are called.
const SHELLS: [(&str, &str); 3] =
    [("bash", "ipip-ctl.bash"), ("zsh", "_ipip-ctl"), ("fish", "ipip-ctl.fish")];

/// What `cargo xtask dist` understands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The package's version; that of ipip-ctl when not given
    #[arg(long, value_name = "VERSION")]
    deb_version: Option<String>,
}

/// Returns where everything of packages lies.
pub(crate) fn folder() -> PathBuf {
    sh::target().join("deb")
}

/// Builds for speed, and packs.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let built = build::all(true, false)?;
    println!("{}", package(&built, args.deb_version.as_deref())?.display());
    Ok(ExitCode::SUCCESS)
}

/// Packs a daemon, and returns the package.
pub(crate) fn package(built: &Built, version: Option<&str>) -> Result<PathBuf> {
    let version = version.unwrap_or(env!("CARGO_PKG_VERSION"));
    // What a program needs is asked of its libraries' packages.
    apt::ensure(&["dpkg-dev"], "packing")?;
    let cargo_deb = tool::cargo("cargo-deb", CARGO_DEB, "about 3 minutes")?;
    manual()?;
    completions(&built.ctl)?;
    let package = folder().join(format!("ipip_{version}_amd64.deb"));
    let mut command = sh::cargo();
    command.env("PATH", path_with(cargo_deb.parent().context("the place of cargo-deb")?)?);
    command.args(["deb", "--package", "ipip-ctl", "--locked", "--no-build", "--deb-version", version]);
    if !built.is_release {
        // Packed for a test: at once, and large.
        command.args(["--profile", "dev", "--fast"]);
    }
    command.arg("--output").arg(&package);
    Step {
        what: &format!("packing {}", package.display()),
        about: "about 5 s",
        limit: Some(Duration::from_mins(5)),
    }
    .run(&mut command)?;
    Ok(package)
}

fn manual() -> Result<()> {
    let pages = folder().join("man");
    let _ = fs::remove_dir_all(&pages);
    let mut command = sh::cargo();
    command.args(["run", "--quiet", "--package", "ipip-ctl", "--example", "man-pages", "--"]).arg(&pages);
    command.env(OBJECT_VARIABLE, build::object_path());
    Step {
        what: "writing the manual pages",
        about: "about a minute the first time",
        limit: Some(Duration::from_mins(30)),
    }
    .run(&mut command)
}

/// The program writes them itself; it is to be found by its name, as on the machine that they go to.
fn completions(ctl: &Path) -> Result<()> {
    let place = folder().join("completions");
    fs::create_dir_all(&place).with_context(|| format!("creating {}", place.display()))?;
    let path = path_with(ctl.parent().context("the place of ipip-ctl")?)?;
    for (shell, file) in SHELLS {
        let mut command = Command::new("ipip-ctl");
        let text = sh::answer(command.env("PATH", &path).env("COMPLETE", shell))
            .with_context(|| format!("asking ipip-ctl for completions of {shell}"))?;
        let file = place.join(file);
        fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// The search path with this place in front.
fn path_with(place: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(place.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(places).context("joining PATH")
}
