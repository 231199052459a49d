//! Lines of RouterOS' export:
//!
//! ```text
//! /interface ipip
//! add name=berlin local-address=198.51.100.1 remote-address=203.0.113.2
//! set [ find name=berlin ] comment="to Berlin" !keepalive
//! ```
//!
//! A comment that begins with `# ipip-ctl:` holds a line of the same form with what RouterOS does not have.

use winnow::ascii::{hex_digit1, multispace0, multispace1};
use winnow::combinator::{
    alt, cut_err, delimited, eof, fail, opt, peek, preceded, repeat, separated_pair, terminated,
};
use winnow::error::{ContextError, StrContext};
use winnow::prelude::*;
use winnow::token::{any, none_of, take_while};

use super::draft::{Draft, Row};

/// The menus of tunnels, and what kind they hold.
pub(crate) const MENUS: [(&str, &str); 4] =
    [("ipip", "ipip"), ("ipipv6", "ipipv6"), ("6to4", "6in4"), ("4in6", "4in6")];
/// The menu of [`PREFIX`], whose tunnels name their kinds.
const ANY: &str = "any";
/// How a comment begins that holds what RouterOS does not have.
pub(crate) const PREFIX: &str = "# ipip-ctl:";

/// Where commands without a path belong.
#[derive(Clone, Debug, Default)]
pub(super) struct Menu(Option<Result<&'static str, String>>);

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `key=value`
    Set(String, String),
    /// `!key`
    Unset(String),
    /// `[ find key=value ]`
    Find(Vec<Self>),
    /// Anything else.
    Bare(String),
}

pub(super) fn read(text: &str, line: usize, menu: &mut Menu, draft: &mut Draft) -> Result<(), String> {
    let text = text.trim();
    if let Some(own) = text.strip_prefix(PREFIX) {
        let parts = parse(own)?;
        let words = parts.iter().map(|part| if let Part::Bare(word) = part { word.as_str() } else { "" });
        return match words.into_iter().next() {
            Some("add") => {
                add(parts.get(1..).unwrap_or_default(), ANY, line, draft);
                Ok(())
            }
            Some("set") => set(parts.get(1..).unwrap_or_default(), None, line, draft),
            _ => Err("neither add nor set".to_owned()),
        };
    }
    if text.starts_with('#') {
        return Ok(());
    }
    let mut parts = parse(text)?;
    let mut here = menu.0.clone();
    if let Some(Part::Bare(path)) =
        parts.first().filter(|part| matches!(part, Part::Bare(word) if word.starts_with('/')))
    {
        // `/interface/ipip/add` is `/interface ipip add`.
        let words: Vec<Part> =
            path.split('/').filter(|word| !word.is_empty()).map(|word| Part::Bare(word.to_owned())).collect();
        parts.splice(0..1, words);
        let path_end = parts.iter().position(is_command).unwrap_or(parts.len());
        let path: Vec<String> = parts
            .drain(..path_end)
            .map(|part| if let Part::Bare(word) = part { word } else { String::new() })
            .collect();
        here = Some(enter(&path));
        // A path with a command behind it is for that command alone.
        if parts.is_empty() {
            menu.0 = here;
            return Ok(());
        }
    }
    let menu = match here {
        Some(Ok(menu)) => menu,
        Some(Err(path)) => return Err(format!("/{path}: no menu of tunnels")),
        None => return Err("not understood: no menu stands above, as /interface ipip".to_owned()),
    };
    match parts.split_first() {
        Some((Part::Bare(verb), parts)) if verb == "add" => {
            add(parts, menu, line, draft);
            Ok(())
        }
        Some((Part::Bare(verb), parts)) if verb == "set" => set(parts, Some(menu), line, draft),
        Some((Part::Bare(verb), _)) => Err(format!("`{verb}`: neither add nor set")),
        _ => Err("neither add nor set".to_owned()),
    }
}

fn is_command(part: &Part) -> bool {
    const COMMANDS: [&str; 6] = ["add", "set", "remove", "print", "enable", "disable"];
    !matches!(part, Part::Bare(word) if !COMMANDS.contains(&word.as_str()))
}

fn enter(path: &[String]) -> Result<&'static str, String> {
    let menu = match path {
        [first, menu] if first == "interface" => MENUS.into_iter().find(|(name, _)| name == menu),
        _ => None,
    };
    menu.map(|(name, _)| name).ok_or_else(|| path.join(" "))
}

fn add(parts: &[Part], menu: &'static str, line: usize, draft: &mut Draft) {
    let kind = MENUS.into_iter().find(|(name, _)| *name == menu).map_or("", |(_, kind)| kind);
    let at = draft.begin(line, menu, kind);
    draft.change(at, line, |row| {
        if kind.is_empty() {
            row.unset("kind");
        }
        change(row, parts)
    });
}

fn set(parts: &[Part], menu: Option<&str>, line: usize, draft: &mut Draft) -> Result<(), String> {
    let rows = || {
        let numbered = draft.rows.iter().enumerate();
        numbered.filter(move |(_, row)| menu.is_none_or(|menu| row.origin == menu))
    };
    let (found, parts): (Vec<usize>, &[Part]) = match parts.split_first() {
        Some((Part::Find(conditions), parts)) => {
            (rows().filter(|(_, row)| meets(row, conditions)).map(|(at, _)| at).collect(), parts)
        }
        Some((Part::Bare(words), parts)) => {
            let one = |word: &str| {
                let named = rows().find(|(_, row)| row.get("name").as_deref() == Some(word));
                let number = || word.parse().ok().and_then(|number| rows().nth(number));
                let found = named.or_else(number).map(|(at, _)| at);
                found.ok_or_else(|| format!("set {word}: no such tunnel stands above"))
            };
            (words.split(',').map(one).collect::<Result<_, _>>()?, parts)
        }
        _ => return Err("set: no tunnel is named".to_owned()),
    };
    if found.is_empty() {
        return Err("set: no such tunnel stands above".to_owned());
    }
    for at in found {
        draft.change(at, line, |row| change(row, parts));
    }
    Ok(())
}

fn meets(row: &Row, conditions: &[Part]) -> bool {
    let value_of = |key: &str| row.get(key).or_else(|| (key == "disabled").then(|| "no".to_owned()));
    conditions
        .iter()
        .all(|part| matches!(part, Part::Set(key, value) if value_of(key).as_ref() == Some(value)))
}

fn change(row: &mut Row, parts: &[Part]) -> Vec<String> {
    let mut problems = Vec::new();
    for part in parts {
        match part {
            Part::Set(key, value) => problems.extend(row.set(key, value).err()),
            // No keepalive is none, and not the default.
            Part::Unset(key) if key == "keepalive" => problems.extend(row.set(key, "0").err()),
            Part::Unset(key) => row.unset(key),
            Part::Bare(word) => problems.push(format!("`{word}`: not understood")),
            Part::Find(_) => problems.push("[...]: not understood here".to_owned()),
        }
    }
    problems
}

fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut line = delimited(multispace0, repeat(0.., terminated(part, space)), eof);
    line.parse(text).map_err(|error| {
        let column = error.offset() + 1;
        let why = error
            .inner()
            .context()
            .find_map(|context| if let StrContext::Label(label) = context { Some(*label) } else { None });
        format!("not understood at column {column}: {}", why.unwrap_or("a word was expected"))
    })
}

type Parsed<T> = ModalResult<T, ContextError>;

/// What ends a word.
fn space(input: &mut &str) -> Parsed<()> {
    alt((multispace1.void(), eof.void(), peek(']').void())).parse_next(input)
}

fn part(input: &mut &str) -> Parsed<Part> {
    alt((
        find,
        preceded('!', key).map(Part::Unset),
        pair,
        preceded(peek('"'), value).map(Part::Bare),
        take_while(1.., |letter: char| !letter.is_whitespace() && !['"', '[', ']'].contains(&letter))
            .map(|word: &str| Part::Bare(word.to_owned())),
    ))
    .parse_next(input)
}

fn pair(input: &mut &str) -> Parsed<Part> {
    separated_pair(key, '=', value).map(|(key, value)| Part::Set(key, value)).parse_next(input)
}

fn find(input: &mut &str) -> Parsed<Part> {
    let condition = preceded(opt((alt(("where", "and")), multispace1)), terminated(pair, space));
    let inner = preceded(("find", alt((multispace1.void(), peek(']').void()))), repeat(0.., condition));
    preceded(
        ('[', multispace0),
        cut_err(terminated(inner, (multispace0, ']')))
            .context(StrContext::Label("[ find name=NAME ] was expected")),
    )
    .map(Part::Find)
    .parse_next(input)
}

fn key(input: &mut &str) -> Parsed<String> {
    take_while(1.., |letter: char| letter.is_ascii_alphanumeric() || letter == '-')
        .map(|key: &str| key.to_owned())
        .parse_next(input)
}

fn value(input: &mut &str) -> Parsed<String> {
    if opt('"').parse_next(input)?.is_some() {
        let bytes = terminated(repeat(0.., quoted), '"').map(|parts: Vec<Vec<u8>>| parts.concat());
        let bytes = cut_err(bytes)
            .context(StrContext::Label("the quoted text has no end, or an unknown escape"))
            .parse_next(input)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    take_while(0.., |letter: char| !letter.is_whitespace() && !['"', ']'].contains(&letter))
        .map(|value: &str| value.to_owned())
        .parse_next(input)
}

/// A letter of a quoted text; escaped bytes may be halves of one.
fn quoted(input: &mut &str) -> Parsed<Vec<u8>> {
    if opt('\\').parse_next(input)?.is_none() {
        return none_of('"').map(|letter: char| letter.to_string().into_bytes()).parse_next(input);
    }
    if let Some(digits) = opt(hex).parse_next(input)? {
        return Ok(vec![digits]);
    }
    let letter = match any.parse_next(input)? {
        letter @ ('"' | '\\' | '$' | '?') => letter,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '_' => ' ',
        _ => return fail.parse_next(input),
    };
    Ok(letter.to_string().into_bytes())
}

/// Two capital hexadecimal digits; small ones are other escapes.
fn hex(input: &mut &str) -> Parsed<u8> {
    let is_capital = |digits: &&str| !digits.bytes().any(|digit| digit.is_ascii_lowercase());
    winnow::token::take(2_usize)
        .verify(is_capital)
        .and_then(hex_digit1)
        .try_map(|digits| u8::from_str_radix(digits, 16))
        .parse_next(input)
}

#[cfg(test)]
mod tests;
