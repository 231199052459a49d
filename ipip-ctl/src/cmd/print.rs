//! `ipip-ctl print` and `ipip-ctl stats`

mod condition;

use std::path::Path;

use self::condition::Condition;
use super::unexpected;
use crate::api::client::call;
use crate::api::protocol::{Reply, Request, TunnelView};
use crate::cli::Form;
use crate::failure::{Failure, FailureKind};
use crate::report::{Numbered, Report};
use crate::select::select;

pub(super) fn print(
    form: Option<Form>,
    conditions: &[String],
    socket: &Path,
    report: Report,
) -> Result<(), Failure> {
    let conditions = read(form, conditions)?;
    let tunnels = tunnels(socket)?;
    let numbered: Vec<Numbered<'_>> = tunnels
        .iter()
        .enumerate()
        .filter(|(_, tunnel)| conditions.iter().all(|it| it.holds(tunnel)))
        .collect();
    report.tunnels(&numbered, form == Some(Form::Detail))
}

pub(super) fn stats(written: &[String], socket: &Path, report: Report) -> Result<(), Failure> {
    let tunnels = tunnels(socket)?;
    let names: Vec<&str> = tunnels.iter().map(|tunnel| tunnel.name.as_str()).collect();
    let selected = if written.is_empty() { None } else { Some(select(&names, written)?) };
    let is_meant = |tunnel: &TunnelView| selected.as_ref().is_none_or(|names| names.contains(&tunnel.name));
    let numbered: Vec<Numbered<'_>> =
        tunnels.iter().enumerate().filter(|(_, tunnel)| is_meant(tunnel)).collect();
    report.stats(&numbered)
}

pub(super) fn tunnels(socket: &Path) -> Result<Vec<TunnelView>, Failure> {
    let reply = call(socket, &Request::Print)?;
    let Reply::Tunnels { tunnels } = reply else { return Err(unexpected(&reply)) };
    Ok(tunnels)
}

fn read(form: Option<Form>, words: &[String]) -> Result<Vec<Condition>, Failure> {
    let usage =
        |message: String| Failure::new(FailureKind::Usage, message).with_hint("see `ipip-ctl print --help`");
    let words = match (form, words) {
        (_, []) if form != Some(Form::Where) => return Ok(Vec::new()),
        (Some(Form::Where), words) => words,
        (_, [word, words @ ..]) if word == "where" => words,
        (_, words) => {
            let word = words.first().map_or("nothing", String::as_str);
            return Err(usage(format!("print: `{word}` where only `where` can stand")));
        }
    };
    if words.is_empty() {
        return Err(usage("print where: no condition is given".to_owned()));
    }
    words.iter().map(|word| Condition::read(word)).collect()
}
