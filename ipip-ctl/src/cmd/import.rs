//! `ipip-ctl import` and `ipip-ctl export`

use std::path::Path;

use clap::ValueEnum as _;

use super::file::read;
use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request};
use crate::export;
use crate::failure::{Failure, FailureKind};
use crate::import::{self, Format, Import};
use crate::report::{Changes, Report};

pub(super) fn import(words: &[String], dry_run: bool, socket: &Path, report: Report) -> Result<(), Failure> {
    let (format, file) = match words {
        [format, file] => (format_named(format)?, file),
        [file] => (Format::Auto, file),
        _ => return Err(Failure::new(FailureKind::Usage, "import: no file is named")),
    };
    let (text, origin) = read(Path::new(file))?;
    let Import { tunnels, problems, next } = import::read(&text, &origin, format)?;
    let has_tunnels = !tunnels.is_empty();
    let changes = if has_tunnels {
        let reply = call(socket, &Request::Import { tunnels, dry_run })?;
        let Reply::Changed { changes, .. } = reply else { return Err(unexpected(&reply)) };
        changes
    } else {
        Vec::new()
    };
    report.imported(
        &changes,
        &problems,
        &next,
        (&origin, Changes { is_dry_run: dry_run, is_diff: false }),
    )?;
    match problems.len() {
        0 => Ok(()),
        count => {
            let plural = if count == 1 { "thing was" } else { "things were" };
            let message = format!("{}: {count} {plural} not understood", origin.display());
            Err(Failure::new(FailureKind::NotFound, message).with_hint(rest(has_tunnels, dry_run)))
        }
    }
}

/// What became of that which was understood.
const fn rest(has_tunnels: bool, dry_run: bool) -> &'static str {
    match (has_tunnels, dry_run) {
        (false, _) => "there is nothing else to import",
        (true, true) => "all else would be imported",
        (true, false) => "all else was imported",
    }
}

fn format_named(word: &str) -> Result<Format, Failure> {
    Format::from_str(word, true).map_err(|_| {
        let names: Vec<String> = Format::value_variants()
            .iter()
            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .collect();
        Failure::new(FailureKind::Usage, format!("import: no format `{word}`"))
            .with_hint(format!("known are {}", names.join(", ")))
    })
}

pub(super) fn export(routeros: bool, socket: &Path, report: Report) -> Result<(), Failure> {
    let reply = call(socket, &Request::Export)?;
    let Reply::Specs { tunnels } = &reply else { return Err(unexpected(&reply)) };
    let text = if routeros { export::routeros(tunnels) } else { export::toml(tunnels)? };
    report.exported(tunnels, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_to_be_imported_that_was_not() {
        let written = std::env::temp_dir().join(format!("ipip-import-{}.rsc", std::process::id()));
        std::fs::write(&written, "/ip address\nadd address=192.0.2.1/24\n").unwrap();
        let words = [written.display().to_string()];
        // Nobody is asked, as there are no tunnels.
        for dry_run in [false, true] {
            let report = Report::new(false, crate::cli::Color::Never);
            let failure = import(&words, dry_run, Path::new("/nonexistent"), report).unwrap_err().to_string();
            assert!(failure.ends_with("not understood; there is nothing else to import"), "{failure}");
        }
        std::fs::remove_file(written).unwrap();
        assert_eq!(rest(true, true), "all else would be imported");
        assert_eq!(rest(true, false), "all else was imported");
    }
}
