//! Finds a compiler for `bpfel-unknown-none` and a linker that fits it, and installs them where that is possible.
//!
//! Two compilers will do: a rustc whose sysroot holds `core` for the target (Debian's `rustc-web` with
//! `libstd-rust-web-dev-bpf`), or rustup's nightly with `rust-src`, from which cargo builds `core` itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::sh::{self, Step};
use crate::{apt, linker};

/// The target of the programs.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Pairs of Debian packages: a compiler, and `core` for BPF to go with it.
const DEBIAN: [[&str; 2]; 2] = [["rustc-web", "libstd-rust-web-dev-bpf"], ["rustc", "libstd-rust-dev-bpf"]];

/// How cargo gets a `core` for BPF.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// This rustc has it in its sysroot.
    Sysroot(PathBuf),
    /// Rustup's nightly builds it from source.
    Nightly,
}

/// A compiler for BPF.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) way: Way,
    pub(crate) release: String,
    pub(crate) llvm: u32,
}

/// All that is needed to build the programs.
#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

impl Toolchain {
    /// Says what was found.
    pub(crate) fn describe(&self) -> String {
        let Compiler { way, release, llvm } = &self.compiler;
        let from = match way {
            Way::Sysroot(rustc) => rustc.display().to_string(),
            Way::Nightly => "rustup's nightly, with core from rust-src".to_owned(),
        };
        format!("eBPF: rustc {release} (LLVM {llvm}) from {from}; linker {}", self.linker.display())
    }

    /// Returns `cargo SUBCOMMAND` for the programs' target with this compiler and linker.
    pub(crate) fn cargo(&self, subcommand: &str, flags: &[&str]) -> Command {
        let mut command = match &self.compiler.way {
            Way::Sysroot(rustc) => {
                let mut command = sh::cargo();
                // aya-ebpf needs unstable features, which a stable rustc allows with this variable only (E0554).
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").arg(subcommand);
                command
            }
            Way::Nightly => {
                let mut command = sh::cargo();
                command.env_remove("RUSTC").env("RUSTUP_TOOLCHAIN", "nightly");
                command.args([subcommand, "-Z", "build-std=core"]);
                command
            }
        };
        let linker = format!("linker={}", self.linker.display());
        let mut rustflags =
            vec!["-C", &linker, "-C", "link-arg=--btf", "-C", "debuginfo=2", "-C", "target-cpu=v3"];
        rustflags.extend(flags);
        command
            .args(["--package", "ipip-ebpf", "--target", BPF_TARGET])
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f"))
            .env("CARGO_TARGET_DIR", sh::target().join("bpf"))
            .env_remove("RUSTFLAGS");
        command
    }
}

/// Returns what builds the programs; installs what is missing first.
pub(crate) fn toolchain() -> Result<Toolchain> {
    let mut compilers = compilers();
    if let Some(found) = ready(&compilers) {
        return Ok(found);
    }
    if compilers.is_empty() {
        install_compiler()?;
        compilers = self::compilers();
    }
    let mut failures = Vec::new();
    for compiler in compilers {
        match linker::install(&compiler) {
            Ok(linker) => return Ok(Toolchain { compiler, linker }),
            Err(error) => failures.push(format!("for rustc {}: {error:?}", compiler.release)),
        }
    }
    bail!("no linker for eBPF\n{}", failures.join("\n"))
}

fn ready(compilers: &[Compiler]) -> Option<Toolchain> {
    compilers.iter().find_map(|compiler| {
        linker::find(compiler.llvm).map(|linker| Toolchain { compiler: compiler.clone(), linker })
    })
}

/// Returns every compiler on this machine that can make BPF, the one without a build of `core` first.
fn compilers() -> Vec<Compiler> {
    [with_core("/usr/bin/rustc"), nightly()].into_iter().flatten().collect()
}

/// Returns the rustc at `path` when its sysroot holds `core` for BPF and it is new enough for this workspace.
fn with_core(path: &str) -> Option<Compiler> {
    let sysroot = sh::answer(Command::new(path).args(["--print", "sysroot"]))?;
    let libraries = Path::new(&sysroot).join("lib/rustlib").join(BPF_TARGET).join("lib");
    let has_core = libraries.read_dir().is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    });
    let compiler = describe(Way::Sysroot(path.into()), Command::new(path))?;
    (has_core && is_new_enough(&compiler.release)).then_some(compiler)
}

/// Returns rustup's nightly when it has the component rust-src and is new enough.
fn nightly() -> Option<Compiler> {
    let sysroot = sh::answer(nightly_rustc().args(["--print", "sysroot"]))?;
    let has_source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
    let compiler = describe(Way::Nightly, nightly_rustc())?;
    (has_source && is_new_enough(&compiler.release)).then_some(compiler)
}

fn nightly_rustc() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc"]).env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn describe(way: Way, mut rustc: Command) -> Option<Compiler> {
    let text = sh::answer(rustc.arg("-vV"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some(Compiler { way, release: field("release: ")?.to_owned(), llvm })
}

fn is_new_enough(release: &str) -> bool {
    let minor = |text: &str| text.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor(release) >= minor(env!("CARGO_PKG_RUST_VERSION"))
}

fn install_compiler() -> Result<()> {
    eprintln!("==> no compiler for eBPF here: looking for one to install (once)");
    if sh::answer(nightly_rustc().arg("--version")).is_some() {
        let step = Step {
            what: "adding rust-src to rustup's nightly",
            about: "10 s, given up after 60 s",
            limit: Some(Duration::from_mins(1)),
        };
        match step.run(Command::new("rustup").args([
            "component",
            "add",
            "rust-src",
            "--toolchain",
            "nightly",
        ])) {
            Ok(()) if nightly().is_some() => return Ok(()),
            Ok(()) => eprintln!(
                "    but that nightly will not do: older than {}, or without the sources",
                env!("CARGO_PKG_RUST_VERSION")
            ),
            Err(error) => eprintln!("    so trying apt instead: {error:#}"),
        }
    }
    apt::update();
    let by_hand = || {
        anyhow!(
            "no compiler for {BPF_TARGET}. Either of these gives one:\n\n    rustup toolchain install nightly \
             --profile minimal --component rust-src\n    sudo apt-get update && sudo apt-get install {}\n",
            DEBIAN[0].join(" ")
        )
    };
    let offered = DEBIAN.iter().find(|[_, core]| apt::offers(core)).with_context(by_hand)?;
    apt::ensure(offered, "a compiler for eBPF").with_context(by_hand)?;
    if with_core("/usr/bin/rustc").is_none() {
        bail!(
            "apt installed {}, but /usr/bin/rustc has no core for {BPF_TARGET} or is older than {}.\n{}",
            offered.join(" and "),
            env!("CARGO_PKG_RUST_VERSION"),
            by_hand()
        );
    }
    Ok(())
}
