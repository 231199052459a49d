//! Edits to the configuration file that keep what people wrote: comments, order, spelling.
//!
//! Every edit begins with the file as it is on disk now, and is saved only if the daemon could load the
//! result. A reader, and a machine that loses its power, see the old file or the new one, never a half.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::read::{Config, TUNNEL_KEYS, names, read_text};
use crate::failure::{Failure, FailureKind};
use crate::spec::TunnelSpec;

/// The mode of a file that was not there before.
const NEW_FILE_MODE: u32 = 0o640;

/// A configuration file that is edited in place.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
}

impl ConfigFile {
    /// Names the file; it is neither opened nor made.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a tunnel as it was written.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or would not load with the tunnel in it; it is unchanged then.
    pub fn add(&self, spec: &TunnelSpec) -> Result<(), Failure> {
        let mut document = self.read()?;
        pin_names(&mut document);
        let key = TUNNEL_KEYS.into_iter().find(|key| document.contains_key(key)).unwrap_or(TUNNEL_KEYS[0]);
        let mut table = to_table(spec)?;
        // A comment at the end of the file would otherwise slide below the new tunnel.
        let comment = document.trailing().as_str().unwrap_or_default().trim_end().to_owned();
        table.decor_mut().set_prefix(match (document.as_table().is_empty(), comment.is_empty()) {
            (true, true) => String::new(),
            (false, true) => "\n".to_owned(),
            (_, false) => format!("{comment}\n\n"),
        });
        document.set_trailing("");
        let item = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(tables) = item.as_array_of_tables_mut() {
            tables.push(table);
        }
        self.save(&document.to_string())
    }

    /// Takes a tunnel out, with the comment right above it; false if the file has none of this name.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or would not load without the tunnel; it is unchanged then.
    pub fn remove(&self, name: &str) -> Result<bool, Failure> {
        let mut document = self.read()?;
        pin_names(&mut document);
        let Some((key, at)) = find(&document, name) else { return Ok(false) };
        let Some(tables) = document.get_mut(key).and_then(Item::as_array_of_tables_mut) else {
            return Ok(false);
        };
        let kept = tables.get(at).map(comment_of_others).unwrap_or_default();
        tables.remove(at);
        if let Some(next) = tables.get_mut(at) {
            let own = next.decor().prefix().and_then(|text| text.as_str()).unwrap_or_default().to_owned();
            next.decor_mut().set_prefix(join(&kept, &own));
        } else {
            let own = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(join(&kept, &own));
        }
        if document.get(key).and_then(Item::as_array_of_tables).is_some_and(ArrayOfTables::is_empty) {
            document.remove(key);
        }
        self.save(document.to_string().trim_start_matches('\n'))?;
        Ok(true)
    }

    fn read(&self) -> Result<DocumentMut, Failure> {
        let text = read_text(&self.path)?.unwrap_or_default();
        Config::parse(&text, &self.path)?;
        text.parse()
            .map_err(|_| Failure::new(FailureKind::Usage, format!("{}: not TOML", self.path.display())))
    }

    fn save(&self, text: &str) -> Result<(), Failure> {
        Config::parse(text, &self.path)?;
        replace(&self.path, text).map_err(|error| {
            let failure = Failure::io(format!("saving {}", self.path.display()), &error);
            if failure.hint.is_some() { failure } else { failure.with_hint("the file is as it was before") }
        })
    }
}

/// Gives tunnels without a name the one that they go by, so that no edit to the list renames them.
fn pin_names(document: &mut DocumentMut) {
    for key in TUNNEL_KEYS {
        let Some(tables) = document.get_mut(key).and_then(Item::as_array_of_tables_mut) else { continue };
        let names = names(tables);
        for (table, name) in tables.iter_mut().zip(names) {
            table.entry("name").or_insert_with(|| value(name));
        }
    }
}

fn find(document: &DocumentMut, name: &str) -> Option<(&'static str, usize)> {
    TUNNEL_KEYS.into_iter().find_map(|key| {
        let tables = document.get(key)?.as_array_of_tables()?;
        names(tables).iter().position(|written| written == name).map(|at| (key, at))
    })
}

fn to_table(spec: &TunnelSpec) -> Result<Table, Failure> {
    let refused = |error: serde_json::Error| Failure::new(FailureKind::Failed, error);
    let properties = serde_json::to_value(spec).map_err(refused)?;
    let mut table = Table::new();
    for property in TunnelSpec::PROPERTIES {
        let Some(written) = properties.get(property) else { continue };
        let item = if let Some(text) = written.as_str() {
            value(text)
        } else if let Some(number) = written.as_i64() {
            value(number)
        } else if let Some(list) = written.as_array() {
            value(list.iter().filter_map(serde_json::Value::as_str).collect::<Array>())
        } else {
            value(written.as_bool().unwrap_or_default())
        };
        table.insert(property, item);
    }
    Ok(table)
}

/// What stands above a tunnel and is set off by an empty line: it is the file's, not the tunnel's.
fn comment_of_others(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|text| text.as_str()).unwrap_or_default();
    let own = prefix.rfind("\n\n").map_or(prefix.len(), |at| at + 1);
    let others = prefix.get(..own).filter(|_| own < prefix.len()).unwrap_or_default();
    if others.trim().is_empty() { String::new() } else { others.to_owned() }
}

fn join(kept: &str, own: &str) -> String {
    let own = own.trim_start_matches('\n');
    match (kept.is_empty(), own.is_empty()) {
        (true, _) => own.to_owned(),
        (false, true) => kept.to_owned(),
        (false, false) => format!("{kept}\n{own}"),
    }
}

/// Puts a new text in the file's place in one step, with the old one's mode and owner.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it points at is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut temporary = NamedTempFile::new_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    let file = temporary.as_file();
    match fs::metadata(&path) {
        Ok(old) => {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file.set_permissions(fs::Permissions::from_mode(NEW_FILE_MODE))?;
        }
        Err(error) => return Err(error),
    }
    file.sync_all()?;
    temporary.persist(&path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
