//! Commands of iproute2: `ip tunnel add`, `ip link add ... type ipip|sit|ip6tnl`, and `ip link set` of such a tunnel.
//! What is not written takes Linux' defaults, not ours.

mod interface;
mod number;
mod options;
mod shell;

use self::interface::Interface;
use super::draft::{Draft, Row};

/// Whether a line holds a command of iproute2.
pub(super) fn is_command(text: &str) -> bool {
    shell::commands(text).iter().any(|words| arguments(words).is_some())
}

/// Reads the commands of a line, one after the other.
pub(super) fn read(text: &str, line: usize, draft: &mut Draft) {
    for words in shell::commands(text) {
        let read = match (arguments(&words), words.first().map(String::as_str)) {
            (Some(words), _) => command(&words, line, draft),
            // As in `ip link add ... || true`.
            (None, Some("true" | ":") | None) => Ok(()),
            (None, Some(other)) => Err(format!("`{other}`: not a command of iproute2")),
        };
        if let Err(why) = read {
            draft.problem(line, why);
        }
    }
}

/// What follows `ip`, without what people put in front of it. Root's prompt is not among that: a `#` begins a comment,
/// and what somebody has commented out makes no tunnel.
fn arguments(words: &[String]) -> Option<Vec<&str>> {
    let mut words = words.iter().map(String::as_str).skip_while(|word| matches!(*word, "sudo" | "$"));
    // `/ip` is a menu of RouterOS.
    words.next().filter(|program| *program == "ip" || program.ends_with("bin/ip"))?;
    Some(words.collect())
}

fn command(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let mut words = words.iter().copied().peekable();
    let mut is_v6 = false;
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        match option.trim_start_matches('-') {
            "6" => is_v6 = true,
            "n" | "netns" => return Err(elsewhere(words.next().unwrap_or_default())),
            "b" | "batch" => return Err(format!("{option}: import the file that it names")),
            "l" | "loops" | "rc" | "rcvbuf" => drop(words.next()),
            family if is_short(family, "family") => is_v6 = words.next() == Some("inet6"),
            _ => {}
        }
    }
    let words: Vec<&str> = words.collect();
    let (object, verb, rest) = match words.as_slice() {
        ["netns", "exec" | "e", name, ..] => return Err(elsewhere(name)),
        [object, verb, rest @ ..] if *object == "tunl" || is_short(object, "tunnel") => {
            ("tunnel", *verb, rest)
        }
        [object, verb, rest @ ..] if is_short(object, "link") => ("link", *verb, rest),
        [object, ..] => return Err(format!("ip {object}: makes no tunnel; type it after the import")),
        [] => return Err("not a whole command".to_owned()),
    };
    match (object, verb) {
        ("tunnel", verb) if is_short(verb, "add") => tunnel(rest, is_v6, line, draft),
        ("link", verb) if is_short(verb, "add") => link(rest, line, draft),
        ("link", verb) if is_short(verb, "set") || is_short(verb, "change") => set(rest, line, draft),
        (_, verb) if is_short(verb, "delete") => delete(rest, draft),
        (object, verb) => Err(format!("ip {object} {verb}: makes no tunnel; left out")),
    }
}

fn elsewhere(name: &str) -> String {
    format!(
        "namespace {name}: tunnels are made in the daemon's own; import the command where a daemon of {name} is"
    )
}

/// Whether a word is as much of another as iproute2 needs.
fn is_short(word: &str, whole: &str) -> bool {
    !word.is_empty() && whole.starts_with(word)
}

/// `ip tunnel add NAME mode MODE ...`
fn tunnel(words: &[&str], is_v6: bool, line: usize, draft: &mut Draft) -> Result<(), String> {
    let (name, words) = options::split_name(words);
    let mode = words.iter().position(|word| *word == "mode").and_then(|at| words.get(at + 1)).copied();
    let begins = |with| name.is_some_and(|name| name.starts_with(with));
    let (type_name, kind) = match mode {
        Some("ipip" | "ip4ip4" | "ip/ip") => ("ipip", "ipip"),
        Some("sit" | "ip6ip" | "ipv6/ip") => ("sit", "6in4"),
        Some("ip6ip6" | "ipip6" | "ip4ip6" | "any" | "ip/ipv6" | "ipv4/ipv6" | "ipv6/ipv6" | "any/ipv6") => {
            ("ip6tnl", "ipipv6")
        }
        None if is_v6 => ("ip6tnl", "6in6"),
        // Without a mode its name says what it is.
        None if begins("ipip") => ("ipip", "ipip"),
        None if begins("sit") => ("sit", "6in4"),
        Some(other) => return Err(format!("mode {other}: no tunnel of ours")),
        None => return Err("no mode is given, as `mode ipip`".to_owned()),
    };
    make((type_name, kind), name, line, draft, |row| options::read(row, &words));
    Ok(())
}

/// `ip link add [name] NAME [mtu BYTES] type TYPE ...`
fn link(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let interface = Interface::read(words);
    let kind = match interface.of_type {
        Some(("ipip", _)) => ("ipip", "ipip"),
        Some(("sit", _)) => ("sit", "6in4"),
        Some(("ip6tnl", _)) => ("ip6tnl", "ipipv6"),
        None | Some(("", _)) => return Err("no type is given, as `type ipip`".to_owned()),
        Some((other, _)) => return Err(format!("type {other}: no tunnel of ours")),
    };
    make(kind, interface.name.or(interface.device), line, draft, |row| interface.apply(row));
    Ok(())
}

fn make(
    (type_name, kind): (&'static str, &str),
    name: Option<&str>,
    line: usize,
    draft: &mut Draft,
    apply: impl FnOnce(&mut Row) -> Vec<String>,
) {
    let at = draft.begin(line, type_name, kind);
    draft.change(at, line, |row| {
        let name = name.map(|name| ("name", name));
        let set = name.iter().chain(defaults(type_name));
        let mut problems: Vec<String> =
            set.filter_map(|(property, text)| row.set(property, text).err()).collect();
        problems.extend(apply(row));
        problems
    });
}

/// What Linux does where nothing is written.
fn defaults(type_name: &str) -> &'static [(&'static str, &'static str)] {
    match type_name {
        "ip6tnl" => &[("dscp", "0"), ("flow-label", "no"), ("encapsulation-limit", "4")],
        _ => &[("ttl", "inherit"), ("dscp", "0"), ("dont-fragment", "inherit")],
    }
}

/// `ip link set [dev] NAME mtu BYTES up`
fn set(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let interface = Interface::read(words);
    let at = find(interface.device, draft)?;
    draft.change(at, line, |row| {
        let mut problems = Vec::new();
        problems.extend(interface.name.and_then(|name| row.set("name", name).err()));
        match interface.is_up {
            Some(true) => row.unset("disabled"),
            Some(false) => problems.extend(row.set("disabled", "yes").err()),
            None => {}
        }
        problems.extend(interface.apply(row));
        problems
    });
    Ok(())
}

/// `ip link delete [dev] NAME`
fn delete(words: &[&str], draft: &mut Draft) -> Result<(), String> {
    let Interface { device, name, .. } = Interface::read(words);
    let at = find(device.or(name), draft)?;
    draft.rows.remove(at);
    Ok(())
}

/// The tunnel of this name that stands above.
fn find(name: Option<&str>, draft: &Draft) -> Result<usize, String> {
    let name = name.ok_or("no interface is named")?;
    let found = draft.rows.iter().position(|row| row.get("name").as_deref() == Some(name));
    found.ok_or_else(|| format!("interface {name}: no such tunnel stands above"))
}

#[cfg(test)]
mod tests;
