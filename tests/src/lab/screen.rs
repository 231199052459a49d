//! The live view: redrawn in place on a terminal, lines once a second elsewhere.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::sample::Sample;
use super::stop;
use super::text::{Style, is_dumb};
use super::traffic::Traffic;
use super::world::World;

/// Between two drawings.
const REDRAW: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_secs(1);
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Shows what happens until the time is over, or the user wants an end.
pub(super) fn watch(world: &World, traffic: &Traffic, time: Duration, style: Style) -> Result<()> {
    let start = Instant::now();
    let mut last = Sample::take(world, traffic)?;
    let mut drawing = Drawing::new(last.table(&last, style).len());
    if drawing.is_none() {
        super::say("each second: a tier's packets/s and Mbit/s, sent/received; RTT min/avg/max");
    }
    let period = if drawing.is_some() { REDRAW } else { LINE };
    for step in 1_u32.. {
        let due = (period * step).min(time);
        stop::pause(due.saturating_sub(start.elapsed()))?;
        let now = Sample::take(world, traffic)?;
        if let Some(drawing) = &mut drawing {
            let title = format!("{:.1} s of {} s", start.elapsed().as_secs_f64(), time.as_secs());
            let mut lines = vec![format!("{}{title:>24}{:>39}", style.bold("running"), "Ctrl-C stops it")];
            lines.push(String::new());
            lines.extend(now.table(&last, style));
            drawing.show(&lines);
        } else {
            super::say_all(&now.lines(&last, start.elapsed()));
        }
        if due == time {
            return Ok(());
        }
        last = now;
    }
    Ok(())
}

/// Gives the cursor back, for those who end the process where nothing is dropped.
pub(super) fn restore() {
    if stdout().is_terminal() && !is_dumb() {
        write(SHOW_CURSOR);
    }
}

/// Lines that are written over each time.
struct Drawing {
    height: usize,
    width: usize,
}

impl Drawing {
    /// Where standard output is a terminal that is high enough.
    fn new(table: usize) -> Option<Self> {
        if !stdout().is_terminal() || is_dumb() {
            return None;
        }
        let (terminal_size::Width(width), terminal_size::Height(height)) = terminal_size::terminal_size()?;
        if usize::from(height) < table + 3 {
            return None;
        }
        write(HIDE_CURSOR);
        Some(Self { height: 0, width: width.into() })
    }

    fn show(&mut self, lines: &[String]) {
        // In one piece, and no line is cleared before it is written again: nothing flickers.
        let mut text = if self.height == 0 { String::new() } else { format!("\x1b[{}A\r", self.height) };
        for line in lines {
            text.push_str(&cut(line, self.width));
            text.push_str("\x1b[K\n");
        }
        self.height = lines.len();
        write(&text);
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        write(SHOW_CURSOR);
    }
}

/// As much of a line as is visible on a terminal of this width; a line with colours in it is left out of
/// the count where it has them.
fn cut(line: &str, width: usize) -> String {
    let (mut seen, mut code) = (0, false);
    let fits = |letter: &char| {
        code |= *letter == '\x1b';
        let shown = !code;
        code &= *letter != 'm';
        seen += usize::from(shown);
        !shown || seen <= width
    };
    line.chars().filter(fits).collect()
}

/// A terminal that is gone is no reason to stop before everything is taken down.
fn write(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_width() {
        assert_eq!(cut("\x1b[1mabc\x1b[0m", 2), "\x1b[1mab\x1b[0m");
        assert_eq!(cut("abc", 80), "abc");
    }
}
