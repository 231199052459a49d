//! What `ip tunnel add` says of a tunnel, and `ip link add` behind the type.

use super::super::draft::Row;
use super::number::{decimal, hexadecimal, tos, traffic_class};

/// The words that a value follows.
const TAKING: [&str; 26] = [
    "mode",
    "remote",
    "local",
    "ttl",
    "hoplimit",
    "hlim",
    "tos",
    "dsfield",
    "tclass",
    "tc",
    "mtu",
    "dev",
    "encaplimit",
    "flowlabel",
    "fl",
    "dscp",
    "encap",
    "encap-sport",
    "encap-dport",
    "fwmark",
    "key",
    "ikey",
    "okey",
    "6rd-prefix",
    "6rd-relay_prefix",
    "prl-default",
];
/// The words that stand alone.
const ALONE: [&str; 11] = [
    "pmtudisc",
    "nopmtudisc",
    "noencap",
    "noencap-csum",
    "noencap-udp6-csum",
    "noencap-remcsum",
    "noallow-localremote",
    "isatap",
    "external",
    "seq",
    "csum",
];

/// The name that stands among the words of `ip tunnel add`, and the others.
pub(super) fn split_name<'a>(words: &[&'a str]) -> (Option<&'a str>, Vec<&'a str>) {
    let mut name = None;
    let mut others = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if TAKING.contains(&word) {
            others.push(word);
            others.extend(words.next());
        } else if word == "name" {
            name = words.next();
        } else if name.is_none() && !ALONE.contains(&word) {
            name = Some(word);
        } else {
            others.push(word);
        }
    }
    (name, others)
}

/// Sets what the words say, and returns what they say that is not understood.
pub(super) fn read(row: &mut Row, words: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut follows_path = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "pmtudisc" => follows_path = Some(true),
            "nopmtudisc" => follows_path = Some(false),
            // What is without them anyway.
            word if word.starts_with("no") && ALONE.contains(&word) => {}
            word if TAKING.contains(&word) => match words.next() {
                Some(value) => problems.extend(option(row, word, value).err()),
                None => problems.push(format!("{word}: its value is missing")),
            },
            other => problems.push(format!("`{other}`: not understood")),
        }
    }
    // Linux copies the bit of an inner IPv4 header either way. That of IPv6 counts as set where the path is followed.
    if let Some(follows) = follows_path {
        let is_clear = !follows && row.get("kind").as_deref() == Some("6in4");
        problems.extend(row.set("dont-fragment", if is_clear { "no" } else { "inherit" }).err());
    }
    problems
}

fn option(row: &mut Row, word: &str, value: &str) -> Result<(), String> {
    let is_v6 = row.origin == "ip6tnl";
    match (word, value) {
        ("mode", _) => {
            // As another kind it would not reach the far end.
            let kind = kind(row.origin, value).inspect_err(|_| row.refuse())?;
            row.set("kind", kind)
        }
        ("remote", _) => row.set("remote-address", address(is_v6, value)),
        ("local", _) => row.set("local-address", address(is_v6, value)),
        ("ttl" | "hoplimit" | "hlim", _) => match decimal(value).as_str() {
            "0" => row.set("ttl", "inherit"),
            number => row.set("ttl", number),
        },
        ("tos" | "dsfield" | "tclass" | "tc", _) => {
            let field = if is_v6 { traffic_class(value) } else { tos(value) };
            match field {
                // The lowest bit of an IPv4 tunnel's says so.
                Some(field) if is_v6 || field & 1 == 0 => row.set("dscp", &(field >> 2).to_string()),
                Some(_) => row.set("dscp", "inherit"),
                None if value == "inherit" || !is_v6 && value.starts_with("inherit/") => {
                    row.set("dscp", "inherit")
                }
                None => Err(format!("{word} {value}: neither inherit nor a hexadecimal number")),
            }
        }
        ("mtu", _) => row.set("mtu", &decimal(value)),
        ("encaplimit", _) => row.set("encapsulation-limit", &decimal(value)),
        ("flowlabel" | "fl", "inherit") => row.set("flow-label", "auto"),
        ("flowlabel" | "fl", _) if hexadecimal(value) == Some(0) => row.set("flow-label", "no"),
        ("dscp", "inherit") if is_v6 => row.set("decap-dscp", "yes"),
        ("encap", "none") => Ok(()),
        ("encap", _) => {
            row.refuse();
            Err(format!("encap {value}: not in this version; the tunnel is left out"))
        }
        _ => Err(format!("{word} {value}: not in this version; left out")),
    }
}

/// An address, or a word for none.
fn address(is_v6: bool, value: &str) -> &str {
    match value {
        "any" | "all" | "default" if is_v6 => "::",
        "any" | "all" | "default" => "0.0.0.0",
        address => address,
    }
}

fn kind(type_name: &str, mode: &str) -> Result<&'static str, String> {
    match (type_name, mode) {
        ("ipip" | "sit", "ipip" | "ip4ip4" | "ip/ip" | "ipv4/ipv4") => Ok("ipip"),
        ("sit", "sit" | "ip6ip" | "ipv6/ip" | "ipv6/ipv4") => Ok("6in4"),
        ("ipip" | "sit", "any" | "any/ip" | "any/ipv4") => Ok("any"),
        (_, "mplsip" | "mpls/ip" | "mpls/ipv4" | "mplsip6" | "mpls/ipv6") => Ok("mpls"),
        ("ip6tnl", "any" | "any/ipv6") => Ok("ipipv6"),
        ("ip6tnl", "ip6ip6" | "ipv6/ipv6") => Ok("6in6"),
        ("ip6tnl", "ipip6" | "ip4ip6" | "ip/ipv6" | "ipv4/ipv6") => Ok("4in6"),
        _ => Err(format!("mode {mode}: no tunnel of ours; it is left out")),
    }
}
