//! RouterOS' way to write properties, `mtu=1472`, beside `--mtu 1472`: the words are brought to the latter before the
//! grammar sees them.

use std::ffi::OsString;

use crate::config::unknown_property;
use crate::failure::{Failure, FailureKind};
use crate::spec::TunnelSpec;

/// The verbs that take properties.
const VERBS: [&str; 2] = ["add", "set"];
/// Options of every verb that take a word.
const WITH_WORD: [&str; 2] = ["--socket", "--color"];

/// Brings `KEY=VALUE` to `--KEY=VALUE`.
///
/// # Errors
///
/// There is no such property.
pub fn translate(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let Some(verb) = verb(&arguments) else { return Ok(arguments) };
    let is_verb = |word: &OsString| VERBS.iter().any(|verb| word == verb);
    if !arguments.get(verb).is_some_and(is_verb) {
        return Ok(arguments);
    }
    let arguments = without_secret(arguments)?;
    let mut is_value = false;
    let translate = |(at, word): (usize, OsString)| {
        let follows_option = std::mem::replace(&mut is_value, is_bare_option(&word));
        if at <= verb || follows_option { Ok(word) } else { property(word) }
    };
    arguments.into_iter().enumerate().map(translate).collect()
}

/// The option that reads a secret from standard input.
const SECRET: &str = "--ipsec-secret";

/// Refuses a secret among the words, where everybody on this host reads it, before anything could repeat it. An empty one
/// takes the tunnel's away.
fn without_secret(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let mut words = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.into_iter().peekable();
    while let Some(word) = arguments.next() {
        let text = word.to_string_lossy().replace('_', "-");
        let option = text.strip_prefix("--").unwrap_or(&text);
        let is_bare = text == SECRET;
        let value = option.strip_prefix("ipsec-secret=").map(|_| value_of(&word));
        let value = if is_bare { arguments.next().or(Some(OsString::new())) } else { value };
        match value {
            None => words.push(word),
            Some(value) if value == "-" => words.push(format!("{SECRET}=-").into()),
            Some(value) if value.is_empty() && !is_bare => words.push("--ipsec-secret-file=".into()),
            Some(_) => {
                let message = "ipsec-secret: a secret is not written on a command line, where others read it";
                return Err(Failure::new(FailureKind::Usage, message).with_hint(
                    "write ipsec-secret=- and give it on standard input, or ipsec-secret-file=FILE",
                ));
            }
        }
    }
    Ok(words)
}

/// What stands behind the first `=`.
fn value_of(word: &OsString) -> OsString {
    let text = word.as_encoded_bytes();
    let at = text.iter().position(|byte| *byte == b'=').map_or(text.len(), |at| at + 1);
    String::from_utf8_lossy(text.get(at..).unwrap_or_default()).into_owned().into()
}

/// Where the verb stands.
fn verb(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = arguments.get(at)?.to_str()?;
        if !word.starts_with('-') {
            return Some(at);
        }
        at += if WITH_WORD.contains(&word) { 2 } else { 1 };
    }
}

/// An option whose value is the next word.
fn is_bare_option(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word.starts_with("--") && !word.contains('=') && word != "--json")
}

fn property(word: OsString) -> Result<OsString, Failure> {
    let Some((key, value)) =
        word.to_str().filter(|word| !word.starts_with('-')).and_then(|word| word.split_once('='))
    else {
        return Ok(word);
    };
    let key = key.replace('_', "-");
    if TunnelSpec::PROPERTIES.contains(&key.as_str()) {
        return Ok(format!("--{key}={value}").into());
    }
    Err(unknown_property(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn properties_become_options() {
        for (written, read) in [
            ("x add ipip1 mtu=1472 --dscp 46", "x add ipip1 --mtu=1472 --dscp 46"),
            (
                "x --json --socket /a=b set 0 remote_address=::1 comment=a=b",
                "x --json --socket /a=b set 0 --remote-address=::1 --comment=a=b",
            ),
            ("x add a --comment mtu=1 --json ttl=9", "x add a --comment mtu=1 --json --ttl=9"),
            ("x print where mtu=1", "x print where mtu=1"),
            ("x --socket=/a set a comment=", "x --socket=/a set a --comment="),
            ("x add --mtu=5", "x add --mtu=5"),
            ("x", "x"),
        ] {
            assert_eq!(translate(words(written)).unwrap(), words(read), "{written}");
        }
    }

    #[test]
    fn an_unknown_property_is_told_with_the_one_that_was_meant() {
        let told = |line: &str| translate(words(line)).unwrap_err().to_string();
        assert_eq!(told("x add a mtuu=1400"), "unknown key `mtuu`; did you mean `mtu`?");
        assert!(told("x set a colour=red").starts_with("unknown key `colour`; known are name, kind, "));
    }

    #[test]
    fn a_secret_is_not_taken_from_the_words_nor_repeated() {
        for line in [
            "x add a ipsec-secret=hush",
            "x set a ipsec_secret=hush",
            "x add a --ipsec-secret hush",
            "x add a --ipsec-secret=hush",
            "x set a --ipsec-secret",
        ] {
            let failure = translate(words(line)).unwrap_err().to_string();
            assert!(failure.contains("standard input") && !failure.contains("hush"), "{failure}");
        }
        for (written, read) in [
            ("x add a ipsec-secret=-", "x add a --ipsec-secret=-"),
            ("x set a --ipsec-secret - mtu=1400", "x set a --ipsec-secret=- --mtu=1400"),
            ("x set a ipsec-secret=", "x set a --ipsec-secret-file="),
            ("x set a ipsec-secret-file=/f", "x set a --ipsec-secret-file=/f"),
        ] {
            assert_eq!(translate(words(written)).unwrap(), words(read), "{written}");
        }
    }
}
