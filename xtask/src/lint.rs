//! `cargo xtask lint`: everything that can be found without running a test.
//!
//! All checks run, also after one failed, and the last lines name those that did.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::build::{self, OBJECT_VARIABLE};
use crate::setup::{self, Toolchain, Way};
use crate::{apt, docs, licences, object_shape, python, sh};

const TYPOS: &str = "typos==1.52.0";

/// Clippy of Debian's rustc-web.
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// Runs every check and fails when one did.
pub(crate) fn run() -> Result<ExitCode> {
    let toolchain = setup::toolchain()?;
    let checks: [(&str, &dyn Fn() -> Result<()>); 9] = [
        ("format", &format),
        ("eBPF programs", &|| build::object().map(drop)),
        ("clippy", &clippy),
        ("clippy for BPF", &|| clippy_bpf(&toolchain)),
        ("documentation", &documentation),
        ("generated documents", &docs::check),
        ("licences", &licences),
        ("spelling", &spelling),
        ("shape of the eBPF object", &shape),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("\n==> lint: {name}");
        if let Err(error) = check() {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("\nok: {} checks", checks.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nFAILED: {} of {} checks: {}", failed.len(), checks.len(), failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn format() -> Result<()> {
    sh::must(sh::cargo().args(["fmt", "--all", "--check"])).context("`cargo fmt` puts it right")?;
    // Not in the workspace.
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    sh::must(sh::cargo().args(fuzz)).context("`cargo fmt --manifest-path fuzz/Cargo.toml` puts it right")
}

fn clippy() -> Result<()> {
    let mut command = sh::cargo();
    command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--keep-going",
        "--",
        "--deny",
        "warnings",
    ]);
    sh::must(command.env(OBJECT_VARIABLE, build::object_path()))
}

/// Runs clippy on the programs as they are built for BPF; where the compiler has no clippy, its own warnings must do
/// (the check of the whole workspace runs clippy on them for the host).
fn clippy_bpf(toolchain: &Toolchain) -> Result<()> {
    // The programs of the benchmark have all the others beside them.
    let options = ["--bin", "ipip-ebpf", "--features", "bench"];
    match &toolchain.compiler.way {
        Way::Sysroot(_) => {
            if apt::offers("rust-web-clippy") {
                apt::ensure(&["rust-web-clippy"], "clippy for BPF")?;
            }
            // Clippy must be of the compiler's own version.
            let driver = sh::answer(Command::new(DEBIAN_CLIPPY).args(["--rustc", "--version"]));
            if driver.is_some_and(|text| text.contains(&toolchain.compiler.release)) {
                let mut command = toolchain.cargo("check", &[]);
                command.env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY).env("CLIPPY_ARGS", deny_for_clippy());
                return sh::must(command.args(options));
            }
        }
        Way::Nightly => {
            if sh::answer(Command::new("rustup").args(["run", "nightly", "cargo-clippy", "--version"]))
                .is_some()
            {
                return sh::must(
                    toolchain.cargo("clippy", &[]).args(options).args(["--", "--deny", "warnings"]),
                );
            }
        }
    }
    eprintln!("    no clippy for this compiler: `cargo check` with denied warnings instead");
    sh::must(toolchain.cargo("check", &["-D", "warnings"]).args(options))
}

/// What `cargo clippy -- --deny warnings` tells clippy-driver, in its own spelling.
fn deny_for_clippy() -> String {
    ["--deny", "warnings", ""].join("__CLIPPY_HACKERY__")
}

fn documentation() -> Result<()> {
    let mut command = sh::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    sh::must(command.env("RUSTDOCFLAGS", "-D warnings").env(OBJECT_VARIABLE, build::object_path()))
}

fn licences() -> Result<()> {
    eprintln!("    {} crates", licences::check()?);
    Ok(())
}

fn spelling() -> Result<()> {
    let typos = python::tool(&sh::target().join("tools/typos"), TYPOS, "typos")?;
    sh::must(Command::new(typos).current_dir(sh::root()).arg("."))
        .context("a word that is right goes into typos.toml")
}

fn shape() -> Result<()> {
    let path: &Path = &build::object_path();
    for line in object_shape::check(path)? {
        eprintln!("    {line}");
    }
    Ok(())
}
