//! Where tests name facts of docs/conformance.toml.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh;

/// Where tests are.
const FOLDERS: [&str; 3] = ["ipip-common/src", "ipip-ctl/src", "tests"];
/// The letters that IDs begin with.
const LETTERS: &str = "HTEMILDKC";
const COMMENTS: [&str; 2] = ["// conformance: ", "/// conformance: "];

/// One fact, named by one test or case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its ID.
    pub(crate) id: String,
    /// The file, from the root of the repository.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// Finds all of them; fails when there are none, which would only say that this looks in the wrong place.
pub(crate) fn collect() -> Result<Vec<Mention>> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        for path in sources(&sh::root().join(folder))? {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let file = path.strip_prefix(sh::root()).unwrap_or(&path).display().to_string();
            all.extend(of_text(&file, &text));
        }
    }
    if all.is_empty() {
        bail!("no test names a fact");
    }
    Ok(all)
}

/// Every Rust source under a folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("listing {}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn of_text(file: &str, text: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let comment = COMMENTS.iter().find_map(|start| line.trim_start().strip_prefix(start));
        let comment = comment.map(|rest| rest.split(' ').filter_map(id).collect());
        // A quote that ends a string is not followed by an ID.
        let quoted =
            line.match_indices('"').flat_map(|(quote, _)| of_name(line.get(quote + 1..).unwrap_or_default()));
        let ids: Vec<&str> = comment.unwrap_or_else(|| quoted.collect());
        mentions.extend(ids.into_iter().map(|id| Mention {
            id: id.to_owned(),
            file: file.to_owned(),
            line: at + 1,
        }));
    }
    mentions
}

/// The IDs in the string that starts here, if it starts with one and goes on.
fn of_name(rest: &str) -> Vec<&str> {
    let name = rest.split('"').next().unwrap_or_default();
    let mut words = name.split([' ', ',']).peekable();
    let is_name = words.peek().copied().is_some_and(|word| id(word).is_some()) && name.contains(' ');
    if is_name { words.filter_map(id).collect() } else { Vec::new() }
}

/// The word, if it is an ID.
fn id(word: &str) -> Option<&str> {
    let number = word.strip_prefix(|letter: char| LETTERS.contains(letter))?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        of_text("file", text).into_iter().map(|mention| mention.id).collect()
    }

    #[test]
    fn names_of_cases_begin_with_ids() {
        let text =
            format!("    simple({0}D1 D2 UDP comes out{0}, x), other({0}H1 sent, C2 unchanged{0})", '"');
        assert_eq!(ids(&text), ["D1", "D2", "H1", "C2"]);
    }

    #[test]
    fn comments_above_tests_name_ids() {
        assert_eq!(ids("    // conformance: H15 L6\n    #[test]"), ["H15", "L6"]);
        assert_eq!(ids("/// conformance: D10\n#[test]"), ["D10"]);
    }

    #[test]
    fn other_strings_name_nothing() {
        for text in ["{H1}", "{the H1 of it}", "{X1 is none}", "{H is none}", "// about H1", "{} + {}"] {
            assert_eq!(ids(&text.replace(['{', '}'], "\"")), [""; 0], "{text}");
        }
    }
}
