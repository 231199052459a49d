//! `cargo xtask bench`: what a packet costs, always beside a floor or a peer in the same run.
//!
//! Each part gives [`rows::Row`]s; [`gates`] makes ratios of them, [`report`] the table, the Markdown page and the JSON, and
//! `plot` the pictures.

#![expect(clippy::print_stderr, reason = "it says what it is doing")]

mod followed;
pub mod gates;
mod interfaces;
mod machine;
mod ns;
mod packet;
mod plot;
pub mod report;
mod rig;
pub mod rows;
mod scale;
mod tcp;
mod udp;
mod veth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;

use self::report::Report;
use self::rows::Rows;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Nanoseconds of a packet by test runs of the kernel
    Ns,
    /// Instructions of a packet, counted in an emulated machine
    Insn,
    /// Packets per second from port to port over veths, on one CPU
    Veth,
    /// TCP between two hosts through tier 2
    Tcp,
    /// Many tunnels, many routes and routes that change, many interfaces
    Scale,
}

impl Part {
    /// As it is named on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The programs, with those of the benchmark.
    pub object: PathBuf,
    /// The program `ipip-ctl`.
    pub ctl: PathBuf,
    /// Where the report goes.
    pub folder: PathBuf,
    /// Whether it is enough to see that it works.
    pub quick: bool,
    /// Whether this is the emulated machine in which time is the number of instructions.
    pub counting: bool,
    /// An earlier report to compare with.
    pub compare: Option<PathBuf>,
    /// The parts; all where there are none.
    pub parts: Vec<Part>,
}

/// Runs the parts and writes the report. What did not run is in it as a reason, never as a number.
///
/// # Errors
/// No permission, or the report cannot be written.
pub fn run(options: &Options) -> Result<Report> {
    if !nix::unistd::geteuid().is_root() {
        bail!("loading BPF programs and making network namespaces needs root: run it as root or with sudo");
    }
    let earlier = options.compare.as_ref().map(|file| report::read(file)).transpose()?;
    let all = Part::value_variants();
    let parts = if options.parts.is_empty() { all } else { &options.parts };
    let mut rows = Rows::default();
    for part in all {
        let name = part.name();
        if !parts.contains(part) {
            rows.leave_out(&name, "not asked for");
            continue;
        }
        eprintln!("==> {name}");
        // What the parts share with the tests panics; the other parts run all the same.
        let done = catch_unwind(AssertUnwindSafe(|| match part {
            Part::Ns => ns::measure(options, &mut rows),
            Part::Insn => take_counted(options, &mut rows),
            Part::Veth => veth::measure(options, &mut rows),
            Part::Tcp => tcp::measure(options, &mut rows),
            Part::Scale => scale::measure(options, &mut rows)
                .map(|()| followed::measure(options, &mut rows))
                .map(|()| interfaces::measure(options, &mut rows)),
        }))
        .unwrap_or_else(|_| Err(anyhow!("it broke off; why stands above")));
        if let Err(error) = done {
            eprintln!("    did not run: {error:#}");
            rows.leave_out(&name, &format!("{error:#}"));
        }
    }
    if options.counting {
        let file = options.folder.join("insn.json");
        let text = serde_json::to_string(&rows).context("writing what was counted")?;
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        return Ok(Report::new(rows, parts, options.quick));
    }
    let report = Report::new(rows, parts, options.quick);
    report.write(&options.folder, earlier.as_ref())?;
    Ok(report)
}

/// What was counted in the emulated machine, before this process was started.
fn take_counted(options: &Options, rows: &mut Rows) -> Result<()> {
    let file = options.folder.join("insn.json");
    let text = std::fs::read_to_string(&file)
        .context("the emulated machine left no result: xtask has said above why")?;
    let counted: Rows = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    if counted.all.is_empty() {
        let reasons: Vec<String> =
            counted.left_out.into_iter().map(|(part, why)| format!("{part}: {why}")).collect();
        bail!("nothing was counted: {}", reasons.join("; "));
    }
    rows.take_as(counted, "insn", "instructions");
    Ok(())
}
