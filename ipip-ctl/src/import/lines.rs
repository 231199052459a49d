//! Logical lines: a backslash at the end of one continues it on the next.

/// Joins what is continued; each line comes with the number of its first. The spaces that the next line begins with
/// belong to it in a shell, but not in RouterOS' export, which breaks lines within words.
pub(super) fn join(text: &str, is_shell: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in text.lines().enumerate() {
        let is_comment = !continues && line.trim_start().starts_with('#');
        let (begin, more) = match line.strip_suffix('\\') {
            Some(begin) if !is_comment && !is_escaped(begin) => (begin, true),
            Some(_) | None => (line, false),
        };
        match joined.last_mut().filter(|_| continues) {
            Some((_, text)) => text.push_str(if is_shell(text) { begin } else { begin.trim_start() }),
            None => joined.push((number + 1, begin.to_owned())),
        }
        continues = more;
    }
    joined.retain(|(_, text)| !text.trim().is_empty());
    joined
}

/// Whether a backslash that follows is itself escaped.
fn is_escaped(begin: &str) -> bool {
    begin.chars().rev().take_while(|letter| *letter == '\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_continues_a_line() {
        let text = "# a \\\nadd x=1 \\\n    y=2\n\nadd c=\"a\\\n   b\"\nadd c=\\\\\nend \\";
        let expected =
            [(1, "# a \\"), (2, "add x=1 y=2"), (5, "add c=\"ab\""), (7, "add c=\\\\"), (8, "end ")];
        let expected: Vec<(usize, String)> =
            expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(join(text, |_| false), expected);
        let shell =
            join("ip tunnel add x mode ipip\\\n  remote \\\n\t192.0.2.1", |text| text.starts_with("ip "));
        assert_eq!(shell, [(1, "ip tunnel add x mode ipip  remote \t192.0.2.1".to_owned())]);
    }
}
