//! Several values of one property: `["a", "b"]` in the file and in JSON, `a,b` there too and on the command line.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A list as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct List(pub Vec<String>);

impl From<&str> for List {
    fn from(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::default();
        }
        Self(text.split(',').map(|item| item.trim().to_owned()).collect())
    }
}

impl FromStr for List {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts, or one text with commas")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<List, E> {
        Ok(List::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<String>()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_and_a_list_are_the_same() {
        for text in [r#""10.0.0.0/8, 2001:db8::/32""#, r#"["10.0.0.0/8","2001:db8::/32"]"#] {
            let list: List = serde_json::from_str(text).unwrap();
            assert_eq!(list.0, ["10.0.0.0/8", "2001:db8::/32"]);
            assert_eq!(serde_json::to_string(&list).unwrap(), r#"["10.0.0.0/8","2001:db8::/32"]"#);
        }
        assert_eq!(List::from(" "), List::default());
        assert!(serde_json::from_str::<List>("[5]").is_err() && serde_json::from_str::<List>("5").is_err());
    }
}
