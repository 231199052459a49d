//! Many interfaces: how long the daemon takes to set their tunnels up and to take them down, and what memory they hold.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Options;
use super::rows::Rows;
use crate::crowd::crowd;
use crate::ctl::Daemon;
use crate::netns::Netns;
use crate::topology::Pair;

/// How many, and as they are called.
const SIZES: [(&str, usize); 3] = [("1 interface", 1), ("1k interfaces", 1_000), ("10k interfaces", 10_000)];
/// So many show that it works.
const QUICK: [(&str, usize); 2] = [("1 interface", 1), ("100 interfaces", 100)];

pub(super) fn measure(options: &Options, rows: &mut Rows) {
    let sizes = if options.quick { &QUICK[..] } else { &SIZES[..] };
    for (name, count) in sizes {
        // A wire that all of them go over; nobody is at their remotes.
        let pair = Pair::new();
        pair.host1.route(&format!("10.64.0.0/10 via {}", Pair::HOST2));
        if let Err(error) = come_and_go(options, rows, &pair.host1, (name, *count)) {
            // The other sizes, and what was measured before, are figures all the same.
            rows.leave_out(&format!("scale: {name}"), &format!("{error:#}"));
        }
    }
}

fn come_and_go(options: &Options, rows: &mut Rows, host: &Netns, (name, count): (&str, usize)) -> Result<()> {
    let daemon = Daemon::start(&options.ctl, host);
    let [many, none] = ["many", "none"].map(|name| daemon.config().with_extension(name));
    fs::write(&many, crowd(count, "keepalive = \"0\"\n")).context("writing a file")?;
    fs::write(&none, "").context("writing a file")?;
    let apply = |file: &std::path::Path| {
        let start = Instant::now();
        let answer = daemon.try_run(&format!("apply {}", file.display()));
        ensure!(answer.code == Some(0), "{}", answer.errors.trim());
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let free = super::scale::free_memory()?;
    let took = apply(&many)?;
    let held = free - super::scale::free_memory()?;
    let running = daemon.tunnels().iter().filter(|tunnel| tunnel["running"] == true).count();
    ensure!(running == count, "{running} of {count} tunnels run");
    rows.add("scale", &format!("setting up, {name}"), "ms", None, vec![took]);
    rows.add("scale", &format!("memory, {name}"), "MiB", None, vec![held]);
    rows.add("scale", &format!("taking down, {name}"), "ms", None, vec![apply(&none)?]);
    Ok(())
}
