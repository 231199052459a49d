//! The conditions of `print where`.

use serde_json::{Map, Value};

use crate::api::protocol::TunnelView;
use crate::config::suggest::suggest;
use crate::failure::{Failure, FailureKind};
use crate::spec::TunnelSpec;

/// What a tunnel has beside its properties.
const STATES: [&str; 4] = ["actual-mtu", "running", "invalid", "reason"];

/// How a property is compared with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Is,
    IsNot,
    Holds,
}

/// One condition on a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    property: String,
    relation: Relation,
    text: String,
}

impl Condition {
    /// Reads `KEY=VALUE`, `KEY!=VALUE`, `KEY~TEXT`, `KEY` or `!KEY`.
    pub(super) fn read(word: &str) -> Result<Self, Failure> {
        // The first operator counts: what comes after it is the text, which may hold others.
        let (key, relation, text) = if let Some(at) = word.find(['=', '~']) {
            let (key, rest) = word.split_at(at);
            let text = rest.get(1..).unwrap_or_default();
            match key.strip_suffix('!') {
                Some(key) if rest.starts_with('=') => (key, Relation::IsNot, text),
                _ if rest.starts_with('=') => (key, Relation::Is, text),
                _ => (key, Relation::Holds, text),
            }
        } else if let Some(key) = word.strip_prefix('!') {
            (key, Relation::IsNot, "yes")
        } else {
            (word, Relation::Is, "yes")
        };
        let property = key.replace('_', "-");
        let known: Vec<&str> = TunnelSpec::PROPERTIES.into_iter().chain(STATES).collect();
        if !known.contains(&property.as_str()) {
            let failure = Failure::new(FailureKind::Usage, format!("where `{word}`: no property `{key}`"));
            return Err(match suggest(key, &known) {
                Some(meant) => failure.with_hint(format!("did you mean `{meant}`?")),
                None => failure.with_hint(format!("known are {}", known.join(", "))),
            });
        }
        let text = match text {
            "true" => "yes",
            "false" => "no",
            text => text,
        };
        Ok(Self { property, relation, text: text.to_owned() })
    }

    /// Whether it is true of a tunnel.
    pub(super) fn holds(&self, tunnel: &TunnelView) -> bool {
        let value = value(tunnel, &self.property);
        match self.relation {
            Relation::Is => value == self.text,
            Relation::IsNot => value != self.text,
            Relation::Holds => value.to_lowercase().contains(&self.text.to_lowercase()),
        }
    }
}

/// A property's value as it is printed.
fn value(tunnel: &TunnelView, property: &str) -> String {
    if property == "invalid" {
        return yes_no(!tunnel.running && !tunnel.disabled).to_owned();
    }
    let values = match serde_json::to_value(tunnel) {
        Ok(Value::Object(values)) => values,
        Ok(_) | Err(_) => Map::new(),
    };
    match values.get(property) {
        Some(Value::Bool(truth)) => yes_no(*truth).to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(Value::Null | Value::Object(_)) | None => String::new(),
    }
}

fn yes_no(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::three;

    fn matching(word: &str) -> Vec<usize> {
        let condition = Condition::read(word).unwrap();
        three().iter().enumerate().filter(|(_, tunnel)| condition.holds(tunnel)).map(|(at, _)| at).collect()
    }

    #[test]
    fn properties_and_states_are_compared_as_they_are_printed() {
        for (word, numbers) in [
            ("name=berlin", &[0][..]),
            ("kind!=ipip", &[2]),
            ("comment~BERLIN", &[0]),
            ("remote_address=10.0.0.2", &[1]),
            ("mtu=auto", &[0, 1, 2]),
            ("actual-mtu=1480", &[0, 1]),
            ("allowed-inner~10.0.0.0/8", &[2]),
            ("running", &[0]),
            ("!running", &[1, 2]),
            ("disabled=yes", &[1]),
            ("disabled=false", &[0, 2]),
            ("invalid", &[2]),
            ("reason~route", &[2]),
            ("comment=", &[1, 2]),
        ] {
            assert_eq!(matching(word), numbers, "{word}");
        }
        let error = Condition::read("remote=1").unwrap_err().to_string();
        assert!(error.contains("did you mean `remote-address`?"), "{error}");
    }

    #[test]
    fn the_first_operator_counts() {
        for (word, relation, text) in [
            ("comment~a!=b", Relation::Holds, "a!=b"),
            ("comment=a!=b", Relation::Is, "a!=b"),
            ("comment!=a=b", Relation::IsNot, "a=b"),
            ("comment!=a!=b~c", Relation::IsNot, "a!=b~c"),
            ("comment=a~b", Relation::Is, "a~b"),
            ("comment~=", Relation::Holds, "="),
            ("comment!=", Relation::IsNot, ""),
        ] {
            let condition = Condition { property: "comment".into(), relation, text: text.into() };
            assert_eq!(Condition::read(word).unwrap(), condition, "{word}");
        }
        assert!(Condition::read("comment!~a").is_err() && Condition::read("!=a").is_err());
    }
}
