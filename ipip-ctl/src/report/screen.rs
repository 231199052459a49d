//! What the reader's terminal can show: its width, and colours if they are wanted.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

use crate::cli::Color;

/// Of headings.
pub(super) const HEADING: Style = Style::new().bold();
/// Of what runs.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Of what should run and does not, and of failures.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// Of what is switched off.
pub(super) const OFF: Style = Style::new().dimmed();
/// Of what people wrote.
pub(super) const COMMENT: Style = AnsiColor::Cyan.on_default();

/// Where text goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Screen {
    /// Characters in a line; `None` where lines have no end.
    pub(super) width: Option<usize>,
    /// Whether to use colours.
    pub(super) has_colours: bool,
}

impl Screen {
    /// Standard output.
    pub(super) fn of_output(color: Color) -> Self {
        let output = io::stdout();
        let width = if output.is_terminal() { width() } else { None };
        Self { width, has_colours: wants(color, output.is_terminal()) }
    }

    /// Standard error.
    pub(super) fn of_errors(color: Color) -> Self {
        Self { width: None, has_colours: wants(color, io::stderr().is_terminal()) }
    }

    /// The text in this style.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.has_colours && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Breaks a line of words before those that would not fit; further lines begin with `indent`.
    pub(super) fn wrap(self, line: &str, indent: &str) -> String {
        let Some(width) = self.width.filter(|width| line.chars().count() > *width) else {
            return line.to_owned();
        };
        let mut text = String::new();
        let mut used = 0;
        for (number, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if number > 0 && used + 1 + length > width && used > indent.len() {
                text.push('\n');
                text.push_str(indent);
                used = indent.len();
            } else if number > 0 {
                text.push(' ');
                used += 1;
            }
            text.push_str(word);
            used += length;
        }
        text
    }
}

/// `NO_COLOR` (no-color.org) holds for everything but an explicit wish.
fn wants(color: Color, is_terminal: bool) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            is_terminal && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

fn width() -> Option<usize> {
    let written = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|width| *width > 0);
    written.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_before_words_that_do_not_fit() {
        let screen = |width| Screen { width: Some(width), has_colours: false };
        assert_eq!(screen(10).wrap("aaa bbb ccc ddd", "  "), "aaa bbb\n  ccc ddd");
        assert_eq!(screen(15).wrap("aaa bbb ccc ddd", "  "), "aaa bbb ccc ddd");
        assert_eq!(screen(3).wrap("aaaaa bb", "  "), "aaaaa\n  bb");
        assert_eq!(Screen::default().wrap("aaa bbb", ""), "aaa bbb");
    }

    #[test]
    fn colours_are_used_where_they_are_wanted() {
        assert!(wants(Color::Always, false) && !wants(Color::Never, true) && !wants(Color::Auto, false));
        let screen = Screen { width: None, has_colours: true };
        assert_eq!(screen.paint(BAD, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Screen::default().paint(BAD, "x"), "x");
    }
}
