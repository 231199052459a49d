//! What a command changed, or would change: one entry a tunnel.

use std::collections::HashMap;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::table::TunnelTable;
use crate::tunnel::Tunnel;

/// What becomes of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It was not there.
    Added,
    /// Some of its properties have other values.
    Changed,
    /// It is gone.
    Removed,
    /// Its interface, which was gone or could not be made, is there again.
    Restored,
}

impl Action {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Restored => "restored",
        }
    }
}

/// A property with its values before and after, as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyChange {
    /// The property's name.
    pub property: String,
    /// Its value before; nothing where the tunnel or the property was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its value now; nothing where the tunnel or the property is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// As people read it: `mtu auto -> 1400`.
impl Display for PropertyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (shown(self.from.as_deref()), shown(self.to.as_deref()));
        write!(f, "{} {from} -> {to}", self.property)
    }
}

fn shown(value: Option<&str>) -> String {
    match value {
        None | Some("") => "(none)".to_owned(),
        Some(value) if value.contains([' ', ',']) => format!("{value:?}"),
        Some(value) => value.to_owned(),
    }
}

/// What became of one tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name; of one that was renamed the new one.
    pub tunnel: String,
    /// What became of it.
    pub action: Action,
    /// The properties that differ; of a new or removed tunnel those that were written.
    pub properties: Vec<PropertyChange>,
}

impl Change {
    /// A tunnel that was not there.
    #[must_use]
    pub fn added(tunnel: &Tunnel) -> Self {
        let set = |(property, to)| PropertyChange { property, from: None, to: Some(to) };
        let properties = properties(&tunnel.to_short_spec()).map(set).collect();
        Self { tunnel: tunnel.name.clone(), action: Action::Added, properties }
    }

    /// A tunnel that is gone.
    #[must_use]
    pub fn removed(tunnel: &Tunnel) -> Self {
        let unset = |(property, from)| PropertyChange { property, from: Some(from), to: None };
        let properties = properties(&tunnel.to_short_spec()).map(unset).collect();
        Self { tunnel: tunnel.name.clone(), action: Action::Removed, properties }
    }

    /// A tunnel whose interface came back.
    #[must_use]
    pub fn restored(name: &str) -> Self {
        Self { tunnel: name.to_owned(), action: Action::Restored, properties: Vec::new() }
    }

    /// A tunnel whose secret is another one, which is not shown.
    #[must_use]
    pub fn with_secret(name: &str) -> Self {
        let (from, to) = (Some("one".to_owned()), Some("another".to_owned()));
        let secret = PropertyChange { property: "ipsec-secret".to_owned(), from, to };
        Self { tunnel: name.to_owned(), action: Action::Changed, properties: vec![secret] }
    }

    /// A tunnel with other properties.
    #[must_use]
    pub fn between(old: &Tunnel, new: &Tunnel) -> Self {
        let (before, after): (Vec<_>, Vec<_>) =
            (properties(&old.to_spec()).collect(), properties(&new.to_spec()).collect());
        let value = |list: &[(String, String)], name: &str| {
            list.iter().find(|(property, _)| property == name).map(|(_, value)| value.clone())
        };
        let names = crate::spec::TunnelSpec::PROPERTIES.into_iter();
        let all = names.map(|name| PropertyChange {
            property: name.to_owned(),
            from: value(&before, name),
            to: value(&after, name),
        });
        Self {
            tunnel: new.name.clone(),
            action: Action::Changed,
            properties: all.filter(|change| change.from != change.to).collect(),
        }
    }
}

/// What a command changed in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Of tunnels.
    pub changes: Vec<Change>,
    /// Of the daemon's own settings.
    pub settings: Vec<PropertyChange>,
}

impl From<Vec<Change>> for Changed {
    fn from(changes: Vec<Change>) -> Self {
        Self { changes, settings: Vec::new() }
    }
}

/// What tells one list of tunnels from another, by name.
#[must_use]
pub fn between(old: &TunnelTable, new: &TunnelTable) -> Vec<Change> {
    let gone = old.iter().filter(|tunnel| !new.contains(&tunnel.name)).map(Change::removed);
    let before: HashMap<&str, &Tunnel> = old.iter().map(|tunnel| (tunnel.name.as_str(), tunnel)).collect();
    let here = new.iter().filter_map(|tunnel| match before.get(tunnel.name.as_str()) {
        None => Some(Change::added(tunnel)),
        Some(before) if *before == tunnel => None,
        Some(before) => Some(Change::between(before, tunnel)),
    });
    gone.chain(here).collect()
}

/// The written properties but the name, each with its value as text.
fn properties(spec: &crate::spec::TunnelSpec) -> impl Iterator<Item = (String, String)> + use<> {
    let values = spec.to_texts();
    values.into_iter().filter(|(property, _)| *property != "name").map(|(name, text)| (name.to_owned(), text))
}
