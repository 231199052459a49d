//! The configuration file on disk. A reader, and a machine that loses its power, see the old file or the new one, never
//! a half.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::edit::Edit;
use super::read::{Config, read_text};
use crate::failure::{Failure, FailureKind};
use crate::privileges::parent_of;
use crate::{ipsec, temporary};

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

    /// Begins to edit the file as it is now.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or would not load.
    pub fn edit(&self) -> Result<Edit, Failure> {
        Ok(Edit::new(self.read()?, self.path.clone()))
    }

    /// The file's text; one that is absent is empty.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn text(&self) -> Result<String, Failure> {
        Ok(read_text(&self.path)?.unwrap_or_default())
    }

    /// Removes what a daemon that was killed while it saved left beside the file. Only the one that serves it may.
    pub fn sweep(&self) {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let name = name_of(&path);
        temporary::sweep(parent_of(&path), |target| target == name);
        // The secrets are where the file is, not where a link leads.
        temporary::sweep(parent_of(&self.path), ipsec::is_stored_as);
    }

    fn read(&self) -> Result<DocumentMut, Failure> {
        let text = self.text()?;
        Config::parse(&text, &self.path)?;
        text.parse()
            .map_err(|_| Failure::new(FailureKind::Usage, format!("{}: not TOML", self.path.display())))
    }

    /// Puts a text in the file's place, which somebody has made sure that the daemon could load.
    ///
    /// # Errors
    ///
    /// The file cannot be written; it is as it was then.
    pub fn save(&self, text: &str) -> Result<(), Failure> {
        replace(&self.path, text).map_err(|error| {
            let failure = Failure::io(format!("saving {}", self.path.display()), &error);
            if failure.hint.is_some() { failure } else { failure.with_hint("the file is as it was before") }
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Puts a new text in the file's place in one step, with the old one's mode and owner.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it points at is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = parent_of(&path);
    fs::create_dir_all(directory)?;
    let mut temporary = temporary::create(directory, &name_of(&path))?;
    temporary.write_all(text.as_bytes())?;
    let file = temporary.as_file();
    match fs::metadata(&path) {
        Ok(old) => {
            let new = file.metadata()?;
            // Only its owner may set a mode, and the daemon has no CAP_FOWNER: the owner comes last. The group comes
            // first, lest another one reads what only the old file's group may.
            if old.gid() != new.gid() {
                fchown(file, None, Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
            if old.uid() != new.uid() {
                fchown(file, Some(old.uid()), None)?;
            }
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
