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
    let changes = if tunnels.is_empty() {
        Vec::new()
    } else {
        let reply = call(socket, &Request::Import { tunnels, dry_run })?;
        let Reply::Changed { changes, .. } = reply else { return Err(unexpected(&reply)) };
        changes
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
            Err(Failure::new(FailureKind::NotFound, message).with_hint("all else was imported"))
        }
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
