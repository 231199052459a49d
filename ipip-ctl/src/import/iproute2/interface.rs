//! What `ip link add` and `ip link set` say of an interface, whatever its type is.

use super::super::draft::Row;
use super::number::decimal;
use super::{elsewhere, options};

/// The words of the command in front of `type TYPE`, and those behind it.
#[derive(Debug, Default)]
pub(super) struct Interface<'a> {
    /// `[dev] NAME`: the interface to change, or the new one's name.
    pub(super) device: Option<&'a str>,
    /// `name NAME`: the new name.
    pub(super) name: Option<&'a str>,
    /// `up` or `down`
    pub(super) is_up: Option<bool>,
    /// `netns NAME`: where it belongs.
    pub(super) namespace: Option<&'a str>,
    /// Properties of a tunnel, with their values.
    pub(super) properties: Vec<(&'static str, String)>,
    /// The type, and its own words.
    pub(super) of_type: Option<(&'a str, &'a [&'a str])>,
    /// What is not understood.
    pub(super) problems: Vec<String>,
}

/// Words with a value that this version has nothing for.
const OTHERS: [&str; 20] = [
    "address",
    "addrgenmode",
    "allmulticast",
    "arp",
    "broadcast",
    "brd",
    "group",
    "gso_max_segs",
    "gso_max_size",
    "index",
    "link",
    "master",
    "multicast",
    "numrxqueues",
    "numtxqueues",
    "promisc",
    "qlen",
    "txqlen",
    "txqueuelen",
    "vrf",
];

impl<'a> Interface<'a> {
    pub(super) fn read(mut words: &'a [&'a str]) -> Self {
        let mut read = Self::default();
        while let Some(word) = take(&mut words) {
            match word {
                "up" => read.is_up = Some(true),
                "down" => read.is_up = Some(false),
                "dev" => read.device = take(&mut words),
                "name" => read.name = take(&mut words),
                "netns" => read.namespace = take(&mut words),
                "mtu" => read.properties.push(("mtu", decimal(take(&mut words).unwrap_or_default()))),
                "alias" => {
                    read.properties.push(("comment", take(&mut words).unwrap_or_default().to_owned()));
                }
                "type" => {
                    read.of_type = Some((take(&mut words).unwrap_or_default(), words));
                    break;
                }
                other if OTHERS.contains(&other) => {
                    let value = take(&mut words).unwrap_or_default();
                    read.problems.push(format!("{other} {value}: not in this version; left out"));
                }
                device if read.device.is_none() => read.device = Some(device),
                other => read.problems.push(format!("`{other}`: not understood")),
            }
        }
        read
    }

    /// Tells a tunnel what is said of it but for its name, and returns what it does not understand.
    pub(super) fn apply(self, row: &mut Row) -> Vec<String> {
        let mut problems = self.problems;
        if let Some(namespace) = self.namespace {
            row.refuse();
            problems.push(elsewhere(namespace));
        }
        problems.extend(
            self.properties.into_iter().filter_map(|(property, text)| row.set(property, &text).err()),
        );
        problems.extend(self.of_type.into_iter().flat_map(|(_, words)| options::read(row, words)));
        problems
    }
}

fn take<'a>(words: &mut &'a [&'a str]) -> Option<&'a str> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    Some(first)
}
