//! Pre-shared keys: they come from a file or from standard input, are kept in files that only root reads, and are shown
//! nowhere.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::failure::{Failure, FailureKind};
use crate::temporary;

/// The longest secret, bytes.
const LONGEST: usize = 1024;
/// How the name of a file ends that holds one.
const EXTENSION: &str = ".psk";

/// A pre-shared key. It is written where the daemon has to hand it on, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Nobody reads them any more, which is a reason to leave the zeros out.
        std::hint::black_box(&bytes);
    }
}

impl Secret {
    /// Reads what a file or standard input holds: one line.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or more than a line of text.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let why = if line.is_empty() {
            "it is empty"
        } else if line.len() > LONGEST {
            "it is longer than 1024 bytes"
        } else if line.chars().any(char::is_control) {
            "it is more than one line of text"
        } else {
            return Ok(Self(line.to_owned()));
        };
        Err(Failure::new(FailureKind::Usage, format!("ipsec-secret: {why}"))
            .with_hint("make a good one: openssl rand -base64 32"))
    }

    /// Reads a secret from anywhere.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none.
    pub fn read_from(source: impl io::Read) -> Result<Self, Failure> {
        let mut text = String::with_capacity(LONGEST + 2);
        let most = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
        source.take(most).read_to_string(&mut text).map_err(|error| {
            // The error of what is no text has none of the text.
            Failure::io("ipsec-secret: reading it", &error)
        })?;
        Self::parse(&text)
    }

    /// Reads the file of a tunnel's secret, which belongs to root and is nobody else's to read.
    ///
    /// # Errors
    ///
    /// It is not such a file, or holds no secret.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let place = format!("ipsec-secret-file {}", path.display());
        let mut options = OpenOptions::new();
        // What is no file, as a pipe, does not hold anybody up.
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| {
            let failure = Failure::new(FailureKind::Failed, format!("{place}: {error}"));
            let hint = match error.raw_os_error() {
                Some(libc::EACCES) => {
                    "the daemon reads below /etc and /run, and what its configuration's directory holds"
                }
                Some(libc::ENOENT) => "write it: ipip-ctl set TUNNEL ipsec-secret=-",
                _ => "write the secret to a file that only root reads",
            };
            failure.with_hint(hint)
        })?;
        let found = file.metadata().map_err(|error| Failure::io(&place, &error))?;
        let wrong = |why: String, hint: String| {
            Err(Failure::new(FailureKind::Usage, format!("{place}: {why}")).with_hint(hint))
        };
        if !found.is_file() {
            return wrong("it is no regular file".into(), "write the secret to a file".into());
        }
        if found.uid() != 0 {
            return wrong("it does not belong to root".into(), format!("chown root {}", path.display()));
        }
        if found.mode() & 0o077 != 0 {
            let why = format!("others may read or write it (mode {:04o})", found.mode() & 0o7777);
            return wrong(why, format!("chmod 600 {}", path.display()));
        }
        Self::read_from(&file).map_err(|failure| failure.within(path.display()))
    }

    /// Its bytes, for the IKE daemon.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Where the secret of a tunnel is kept that came from standard input: beside the configuration.
#[must_use]
pub fn path_for(config: &Path, tunnel: &str) -> PathBuf {
    let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    config.with_file_name(format!("{tunnel}{EXTENSION}"))
}

/// Whether a file of this name may hold a secret that came from standard input.
#[must_use]
pub fn is_stored_as(name: &str) -> bool {
    name.ends_with(EXTENSION)
}

/// A secret that has been stored, and is taken back unless it is kept.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    before: Option<NamedTempFile>,
    is_kept: bool,
}

impl Stored {
    /// Stores a secret in one step, so that it is never there in part or for others to read.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what was there before is as it was.
    pub fn write(path: &Path, secret: &Secret) -> Result<Self, Failure> {
        Self::replace(path, secret)
            .map_err(|error| Failure::io(format!("storing ipsec-secret in {}", path.display()), &error))
    }

    fn replace(path: &Path, secret: &Secret) -> io::Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = || temporary::create(directory, &name);
        let mut new = temporary()?;
        new.write_all(secret.bytes())?;
        new.write_all(b"\n")?;
        new.as_file().sync_all()?;
        let before = match fs::read(path) {
            Ok(old) => {
                let mut before = temporary()?;
                before.write_all(&old)?;
                Some(before)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        new.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()?;
        Ok(Self { path: path.to_owned(), before, is_kept: false })
    }

    /// Leaves it there.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let back = match self.before.take() {
            Some(before) => before.persist(&self.path).map(drop).map_err(|error| error.error),
            None => fs::remove_file(&self.path),
        };
        if let Err(error) = back {
            log::error!("taking {} back: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_a_line_and_is_not_printed() {
        for text in ["hush hush", "hush hush\n", "hush hush\r\n"] {
            let secret = Secret::parse(text).unwrap();
            assert_eq!(secret.bytes(), b"hush hush");
            assert_eq!(format!("{secret:?}"), "Secret");
        }
        let long = "x".repeat(LONGEST + 1);
        for text in ["", "\n", "hush\nhush\n", "hu\0sh", long.as_str()] {
            let failure = Secret::parse(text).unwrap_err();
            assert!(!failure.to_string().contains("hush") && failure.hint.is_some(), "{failure}");
        }
        let failure = Secret::read_from(&b"hush\xff"[..]).unwrap_err();
        assert!(!failure.to_string().contains("hush"), "{failure}");
    }

    #[test]
    fn only_a_file_of_roots_own_is_read() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = path_for(&folder.path().join("ipip.toml"), "berlin");
        assert_eq!(path, folder.path().join("berlin.psk"));
        let refused = |why: &str| {
            let failure = Secret::read(&path).unwrap_err();
            assert!(failure.to_string().contains(why) && failure.hint.is_some(), "{failure}");
        };
        refused("No such file");
        Stored::write(&path, &Secret::parse("one").unwrap()).unwrap().keep();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        // What is not kept was never there.
        drop(Stored::write(&path, &Secret::parse("two").unwrap()).unwrap());
        assert_eq!(Secret::read(&path).unwrap().bytes(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        refused("mode 0640");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        refused("does not belong to root");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("no regular file");
    }
}
