//! `ipip-ctl events`

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use super::print::tunnels;
use crate::api::client::follow;
use crate::cli::EventsArgs;
use crate::events::Told;
use crate::failure::Failure;
use crate::report::Report;
use crate::select::select;
use crate::when::When;

pub(super) fn run(arguments: &EventsArgs, socket: &Path, report: Report) -> Result<(), Failure> {
    let since = arguments.since.or(arguments.no_follow.then_some(When::All));
    let begin = match since {
        Some(When::Ago(ago)) => Timestamp::now().checked_sub(ago).ok(),
        Some(When::All | When::After(_)) | None => None,
    };
    // All that is kept tells which tunnels there were.
    let after = if arguments.tunnels.is_empty() { since.map(When::after) } else { Some(0) };
    let mut feed = follow(socket, after)?;
    let old = usize::try_from(feed.kept).unwrap_or(usize::MAX);
    let mut kept: Vec<Told> = feed.by_ref().take(old).collect::<Result<_, _>>()?;
    let meant = meant(&arguments.tunnels, &kept, socket)?;
    kept.retain(|told| since.is_some_and(|since| told.sequence > since.after()));
    let is_meant = |told: &Told| {
        begin.is_none_or(|begin| told.time >= begin)
            && meant.as_ref().is_none_or(|names| told.event.tunnel().is_some_and(|name| names.contains(name)))
    };
    let coming = if arguments.no_follow { 0 } else { usize::MAX };
    let mut left = arguments.count.unwrap_or(u64::MAX);
    for told in kept.into_iter().map(Ok).chain(feed.take(coming)) {
        let told = told?;
        if !is_meant(&told) {
            continue;
        }
        left -= 1;
        if !report.event(&told)? || left == 0 {
            break;
        }
    }
    Ok(())
}

/// The tunnels that are meant, those that are there and those that were when something happened to them; `None` is all.
fn meant(written: &[String], kept: &[Told], socket: &Path) -> Result<Option<HashSet<String>>, Failure> {
    if written.is_empty() {
        return Ok(None);
    }
    let tunnels = tunnels(socket)?;
    let names: Vec<&str> = tunnels.iter().map(|tunnel| tunnel.name.as_str()).collect();
    let is_told = |word: &str| kept.iter().any(|told| told.event.tunnel() == Some(word));
    let words = written.iter().flat_map(|words| words.split(',')).filter(|word| !word.is_empty());
    let (past, present): (Vec<&str>, Vec<&str>) =
        words.partition(|word| !names.contains(word) && is_told(word));
    let mut meant: HashSet<String> = past.into_iter().map(str::to_owned).collect();
    let present: Vec<String> = present.into_iter().map(str::to_owned).collect();
    if meant.is_empty() || !present.is_empty() {
        meant.extend(select(&names, &present)?);
    }
    Ok(Some(meant))
}
