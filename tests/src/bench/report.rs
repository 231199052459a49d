//! The report: a table on the terminal, a Markdown page, JSON, and pictures.
#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use super::gates::{self, Gate};
use super::rows::{Row, Rows};
use super::{Part, machine, plot};

/// All that was found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The layout of this file.
    pub version: u32,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The command that repeats it.
    pub command: String,
    /// Whether it was only tried whether it works.
    pub quick: bool,
    /// What machine this is.
    pub machine: Vec<(String, String)>,
    /// The goals.
    pub gates: Vec<Gate>,
    /// Every row with every round, and the parts that are missing.
    pub rows: Rows,
}

/// Rounds that are further apart than this share are said to be noisy.
const NOISY: f64 = 0.10;

impl Report {
    /// Of these rows of these parts, on this machine, now.
    #[must_use]
    pub fn new(rows: Rows, parts: &[Part], quick: bool) -> Self {
        let mut command = "cargo xtask bench".to_owned();
        if parts.len() < Part::value_variants().len() {
            for part in parts {
                let _ = write!(command, " {}", part.name());
            }
        }
        if quick {
            command.push_str(" --quick");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            version: 1,
            time: now.map_or(0, |since| since.as_secs()),
            command,
            quick,
            machine: machine::facts(),
            gates: gates::all(&rows),
            rows,
        }
    }

    /// Writes report.json, report.md and the pictures into the folder, and shows the page.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, earlier: Option<&Self>) -> Result<()> {
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
        };
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let page = self.page(earlier);
        write("report.json", &serde_json::to_string_pretty(self).context("writing the report")?)?;
        write("report.md", &page)?;
        for (name, picture) in plot::all(&self.rows) {
            write(&name, &picture)?;
        }
        println!("{page}");
        println!("In {}: report.md, report.json and a picture of each part.", folder.display());
        Ok(())
    }

    /// The Markdown page.
    #[must_use]
    pub fn page(&self, earlier: Option<&Self>) -> String {
        let mut page = format!("# What a packet costs\n\nMeasured with `{}`", self.command);
        if self.quick {
            page.push_str(", which only shows that it works: the figures mean little");
        }
        page.push_str(".\n\n");
        let mut write = |line: std::fmt::Arguments<'_>| {
            let _ = page.write_fmt(line);
            page.push('\n');
        };
        for (name, value) in &self.machine {
            write(format_args!("- {name}: {value}"));
        }
        write(format_args!(
            "\n## Goals\n\n| goal | limit | value | met | from |\n| --- | --- | --- | --- | --- |"
        ));
        for gate in &self.gates {
            let value = gate.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
            let met = match gate.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "-",
            };
            let before = earlier.and_then(|earlier| change(earlier, gate)).unwrap_or_default();
            write(format_args!(
                "| {} | {} | {value}{before} | {met} | {} |",
                gate.name, gate.goal, gate.from
            ));
        }
        for (part, why) in &self.rows.left_out {
            write(format_args!("\nPart `{part}` did not run: {why}."));
        }
        for part in ["ns", "insn", "veth", "tcp", "scale"] {
            let rows: Vec<&Row> = self.rows.all.iter().filter(|row| row.part == part).collect();
            if rows.is_empty() {
                continue;
            }
            write(format_args!(
                "\n## {part}\n\n| what | unit | min | median | net | rounds | note |\n| --- | --- | --- | --- | --- | --- | --- |"
            ));
            for row in rows {
                write(format_args!("{}", self.line(row)));
            }
        }
        page
    }

    fn line(&self, row: &Row) -> String {
        let net = self.rows.net(&row.part, &row.name).filter(|_| row.base.is_some());
        let net = net.map_or_else(String::new, |net| format!("{net:.2}"));
        let noisy = if row.rounds.len() > 2 && row.spread() > NOISY {
            format!("rounds {:.0} % apart", row.spread() * 100.0)
        } else {
            String::new()
        };
        let notes: Vec<&str> =
            [row.note.as_str(), &noisy].into_iter().filter(|note| !note.is_empty()).collect();
        format!(
            "| {} | {} | {:.2} | {:.2} | {net} | {} | {} |",
            row.name,
            row.unit,
            row.min(),
            row.median(),
            row.rounds.len(),
            notes.join("; ")
        )
    }
}

/// What it was before, in words.
fn change(earlier: &Report, gate: &Gate) -> Option<String> {
    let before = earlier.gates.iter().find(|other| other.name == gate.name)?.value?;
    Some(format!(" (before: {before:.2})"))
}

/// An earlier report.
///
/// # Errors
/// It cannot be read, or is of another layout.
pub fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of `cargo xtask bench`", file.display()))?;
    anyhow::ensure!(report.version == 1, "{}: layout {}, and not 1", file.display(), report.version);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut rows = Rows::default();
        rows.add("ns", "base into", "ns", None, vec![28.0, 29.0, 28.5]);
        rows.add("ns", "floor into, 20 bytes", "ns", Some("base into"), vec![36.0, 36.5, 45.0]);
        rows.add("ns", "ipip into", "ns", Some("base into"), vec![40.0, 40.5, 41.0]);
        rows.leave_out("insn", "no guest kernel");
        Report::new(rows, &[Part::Scale, Part::Ns], true)
    }

    #[test]
    fn the_page_says_what_did_not_run_and_what_is_noisy() {
        let page = report().page(None);
        assert!(page.contains("`cargo xtask bench scale ns --quick`"), "{page}");
        assert!(
            page.contains("| encapsulate, complete, known flow / floor | <= 1.6 | 1.50 | yes |"),
            "{page}"
        );
        assert!(page.contains("Part `insn` did not run: no guest kernel."));
        assert!(page.contains("| instructions of an encapsulated packet | <= 200 | not measured | - |"));
        assert!(page.contains("rounds 25 % apart"));
        assert!(page.contains("| ipip into | ns | 40.00 | 40.50 | 12.00 | 3 |  |"));
    }

    #[test]
    fn an_earlier_report_stands_beside_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut earlier = report();
        earlier.gates[0].value = Some(1.7);
        earlier.write(folder.path(), None).unwrap();
        let read = read(&folder.path().join("report.json")).unwrap();
        assert_eq!(read, earlier);
        assert!(report().page(Some(&read)).contains("1.50 (before: 1.70)"));
        assert!(super::read(&folder.path().join("report.md")).is_err());
    }
}
