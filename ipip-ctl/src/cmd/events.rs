//! `ipip-ctl events`

use std::path::Path;

use jiff::Timestamp;

use crate::api::client::follow;
use crate::cli::EventsArgs;
use crate::events::Told;
use crate::failure::Failure;
use crate::report::Report;
use crate::when::When;

pub(super) fn run(arguments: &EventsArgs, socket: &Path, report: Report) -> Result<(), Failure> {
    let since = arguments.since.or(arguments.no_follow.then_some(When::All));
    let begin = match since {
        Some(When::Ago(ago)) => Timestamp::now().checked_sub(ago).ok(),
        Some(When::All | When::After(_)) | None => None,
    };
    let is_meant = |told: &Told| {
        let tunnels = &arguments.tunnels;
        begin.is_none_or(|begin| told.time >= begin)
            && (tunnels.is_empty()
                || told.event.tunnel().is_some_and(|name| tunnels.iter().any(|it| it == name)))
    };
    let feed = follow(socket, since.map(When::after))?;
    let most =
        if arguments.no_follow { usize::try_from(feed.kept).unwrap_or(usize::MAX) } else { usize::MAX };
    let mut left = arguments.count.unwrap_or(u64::MAX);
    for told in feed.take(most) {
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
