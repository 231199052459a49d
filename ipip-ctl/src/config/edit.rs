//! Edits to the text of a configuration file that keep what people wrote: comments, order, spelling.
//!
//! Every edit begins with the file as it is on disk now, and is finished only if the daemon could load the result.

use std::collections::HashMap;
use std::path::PathBuf;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::read::{Config, TUNNEL_KEYS, names, written};
use crate::failure::{Failure, FailureKind};
use crate::spec::{TunnelSpec, is_empty};
use crate::tunnel::Tunnel;

/// A text that is being edited.
#[derive(Clone, Debug)]
pub struct Edit {
    document: DocumentMut,
    origin: PathBuf,
    /// Where each tunnel stands in the list, by name.
    places: HashMap<String, usize>,
}

impl Edit {
    /// Begins with a text that the daemon could load.
    pub(crate) fn new(mut document: DocumentMut, origin: PathBuf) -> Self {
        let places = pin_names(&mut document).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        Self { document, origin, places }
    }

    /// Appends a tunnel as it was written.
    pub fn add(&mut self, spec: &TunnelSpec) {
        let document = &mut self.document;
        let key = TUNNEL_KEYS.into_iter().find(|key| document.contains_key(key)).unwrap_or(TUNNEL_KEYS[0]);
        let mut table = to_table(spec);
        // A comment at the end of the file would otherwise slide below the new tunnel.
        let comment = document.trailing().as_str().unwrap_or_default().trim_end().to_owned();
        table.decor_mut().set_prefix(match (document.as_table().is_empty(), comment.is_empty()) {
            (true, true) => String::new(),
            (false, true) => "\n".to_owned(),
            (_, false) => format!("{comment}\n\n"),
        });
        document.set_trailing("");
        let item = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(tables) = item.as_array_of_tables_mut() {
            self.places.insert(spec.name.clone().unwrap_or_default(), tables.len());
            tables.push(table);
        }
    }

    /// Gives a tunnel other properties, and returns it as it is then. A property that is empty in `changes` is taken
    /// out.
    ///
    /// # Errors
    ///
    /// The file has no such tunnel any more, or the tunnel would be wrong; nothing is changed then.
    pub fn set(&mut self, name: &str, changes: &TunnelSpec) -> Result<Tunnel, Failure> {
        let at = self.places.get(name).copied();
        let Some(table) = at.and_then(|at| tables(&mut self.document)?.get_mut(at)) else {
            let message = format!("tunnel {name}: {} has none of this name any more", self.origin.display());
            return Err(Failure::new(FailureKind::Conflict, message)
                .with_hint("somebody edited the file: `ipip-ctl reload` takes it over"));
        };
        let wrong = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Usage, error);
        let old = written(table).map_err(|error| wrong(&error.message()))?;
        let new = old.merged(changes).map_err(|error| wrong(&error))?;
        let tunnel = Tunnel::try_from(new).map_err(|failure| failure.within(format!("tunnel {name}")))?;
        for (property, value) in changes.to_values() {
            if is_empty(&value) {
                table.remove(&property);
            } else if property == "kind" {
                // Other systems' words for a kind are understood, and not kept.
                set(table, &property, tunnel.kind.name().into());
            } else {
                set(table, &property, to_value(&value));
            }
        }
        let place = self.places.remove(name);
        self.places.extend(place.map(|at| (tunnel.name.clone(), at)));
        Ok(tunnel)
    }

    /// Takes tunnels out, each with the comment right above it; false if the file has none of these names.
    pub fn remove(&mut self, unwanted: &[String]) -> bool {
        let mut gone: Vec<usize> =
            unwanted.iter().filter_map(|name| self.places.get(name).copied()).collect();
        // From the end on, so that the places of the others stay what they are.
        gone.sort_unstable_by(|one, other| other.cmp(one));
        for at in &gone {
            self.remove_at(*at);
        }
        let here = tables(&mut self.document).map(|tables| names(tables)).unwrap_or_default();
        self.places = here.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        !gone.is_empty()
    }

    fn remove_at(&mut self, at: usize) {
        let Some(tables) = tables(&mut self.document) else { return };
        let kept = tables.get(at).map(comment_of_others).unwrap_or_default();
        tables.remove(at);
        let is_last = tables.is_empty();
        if let Some(next) = tables.get_mut(at) {
            let own = next.decor().prefix().and_then(|text| text.as_str()).unwrap_or_default().to_owned();
            next.decor_mut().set_prefix(join(&kept, &own));
        } else {
            let own = self.document.trailing().as_str().unwrap_or_default().to_owned();
            self.document.set_trailing(join(&kept, &own));
        }
        if is_last {
            for key in TUNNEL_KEYS {
                self.document.remove(key);
            }
        }
    }

    /// The text with all edits.
    ///
    /// # Errors
    ///
    /// The daemon could not load it.
    pub fn finish(self) -> Result<String, Failure> {
        let text = self.document.to_string().trim_start_matches('\n').to_owned();
        Config::parse(&text, &self.origin)?;
        Ok(text)
    }
}

/// Gives tunnels without a name the one that they go by, so that no edit to the list renames them; gives all names.
fn pin_names(document: &mut DocumentMut) -> Vec<String> {
    let Some(tables) = tables(document) else { return Vec::new() };
    let names = names(tables);
    for (table, name) in tables.iter_mut().zip(&names) {
        table.entry("name").or_insert_with(|| toml_edit::value(name));
    }
    names
}

/// The list of tunnels; a file that the daemon can load has but one.
fn tables(document: &mut DocumentMut) -> Option<&mut ArrayOfTables> {
    let key = TUNNEL_KEYS.into_iter().find(|key| document.contains_key(key))?;
    document.get_mut(key)?.as_array_of_tables_mut()
}

fn to_table(spec: &TunnelSpec) -> Table {
    let values = spec.to_values();
    let mut table = Table::new();
    for property in TunnelSpec::PROPERTIES {
        if let Some(written) = values.get(property) {
            table.insert(property, Item::Value(to_value(written)));
        }
    }
    table
}

fn to_value(written: &serde_json::Value) -> Value {
    if let Some(text) = written.as_str() {
        text.into()
    } else if let Some(number) = written.as_i64() {
        number.into()
    } else if let Some(list) = written.as_array() {
        Value::Array(list.iter().filter_map(serde_json::Value::as_str).collect::<Array>())
    } else {
        written.as_bool().unwrap_or_default().into()
    }
}

/// Writes a value where the old one stood, with the comment beside it.
fn set(table: &mut Table, property: &str, mut new: Value) {
    if let Some(old) = table.get_mut(property).and_then(Item::as_value_mut) {
        *new.decor_mut() = old.decor().clone();
        *old = new;
    } else {
        table.insert(property, Item::Value(new));
    }
}

/// What stands above a tunnel and is set off by an empty line: it is the file's, not the tunnel's.
fn comment_of_others(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|text| text.as_str()).unwrap_or_default();
    let own = prefix.rfind("\n\n").map_or(prefix.len(), |at| at + 1);
    let others = prefix.get(..own).filter(|_| own < prefix.len()).unwrap_or_default();
    if others.trim().is_empty() { String::new() } else { others.to_owned() }
}

fn join(kept: &str, own: &str) -> String {
    let own = own.trim_start_matches('\n');
    match (kept.is_empty(), own.is_empty()) {
        (true, _) => own.to_owned(),
        (false, true) => kept.to_owned(),
        (false, false) => format!("{kept}\n{own}"),
    }
}
