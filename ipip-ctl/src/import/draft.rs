//! Tunnels that are being read, and what was not understood.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::unknown_property;
use crate::failure::{Failure, FailureKind};
use crate::spec::{List, TunnelSpec, Word};
use crate::tunnel::Tunnel;

/// Something that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The number of its line.
    pub line: usize,
    /// What it is, and why.
    pub why: String,
}

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The tunnels, in their order.
    pub tunnels: Vec<TunnelSpec>,
    /// What was not understood.
    pub problems: Vec<Problem>,
    /// Commands that the text asks for beside tunnels, to be typed by hand.
    pub next: Vec<String>,
}

/// A tunnel that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    line: usize,
    /// The menu or type that it was written in.
    pub(super) origin: &'static str,
    values: Map<String, Value>,
    /// It must not be set up without something that is not there.
    refused: bool,
}

impl Row {
    /// A property as text, where it is written.
    pub(super) fn get(&self, property: &str) -> Option<String> {
        self.values.get(property).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Sets a property as it would be written on a command line.
    pub(super) fn set(&mut self, property: &str, text: &str) -> Result<(), String> {
        if property == "ipsec-secret" && text.is_empty() {
            return Ok(());
        }
        if property == "ipsec-secret" {
            self.refuse();
            return Err(
                "ipsec-secret: a secret is not taken from a listing; the tunnel is left out: add it with \
                        `ipip-ctl add ... ipsec-secret=-`, which reads the secret from standard input"
                    .to_owned(),
            );
        }
        if !TunnelSpec::PROPERTIES.contains(&property) {
            return Err(unknown_property(property).to_string());
        }
        let value = match property {
            "name" | "local-address" | "remote-address" | "ipsec-secret-file" | "comment" => {
                Value::from(text)
            }
            "allowed-inner" => Value::from(List::from(text).0),
            _ => match Word::from(text) {
                Word::Number(number) => Value::from(number),
                Word::Truth(truth) => Value::from(truth),
                Word::Text(text) => Value::from(text),
            },
        };
        self.values.insert(property.to_owned(), value);
        Ok(())
    }

    /// Leaves the tunnel out.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Takes a property back to its default.
    pub(super) fn unset(&mut self, property: &str) {
        self.values.remove(property);
    }
}

/// A text that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) rows: Vec<Row>,
    problems: Vec<Problem>,
}

impl Draft {
    pub(super) fn problem(&mut self, line: usize, why: String) {
        self.problems.push(Problem { line, why });
    }

    /// Begins a tunnel.
    pub(super) fn begin(&mut self, line: usize, origin: &'static str, kind: &str) -> usize {
        let mut row = Row { line, origin, ..Row::default() };
        row.values.insert("kind".to_owned(), kind.into());
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// Does something with a tunnel, and tells of each property that is not understood.
    pub(super) fn change(&mut self, at: usize, line: usize, change: impl FnOnce(&mut Row) -> Vec<String>) {
        let problems = self.rows.get_mut(at).map(change).unwrap_or_default();
        self.problems.extend(problems.into_iter().map(|why| Problem { line, why }));
    }

    /// The tunnels that may be set up.
    pub(super) fn finish(mut self) -> Import {
        let mut tunnels = Vec::new();
        for row in std::mem::take(&mut self.rows) {
            match settle(row.values) {
                _ if row.refused => {}
                Ok((spec, left_out)) => {
                    tunnels.push(spec);
                    for why in left_out {
                        self.problem(row.line, why);
                    }
                }
                Err(failure) => self.problem(row.line, failure.to_string()),
            }
        }
        self.problems.sort_by_key(|problem| problem.line);
        Import { tunnels, problems: self.problems, next: Vec::new() }
    }
}

/// Checks a tunnel; properties that this version does not have are left out, and told. So is a comment that cannot be:
/// the tunnel works without.
fn settle(mut values: Map<String, Value>) -> Result<(TunnelSpec, Vec<String>), Failure> {
    let mut left_out = Vec::new();
    loop {
        let spec: TunnelSpec = serde_json::from_value(Value::Object(values.clone()))
            .map_err(|error| Failure::new(FailureKind::Usage, error))?;
        let name = Some(spec.name.clone().unwrap_or_else(|| "ipip1".to_owned()));
        match Tunnel::check(TunnelSpec { name, ..spec.clone() }) {
            Ok(_) => return Ok((spec, left_out)),
            Err(wrong) if wrong.failure.kind == FailureKind::Unsupported || wrong.property == "comment" => {
                if values.remove(wrong.property).is_none() {
                    return Err(wrong.failure);
                }
                left_out.push(format!("{}; left out", wrong.failure.message));
            }
            Err(wrong) => return Err(wrong.failure),
        }
    }
}
