//! From the file's text to a checked table of tunnels; each refusal says in which line and column it is.
//!
//! No value is repeated but one of a known property: what is written beside a key that this version does not
//! know may be a secret.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml_edit::{ArrayOfTables, Document, Item, Table, Value};

use super::suggest::suggest;
use crate::failure::{Failure, FailureKind};
use crate::metrics::Address;
use crate::spec::TunnelSpec;
use crate::table::{TunnelTable, free_names};
use crate::tunnel::{NAME_MAX, Tunnel};

/// The keys of the list of tunnels; the first is the one to write.
pub(super) const TUNNEL_KEYS: [&str; 2] = ["tunnel", "tunnels"];
const TOP_KEYS: [&str; 5] = ["interfaces", "metrics", "hook", TUNNEL_KEYS[0], TUNNEL_KEYS[1]];

/// What a configuration file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The interfaces to attach to; `None` is every Ethernet interface that is up.
    pub interfaces: Option<Vec<String>>,
    /// Where the daemon serves metrics; `None` is nowhere.
    pub metrics: Option<Address>,
    /// The command that is told of running flags that come and go.
    pub hook: Option<PathBuf>,
    /// The tunnels in their order.
    pub tunnels: TunnelTable,
}

impl Config {
    /// Reads the text of a configuration file; `origin` is where it is from.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line and column.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, Failure> {
        let source = Source { text, origin };
        let document = Document::parse(text).map_err(|error| {
            source.at(error.span(), usage(format!("not TOML: {}", error.message().replace('\n', ", "))))
        })?;
        for (name, _) in document.as_table() {
            if !TOP_KEYS.contains(&name) {
                return Err(source.at(key_span(document.as_table(), name), unknown_key(name, &TOP_KEYS)));
            }
        }
        let interfaces =
            document.as_table().get(TOP_KEYS[0]).map(|item| interfaces(item, &source)).transpose()?;
        let metrics = document.as_table().get(TOP_KEYS[1]).map(|item| metrics(item, &source)).transpose()?;
        let hook = document.as_table().get(TOP_KEYS[2]).map(|item| hook(item, &source)).transpose()?;
        let mut config = Self { interfaces, metrics, hook, tunnels: TunnelTable::default() };
        let Some(tables) = tunnel_tables(document.as_table(), &source)? else { return Ok(config) };
        for (table, name) in tables.iter().zip(names(tables)) {
            config.insert(table, name, &source)?;
        }
        Ok(config)
    }

    /// Reads a configuration file; one that is absent is empty.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        Self::parse(&read_text(path)?.unwrap_or_default(), path)
    }

    fn insert(&mut self, table: &Table, name: String, source: &Source<'_>) -> Result<(), Failure> {
        for (key, _) in table {
            if !TunnelSpec::PROPERTIES.contains(&key) {
                return Err(source.at(key_span(table, key), unknown_property(key)));
            }
        }
        let mut spec = written(table).map_err(|error| unreadable(table, &error, source))?;
        spec.name = Some(name);
        let tunnel = Tunnel::check(spec).map_err(|wrong| {
            let span = key_span(table, wrong.property).or_else(|| table.span());
            source.at(span, wrong.failure)
        })?;
        self.tunnels.insert(tunnel).map_err(|failure| source.at(table.span(), failure))
    }
}

/// A tunnel of the file as it is written.
pub(super) fn written(table: &Table) -> Result<TunnelSpec, toml_edit::de::Error> {
    let value = Value::InlineTable(table.clone().into_inline_table());
    TunnelSpec::deserialize(value.into_deserializer())
}

/// Reads a file's text; `None` if there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("reading {}", path.display()), &error)),
    }
}

/// The name of each tunnel in the file: as written, or the next that is free in all of the file.
pub(super) fn names(tables: &ArrayOfTables) -> Vec<String> {
    let written = |table: &Table| table.get("name").map(|item| item.as_str().unwrap_or_default().to_owned());
    let taken: HashSet<String> = tables.iter().filter_map(written).collect();
    let mut free = free_names(|name| taken.contains(name));
    tables.iter().filter_map(|table| written(table).or_else(|| free.next())).collect()
}

fn tunnel_tables<'a>(top: &'a Table, source: &Source<'_>) -> Result<Option<&'a ArrayOfTables>, Failure> {
    let mut written = TUNNEL_KEYS.into_iter().filter_map(|key| top.get(key).map(|item| (key, item)));
    let Some((key, item)) = written.next() else { return Ok(None) };
    if let Some((other, _)) = written.next() {
        let failure = usage(format!("the file has both [[{key}]] and [[{other}]]"));
        return Err(source.at(key_span(top, other), failure.with_hint(format!("write [[{key}]] everywhere"))));
    }
    as_tables(item, key, source).map(Some)
}

fn as_tables<'a>(item: &'a Item, key: &str, source: &Source<'_>) -> Result<&'a ArrayOfTables, Failure> {
    item.as_array_of_tables().ok_or_else(|| {
        let failure = usage(format!("{key}: not a list of tables"));
        source.at(item.span(), failure.with_hint(format!("begin each tunnel with a line [[{key}]]")))
    })
}

fn interfaces(item: &Item, source: &Source<'_>) -> Result<Vec<String>, Failure> {
    let is_name = |name: &&str| !name.is_empty() && name.len() <= NAME_MAX;
    let names = item.as_array().and_then(|array| {
        array.iter().map(|value| value.as_str().filter(is_name).map(str::to_owned)).collect()
    });
    names.ok_or_else(|| {
        let failure = usage("interfaces: not a list of names of interfaces");
        source.at(item.span(), failure.with_hint("write interfaces = [\"eth0\"], or leave it out"))
    })
}

fn metrics(item: &Item, source: &Source<'_>) -> Result<Address, Failure> {
    let text = item.as_str().ok_or_else(|| "not a text".to_owned());
    text.and_then(str::parse).map_err(|why| {
        let failure = usage(format!("metrics: {why}"));
        source.at(item.span(), failure.with_hint("write metrics = \"127.0.0.1:9713\", or leave it out"))
    })
}

fn hook(item: &Item, source: &Source<'_>) -> Result<PathBuf, Failure> {
    item.as_str().map(PathBuf::from).filter(|path| path.is_absolute()).ok_or_else(|| {
        let failure = usage("hook: not the absolute path of a command");
        source
            .at(item.span(), failure.with_hint("write hook = \"/usr/local/sbin/on-tunnel\", or leave it out"))
    })
}

/// A value of a type that the property never has.
fn unreadable(table: &Table, error: &toml_edit::de::Error, source: &Source<'_>) -> Failure {
    let holds = |item: &Item| {
        item.span()
            .zip(error.span())
            .is_some_and(|(all, part)| all.start <= part.start && part.end <= all.end)
    };
    let Some((key, _)) = table.iter().find(|(_, item)| holds(item)) else {
        return source.at(table.span(), usage(error.message()));
    };
    let failure = usage(format!("{key}: {}", error.message()));
    source.at(
        key_span(table, key),
        failure.with_hint("`ipip-ctl add --help` lists the values of each property"),
    )
}

/// There is no such property; the value beside it, which may be a secret, is not told.
pub(crate) fn unknown_property(key: &str) -> Failure {
    if key == "ipsec-secret" {
        return usage("ipsec-secret: a secret is not written in this file, which others may read").with_hint(
            "write ipsec-secret-file = \"/etc/ipip/NAME.psk\", or `ipip-ctl set NAME ipsec-secret=-`",
        );
    }
    unknown_key(key, &TunnelSpec::PROPERTIES)
}

fn unknown_key(key: &str, known: &[&str]) -> Failure {
    let failure = usage(format!("unknown key `{key}`"));
    match suggest(key, known) {
        Some(meant) => failure.with_hint(format!("did you mean `{meant}`?")),
        None => failure.with_hint(format!("known are {}", known.join(", "))),
    }
}

fn key_span(table: &Table, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(toml_edit::Key::span)
}

fn usage(message: impl Display) -> Failure {
    Failure::new(FailureKind::Usage, message)
}

/// A text and where it is from.
struct Source<'a> {
    text: &'a str,
    origin: &'a Path,
}

impl Source<'_> {
    /// Says in which line and column it happened.
    fn at(&self, span: Option<Range<usize>>, failure: Failure) -> Failure {
        let before = span.and_then(|span| self.text.get(..span.start));
        failure.within(Place { origin: self.origin, before })
    }
}

struct Place<'a> {
    origin: &'a Path,
    before: Option<&'a str>,
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin.display())?;
        let Some(before) = self.before else { return Ok(()) };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        write!(f, ":{line}:{column}")
    }
}

#[cfg(test)]
mod tests;
