//! A line of a shell as the commands that it holds, each as its words. Nothing is expanded.

use std::iter::Peekable;
use std::str::Chars;

/// The commands of a line, none of them empty, without comments and redirections.
pub(super) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut line = Line::default();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '#' if line.word.is_none() => break,
            '\'' | '"' => line.quoted(letter, &mut letters),
            '\\' => line.word.get_or_insert_default().extend(letters.next()),
            '&' if letters.peek() == Some(&'>') => line.end_word(),
            '>' | '<' => {
                line.redirect();
                while letters.next_if(|next| matches!(next, '>' | '<' | '&')).is_some() {}
            }
            ';' | '&' | '|' => line.end_command(),
            letter if letter.is_whitespace() => line.end_word(),
            letter => line.word.get_or_insert_default().push(letter),
        }
    }
    line.end_command();
    line.commands
}

#[derive(Default)]
struct Line {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    /// The next word names a file that something is redirected to.
    is_file: bool,
}

impl Line {
    /// What stands between quotes; a quote without an end goes to the end of the line.
    fn quoted(&mut self, quote: char, letters: &mut Peekable<Chars>) {
        let word = self.word.get_or_insert_default();
        while let Some(letter) = letters.next() {
            match letter {
                letter if letter == quote => return,
                '\\' if quote == '"' => {
                    match letters.next_if(|next| matches!(next, '"' | '\\' | '$' | '`')) {
                        Some(escaped) => word.push(escaped),
                        None => word.push('\\'),
                    }
                }
                letter => word.push(letter),
            }
        }
    }

    /// A number directly in front is the descriptor's.
    fn redirect(&mut self) {
        self.word.take_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        self.end_word();
        self.is_file = true;
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if !std::mem::take(&mut self.is_file) {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_file = false;
        if !self.words.is_empty() {
            self.commands.push(std::mem::take(&mut self.words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("ip  link\tadd x", &[&["ip", "link", "add", "x"][..]][..]),
            ("a # b", &[&["a"]]),
            ("a#b '#c'", &[&["a#b", "#c"]]),
            (r#"a "to \"Berlin\" \x" 'it'\''s' "" \#"#, &[&["a", "to \"Berlin\" \\x", "it's", "", "#"]]),
            ("a && b; c || d & e | f;", &[&["a"], &["b"], &["c"], &["d"], &["e"], &["f"]]),
            ("a 2>/dev/null b >>log 2>&1 c < in &> out; d", &[&["a", "b", "c"], &["d"]]),
            ("a 'b", &[&["a", "b"]]),
            ("  # nothing", &[]),
        ] {
            assert_eq!(commands(text), expected, "{text}");
        }
    }
}
