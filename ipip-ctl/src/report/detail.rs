//! `print detail`: every property, then the traffic of each tier, then what was refused.

use std::fmt::Write;

use super::screen::{BAD, COMMENT, Screen};
use super::{Numbered, flag, legend, paint_flag};
use crate::alive::Liveness;
use crate::api::protocol::{TierTraffic, TunnelView};
use crate::spec::Word;

/// Where properties begin that stand below a tunnel's first line.
const INDENT: &str = "     ";
/// Where counters go on that do not fit into their line.
const COUNTERS: &str = "         ";

pub(super) fn text(tunnels: &[Numbered<'_>], screen: Screen) -> String {
    let mut text = legend(screen);
    for (number, tunnel) in tunnels {
        let mut lines = String::new();
        // Writing to a String cannot fail.
        let _ = write_tunnel(&mut lines, *number, tunnel);
        for (at, line) in flow(&lines, !tunnel.comment.is_empty(), screen).iter().enumerate() {
            let line = screen.wrap(line, if is_counters(line) { COUNTERS } else { INDENT });
            let line = match line.split_once(";;; ").filter(|_| at == 0) {
                Some((begin, comment)) => {
                    let comment = screen.paint(COMMENT, &format!(";;; {comment}"));
                    format!("{}{comment}", paint_flag(begin, tunnel, screen))
                }
                None if at == 0 => paint_flag(&line, tunnel, screen),
                None if line.trim_start().starts_with("reason=") && !tunnel.disabled => {
                    screen.paint(BAD, &line)
                }
                None => line,
            };
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// The lines of a tunnel. On a screen that breaks lines, properties are one long line, so that each screen line is full.
fn flow(lines: &str, has_comment: bool, screen: Screen) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // The comment has a line of its own above them, and may say anything.
    let properties = usize::from(has_comment) + 1;
    for line in lines.lines() {
        let goes_on = screen.width.is_some() && all.len() == properties;
        match all.last_mut() {
            Some(last) if goes_on && !is_counters(line) && !line.trim_start().starts_with("reason=") => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ => all.push(line.to_owned()),
        }
    }
    all
}

fn is_counters(line: &str) -> bool {
    ["traffic ", "refused "].iter().any(|word| line.trim_start().starts_with(word))
}

fn write_tunnel(text: &mut String, number: usize, tunnel: &TunnelView) -> std::fmt::Result {
    write!(text, "{number:>2} {}", flag(tunnel))?;
    if !tunnel.comment.is_empty() {
        write!(text, " ;;; {}\n    ", tunnel.comment)?;
    }
    write_properties(text, tunnel)?;
    if !tunnel.reason.is_empty() {
        writeln!(text, "     reason={:?}", tunnel.reason)?;
    }
    if let Some(liveness) = tunnel.liveness.as_ref().filter(|liveness| liveness.is_known()) {
        write_liveness(text, liveness)?;
    }
    if let Some(trouble) = tunnel.liveness.as_ref().and_then(|liveness| liveness.trouble.as_ref()) {
        writeln!(text, "     keepalive-trouble={trouble:?}")?;
    }
    for (tier, traffic) in
        [("xdp", tunnel.traffic.xdp), ("tc", tunnel.traffic.tc), ("daemon", tunnel.traffic.daemon)]
    {
        write_traffic(text, tier, traffic)?;
    }
    for refused in &tunnel.refused {
        writeln!(
            text,
            "     refused tier={} reason={} packets={}",
            refused.tier, refused.reason, refused.packets
        )?;
    }
    Ok(())
}

fn write_properties(text: &mut String, tunnel: &TunnelView) -> std::fmt::Result {
    write!(text, " name={} kind={} local-address={}", tunnel.name, tunnel.kind.name(), tunnel.local_address)?;
    write!(text, " remote-address={} mtu={}", tunnel.remote_address, Word::from(tunnel.mtu))?;
    if let Some(bytes) = tunnel.actual_mtu {
        write!(text, " actual-mtu={bytes}")?;
    }
    write!(text, "\n     ttl={} dscp={}", Word::from(tunnel.ttl), Word::from(tunnel.dscp))?;
    write!(text, " decap-dscp={} ecn={}", yes_no(tunnel.decap_dscp), Word::from(tunnel.ecn))?;
    if let Some(label) = tunnel.flow_label {
        write!(text, " flow-label={}", Word::from(label))?;
    }
    if let Some(limit) = tunnel.encapsulation_limit {
        write!(text, " encapsulation-limit={}", Word::from(limit))?;
    }
    write!(text, " dont-fragment={}", Word::from(tunnel.dont_fragment))?;
    write!(text, " allowed-inner={}", tunnel.allowed_inner.join(","))?;
    write!(
        text,
        "\n     clamp-tcp-mss={} keepalive={} keepalive-mode={}",
        yes_no(tunnel.clamp_tcp_mss),
        tunnel.keepalive,
        tunnel.keepalive_mode.name()
    )?;
    write!(text, " allow-fast-path={}", yes_no(tunnel.allow_fast_path))?;
    write!(text, " spread={}", Word::from(tunnel.spread))?;
    if tunnel.ipsec {
        write!(text, " ipsec=yes")?;
    }
    writeln!(text, " disabled={} running={}", yes_no(tunnel.disabled), yes_no(tunnel.running))
}

fn write_liveness(text: &mut String, liveness: &Liveness) -> std::fmt::Result {
    write!(text, "     keepalive-state={}", liveness.state)?;
    if let Some(way) = &liveness.answered_by {
        write!(text, " answered-by={way}")?;
    }
    for (name, us) in [
        ("rtt", liveness.rtt_us),
        ("rtt-mean", liveness.rtt_mean_us),
        ("rtt-min", liveness.rtt_min_us),
        ("rtt-max", liveness.rtt_max_us),
        ("jitter", liveness.jitter_us),
    ] {
        if let Some(us) = us {
            write!(text, " {name}={}.{:03}ms", us / 1000, us % 1000)?;
        }
    }
    write!(text, " probes={} answers={}", liveness.probes, liveness.answers)?;
    writeln!(text, " missed={} lost={}/{}", liveness.missed, liveness.lost, liveness.lost_of)
}

fn write_traffic(text: &mut String, tier: &str, traffic: TierTraffic) -> std::fmt::Result {
    write!(text, "     traffic tier={tier}")?;
    write!(text, " sent-packets={} sent-bytes={}", traffic.sent_packets, traffic.sent_bytes)?;
    writeln!(text, " received-packets={} received-bytes={}", traffic.received_packets, traffic.received_bytes)
}

fn yes_no(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}
