//! `ipip-ctl monitor`

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use crate::cli::MonitorArgs;
use crate::failure::Failure;
use crate::monitor::{Source, watch};
use crate::report::Report;

/// A live view where there is a terminal to show it on; else tables or JSON, one each interval.
pub(super) fn run(arguments: &MonitorArgs, socket: PathBuf, report: Report) -> Result<(), Failure> {
    let source = Source::new(socket, &arguments.tunnels)?;
    let is_plain = arguments.once || arguments.count.is_some() || report.is_json();
    if !is_plain && can_show() {
        return watch(&source, arguments.interval, report.wants_colours());
    }
    let count = if arguments.once { Some(1) } else { arguments.count };
    tell(&source, arguments, count.unwrap_or(u64::MAX), report)
}

/// Somebody can see it, and type.
fn can_show() -> bool {
    io::stdout().is_terminal()
        && io::stdin().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn tell(source: &Source, arguments: &MonitorArgs, count: u64, report: Report) -> Result<(), Failure> {
    let mut before = source.sample()?;
    let mut due = before.at;
    for number in 0..count {
        due += arguments.interval;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = source.sample()?;
        let rates = now.since(&before);
        let time = now.at.saturating_duration_since(before.at);
        if !report.rates(&now, &rates, (number, time))? {
            break;
        }
        before = now;
    }
    Ok(())
}
