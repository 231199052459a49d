//! `stats`: what each tier carried of a tunnel's packets, and what was refused.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, TableStyle};
use serde_json::{Value, json};

use super::screen::{HEADING, OFF, Screen};
use super::{Numbered, flag, legend, paint_flag};

const HEADER: [&str; 8] = ["#", "", "NAME", "TIER", "TX-PACKETS", "TX-BYTES", "RX-PACKETS", "RX-BYTES"];

pub(super) fn text(tunnels: &[Numbered<'_>], screen: Screen) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(HEADER);
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (number, tunnel) in tunnels {
        let mut first = [number.to_string(), flag(tunnel).to_string(), tunnel.name.clone()];
        for (tier, traffic) in
            [("xdp", tunnel.traffic.xdp), ("tc", tunnel.traffic.tc), ("daemon", tunnel.traffic.daemon)]
        {
            let counters =
                [traffic.sent_packets, traffic.sent_bytes, traffic.received_packets, traffic.received_bytes];
            let begin = std::mem::take(&mut first).into_iter().chain([tier.to_owned()]);
            table.add_row(begin.chain(counters.iter().map(u64::to_string)));
        }
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let mut text = legend(screen);
    text.push_str(&screen.paint(HEADING, &lines.next().unwrap_or_default()));
    text.push('\n');
    for (_, tunnel) in tunnels {
        let first = lines.next().unwrap_or_default();
        let first =
            if tunnel.disabled { screen.paint(OFF, &first) } else { paint_flag(&first, tunnel, screen) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{first}");
        for line in lines.by_ref().take(2) {
            let _ = writeln!(text, "{line}");
        }
        let refused: Vec<String> = tunnel
            .refused
            .iter()
            .map(|refused| format!("{}/{} {}", refused.tier, refused.reason, refused.packets))
            .collect();
        if !refused.is_empty() {
            let indent = "       ";
            let _ = writeln!(
                text,
                "{}",
                screen.wrap(&format!("{indent}refused: {}", refused.join(", ")), indent)
            );
        }
    }
    text
}

/// The same for programs.
pub(super) fn json(tunnels: &[Numbered<'_>]) -> Value {
    let stats = tunnels.iter().map(|(number, tunnel)| {
        json!({ "number": number, "name": tunnel.name, "traffic": tunnel.traffic, "refused": tunnel.refused })
    });
    Value::Array(stats.collect())
}
