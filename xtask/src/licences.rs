//! Checks the licence of every crate that is built in against the list in deny.toml, the file that cargo-deny reads.
//!
//! cargo-deny itself takes minutes to compile, and of its checks only this one works without a network.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::sh;

/// Fails when a dependency's licence is not allowed; returns how many were looked at.
pub(crate) fn check() -> Result<usize> {
    let allowed = allowed()?;
    let mut command = sh::cargo();
    command.args(["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]);
    let text = sh::answer(&mut command).context("`cargo metadata` failed: run it by hand to see why")?;
    let metadata: Value = serde_json::from_str(&text).context("reading what `cargo metadata` says")?;
    // `packages` has every platform's crates, `resolve` only those for this one.
    let nodes = metadata["resolve"]["nodes"].as_array().context("`cargo metadata` names no packages")?;
    let used: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
    let mut refused = Vec::new();
    for package in
        packages.iter().filter(|package| package["id"].as_str().is_some_and(|id| used.contains(&id)))
    {
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_allowed(licence, &allowed) {
            refused.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow:\n    {}", refused.join("\n    "));
    }
    Ok(used.len())
}

fn allowed() -> Result<Vec<String>> {
    let path = sh::root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("reading {}", path.display()))?;
    let list =
        table.get("licenses").and_then(|licenses| licenses.get("allow")).and_then(|allow| allow.as_array());
    let list = list.context("deny.toml has no list `licenses.allow`")?;
    Ok(list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Evaluates an SPDX expression: one side of each `OR` (older crates write `/`), both sides of each `AND`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced =
        expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "+WITH+");
    let mut words = spaced.split_whitespace().peekable();
    let result = either(&mut words, allowed);
    result && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut result = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        result |= both(words, allowed);
    }
    result
}

fn both(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut result = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let result = either(words, allowed);
            words.next_if_eq(&")").is_some() && result
        }
        Some(name) => allowed.iter().any(|allowed| *allowed == name.replace("+WITH+", " WITH ")),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_allowed_by_one_side_of_or_and_both_of_and() {
        let allowed =
            ["MIT".to_owned(), "Unicode-3.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        assert!(is_allowed("MIT OR GPL-3.0", &allowed));
        assert!(is_allowed("GPL-3.0/MIT", &allowed));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
        assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0", &allowed));
        assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
        assert!(!is_allowed("(MIT OR GPL-3.0", &allowed));
        assert!(!is_allowed("none", &allowed));
    }
}
