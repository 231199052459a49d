//! A tunnel exactly as a person wrote it: every property optional, nothing checked but its name.
//!
//! The same struct is read from the configuration file, from the command line and from the socket, so a
//! property has one name and one meaning everywhere. [`crate::tunnel`] gives it its meaning.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A tunnel as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct TunnelSpec {
    /// Name of the tunnel's interface [default: the next free ipipN]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Source of the outer packets [default: 0.0.0.0, chosen by the route to the remote]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    /// Destination of the outer packets
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// Largest inner packet: bytes, or auto [default: auto]
    #[arg(long, value_name = "BYTES|auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Word>,
    /// DSCP of the outer header: inherit, or 0 to 63 [default: inherit]
    #[arg(long, value_name = "inherit|0-63")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<Word>,
    /// Don't Fragment of the outer header: no (always clear), or inherit [default: no]
    #[arg(long, value_name = "no|inherit")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dont_fragment: Option<Word>,
    /// Lower the MSS of TCP connections to what fits the tunnel [default: yes]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamp_tcp_mss: Option<Word>,
    /// Let forwarded packets bypass the host's stack [default: yes]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_fast_path: Option<Word>,
    /// Keep the tunnel defined, but carry nothing [default: no]
    #[arg(long, value_name = "yes|no")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Word>,
    /// Interval of the probes: 0, off, is all that this version does [default: 0]
    #[arg(long, value_name = "0", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Word>,
    /// Anything that helps people
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl TunnelSpec {
    /// The names of all properties, as they are written.
    pub const PROPERTIES: [&str; 11] = [
        "name",
        "local-address",
        "remote-address",
        "mtu",
        "dscp",
        "dont-fragment",
        "clamp-tcp-mss",
        "allow-fast-path",
        "disabled",
        "keepalive",
        "comment",
    ];
}

/// One value as written: `mtu = 1400`, `mtu = "auto"`, `disabled = true`, `--disabled yes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A whole number.
    Number(i64),
    /// `true` or `false` where the format has them.
    Truth(bool),
    /// Any other text.
    Text(String),
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map_or_else(|| Self::Text(text.to_owned()), Self::Number)
    }
}

impl FromStr for Word {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, or true or false")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Word, E> {
        Ok(Word::Truth(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Word, E> {
        Ok(Word::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
        Ok(i64::try_from(number).map_or_else(|_| Word::Text(number.to_string()), Word::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_keys_of_the_struct() {
        let word = || Some(Word::Number(0));
        let text = || Some(String::new());
        let full = TunnelSpec {
            name: text(),
            local_address: text(),
            remote_address: text(),
            mtu: word(),
            dscp: word(),
            dont_fragment: word(),
            clamp_tcp_mss: word(),
            allow_fast_path: word(),
            disabled: word(),
            keepalive: word(),
            comment: text(),
        };
        let json = serde_json::to_value(full).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, TunnelSpec::PROPERTIES);
    }

    #[test]
    fn words_keep_their_type_through_json() {
        for (text, word) in [
            ("1400", Word::Number(1400)),
            ("true", Word::Truth(true)),
            ("\"auto\"", Word::Text("auto".into())),
        ] {
            assert_eq!(serde_json::from_str::<Word>(text).unwrap(), word);
            assert_eq!(serde_json::to_string(&word).unwrap(), text);
        }
    }

    #[test]
    fn numbers_beyond_any_range_stay_text() {
        assert_eq!(Word::from("99999999999999999999"), Word::Text("99999999999999999999".into()));
        assert_eq!(Word::from("+5"), Word::Text("+5".into()));
        assert_eq!(Word::from(""), Word::Text(String::new()));
    }

    #[test]
    fn unknown_property_is_refused() {
        let error = serde_json::from_str::<TunnelSpec>(r#"{"mtuu":1400}"#).unwrap_err();
        assert!(error.to_string().contains("mtuu"), "{error}");
    }
}
