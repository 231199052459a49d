//! The terminal: taken over, drawn on, asked for keys, and given back whatever happens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::app::App;
use super::draw::draw;
use super::source::{News, Source};
use super::theme::Theme;
use crate::failure::{Failure, FailureKind};

/// How long to wait for a key before looking for news.
const POLL: Duration = Duration::from_millis(50);

/// Shows what the tunnels carry until somebody wants an end: by a key, or by SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
///
/// The daemon does not answer at first, or the terminal cannot be used.
pub fn watch(source: &Source, interval: Duration, has_colours: bool) -> Result<(), Failure> {
    // A daemon that is not there is told on an ordinary terminal.
    let first = source.sample()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| failed(&error))?;
    }
    let mut app = App::new(interval, TimeZone::system());
    app.take(first);
    if let Some(name) = source.only() {
        app.enter(name);
    }
    // Gives the terminal back also when something panics.
    let mut terminal = ratatui::try_init().map_err(|error| failed(&error))?;
    let shown = show(&mut terminal, &mut app, source, Theme::new(has_colours), &stop);
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(|error| failed(&error))
}

fn show(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    source: &Source,
    theme: Theme,
    stop: &AtomicBool,
) -> io::Result<()> {
    let news = source.news(app.interval);
    let mut is_stale = true;
    while !stop.load(Ordering::Relaxed) {
        if is_stale {
            terminal.draw(|frame| draw(frame, app, theme))?;
        }
        is_stale = false;
        if poll()? {
            is_stale = true;
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && !app.press(key)
            {
                return Ok(());
            }
        }
        while let Ok(news) = news.try_recv() {
            is_stale = true;
            match news {
                News::Sample(Ok(sample)) => app.take(sample),
                News::Sample(Err(failure)) => app.fail(failure),
                News::Event(told) => app.hear(told),
            }
        }
    }
    Ok(())
}

/// Whether there is something to read; a signal that interrupts the wait is looked at by the caller.
fn poll() -> io::Result<bool> {
    match event::poll(POLL) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        other => other,
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("monitor: using the terminal: {error}"))
        .with_hint("--once and --json need none")
}
