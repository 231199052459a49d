//! Which tunnels a client means.

use super::Engine;
use crate::config::suggest::suggest;
use crate::failure::{Failure, FailureKind};
use crate::table::TunnelTable;

impl Engine {
    /// The names of the tunnels that are meant, each once.
    pub(super) fn select(&self, written: &[String]) -> Result<Vec<String>, Failure> {
        select(&self.table, written)
    }
}

/// Finds tunnels by name, by number in the list, or by the beginning of a name that no other has. Several may be joined
/// with commas.
fn select(table: &TunnelTable, written: &[String]) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for word in written.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()) {
        let name = find(table, word)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        let failure = Failure::new(FailureKind::Usage, "no tunnel is named");
        return Err(failure.with_hint("give names, or numbers as `ipip-ctl print` shows them"));
    }
    Ok(names)
}

fn find(table: &TunnelTable, word: &str) -> Result<String, Failure> {
    if table.contains(word) {
        return Ok(word.to_owned());
    }
    // No name consists of digits alone.
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        let tunnel = word.parse().ok().and_then(|number| table.at(number));
        return tunnel.map(|tunnel| tunnel.name.clone()).ok_or_else(|| {
            let last = table
                .len()
                .checked_sub(1)
                .map_or("there is none".to_owned(), |last| format!("the last is {last}"));
            Failure::new(FailureKind::NotFound, format!("tunnel {word}: no tunnel has this number; {last}"))
                .with_hint("`ipip-ctl print` lists the tunnels")
        });
    }
    let names: Vec<&str> = table.iter().map(|tunnel| tunnel.name.as_str()).collect();
    let longer: Vec<&str> = names.iter().copied().filter(|name| name.starts_with(word)).collect();
    match longer.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => {
            let failure = Failure::new(
                FailureKind::NotFound,
                format!("tunnel {word}: there is no tunnel of this name"),
            );
            Err(match suggest(word, &names) {
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
    use crate::spec::TunnelSpec;
    use crate::tunnel::Tunnel;

    fn table() -> TunnelTable {
        let mut table = TunnelTable::default();
        for (name, remote) in
            [("berlin", "10.0.0.1"), ("bern", "10.0.0.2"), ("rome", "10.0.0.3"), ("rome2", "10.0.0.4")]
        {
            let spec = TunnelSpec {
                name: Some(name.into()),
                remote_address: Some(remote.into()),
                ..TunnelSpec::default()
            };
            table.insert(Tunnel::try_from(spec).unwrap()).unwrap();
        }
        table
    }

    #[test]
    fn names_numbers_and_unique_beginnings_are_understood() {
        let table = table();
        let select =
            |words: &[&str]| select(&table, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(select(&["rome"]).unwrap(), ["rome"]);
        assert_eq!(select(&["3", "0"]).unwrap(), ["rome2", "berlin"]);
        assert_eq!(select(&["berl", "0,1", "bern"]).unwrap(), ["berlin", "bern"]);
        for (word, kind, why) in [
            ("ber", FailureKind::Usage, "2 names begin so: berlin, bern"),
            ("4", FailureKind::NotFound, "the last is 3"),
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
