//! `print`: one line a tunnel, in columns.

use comfy_table::{Table, TableStyle};

use super::screen::{BAD, COMMENT, HEADING, OFF, Screen};
use super::{Numbered, flag, legend, paint_flag};
use crate::api::protocol::TunnelView;
use crate::spec::Word;

const HEADER: [&str; 7] = ["#", "", "NAME", "KIND", "MTU", "LOCAL-ADDRESS", "REMOTE-ADDRESS"];
/// The last columns as one, where two are too wide.
const BOTH: &str = "LOCAL-ADDRESS -> REMOTE-ADDRESS";
/// Where a reason begins that stands below its tunnel.
const INDENT: &str = "       ";

/// The lines of a list.
struct Lines {
    heading: String,
    /// Of each tunnel, some with a second line.
    tunnels: Vec<(String, Option<String>)>,
}

pub(super) fn text(tunnels: &[Numbered<'_>], screen: Screen) -> String {
    let wide = wide(tunnels);
    let columns =
        wide.tunnels.iter().map(|(line, _)| width(line)).chain([width(&wide.heading)]).max().unwrap_or(0);
    let lines = match screen.width {
        Some(most) if columns > most => narrow(tunnels, most),
        _ => wide,
    };
    let mut text = legend(screen);
    text.push_str(&screen.paint(HEADING, &lines.heading));
    text.push('\n');
    for ((_, tunnel), (line, second)) in tunnels.iter().zip(lines.tunnels) {
        if !tunnel.comment.is_empty() {
            text.push_str(&screen.paint(COMMENT, &format!(";;; {}", tunnel.comment)));
            text.push('\n');
        }
        let second = second.map(|second| format!("\n{second}")).unwrap_or_default();
        if tunnel.disabled {
            text.push_str(&screen.paint(OFF, &format!("{line}{second}")));
        } else {
            text.push_str(&paint_flag(&line, tunnel, screen));
            text.push_str(&second);
            if !tunnel.reason.is_empty() {
                push_reason(&mut text, &tunnel.reason, &line, columns, screen);
            }
        }
        text.push('\n');
    }
    text
}

fn wide(tunnels: &[Numbered<'_>]) -> Lines {
    let rows = tunnels.iter().map(|(number, tunnel)| {
        let addresses = [tunnel.local_address.clone(), tunnel.remote_address.clone()];
        begin(*number, tunnel).into_iter().chain(addresses).collect()
    });
    let (heading, lines) = table(&HEADER, rows);
    Lines { heading, tunnels: lines.into_iter().map(|line| (line, None)).collect() }
}

/// Remote addresses that do not fit beside local ones stand below them.
fn narrow(tunnels: &[Numbered<'_>], most: usize) -> Lines {
    let rows = tunnels.iter().map(|(number, tunnel)| {
        begin(*number, tunnel).into_iter().chain([tunnel.local_address.clone()]).collect()
    });
    let header: Vec<&str> = HEADER[..5].iter().copied().chain([BOTH]).collect();
    let (heading, lines) = table(&header, rows);
    let indent = heading.find(BOTH).unwrap_or_default();
    let fold = |(line, (_, tunnel)): (String, &Numbered<'_>)| {
        let remote = format!("-> {}", tunnel.remote_address);
        if width(&line) + 1 + remote.len() <= most {
            (format!("{line} {remote}"), None)
        } else {
            (line, Some(format!("{}{remote}", " ".repeat(indent))))
        }
    };
    Lines { heading, tunnels: lines.into_iter().zip(tunnels).map(fold).collect() }
}

/// The cells before the addresses.
fn begin(number: usize, tunnel: &TunnelView) -> [String; 5] {
    [
        number.to_string(),
        flag(tunnel).to_string(),
        tunnel.name.clone(),
        tunnel.kind.name().to_owned(),
        tunnel.actual_mtu.map_or_else(|| Word::from(tunnel.mtu).to_string(), |bytes| bytes.to_string()),
    ]
}

/// A heading and rows in columns.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> (String, Vec<String>) {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    (lines.next().unwrap_or_default(), lines.collect())
}

fn width(line: &str) -> usize {
    line.chars().count()
}

/// Why a tunnel does not run: behind its line where there is room, else below.
fn push_reason(text: &mut String, reason: &str, line: &str, columns: usize, screen: Screen) {
    let (length, wanted) = (width(line), width(reason));
    if screen.width.is_none_or(|width| columns + 2 + wanted <= width) {
        text.push_str(&" ".repeat((columns + 2).saturating_sub(length)));
        text.push_str(&screen.paint(BAD, reason));
    } else {
        let below = screen.wrap(&format!("{INDENT}{reason}"), INDENT);
        text.push('\n');
        text.push_str(&screen.paint(BAD, &below));
    }
}
