//! `print`: one line a tunnel, in columns.

use std::fmt::Write;

use comfy_table::{Table, TableStyle};

use super::{LEGEND, flag};
use crate::api::protocol::TunnelView;
use crate::spec::Word;

const HEADER: [&str; 8] = ["#", "", "NAME", "KIND", "MTU", "LOCAL-ADDRESS", "REMOTE-ADDRESS", ""];

pub(super) fn text(tunnels: &[TunnelView]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(HEADER);
    for (number, tunnel) in tunnels.iter().enumerate() {
        table.add_row([
            number.to_string(),
            flag(tunnel).to_string(),
            tunnel.name.clone(),
            tunnel.kind.name().to_owned(),
            tunnel.actual_mtu.map_or_else(|| Word::from(tunnel.mtu).to_string(), |bytes| bytes.to_string()),
            tunnel.local_address.clone(),
            tunnel.remote_address.clone(),
            tunnel.reason.clone(),
        ]);
    }
    let mut text = LEGEND.to_owned();
    let mut lines = table.lines();
    push_line(&mut text, lines.next().as_deref());
    for tunnel in tunnels {
        if !tunnel.comment.is_empty() {
            let _ = writeln!(text, ";;; {}", tunnel.comment);
        }
        push_line(&mut text, lines.next().as_deref());
    }
    text
}

fn push_line(text: &mut String, line: Option<&str>) {
    text.push_str(line.unwrap_or_default().trim_end());
    text.push('\n');
}
