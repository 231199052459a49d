//! Tunnels as text: the configuration file's form, or lines that RouterOS reads. [`crate::import`] reads both.

use std::fmt::Write as _;

use toml_edit::DocumentMut;

use crate::config::Edit;
use crate::failure::Failure;
use crate::import::{MENUS, PREFIX};
use crate::spec::TunnelSpec;
use crate::tunnel::{Keepalive, Kind, Tunnel};

/// What RouterOS' tunnels have.
const IN_ROUTEROS: [&str; 10] = [
    "name",
    "local-address",
    "remote-address",
    "mtu",
    "dscp",
    "clamp-tcp-mss",
    "dont-fragment",
    "allow-fast-path",
    "disabled",
    "comment",
];

/// What a tunnel has there whose secret is missing, whatever it has here.
const SET_APART: [&str; 2] = ["allow-fast-path", "disabled"];

/// As a configuration file.
///
/// # Errors
///
/// The tunnels are not such as a file could hold.
pub fn toml(tunnels: &[TunnelSpec]) -> Result<String, Failure> {
    let mut edit = Edit::new(DocumentMut::new(), "the export".into());
    for spec in tunnels {
        edit.add(spec);
    }
    edit.finish()
}

/// As lines for RouterOS. What it does not have stands in comments, which `ipip-ctl import` reads all the same.
#[must_use]
pub fn routeros(tunnels: &[TunnelSpec]) -> String {
    let mut text = String::new();
    let mut menu = None;
    for spec in tunnels {
        let tunnel = Tunnel::try_from(spec.clone()).ok();
        let kind = tunnel.as_ref().map_or(Kind::Ipip, |tunnel| tunnel.kind);
        let texts = spec.to_texts();
        let words = |is_wanted: &dyn Fn(&str) -> bool| {
            let wanted = texts.iter().filter(|(property, _)| is_wanted(property));
            wanted
                .map(|(property, value)| format!("{property}={}", quote(value)))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let known = MENUS.into_iter().find(|(_, name)| *name == kind.name());
        // Writing to a String cannot fail.
        let Some((name, _)) = known else {
            let _ = writeln!(text, "{PREFIX} add {}", words(&|_| true));
            continue;
        };
        if menu != Some(name) {
            let _ = writeln!(text, "/interface {name}");
            menu = Some(name);
        }
        // Its own default differs from menu to menu. It has no third number.
        let keepalive = tunnel.as_ref().map_or(Keepalive::Off, |tunnel| tunnel.keepalive);
        let (keepalive, is_longer) = match keepalive {
            Keepalive::Off => ("!keepalive".to_owned(), false),
            Keepalive::Every { interval, retries, answers } => {
                let short = Keepalive::Every { interval, retries, answers: 1 };
                (format!("keepalive={short}"), answers != 1)
            }
        };
        // Without its secret, which is shown nowhere, it would carry everything in the clear there.
        let has_ipsec = tunnel.as_ref().is_some_and(Tunnel::has_ipsec);
        let known = words(&|property| {
            IN_ROUTEROS.contains(&property) && !(has_ipsec && SET_APART.contains(&property))
        });
        let mut more = words(&|property| match property {
            "kind" => false,
            "keepalive" => is_longer,
            other => !IN_ROUTEROS.contains(&other),
        });
        if has_ipsec {
            let is_off = tunnel.is_some_and(|tunnel| tunnel.disabled);
            more += if is_off { " disabled=yes" } else { " disabled=no" };
            let _ = writeln!(
                text,
                "# The next one's ipsec-secret is not exported: set it, and enable the tunnel"
            );
            let _ = writeln!(text, "add {known} allow-fast-path=no disabled=yes {keepalive}");
        } else {
            let _ = writeln!(text, "add {known} {keepalive}");
        }
        if !more.is_empty() {
            let tunnel = spec.name.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{PREFIX} set [ find name={} ] {more}", quote(tunnel));
        }
    }
    text
}

/// A value as RouterOS writes it: in quotes where anything in it could be meant otherwise.
fn quote(value: &str) -> String {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b".:/-,_+".contains(&letter);
    if !value.is_empty() && value.bytes().all(is_plain) {
        return value.to_owned();
    }
    let mut text = "\"".to_owned();
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' | b'$' | b'?' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "\\{byte:02X}")),
        }
    }
    text + "\""
}
