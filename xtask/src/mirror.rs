//! The mirror of Debian that this machine's apt uses.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The suites of an archive that also holds the releases that are tested on.
const SUITES: [&str; 8] =
    ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

/// What an entry of apt's sources says.
#[derive(Default)]
struct Source {
    uris: String,
    suites: String,
    components: String,
    signed_by: Option<String>,
}

/// Returns the mirror this machine's apt uses for Debian.
pub(crate) fn mirror() -> Result<String> {
    let parts = Path::new("/etc/apt/sources.list.d").read_dir();
    let mut files: Vec<PathBuf> = parts.into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    files.insert(0, PathBuf::from("/etc/apt/sources.list"));
    let sources = files.iter().flat_map(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        match file.extension().and_then(|end| end.to_str()) {
            Some("list") => from_lines(&text),
            Some("sources") => from_stanzas(&text),
            _ => Vec::new(),
        }
    });
    find(sources, |path| fs::read_to_string(path).ok()).context(
        "the sources of apt in /etc/apt name no mirror of Debian, and this tier tests on Debian's kernels: run it on \
         Debian, or leave it out (`cargo xtask test pure load prog net ctl`)",
    )
}

/// Returns the first mirror of Debian; `read` reads a list of mirrors.
fn find(sources: impl IntoIterator<Item = Source>, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let uris = sources.into_iter().filter(Source::is_debian).flat_map(|source| {
        let uris: Vec<String> = source.uris.split_whitespace().flat_map(|uri| followed(uri, &read)).collect();
        uris
    });
    uris.map(|uri| uri.trim_end_matches('/').to_owned()).find(|uri| {
        // What debootstrap understands too.
        let is_plain = ["http://", "https://", "file:/"].iter().any(|start| uri.starts_with(start));
        is_plain && uri.ends_with("/debian")
    })
}

/// Returns what a URI stands for: itself, or the mirrors in a file, one a line with attributes behind it
/// (apt-transport-mirror(1)).
fn followed(uri: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Some(path) = uri.strip_prefix("mirror+file:") else { return vec![uri.to_owned()] };
    let text = read(path.strip_prefix("//").unwrap_or(path)).unwrap_or_default();
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect()
}

impl Source {
    /// True for Debian's archive, also when its mirror has another name; others offer packages for Debian in the same
    /// form, signed with keys of their own.
    fn is_debian(&self) -> bool {
        self.suites.split_whitespace().any(|suite| SUITES.contains(&suite))
            && self.components.split_whitespace().any(|component| component == "main")
            && self.signed_by.as_ref().is_none_or(|key| key.contains("debian-archive"))
    }
}

/// Reads the format of one line an entry (sources.list(5)).
fn from_lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(from_line).collect()
}

fn from_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim_start().strip_prefix("deb")?;
    // Not deb-src.
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).unwrap_or(("", rest));
    let mut words = rest.split_whitespace();
    Some(Source {
        uris: words.next()?.to_owned(),
        suites: words.next()?.to_owned(),
        components: words.collect::<Vec<_>>().join(" "),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned),
    })
}

/// Reads the format of Debian's control files, with an empty line between entries.
fn from_stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(from_stanza).collect()
}

fn from_stanza(lines: &[&str]) -> Option<Source> {
    let mut source = Source::default();
    let (mut types, mut enabled) = (String::new(), String::new());
    let mut name = String::new();
    for line in lines {
        let mut value = *line;
        if !line.starts_with([' ', '\t']) {
            let (start, rest) = line.split_once(':')?;
            name = start.to_ascii_lowercase();
            value = rest;
        }
        let field = match name.as_str() {
            "types" => &mut types,
            "enabled" => &mut enabled,
            "uris" => &mut source.uris,
            "suites" => &mut source.suites,
            "components" => &mut source.components,
            "signed-by" => source.signed_by.get_or_insert_default(),
            _ => continue,
        };
        field.push_str(value);
        field.push('\n');
    }
    // The words that apt takes for a no.
    let is_off = ["no", "false", "without", "off", "disable", "0"]
        .iter()
        .any(|word| enabled.trim().eq_ignore_ascii_case(word));
    (!is_off && types.split_whitespace().any(|kind| kind == "deb")).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_lines(text: &str) -> Option<String> {
        find(from_lines(text), |_| None)
    }

    fn in_stanzas(text: &str) -> Option<String> {
        find(from_stanzas(text), |path| {
            (path == "/etc/apt/mirrors/debian.list")
                .then(|| "# nearest first\nhttps://cdn.example/debian/\tpriority:1\n".to_owned())
        })
    }

    #[test]
    fn mirror_is_that_of_a_line() {
        let text = "#deb http://old.example/debian bookworm main\n\
                    deb cdrom:[Debian GNU/Linux 12]/ bookworm main\n\
                    deb-src http://src.example/debian bookworm main\n\
                    deb [ arch=amd64 signed-by=/etc/apt/keyrings/docker.asc ] https://apps.example/linux/debian \
                    bookworm stable\n\
                    deb [signed-by=/etc/apt/keyrings/other.gpg] https://repo.example/debian bookworm main\n\
                    deb http://updates.example/debian-security bookworm-security main\n\
                    deb [arch=amd64] http://ftp.example/pub/debian/ bookworm contrib main # near\n";
        assert_eq!(in_lines(text).as_deref(), Some("http://ftp.example/pub/debian"));
    }

    #[test]
    fn mirror_is_that_of_a_stanza() {
        let text = "Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\nEnabled: no\n\n\
                    Types: deb-src\nURIs: http://src.example/debian\nSuites: trixie\nComponents: main\n\n\
                    # Modernized\nTypes: deb deb-src\nuris:\n http://de.example/debian/\n\
                    Suites: trixie trixie-updates\nComponents: main non-free-firmware\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        assert_eq!(in_stanzas(text).as_deref(), Some("http://de.example/debian"));
    }

    #[test]
    fn list_of_mirrors_is_followed() {
        let text = "Types: deb deb-src\nURIs: mirror+file:///etc/apt/mirrors/debian.list\n\
                    Suites: bookworm bookworm-updates bookworm-backports\nComponents: main\n\n\
                    Types: deb deb-src\nURIs: mirror+file:///etc/apt/mirrors/debian-security.list\n\
                    Suites: bookworm-security\nComponents: main\n";
        assert_eq!(in_stanzas(text).as_deref(), Some("https://cdn.example/debian"));
    }

    #[test]
    fn sources_of_others_name_no_mirror() {
        assert_eq!(in_lines("deb http://other.example/ubuntu noble main\n"), None);
        assert_eq!(in_lines("deb http://old.example/debian buster main\n"), None);
        let docker = "Types: deb\nURIs: https://apps.example/linux/debian\nSuites: bookworm\n\
                      Components: stable\nSigned-By: /etc/apt/keyrings/docker.asc\n";
        assert_eq!(in_stanzas(docker), None);
        assert_eq!(in_stanzas(""), None);
    }
}
