//! What people and programs see: data on standard output, failures on standard error. Nothing else prints.

mod changes;
mod detail;
mod list;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

pub use self::changes::Changes;
use crate::api::change::Change;
use crate::api::protocol::{DaemonStatus, TunnelView};
use crate::failure::{Failure, FailureKind};

/// How to report: for people, or as JSON for programs.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    json: bool,
}

impl Report {
    /// Chooses the form.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
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
    pub fn changes(self, changes: &[Change], form: Changes) -> Result<(), Failure> {
        self.write(
            || changes::text(changes, form),
            || json!({ "dry-run": form.is_dry_run, "changes": changes }),
        )
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
    pub fn tunnels(self, tunnels: &[TunnelView], detail: bool) -> Result<(), Failure> {
        let text = || if detail { detail::text(tunnels) } else { list::text(tunnels) };
        self.write(text, || json!({ "tunnels": tunnels }))
    }

    /// Tells how the daemon does.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn status(self, status: &DaemonStatus) -> Result<(), Failure> {
        self.write(|| status_text(status), || json!(status))
    }

    /// Tells what went wrong.
    pub fn failure(self, failure: &Failure) {
        let line =
            if self.json { json!({ "error": failure }).to_string() } else { format!("ipip-ctl: {failure}") };
        // If standard error is gone, the exit code is all that is left.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn write(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<(), Failure> {
        let output = if self.json { format!("{}\n", json()) } else { text() };
        let mut stdout = io::stdout().lock();
        match stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader has seen enough, as in `ipip-ctl print | head -1`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                let message = format!("writing the output: {error}");
                Err(Failure::new(FailureKind::Failed, message).with_hint("the command itself was done"))
            }
            Ok(()) => Ok(()),
        }
    }
}

fn status_text(status: &DaemonStatus) -> String {
    let mut text = format!("version {}, tunnels {}\n", status.version, status.tunnels);
    for port in &status.ports {
        let tiers = if port.tiers.is_empty() { "none".to_owned() } else { port.tiers.join(", ") };
        let _ = write!(text, "{}: {tiers}", port.name);
        if !port.reason.is_empty() {
            let _ = write!(text, " ({})", port.reason);
        }
        text.push('\n');
    }
    text
}

/// The legend above every list.
const LEGEND: &str = "Flags: X - disabled, R - running, I - invalid\n";

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
mod tests;
