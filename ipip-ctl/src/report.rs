//! What people and programs see: data on standard output, failures on standard error. Nothing else prints.

mod changes;
mod detail;
mod events;
mod list;
mod rates;
mod screen;
mod stats;
mod status;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub use self::changes::Changes;
use self::screen::{BAD, GOOD, HEADING, Screen};
use crate::api::change::{Change, PropertyChange};
use crate::api::protocol::{DaemonStatus, TunnelView};
use crate::cli::Color;
use crate::events::Told;
use crate::failure::{Failure, FailureKind};
use crate::import::Problem;
use crate::monitor::rates::{Rates, Sample};
use crate::spec::TunnelSpec;

/// The version of what `--json` writes; it goes up when a program that reads an older one would misread it.
const SCHEMA: u32 = 1;

/// A tunnel with its number in the list.
pub type Numbered<'a> = (usize, &'a TunnelView);

/// How to report: for people, or as JSON for programs.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    json: bool,
    color: Color,
}

impl Report {
    /// Chooses the form.
    #[must_use]
    pub fn new(json: bool, color: Color) -> Self {
        Self { json, color }
    }

    /// Reports that a tunnel was added, by the name that the daemon may have chosen.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn added(self, name: &str) -> Result<(), Failure> {
        self.write(|| format!("added {name}\n"), || json!({ "added": name }))
    }

    /// Reports what was changed, or would be.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn changes(
        self,
        changes: &[Change],
        settings: &[PropertyChange],
        form: Changes,
    ) -> Result<(), Failure> {
        self.write(
            || changes::text(changes, settings, form),
            || json!({ "dry-run": form.is_dry_run, "changes": changes, "settings": settings }),
        )
    }

    /// Reports what was imported; what was not understood goes to standard error, each with its line.
    ///
    /// # Errors
    ///
    /// An output cannot be written.
    pub fn imported(
        self,
        changes: &[Change],
        problems: &[Problem],
        next: &[String],
        (file, form): (&Path, Changes),
    ) -> Result<(), Failure> {
        if !self.json {
            let mut stderr = io::stderr().lock();
            let name = Screen::of_errors(self.color).paint(BAD, "ipip-ctl:");
            for Problem { line, why } in problems {
                // If standard error is gone, the exit code is all that is left.
                let _ = writeln!(stderr, "{name} {}:{line}: {why}", file.display());
            }
        }
        let text = || {
            let mut text = changes::text(changes, &[], form);
            if !next.is_empty() {
                text.push_str("now type:\n");
            }
            for command in next {
                text.extend(["  ", command, "\n"]);
            }
            text
        };
        let json = || {
            let dry_run = form.is_dry_run;
            json!({ "dry-run": dry_run, "changes": changes, "not-understood": problems, "next": next })
        };
        self.write(text, json)
    }

    /// Writes tunnels as `text`.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn exported(self, tunnels: &[TunnelSpec], text: &str) -> Result<(), Failure> {
        self.write(|| text.to_owned(), || json!({ "tunnels": tunnels }))
    }

    /// Reports that nothing is wrong with a file.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn checked(self, file: &Path, tunnels: usize) -> Result<(), Failure> {
        let plural = if tunnels == 1 { "" } else { "s" };
        self.write(
            || format!("{}: good, {tunnels} tunnel{plural}\n", file.display()),
            || json!({ "file": file.display().to_string(), "tunnels": tunnels }),
        )
    }

    /// Lists tunnels.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn tunnels(self, tunnels: &[Numbered<'_>], detail: bool) -> Result<(), Failure> {
        let screen = Screen::of_output(self.color);
        let text = || if detail { detail::text(tunnels, screen) } else { list::text(tunnels, screen) };
        self.write(text, || json!({ "tunnels": tunnels.iter().map(numbered).collect::<Vec<_>>() }))
    }

    /// Shows what tunnels carried and refused.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn stats(self, tunnels: &[Numbered<'_>]) -> Result<(), Failure> {
        let screen = Screen::of_output(self.color);
        self.write(|| stats::text(tunnels, screen), || json!({ "tunnels": stats::json(tunnels) }))
    }

    /// Tells how the daemon does.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn status(self, status: &DaemonStatus) -> Result<(), Failure> {
        let screen = Screen::of_output(self.color);
        self.write(|| status::text(status, screen), || json!(status))
    }

    /// Tells of an event; `false` if nobody reads any more.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn event(self, told: &Told) -> Result<bool, Failure> {
        let screen = Screen::of_output(self.color);
        self.put(|| events::text(told, screen), || json!(told))
    }

    /// Reports that there is no daemon any more.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn stopped(self, purged: bool) -> Result<(), Failure> {
        let text = if purged {
            "stopped, and removed the tunnels\n"
        } else {
            "stopped; tunnels go on without the daemon\n"
        };
        self.write(|| text.to_owned(), || json!({ "stopped": true, "purged": purged }))
    }

    /// Tells what tunnels carry a second: of a sample, its rates, their number from 0, and the time that they are of. `false`
    /// if nobody reads any more.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn rates(
        self,
        sample: &Sample,
        rates: &[Rates],
        (number, time): (u64, Duration),
    ) -> Result<bool, Failure> {
        let screen = Screen::of_output(self.color);
        self.put(|| rates::text(sample, rates, number, screen), || rates::json(sample, rates, time))
    }

    /// Whether programs are to read it.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether standard output is to have colours.
    #[must_use]
    pub fn wants_colours(self) -> bool {
        Screen::of_output(self.color).has_colours
    }

    /// Tells what went wrong.
    pub fn failure(self, failure: &Failure) {
        let line = if self.json {
            json!({ "schema": SCHEMA, "error": failure }).to_string()
        } else {
            format!("{} {failure}", Screen::of_errors(self.color).paint(BAD, "ipip-ctl:"))
        };
        // If standard error is gone, the exit code is all that is left.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn write(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<(), Failure> {
        self.put(text, json).map(drop)
    }

    /// Whether somebody has read it, or may yet.
    fn put(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<bool, Failure> {
        let output = if self.json { format!("{}\n", versioned(json())) } else { text() };
        let mut stdout = io::stdout().lock();
        match stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader has seen enough, as in `ipip-ctl print | head -1`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                let message = format!("writing the output: {error}");
                Err(Failure::new(FailureKind::Failed, message).with_hint("the command itself was done"))
            }
            Ok(()) => Ok(true),
        }
    }
}

/// Puts the version of the schema in front of everything else.
fn versioned(value: Value) -> Value {
    let mut all = Map::new();
    all.insert("schema".to_owned(), SCHEMA.into());
    match value {
        Value::Object(values) => all.extend(values),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            all.insert("value".to_owned(), other);
        }
    }
    Value::Object(all)
}

fn numbered((number, tunnel): &Numbered<'_>) -> Value {
    let mut all = Map::new();
    all.insert("number".to_owned(), json!(number));
    if let Value::Object(values) = json!(tunnel) {
        all.extend(values);
    }
    Value::Object(all)
}

/// The legend above every list.
const LEGEND: &str = "Flags: X - disabled, R - running, I - invalid";

fn legend(screen: Screen) -> String {
    screen.paint(HEADING, LEGEND) + "\n"
}

/// Colours the flag in a line that begins with number and flag.
fn paint_flag(line: &str, tunnel: &TunnelView, screen: Screen) -> String {
    let flag = flag(tunnel);
    let style = if tunnel.running { GOOD } else { BAD };
    match line.split_once(flag) {
        Some((number, rest)) => format!("{number}{}{rest}", screen.paint(style, &flag.to_string())),
        None => line.to_owned(),
    }
}

/// The flag of a tunnel: disabled is a choice, and what neither runs nor is disabled is invalid.
fn flag(tunnel: &TunnelView) -> char {
    if tunnel.disabled {
        'X'
    } else if tunnel.running {
        'R'
    } else {
        'I'
    }
}

#[cfg(test)]
pub(crate) mod tests;
