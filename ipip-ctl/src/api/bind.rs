//! Makes the daemon's socket: for root and the group `ipip`, and never in place of one that is served.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Group;
use tokio::net::UnixListener;

use crate::failure::{Failure, FailureKind};

/// The group whose members may talk to the daemon.
const GROUP: &str = "ipip";
/// How long to wait for another daemon that binds in the same directory.
const TURN_MAX: Duration = Duration::from_secs(2);
const TURN_POLL: Duration = Duration::from_millis(20);

/// Listens on a socket at this path; its directory is made, and a socket that nobody serves replaced.
///
/// # Errors
///
/// Somebody serves it, something else is there, or the system refuses.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn bind(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: io::Error| Failure::io(format!("socket {}", path.display()), &error);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    let _turn = take_turn(path, directory)?;
    check_free(path)?;
    sweep(directory);
    let listener = listen(path, directory).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    UnixListener::from_std(listener).map_err(failed)
}

/// Holds the directory's lock, so that of two daemons that start at once, one looks after the other has bound.
fn take_turn(path: &Path, directory: &Path) -> Result<File, Failure> {
    let failed = |error: &io::Error| Failure::io(format!("socket {}", path.display()), error);
    let lock = File::open(directory).map_err(|error| failed(&error))?;
    let started = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
            Err(TryLockError::WouldBlock) if started.elapsed() < TURN_MAX => sleep(TURN_POLL),
            Err(TryLockError::WouldBlock) => {
                let message = format!("socket {}: somebody holds a lock on its directory", path.display());
                return Err(Failure::new(FailureKind::Conflict, message).with_hint("give another --socket"));
            }
        }
    }
}

fn check_free(path: &Path) -> Result<(), Failure> {
    let taken = |why: &str, hint: &str| {
        Err(Failure::new(FailureKind::Conflict, format!("socket {}: {why}", path.display())).with_hint(hint))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format!("socket {}", path.display()), &error)),
        Ok(found) if !found.file_type().is_socket() => {
            taken("something that is no socket is there", "move it away, or give another --socket")
        }
        Ok(_) => match StdStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            _ => taken("another daemon serves it", "stop that one, or give another --socket"),
        },
    }
}

/// How the name of the directory begins that a socket is made in.
const PRIVATE: &str = ".ipip-socket-";

/// Removes what daemons that were killed while they bound left behind. Whoever has the turn may.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PRIVATE)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Binds beside the path and moves the socket there with its mode and group set, so that nobody else gets in.
fn listen(path: &Path, directory: &Path) -> io::Result<StdListener> {
    let private = tempfile::Builder::new().prefix(PRIVATE).tempdir_in(directory)?;
    let temporary = private.path().join("s");
    let listener = StdListener::bind(&temporary)?;
    if let Some(group) = Group::from_name(GROUP).ok().flatten() {
        // Whoever is neither root nor in the group keeps the socket for itself.
        match chown(&temporary, None, Some(group.gid.as_raw())) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    fs::set_permissions(&temporary, Permissions::from_mode(0o660))?;
    fs::rename(&temporary, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn makes_the_directory_and_sets_the_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/ipip/ipip.sock");
        let _listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[tokio::test]
    async fn replaces_a_stale_socket_but_not_a_served_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipip.sock");
        drop(StdListener::bind(&path).unwrap());
        let listener = bind(&path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind, FailureKind::Conflict);
        drop(listener);
        bind(&path).unwrap();
    }

    #[tokio::test]
    async fn waits_for_its_turn_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let lock = File::open(directory.path()).unwrap();
        lock.lock().unwrap();
        let failure = bind(&directory.path().join("ipip.sock")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        drop(lock);
        bind(&directory.path().join("ipip.sock")).unwrap();
    }

    #[tokio::test]
    async fn leaves_other_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipip.sock");
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind, FailureKind::Conflict);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
