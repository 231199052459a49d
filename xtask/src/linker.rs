//! Finds or builds bpf-linker, whose LLVM may not be older than the compiler's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::apt;
use crate::setup::Compiler;
use crate::sh::{self, Step};

const VERSION: &str = "0.13.0";

/// The versions of LLVM that this bpf-linker can be built with, the newest first.
const LLVMS: [u32; 3] = [23, 22, 21];

fn tools() -> PathBuf {
    sh::target().join("tools")
}

/// Says which LLVM the bpf-linker under `target/tools` was built with.
fn stamp() -> PathBuf {
    tools().join("bpf-linker.llvm")
}

/// Returns a linker that is there already and good enough: ours, else one in PATH.
pub(crate) fn find(llvm: u32) -> Option<PathBuf> {
    let ours = tools().join("bin/bpf-linker");
    let built_with = fs::read_to_string(stamp()).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if built_with.is_some_and(|built_with| built_with >= llvm)
        && version(&ours).is_some_and(|found| found == VERSION)
    {
        return Some(ours);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("bpf-linker")).find(|candidate| {
        version(candidate).is_some_and(|found| is_recent(&found))
            && shared_llvm(candidate).unwrap_or(u32::MAX) >= llvm
    })
}

fn version(linker: &Path) -> Option<String> {
    let text = sh::answer(Command::new(linker).arg("--version"))?;
    text.split_whitespace().last().map(str::to_owned)
}

fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(0), Some(13))
}

/// Returns the version of the shared LLVM that a linker loads; `None` when it carries its own, which then is recent.
fn shared_llvm(linker: &Path) -> Option<u32> {
    let libraries = sh::answer(Command::new("ldd").arg(linker))?;
    let (_, after) = libraries.split_once("libLLVM")?;
    after.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

/// Builds bpf-linker for a compiler, with LLVM from apt when there is none.
pub(crate) fn install(compiler: &Compiler) -> Result<PathBuf> {
    let (llvm, prefix) = match installed_llvm(compiler.llvm) {
        Some(found) => found,
        None => install_llvm(compiler.llvm)?,
    };
    let step = Step {
        what: &format!("building bpf-linker {VERSION} with LLVM {llvm} (once)"),
        about: "about a minute",
        limit: Some(Duration::from_mins(30)),
    };
    let features = format!("llvm-{llvm}");
    let mut command = sh::cargo();
    command
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force", "--no-default-features"])
        .args(["--features", &features, "--root"])
        .arg(tools())
        .env("LLVM_PREFIX", &prefix)
        .env("CARGO_TARGET_DIR", tools().join("build"));
    step.run(&mut command)?;
    // The intermediate files are of no further use, and big.
    let _ = fs::remove_dir_all(tools().join("build"));
    fs::write(stamp(), llvm.to_string()).with_context(|| format!("writing {}", stamp().display()))?;
    find(compiler.llvm)
        .context("bpf-linker was built, but it does not start: try `target/tools/bin/bpf-linker --version`")
}

/// Returns an installed LLVM with all that is needed to link against it: `LLVM_PREFIX`, or Debian's layout.
fn installed_llvm(at_least: u32) -> Option<(u32, PathBuf)> {
    let named = std::env::var_os("LLVM_PREFIX").map(PathBuf::from);
    let debian = LLVMS.iter().map(|version| PathBuf::from(format!("/usr/lib/llvm-{version}")));
    named.into_iter().chain(debian).find_map(|prefix| {
        let text = sh::answer(Command::new(prefix.join("bin/llvm-config")).arg("--version"))?;
        let major = text.split('.').next()?.parse().ok()?;
        // Debian ships Polly apart, and bpf-linker does not link without it.
        let is_debian = prefix.starts_with("/usr/lib/llvm-");
        let is_whole = !is_debian || apt::missing(&[&format!("libpolly-{major}-dev")]).is_empty();
        (LLVMS.contains(&major) && major >= at_least && is_whole).then_some((major, prefix))
    })
}

fn install_llvm(at_least: u32) -> Result<(u32, PathBuf)> {
    let by_hand = || {
        anyhow!(
            "bpf-linker needs LLVM {at_least} to {} with its development files. Either of these gives it:\n\n    \
             sudo apt-get install llvm-{at_least}-dev libpolly-{at_least}-dev\n    LLVM_PREFIX=/where/llvm/is cargo \
             xtask build\n",
            LLVMS[0]
        )
    };
    apt::update();
    let version = LLVMS
        .iter()
        .find(|version| **version >= at_least && apt::offers(&format!("llvm-{version}-dev")))
        .with_context(by_hand)?;
    let packages = [format!("llvm-{version}-dev"), format!("libpolly-{version}-dev")];
    apt::ensure(&[&packages[0], &packages[1]], "building bpf-linker").with_context(by_hand)?;
    installed_llvm(at_least).with_context(by_hand)
}
