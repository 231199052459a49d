//! One value as written, before anybody knows what it means.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

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
}
