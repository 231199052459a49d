//! `monitor` without a terminal: a table, or JSON, of what the tunnels carry a second.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, TableStyle};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::screen::{BAD, HEADING, OFF, Screen};
use super::{flag, legend, paint_flag};
use crate::api::protocol::TunnelView;
use crate::monitor::rates::{Rates, Sample, TIERS, TierRates, round_trip};
use crate::monitor::units::short;

const HEADER: [&str; 10] =
    ["#", "", "NAME", "TX-PKT/S", "TX-BIT/S", "RX-PKT/S", "RX-BIT/S", "XDP", "DROP/S", "RTT"];

/// The first table has the legend, further ones the time above them.
pub(super) fn text(sample: &Sample, rates: &[Rates], number: u64, screen: Screen) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(HEADER);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ((number, tunnel), rates) in sample.tunnels.iter().zip(rates) {
        let total = rates.total();
        let first = [number.to_string(), flag(tunnel).to_string(), tunnel.name.clone()];
        let values = [total.sent_packets, total.sent_bits, total.received_packets, total.received_bits];
        let share =
            rates.shares().map_or_else(|| "-".to_owned(), |shares| format!("{:.0}%", shares[0] * 100.0));
        let last = [share, short(rates.dropped()), round_trip(tunnel)];
        table.add_row(first.into_iter().chain(values.map(short)).chain(last));
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let mut text = if number == 0 {
        legend(screen)
    } else {
        let time = sample.time.to_zoned(TimeZone::system()).strftime("%F %T").to_string();
        format!("\n{}\n", screen.paint(OFF, &time))
    };
    text.push_str(&screen.paint(HEADING, &lines.next().unwrap_or_default()));
    text.push('\n');
    for ((_, tunnel), line) in sample.tunnels.iter().zip(lines) {
        text.push_str(&coloured(&line, tunnel, screen));
        text.push('\n');
    }
    text
}

fn coloured(line: &str, tunnel: &TunnelView, screen: Screen) -> String {
    if tunnel.disabled {
        return screen.paint(OFF, line);
    }
    let line = paint_flag(line, tunnel, screen);
    if tunnel.running {
        return line;
    }
    let indent = "       ";
    format!("{line}\n{}", screen.paint(BAD, &screen.wrap(&format!("{indent}{}", tunnel.reason), indent)))
}

/// The same for programs.
pub(super) fn json(sample: &Sample, rates: &[Rates], time: Duration) -> Value {
    let tunnels = sample.tunnels.iter().zip(rates).map(|((number, tunnel), rates)| {
        let mut all = Map::new();
        all.insert("number".to_owned(), json!(number));
        all.insert("name".to_owned(), json!(tunnel.name));
        all.insert("running".to_owned(), json!(tunnel.running));
        all.insert("reason".to_owned(), json!(tunnel.reason));
        all.insert("actual-mtu".to_owned(), json!(tunnel.actual_mtu));
        all.insert("liveness".to_owned(), json!(tunnel.liveness));
        all.extend(of_tier(rates.total()));
        let tiers: Map<String, Value> = TIERS
            .iter()
            .zip(rates.tiers)
            .map(|(name, rates)| ((*name).to_owned(), Value::Object(of_tier(rates).into_iter().collect())))
            .collect();
        all.insert("tiers".to_owned(), Value::Object(tiers));
        let refused = rates.refused.iter().map(|refused| {
            let packets = rounded(refused.packets);
            let (tier, reason, action) = (&refused.tier, &refused.reason, refused.action);
            json!({ "tier": tier, "reason": reason, "action": action, "packets-per-second": packets })
        });
        all.insert("refused".to_owned(), refused.collect());
        Value::Object(all)
    });
    let tunnels: Vec<Value> = tunnels.collect();
    json!({ "time": sample.time, "seconds": rounded(time.as_secs_f64()), "tunnels": tunnels })
}

fn of_tier(rates: TierRates) -> [(String, Value); 4] {
    [
        ("sent-packets-per-second", rates.sent_packets),
        ("sent-bits-per-second", rates.sent_bits),
        ("received-packets-per-second", rates.received_packets),
        ("received-bits-per-second", rates.received_bits),
    ]
    .map(|(name, value)| (name.to_owned(), json!(rounded(value))))
}

/// To a thousandth: more digits mean nothing.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::rates::tests::samples;

    #[test]
    fn a_table_has_a_line_a_tunnel_and_reasons() {
        let [first, second] = samples();
        let expected = "\
Flags: X - disabled, R - running, I - invalid
 #     NAME    TX-PKT/S  TX-BIT/S  RX-PKT/S  RX-BIT/S  XDP  DROP/S      RTT
 0  R  berlin     2.00k     16.8M       500      240k  80%       1  12.3 ms
 1  X  ipip1          0         0         0         0    -       0        -
 2  I  ipip2          0         0         0         0    -       0        -
       no route to 2001:db8::3
";
        assert_eq!(text(&second, &second.since(&first), 0, Screen::default()), expected);
        let next = text(&second, &second.since(&first), 1, Screen::default());
        assert!(!next.contains("Flags") && next.starts_with("\n2026-11-2"), "{next}");
    }

    #[test]
    fn json_has_rates_by_tier_and_reason() {
        let [first, second] = samples();
        let value = json(&second, &second.since(&first), Duration::from_secs(2));
        assert_eq!((&value["seconds"], &value["time"]), (&json!(2.0), &json!("2026-11-26T14:10:33Z")));
        let tunnel = &value["tunnels"][0];
        assert_eq!(
            (&tunnel["number"], &tunnel["name"], &tunnel["running"]),
            (&json!(0), &json!("berlin"), &json!(true))
        );
        assert_eq!(tunnel["liveness"]["rtt-mean-us"], 12_345);
        assert_eq!(tunnel["sent-packets-per-second"], 2000.0);
        assert_eq!(tunnel["tiers"]["xdp"]["received-bits-per-second"], 240_000.0);
        assert_eq!(
            tunnel["refused"],
            json!([
                { "tier": "xdp", "reason": "too-big", "action": "pass", "packets-per-second": 5.0 },
                { "tier": "tc", "reason": "loop", "action": "drop", "packets-per-second": 1.0 },
            ])
        );
        assert_eq!(value["tunnels"][2]["reason"], "no route to 2001:db8::3");
    }
}
