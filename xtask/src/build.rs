//! `cargo xtask build`: the eBPF object, then the daemon with the object inside.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{setup, sh};

/// Names the object for ipip-ctl's build script, and for tests.
pub(crate) const OBJECT_VARIABLE: &str = "IPIP_BPF_OBJECT";

/// What `cargo xtask build` makes.
pub(crate) struct Built {
    /// The linked programs.
    pub(crate) object: PathBuf,
    /// The daemon and command line.
    pub(crate) ctl: PathBuf,
    /// It was built for speed.
    pub(crate) is_release: bool,
}

/// Returns where the linked object lies once it is built.
pub(crate) fn object_path() -> PathBuf {
    sh::target().join("bpf/ipip-ebpf.o")
}

/// Builds the programs and the daemon.
pub(crate) fn all(release: bool, trace: bool) -> Result<Built> {
    let object = object_with(trace)?;
    let ctl = ctl(release)?;
    Ok(Built { object, ctl, is_release: release })
}

/// Builds the programs; the file keeps its age when nothing in it changed, so that nothing after it is built again.
pub(crate) fn object() -> Result<PathBuf> {
    object_with(false)
}

/// Builds the programs with those of the benchmark beside them, as an object of its own. That for the kernel's lightweight
/// tunnels has to lie beside it.
pub(crate) fn bench_object() -> Result<PathBuf> {
    copy(&link("ipip-lwt", None)?, "bpf/ipip-lwt.o")?;
    copy(&link("ipip-ebpf", Some("bench"))?, "bpf/ipip-bench.o")
}

fn copy(linked: &Path, name: &str) -> Result<PathBuf> {
    let object = sh::target().join(name);
    fs::copy(linked, &object).with_context(|| format!("writing {}", object.display()))?;
    Ok(object)
}

fn object_with(trace: bool) -> Result<PathBuf> {
    let linked = link("ipip-ebpf", trace.then_some("trace"))?;
    let bytes =
        fs::read(&linked).with_context(|| format!("reading the linked programs {}", linked.display()))?;
    let object = object_path();
    if fs::read(&object).ok().as_ref() != Some(&bytes) {
        fs::write(&object, &bytes).with_context(|| format!("writing {}", object.display()))?;
    }
    Ok(object)
}

/// Links the programs, and returns where they are until the next time.
fn link(name: &str, feature: Option<&str>) -> Result<PathBuf> {
    let toolchain = setup::toolchain()?;
    eprintln!("==> building the eBPF programs (about 30 s the first time)");
    let mut command = toolchain.cargo("build", &[]);
    command.args(["--release", "--bin", name]);
    if let Some(feature) = feature {
        command.args(["--features", feature]);
    }
    sh::must(&mut command)?;
    Ok(sh::target().join("bpf").join(setup::BPF_TARGET).join("release").join(name))
}

/// Builds the daemon around the object that is there.
fn ctl(release: bool) -> Result<PathBuf> {
    eprintln!("==> building ipip-ctl (about a minute the first time)");
    let mut command = sh::cargo();
    command.args(["build", "--package", "ipip-ctl"]).env(OBJECT_VARIABLE, object_path());
    if release {
        command.arg("--release");
    }
    sh::must(&mut command)?;
    Ok(sh::target().join(if release { "release/ipip-ctl" } else { "debug/ipip-ctl" }))
}
