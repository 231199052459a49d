//! The verbs that take a configuration file: `apply` and `check`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::change;
use crate::api::protocol::Request;
use crate::config::Config;
use crate::failure::Failure;
use crate::report::{Changes, Report};

/// The file name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Checks here what needs no daemon, so that a mistake is told even while none runs.
pub(super) fn apply(file: &Path, form: Changes, socket: &Path, report: Report) -> Result<(), Failure> {
    let (text, origin) = read(file)?;
    Config::parse(&text, &origin)?;
    let origin = origin.display().to_string();
    change::run(&Request::Apply { text, origin, dry_run: form.is_dry_run }, form, socket, report)
}

pub(super) fn check(file: &Path, report: Report) -> Result<(), Failure> {
    let (text, origin) = read(file)?;
    let config = Config::parse(&text, &origin)?;
    report.checked(&origin, config.tunnels.len())
}

/// The text of a file, and what to call it.
pub(super) fn read(file: &Path) -> Result<(String, PathBuf), Failure> {
    if file.as_os_str() == STANDARD_INPUT {
        let mut text = String::new();
        io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(|error| Failure::io("reading standard input", &error))?;
        return Ok((text, "standard input".into()));
    }
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::io(format!("reading {}", file.display()), &error))?;
    Ok((text, file.to_owned()))
}
