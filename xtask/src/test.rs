//! `cargo xtask test`: the tiers, from tests that need nothing to other kernels in a virtual machine.
//!
//! Test programs are built first and then started one by one, as root where they must be, so that nothing is built as
//! root through sudo and every result can be counted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::build::{self, OBJECT_VARIABLE};
use crate::tally::Tally;
use crate::{apt, debian, dist, run, sh, vm};

/// What tests of the network start beside our own programs.
const PROGRAMS: [&str; 8] =
    ["iproute2", "procps", "tcpdump", "ethtool", "iputils-ping", "iperf3", "tshark", "python3-scapy"];

/// A version that every other is newer than.
const OLD_VERSION: &str = "0.0.1";

/// Which `ipip-ctl` the tests run: the one that was built, unless the user names another.
const CTL_VARIABLE: &str = "IPIP_CTL";

/// How the test files' names begin that need more than a compiler.
const ROOTED: [&str; 6] = ["load", "prog", "net_", "ctl_", "package", "vm_"];

/// A group of tests with the same needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Logic only: no root, no BPF
    Pure,
    /// Every program loads on this kernel (root)
    Load,
    /// Every case through the loaded programs (root)
    Prog,
    /// Tunnels between network namespaces (root)
    Net,
    /// The command line and the daemon (root)
    Ctl,
    /// The Debian package in a Debian with systemd (root)
    Package,
    /// Loading and a tunnel on Debian's kernels 6.1 and 6.12, emulated
    Vm,
}

/// What `cargo xtask test` understands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which tests; all when none is named
    #[arg(value_enum, value_name = "TIER")]
    tiers: Vec<Tier>,
    /// Goes to the test programs: parts of test names, and options of libtest
    #[arg(last = true, value_name = "FILTERS")]
    filters: Vec<String>,
}

/// A test program that cargo built.
struct Binary {
    name: String,
    path: PathBuf,
    folder: PathBuf,
}

/// Runs the tiers and prints the count last; fails when a test failed, or when a tier ran nothing.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let tiers = if args.tiers.is_empty() { Tier::value_variants() } else { &args.tiers };
    let mut counts = Vec::new();
    for tier in tiers {
        let name = tier.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        eprintln!("\n==> tier {name}");
        let tally =
            tier.run(&name, &args.filters).with_context(|| format!("running the tests of tier {name}"))?;
        counts.push((name, tally));
    }
    Ok(summarize(&counts, !args.filters.is_empty()))
}

fn summarize(counts: &[(String, Tally)], filtered: bool) -> ExitCode {
    let mut total = Tally::default();
    let mut parts = Vec::new();
    let mut empty = false;
    println!();
    for (name, tally) in counts {
        total += *tally;
        parts.push(format!("{name} {tally}"));
        if tally.ran() == 0 && !filtered {
            empty = true;
            println!("tier {name} ran no test at all, which counts as a failure");
        }
    }
    empty |= total.ran() == 0;
    let good = total.failed == 0 && !empty;
    println!("{}: {}", if good { "ok" } else { "FAILED" }, parts.join(" | "));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Tier {
    fn run(self, name: &str, filters: &[String]) -> Result<Tally> {
        match self {
            Self::Pure => pure(filters),
            Self::Load => rooted(name, &["load"], filters, &[]),
            Self::Prog => rooted(name, &["prog", "prog_answers"], filters, &[]),
            // One at a time: they share the machine's clock and its few processors.
            Self::Net => {
                build::bench_object()?;
                rooted(name, &named("net_")?, filters, &["--test-threads=1"])
            }
            Self::Ctl => rooted(name, &named("ctl_")?, filters, &["--test-threads=1"]),
            Self::Package => {
                let base = debian::base()?;
                // Another build: its programs are others, and its maps the same.
                let old = dist::package(&build::all(false, true)?, Some(OLD_VERSION))?;
                let built = build::all(false, false)?;
                let mut variables = environment(&built, name);
                let new = dist::package(&built, None)?;
                for (name, path) in [("IPIP_DEBIAN", base), ("IPIP_PACKAGE_OLD", old), ("IPIP_PACKAGE", new)]
                {
                    variables.push((name.to_owned(), path.display().to_string()));
                }
                with_root(name, &["package"], &variables, filters, &["--test-threads=1"])
            }
            Self::Vm => {
                let built = build::all(false, false)?;
                let mut names: Vec<String> = ["load", "net_smoke", "net_kinds"].map(str::to_owned).into();
                names.extend(named("vm_")?);
                // The virtual machine has this machine's programs.
                apt::ensure(&PROGRAMS, "testing")?;
                let binaries: Vec<PathBuf> =
                    programs(&names)?.into_iter().map(|binary| binary.path).collect();
                vm::run(&built, &binaries, filters)
            }
        }
    }
}

/// Returns the names of the test files that start with `prefix`.
fn named(prefix: &str) -> Result<Vec<String>> {
    let folder = sh::root().join("tests/tests");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let files = folder.read_dir().with_context(|| format!("listing the tests in {}", folder.display()))?;
    let mut names: Vec<String> = files
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    Ok(names)
}

fn pure(filters: &[String]) -> Result<Tally> {
    let mut own = vec!["--package", "ipip-common", "--features", "ipip-common/testing"];
    own.extend(["--package", "ipip-ctl", "--package", "xtask"]);
    let mut binaries = build_tests(&own)?;
    let mut harness = vec!["--package", "ipip-tests", "--lib"];
    let names = named("")?;
    let unprivileged = names.iter().filter(|name| !ROOTED.iter().any(|prefix| name.starts_with(prefix)));
    harness.extend(unprivileged.flat_map(|name| ["--test", name]));
    binaries.extend(build_tests(&harness)?);
    let mut tally = Tally::default();
    for binary in &binaries {
        let mut command = Command::new(&binary.path);
        tally += count(command.args(filters).current_dir(&binary.folder), &binary.name, "pure")?;
    }
    Ok(tally)
}

/// Runs test programs that need root, with all they need.
fn rooted<N: AsRef<str>>(tier: &str, names: &[N], filters: &[String], options: &[&str]) -> Result<Tally> {
    let built = build::all(false, false)?;
    apt::ensure(&PROGRAMS, "testing")?;
    run::mount_bpffs()?;
    with_root(tier, names, &environment(&built, tier), filters, options)
}

fn with_root<N: AsRef<str>>(
    tier: &str,
    names: &[N],
    variables: &[(String, String)],
    filters: &[String],
    options: &[&str],
) -> Result<Tally> {
    let mut tally = Tally::default();
    for binary in programs(names)? {
        let mut command = sh::as_root(&binary.path, variables);
        command.args(options).args(filters).current_dir(&binary.folder);
        tally += count(&mut command, &binary.name, tier)?;
    }
    Ok(tally)
}

fn environment(built: &build::Built, tier: &str) -> Vec<(String, String)> {
    // Tests start elsewhere than their user did.
    let chosen = std::env::var_os(CTL_VARIABLE).and_then(|path| std::path::absolute(path).ok());
    let ctl = chosen.unwrap_or_else(|| built.ctl.clone());
    let mut variables = vec![
        (OBJECT_VARIABLE.to_owned(), built.object.display().to_string()),
        (CTL_VARIABLE.to_owned(), ctl.display().to_string()),
        ("IPIP_SKIP_LOG".to_owned(), skip_log(tier).display().to_string()),
        ("IPIP_REQUIRE".to_owned(), required()),
        ("PATH".to_owned(), sh::path()),
    ];
    variables.extend(sh::set_among(&[
        "IPIP_PACKETS",
        "IPIP_CRASHES",
        "IPIP_TUNNELS",
        "IPIP_SECONDS",
        "IPIP_KEEPALIVE",
        "IPIP_LOAD",
        "TRYCMD",
        "RUST_BACKTRACE",
        "RUST_LOG",
    ]));
    variables
}

/// Says that a skip is a failure, unless the user set `IPIP_REQUIRE=0`: what tests need has been installed by now.
pub(crate) fn required() -> String {
    std::env::var("IPIP_REQUIRE").unwrap_or_else(|_| "1".to_owned())
}

fn skip_log(tier: &str) -> PathBuf {
    sh::target().join(format!("xtask/skipped-{tier}.txt"))
}

/// Builds test programs of `ipip-tests` by name.
fn programs<N: AsRef<str>>(names: &[N]) -> Result<Vec<Binary>> {
    let mut args = vec!["--package", "ipip-tests"];
    args.extend(names.iter().flat_map(|name| ["--test", name.as_ref()]));
    if names.is_empty() { Ok(Vec::new()) } else { build_tests(&args) }
}

/// Builds tests and returns their programs.
fn build_tests(args: &[&str]) -> Result<Vec<Binary>> {
    let mut command = sh::cargo();
    command.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(args);
    if build::object_path().exists() {
        // The same as in the other tiers, so that ipip-ctl is not built twice.
        command.env(OBJECT_VARIABLE, build::object_path());
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting `{}`", sh::line(&command)))?;
    if !output.status.success() {
        bail!("the tests do not build: see above (`{}`)", sh::line(&command));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(binary).collect())
}

/// Reads one of cargo's messages; `None` when it is not about a test program.
fn binary(message: &str) -> Option<Binary> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if !message["profile"]["test"].as_bool()? {
        return None;
    }
    Some(Binary {
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
        folder: Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf(),
    })
}

/// Runs a test program in plain view and counts what it did.
fn count(command: &mut Command, name: &str, tier: &str) -> Result<Tally> {
    let log = skip_log(tier);
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let _ = fs::remove_file(&log);
    eprintln!("==> {name}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting the tests {name}"))?;
    let lines = child.stdout.take().map(|stdout| {
        std::thread::spawn(move || {
            let mut counts = Vec::new();
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                println!("{text}");
                counts.extend(Tally::parse(&text));
            }
            counts
        })
    });
    let status = sh::wait(child, false, None, |_| ())?;
    sh::go_on()?;
    let counts = lines.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let mut tally = Tally::default();
    for one in &counts {
        tally += *one;
    }
    if tally.failed == 0 && !status.success() {
        println!("the test program {name} broke off ({status})");
        tally.failed = 1;
    }
    let skips = fs::read_to_string(&log).unwrap_or_default();
    tally.skip(skips.lines().count());
    skips.lines().for_each(|reason| println!("skipped: {reason}"));
    Ok(tally)
}
