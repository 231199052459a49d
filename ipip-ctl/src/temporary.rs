//! Files that take another one's place in one step: where they are before, and what a process that was killed left of them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// How their names end.
const SUFFIX: &str = ".new";
/// Letters and digits in them, by which those for one name differ.
const RANDOM: usize = 6;
/// The mode until they are finished.
const MODE: u32 = 0o600;

/// A new file in `directory`, which nobody else reads, to take the place of the one with this name.
///
/// # Errors
///
/// The system refuses.
pub(crate) fn create(directory: &Path, name: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    let file = builder
        .prefix(&prefix)
        .suffix(SUFFIX)
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory)?;
    // Whatever the umask is.
    file.as_file().set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Removes from `directory` what a process that was killed left of new files for names that are `meant`.
pub(crate) fn sweep(directory: &Path, meant: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(target).is_some_and(&meant)
            && let Err(error) = fs::remove_file(entry.path())
        {
            log::warn!("removing {}: {error}", entry.path().display());
        }
    }
}

/// The name whose place a file was to take; `None` where it is no such file.
fn target(name: &str) -> Option<&str> {
    let (target, random) = name.strip_prefix('.')?.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    (random.len() == RANDOM).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_swept_is_what_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let [config, secret, other] =
            ["ipip.toml", "berlin.psk", "ipip.toml.bak"].map(|name| create(folder.path(), name).unwrap());
        let mode = config.as_file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        for name in [".ipip.toml", ".ipip.toml.new", "ipip.toml.x.new", ".ipip.toml.old.new", ".new", "..new"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path(), |name| ["ipip.toml", "berlin.psk"].contains(&name));
        assert!(!config.path().exists() && !secret.path().exists());
        assert!(other.path().exists());
        // The six and the other one.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 7);
    }
}
