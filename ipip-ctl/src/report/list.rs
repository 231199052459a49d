//! `print`: one line a tunnel, in columns.

use comfy_table::{Table, TableStyle};

use super::screen::{BAD, COMMENT, HEADING, OFF, Screen};
use super::{Numbered, flag, legend, paint_flag};
use crate::spec::Word;

const HEADER: [&str; 7] = ["#", "", "NAME", "KIND", "MTU", "LOCAL-ADDRESS", "REMOTE-ADDRESS"];

pub(super) fn text(tunnels: &[Numbered<'_>], screen: Screen) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(HEADER);
    for (number, tunnel) in tunnels {
        table.add_row([
            number.to_string(),
            flag(tunnel).to_string(),
            tunnel.name.clone(),
            tunnel.kind.name().to_owned(),
            tunnel.actual_mtu.map_or_else(|| Word::from(tunnel.mtu).to_string(), |bytes| bytes.to_string()),
            tunnel.local_address.clone(),
            tunnel.remote_address.clone(),
        ]);
    }
    let mut text = legend(screen);
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut lines = lines.into_iter();
    text.push_str(&screen.paint(HEADING, &lines.next().unwrap_or_default()));
    text.push('\n');
    for ((_, tunnel), line) in tunnels.iter().zip(lines) {
        if !tunnel.comment.is_empty() {
            text.push_str(&screen.paint(COMMENT, &format!(";;; {}", tunnel.comment)));
            text.push('\n');
        }
        if tunnel.disabled {
            text.push_str(&screen.paint(OFF, &line));
        } else {
            text.push_str(&paint_flag(&line, tunnel, screen));
            if !tunnel.reason.is_empty() {
                push_reason(&mut text, &tunnel.reason, &line, columns, screen);
            }
        }
        text.push('\n');
    }
    text
}

/// Why a tunnel does not run: behind its line where there is room, else below.
fn push_reason(text: &mut String, reason: &str, line: &str, columns: usize, screen: Screen) {
    let (length, wanted) = (line.chars().count(), reason.chars().count());
    if screen.width.is_none_or(|width| columns + 2 + wanted <= width) {
        text.push_str(&" ".repeat((columns + 2).saturating_sub(length)));
        text.push_str(&screen.paint(BAD, reason));
    } else {
        let indent = "       ";
        let below = screen.wrap(&format!("{indent}{reason}"), indent);
        text.push('\n');
        text.push_str(&screen.paint(BAD, &below));
    }
}
