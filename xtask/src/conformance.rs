//! docs/conformance.md: what the RFCs ask, and the tests that name it.
//!
//! The words are docs/conformance.toml's. A test names facts by a string that begins with their IDs, as the names of
//! cases do (`"D1 D2 UDP from the remote comes out"`), or by a comment (of either kind) `conformance: H15 L6` above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::mentions::{self, Mention};
use crate::sh;

const SOURCE: &str = "docs/conformance.toml";

/// The hand-written half.
#[derive(Deserialize)]
struct Facts {
    part: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    title: String,
    facts: Vec<Fact>,
}

/// ID, RFC and section, what it asks, status, note.
#[derive(Deserialize)]
struct Fact(String, String, String, String, String);

/// Mentions of an ID: how many in each file.
type Places = BTreeMap<String, usize>;

impl Fact {
    fn row(&self, places: Option<&Places>) -> String {
        let Self(id, rfc, asks, status, note) = self;
        let shown = places.map(list).unwrap_or_default();
        let shown = match (status == "tested", shown.is_empty()) {
            (true, _) => shown,
            (false, true) => status.clone(),
            (false, false) => format!("{status}; so far {shown}"),
        };
        format!("| {id} | {rfc} | {asks} | {shown} | {note} |")
    }
}

/// Returns the document.
pub(crate) fn document() -> Result<String> {
    let path = sh::root().join(SOURCE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let facts: Facts = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    compose(&facts, &mentions::collect()?)
}

fn compose(facts: &Facts, mentions: &[Mention]) -> Result<String> {
    let mut places: BTreeMap<&str, Places> = BTreeMap::new();
    for mention in mentions {
        *places.entry(&mention.id).or_default().entry(mention.file.clone()).or_default() += 1;
    }
    check(facts, mentions, &places)?;
    let mut text = format!(
        "<!-- Made by `cargo xtask docs` from {SOURCE} and the names of tests. -->\n\n# Conformance\n\n\
         What the RFCs ask of a tunnel, and the tests that show it: how many cases and tests of a file name the \
         fact's ID\n(`grep -rw D3 tests ipip-common ipip-ctl`).\n"
    );
    for part in &facts.part {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n## {}\n\n| ID | RFC | asks | shown by | note |\n| --- | --- | --- | --- | --- |\n",
            part.title
        );
        for fact in &part.facts {
            let _ = writeln!(text, "{}", fact.row(places.get(fact.0.as_str())));
        }
    }
    Ok(text)
}

/// Names every fact that is listed twice, has no known status, or is `tested` by nothing, and every test of an unknown
/// fact.
fn check(facts: &Facts, mentions: &[Mention], places: &BTreeMap<&str, Places>) -> Result<()> {
    let mut known = BTreeSet::new();
    let mut wrong = Vec::new();
    for Fact(id, _, _, status, _) in facts.part.iter().flat_map(|part| &part.facts) {
        if !known.insert(id.as_str()) {
            wrong.push(format!("{id} is listed twice"));
        }
        let is_reasoned = ["not done: ", "later: "].iter().any(|start| status.starts_with(start));
        if status == "tested" && !places.contains_key(id.as_str()) {
            wrong.push(format!("{id} is `tested`, and no test names it"));
        } else if status != "tested" && !is_reasoned {
            wrong.push(format!(
                "{id} has the status `{status}`: write `tested`, `not done: why` or `later: with what`"
            ));
        }
    }
    let unknown = mentions.iter().filter(|mention| !known.contains(mention.id.as_str()));
    wrong.extend(
        unknown.map(|mention| {
            format!("{}:{} names {}, which is no fact", mention.file, mention.line, mention.id)
        }),
    );
    if !wrong.is_empty() {
        bail!("{SOURCE} and the tests disagree:\n    {}", wrong.join("\n    "));
    }
    Ok(())
}

fn list(places: &Places) -> String {
    let each = |(file, count): (&String, &usize)| format!("{file} ({count})");
    places.iter().map(each).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: &[[&str; 2]]) -> Facts {
        let fact = |[id, status]: &[&str; 2]| {
            Fact((*id).to_owned(), String::new(), String::new(), (*status).to_owned(), String::new())
        };
        Facts { part: vec![Part { title: "Part".to_owned(), facts: rows.iter().map(fact).collect() }] }
    }

    fn mention(id: &str) -> Mention {
        Mention { id: id.to_owned(), file: "tests/a.rs".to_owned(), line: 7 }
    }

    #[test]
    fn rows_count_the_tests_of_each_file() {
        let facts = facts(&[["H1", "tested"], ["M1", "later: MTU"], ["T5", "not done: no need"]]);
        let text = compose(&facts, &[mention("H1"), mention("H1"), mention("M1")]).unwrap();
        assert!(text.contains("| H1 |  |  | tests/a.rs (2) |  |"), "{text}");
        assert!(text.contains("| M1 |  |  | later: MTU; so far tests/a.rs (1) |  |"), "{text}");
        assert!(text.contains("| T5 |  |  | not done: no need |  |"), "{text}");
    }

    #[test]
    fn what_disagrees_is_named() {
        let facts = facts(&[["H1", "tested"], ["H2", "done"], ["H3", "later: x"], ["H3", "later: x"]]);
        let error = compose(&facts, &[mention("D99")]).unwrap_err().to_string();
        for part in
            ["H1 is `tested`", "H2 has the status `done`", "H3 is listed twice", "tests/a.rs:7 names D99"]
        {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_committed_words_agree_with_the_tests() {
        document().unwrap();
    }
}
