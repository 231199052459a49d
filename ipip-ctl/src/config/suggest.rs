//! The word that somebody probably meant.

/// Finds the known word that is nearest to what was written, if it is near enough to be meant.
pub(crate) fn suggest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|word| (distance(&written, word), *word))
        .min()
        .filter(|(distance, word)| *distance <= 1.max(word.len() / 3))
        .map(|(_, word)| word)
        .or_else(|| extension(&written, known))
}

/// Finds the only known word that the written one begins.
fn extension<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let mut longer = known.iter().filter(|word| written.len() > 1 && word.starts_with(written));
    longer.next().filter(|_| longer.next().is_none()).copied()
}

/// The number of letters to insert, delete or replace (Levenshtein) to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut above: Vec<usize> = (0..=to.chars().count()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut left = row + 1;
        let mut corner = row;
        let mut line = vec![left];
        for (other, up) in to.chars().zip(above.iter().skip(1)) {
            left = (left + 1).min(up + 1).min(corner + usize::from(letter != other));
            corner = *up;
            line.push(left);
        }
        above = line;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TunnelSpec;

    #[test]
    fn counts_edits() {
        for (from, to, edits) in
            [("", "", 0), ("mtu", "mtu", 0), ("mut", "mtu", 2), ("", "ab", 2), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn near_misses_are_found_and_others_not() {
        for (written, meant) in [
            ("mtuu", Some("mtu")),
            ("remote_address", Some("remote-address")),
            ("remote", Some("remote-address")),
            ("Local-Adress", Some("local-address")),
            ("dont-fragmet", Some("dont-fragment")),
            ("clamp-mss", Some("clamp-tcp-mss")),
            ("enabled", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(suggest(written, &TunnelSpec::PROPERTIES), meant, "{written}");
        }
    }
}
