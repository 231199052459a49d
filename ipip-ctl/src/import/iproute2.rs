//! Commands of iproute2: `ip tunnel add`, `ip link add ... type ipip|sit|ip6tnl`, and `ip link set` of such a tunnel.
//! What is not written takes Linux' defaults, not ours.

use super::draft::{Draft, Row};

/// Whether a line is one of iproute2's.
pub(super) fn is_command(text: &str) -> bool {
    matches!(words(text).as_slice(), ["ip", ..])
}

/// The words of a line, without what people put in front of commands. Root's prompt is not among it: a `#` begins a
/// comment, and what somebody has commented out makes no tunnel.
fn words(text: &str) -> Vec<&str> {
    let words = text.split_whitespace().skip_while(|word| matches!(*word, "sudo" | "$"));
    words.take_while(|word| !word.starts_with('#')).collect()
}

pub(super) fn read(text: &str, line: usize, draft: &mut Draft) -> Result<(), String> {
    let all = words(text);
    let Some((&"ip", rest)) = all.split_first() else {
        return if all.is_empty() { Ok(()) } else { Err("not a command of iproute2".to_owned()) };
    };
    let is_v6 = rest.first() == Some(&"-6");
    let rest: Vec<&str> = rest.iter().copied().skip_while(|word| word.starts_with('-')).collect();
    match rest.as_slice() {
        ["tunnel" | "tunn" | "tun", "add", words @ ..] => tunnel(words, is_v6, line, draft),
        ["link" | "l", "add", words @ ..] => link(words, line, draft),
        ["link" | "l", "set", words @ ..] => set(words, line, draft),
        [object, ..] => Err(format!("ip {object}: makes no tunnel; type it after the import")),
        [] => Err("not a whole command".to_owned()),
    }
}

/// `ip tunnel add NAME mode MODE ...`
fn tunnel(words: &[&str], is_v6: bool, line: usize, draft: &mut Draft) -> Result<(), String> {
    let mode = words.iter().position(|word| *word == "mode").and_then(|at| words.get(at + 1)).copied();
    let type_name = match mode {
        Some("ipip" | "ip4ip4" | "ip/ip") => "ipip",
        Some("sit" | "ip6ip" | "ipv6/ip") => "sit",
        Some("ip6ip6" | "ipip6" | "ip4ip6" | "any" | "ip/ipv6" | "ipv6/ipv6" | "any/ipv6") => "ip6tnl",
        None if is_v6 => "ip6tnl",
        Some(other) => return Err(format!("mode {other}: no tunnel of ours")),
        None => return Err("no mode is given, as `mode ipip`".to_owned()),
    };
    make(words, type_name, line, draft);
    Ok(())
}

/// `ip link add [name] NAME [mtu BYTES] type TYPE ...`
fn link(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let at = words.iter().position(|word| *word == "type").ok_or("no type is given, as `type ipip`")?;
    let type_name = match words.get(at + 1) {
        Some(&"ipip") => "ipip",
        Some(&"sit") => "sit",
        Some(&"ip6tnl") => "ip6tnl",
        Some(other) => return Err(format!("type {other}: no tunnel of ours")),
        None => return Err("no type is given, as `type ipip`".to_owned()),
    };
    let words: Vec<&str> =
        words.iter().enumerate().filter(|(n, _)| *n != at && *n != at + 1).map(|(_, w)| *w).collect();
    make(&words, type_name, line, draft);
    Ok(())
}

fn make(words: &[&str], type_name: &'static str, line: usize, draft: &mut Draft) {
    let kind = match type_name {
        "ipip" => "ipip",
        "sit" => "6in4",
        _ => "ipipv6",
    };
    let at = draft.begin(line, type_name, kind);
    draft.change(at, line, |row| {
        let mut problems = Vec::new();
        for (property, text) in defaults(type_name) {
            problems.extend(row.set(property, text).err());
        }
        let mut words = words.iter().copied();
        let mut is_named = false;
        while let Some(word) = words.next() {
            match word {
                "nopmtudisc" => problems.extend(row.set("dont-fragment", "no").err()),
                "pmtudisc" => {}
                "name" => {
                    is_named = true;
                    problems.extend(words.next().and_then(|name| row.set("name", name).err()));
                }
                word if TAKING.contains(&word) => match words.next() {
                    Some(value) => problems.extend(option(row, word, value).err()),
                    None => problems.push(format!("{word}: its value is missing")),
                },
                name if !is_named => {
                    is_named = true;
                    problems.extend(row.set("name", name).err());
                }
                other => problems.push(format!("`{other}`: not understood")),
            }
        }
        problems
    });
}

/// The words that a value follows.
const TAKING: [&str; 14] = [
    "mode",
    "remote",
    "local",
    "ttl",
    "hoplimit",
    "hlim",
    "tos",
    "dsfield",
    "tclass",
    "mtu",
    "dev",
    "encaplimit",
    "flowlabel",
    "key",
];

/// What Linux does where nothing is written.
fn defaults(type_name: &str) -> &'static [(&'static str, &'static str)] {
    match type_name {
        "ip6tnl" => &[("dscp", "0"), ("flow-label", "no"), ("encapsulation-limit", "4")],
        _ => &[("ttl", "inherit"), ("dscp", "0"), ("dont-fragment", "inherit")],
    }
}

fn option(row: &mut Row, word: &str, value: &str) -> Result<(), String> {
    match word {
        "mode" => row.set("kind", kind(row.origin, value)?),
        "remote" => row.set("remote-address", value),
        "local" => row.set("local-address", if value == "any" { "0.0.0.0" } else { value }),
        "ttl" | "hoplimit" | "hlim" => row.set("ttl", if value == "0" { "inherit" } else { value }),
        "tos" | "dsfield" | "tclass" => match field(value) {
            Some(field) => row.set("dscp", &(field >> 2).to_string()),
            None if value.starts_with("inherit") => row.set("dscp", "inherit"),
            None => Err(format!("{word} {value}: neither inherit nor a number")),
        },
        "mtu" => row.set("mtu", value),
        "encaplimit" => row.set("encapsulation-limit", value),
        "flowlabel" if field(value) == Some(0) => row.set("flow-label", "no"),
        "flowlabel" if value == "inherit" => row.set("flow-label", "auto"),
        _ => Err(format!("{word} {value}: not in this version; left out")),
    }
}

fn kind(type_name: &str, mode: &str) -> Result<&'static str, String> {
    match (type_name, mode) {
        ("ipip" | "sit", "ipip" | "ip4ip4" | "ip/ip") => Ok("ipip"),
        ("sit", "sit" | "ip6ip" | "ipv6/ip") => Ok("6in4"),
        ("ipip" | "sit", "any" | "any/ip") => Ok("any"),
        (_, "mplsip" | "mpls/ip" | "mplsip6" | "mpls/ipv6") => Ok("mpls"),
        ("ip6tnl", "any" | "any/ipv6") => Ok("ipipv6"),
        ("ip6tnl", "ip6ip6" | "ipv6/ipv6") => Ok("6in6"),
        ("ip6tnl", "ipip6" | "ip4ip6" | "ip/ipv6") => Ok("4in6"),
        _ => Err(format!("mode {mode}: no tunnel of ours")),
    }
}

/// A number as iproute2 reads it: hexadecimal, with 0x or without.
fn field(text: &str) -> Option<u8> {
    u8::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// `ip link set [dev] NAME mtu BYTES up`
fn set(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let mut words = words.iter().copied().skip_while(|word| *word == "dev");
    let name = words.next().ok_or("no interface is named")?;
    let at = draft
        .rows
        .iter()
        .position(|row| row.get("name").as_deref() == Some(name))
        .ok_or_else(|| format!("interface {name}: no such tunnel stands above"))?;
    draft.change(at, line, |row| {
        let mut problems = Vec::new();
        while let Some(word) = words.next() {
            let set = match word {
                "up" => Ok(()),
                "down" => row.set("disabled", "yes"),
                "mtu" => row.set("mtu", words.next().unwrap_or_default()),
                "alias" => row.set("comment", words.next().unwrap_or_default()),
                other => Err(format!("`{other}`: not understood")),
            };
            problems.extend(set.err());
        }
        problems
    });
    Ok(())
}

#[cfg(test)]
mod tests;
