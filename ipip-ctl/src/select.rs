//! Which tunnels somebody means.

use std::collections::HashSet;

use crate::config::suggest::suggest;
use crate::failure::{Failure, FailureKind};

/// Finds tunnels by name, by number in the list, or by the beginning of a name that no other has. Several may be joined
/// with commas, which no name has.
///
/// # Errors
///
/// One of them is none of `names`, or could be several.
pub fn select(names: &[&str], written: &[String]) -> Result<Vec<String>, Failure> {
    let known: HashSet<&str> = names.iter().copied().collect();
    let mut seen = HashSet::new();
    let mut selected: Vec<String> = Vec::new();
    for word in written.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()) {
        let name = if let Some(name) = known.get(word) { name } else { find(names, word)? };
        if seen.insert(name) {
            selected.push(name.to_owned());
        }
    }
    if selected.is_empty() {
        let failure = Failure::new(FailureKind::Usage, "no tunnel is named");
        return Err(failure.with_hint("give names, or numbers as `ipip-ctl print` shows them"));
    }
    Ok(selected)
}

/// The tunnel that a word means which is no name.
fn find<'a>(names: &[&'a str], word: &str) -> Result<&'a str, Failure> {
    // No name consists of digits alone.
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        let there = word.parse().ok().and_then(|number: usize| names.get(number));
        return there.copied().ok_or_else(|| {
            let last = names.len().checked_sub(1);
            let last = last.map_or("there is none".to_owned(), |last| format!("the last is {last}"));
            Failure::new(FailureKind::NotFound, format!("tunnel {word}: no tunnel has this number; {last}"))
                .with_hint("`ipip-ctl print` lists the tunnels")
        });
    }
    let longer: Vec<&str> = names.iter().copied().filter(|name| name.starts_with(word)).collect();
    match longer.as_slice() {
        [name] => Ok(name),
        [] => {
            let failure = Failure::new(
                FailureKind::NotFound,
                format!("tunnel {word}: there is no tunnel of this name"),
            );
            Err(match suggest(word, names) {
                Some(name) => failure.with_hint(format!("did you mean `{name}`?")),
                None => failure.with_hint("`ipip-ctl print` lists the tunnels"),
            })
        }
        [first, second, ..] => {
            let more = if longer.len() > 2 { ", ..." } else { "" };
            let message = format!("tunnel {word}: {} names begin so: {first}, {second}{more}", longer.len());
            Err(Failure::new(FailureKind::Usage, message).with_hint("write more of it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_unique_beginnings_are_understood() {
        let names = ["berlin", "bern", "rome", "rome2", "6in4", "42a"];
        let select =
            |words: &[&str]| select(&names, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(select(&["rome"]).unwrap(), ["rome"]);
        assert_eq!(select(&["3", "0"]).unwrap(), ["rome2", "berlin"]);
        assert_eq!(select(&["berl", "0,1", "bern"]).unwrap(), ["berlin", "bern"]);
        // Digits alone are a number, even where a name begins so.
        assert_eq!(select(&["4", "6in4", "42a", "6i"]).unwrap(), ["6in4", "42a"]);
        for (word, kind, why) in [
            ("ber", FailureKind::Usage, "2 names begin so: berlin, bern"),
            ("6", FailureKind::NotFound, "the last is 5"),
            ("42", FailureKind::NotFound, "no tunnel has this number"),
            ("99999999999999999999", FailureKind::NotFound, "no tunnel has this number"),
            ("paris", FailureKind::NotFound, "no tunnel of this name"),
            ("brelin", FailureKind::NotFound, "did you mean `berlin`?"),
            (",", FailureKind::Usage, "no tunnel is named"),
        ] {
            let failure = select(&[word]).unwrap_err();
            assert!(failure.kind == kind && failure.to_string().contains(why), "{word}: {failure}");
        }
    }
}
