//! The lab: two sites on this machine, a real daemon at both ends of the tunnel between them, and traffic.
//!
//! It shows what happens while it happens, then what came of it. Whatever ends it, nothing is left behind.

mod alive;
mod capture;
mod counters;
mod daemon;
mod decode;
mod echo;
mod flow;
mod leftovers;
mod machine;
mod picture;
mod sample;
mod screen;
mod stop;
mod summary;
mod tcp;
mod text;
mod traffic;
mod transfer;
mod world;

use std::io::{Write as _, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use capture::Capture;
use summary::Summary;
use text::Style;
use traffic::Traffic;
use world::World;

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: i32 = 130;

/// Runs the lab with this `ipip-ctl` for so many seconds. Success is that all of the traffic went through the
/// tunnel.
pub fn run(ctl: &Path, seconds: u64) -> ExitCode {
    if let Err(refusal) = machine::check(ctl) {
        complain(&refusal.message);
        return ExitCode::from(refusal.code);
    }
    if let Err(error) = stop::catch() {
        complain(&format!("catching signals: {error}"));
        return ExitCode::FAILURE;
    }
    leftovers::clear_on_panic();
    let result = show(ctl, Duration::from_secs(seconds));
    leftovers::clear();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if stop::asked() => {
            say("interrupted; everything is taken down again");
            ExitCode::from(u8::try_from(INTERRUPTED).unwrap_or(1))
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn show(ctl: &Path, time: Duration) -> Result<bool> {
    let style = Style::of_stdout();
    say_all(&picture::lines(style));
    let world = World::build(ctl)?;
    say_all(&picture::world(&world)?);
    let capture = Capture::start(&world.sites.router)?;
    let mut traffic = Traffic::prepare(&world.sites)?;
    let before = world.counters_at_rest()?;
    let start = Instant::now();
    traffic.start(&world.sites).context("starting the traffic")?;
    screen::watch(&world, &traffic, time, style)?;
    let time = start.elapsed();
    let outcome = traffic.finish();
    let after = world.counters_at_rest()?;
    let seen = capture.finish();
    let counters = [after[0].since(&before[0]), after[1].since(&before[1])];
    let (lines, good) = Summary { outcome, counters, seen, time }.lines(style);
    say("");
    say_all(&lines);
    let (lines, is_noticed) = alive::watch(&world)?.lines(style);
    say("");
    say_all(&lines);
    Ok(good && is_noticed)
}

/// Prints a line. A reader who is gone is no reason to stop before everything is taken down.
fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

fn say_all(lines: &[String]) {
    for line in lines {
        say(line);
    }
}

/// Says why the lab failed.
fn complain(message: &str) {
    let _ = writeln!(stderr(), "ipip-lab: {message}");
}
