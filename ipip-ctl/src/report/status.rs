//! `status`: the daemon in one line, and a line for each interface that it is attached to.

use comfy_table::{Table, TableStyle};

use super::screen::{BAD, GOOD, HEADING, OFF, Screen};
use crate::api::protocol::{DaemonStatus, PortView};

/// The tiers that a port can have.
const TIERS: [&str; 2] = ["xdp", "tc"];
/// Where a reason begins that stands below its line.
const INDENT: &str = "       ";

pub(super) fn text(status: &DaemonStatus, screen: Screen) -> String {
    let plural = if status.tunnels == 1 { "" } else { "s" };
    let counts = [
        (status.running, "running", GOOD),
        (status.disabled, "disabled", OFF),
        (status.invalid, "invalid", BAD),
    ];
    let counts = counts.map(|(count, word, style)| {
        let text = format!("{count} {word}");
        if count == 0 { text } else { screen.paint(style, &text) }
    });
    let mut text =
        format!("ipip {}: {} tunnel{plural}, {}\n", status.version, status.tunnels, counts.join(", "));
    if !status.carrier_kept_by.is_empty() {
        text.push_str(&screen.wrap(&confinement(status), "    "));
        text.push('\n');
    }
    if status.ports.is_empty() {
        text.push_str("no ports: no Ethernet interface is up\n");
        return text;
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(["PORT", "XDP", "TC"]);
    for port in &status.ports {
        let works = TIERS.map(|tier| if has(port, tier) { "yes" } else { "no" }.to_owned());
        table.add_row(std::iter::once(port.name.clone()).chain(works));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut lines = lines.into_iter();
    text.push_str(&screen.paint(HEADING, &lines.next().unwrap_or_default()));
    text.push('\n');
    for (port, line) in status.ports.iter().zip(lines) {
        text.push_str(&line);
        if !port.reason.is_empty() {
            let gap = (columns + 2).saturating_sub(line.chars().count());
            let fits = screen.width.is_none_or(|width| columns + 2 + port.reason.chars().count() <= width);
            // Tier 2 serves a port that has it: that it is alone is worth knowing, and no fault.
            let style = if has(port, TIERS[1]) { OFF } else { BAD };
            if fits {
                text.push_str(&" ".repeat(gap));
                text.push_str(&screen.paint(style, &port.reason));
            } else {
                text.push('\n');
                text.push_str(
                    &screen.paint(style, &screen.wrap(&format!("{INDENT}{}", port.reason), INDENT)),
                );
            }
        }
        text.push('\n');
    }
    text
}

fn has(port: &PortView, tier: &str) -> bool {
    port.tiers.iter().any(|it| it == tier)
}

/// What keeps carrier, and what the daemon has given up.
fn confinement(status: &DaemonStatus) -> String {
    format!(
        "carrier kept by {}; files of others closed: {}; {}",
        status.carrier_kept_by,
        status.files_closed,
        status.capabilities.join(", ")
    )
}
