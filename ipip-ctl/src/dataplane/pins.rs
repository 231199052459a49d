//! Where the dataplane outlives the daemon: a directory in a BPF file system, one below it for each network
//! namespace and layout, so that neither two namespaces nor two versions meet.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};

use ipip_common::abi::{ABI_VERSION, map};
use nix::libc;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::failure::{Failure, FailureKind};

/// How the directory of a layout begins.
const LAYOUT: char = 'v';

/// A directory of pins, locked against other daemons.
#[derive(Debug)]
pub struct Pins {
    top: PathBuf,
    directory: PathBuf,
    is_new: bool,
    _lock: File,
}

impl Pins {
    /// Makes and locks the directory for this network namespace below `top`.
    ///
    /// # Errors
    ///
    /// `top` is not in a BPF file system, or another daemon has the directory.
    pub fn open(top: &Path) -> Result<Self, Failure> {
        let namespace = namespace(top)?;
        let directory = namespace.join(format!("{LAYOUT}{ABI_VERSION}"));
        let failed = |error: &io::Error| Failure::io(format!("making {}", directory.display()), error);
        fs::create_dir_all(&namespace).map_err(|error| failed(&error))?;
        let lock = File::open(&namespace).map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {
                // Not before: a daemon that is refused leaves nothing for the next one to move from.
                let is_new = !directory.exists();
                fs::create_dir_all(&directory).map_err(|error| failed(&error))?;
                Ok(Self { top: top.to_owned(), directory, is_new, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                FailureKind::Conflict,
                format!("{}: another daemon serves this network namespace from here", namespace.display()),
            )
            .with_hint("stop that one first, or give another --pin-dir")),
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
    }

    /// The directory of this network namespace, of every layout.
    #[must_use]
    pub fn namespace(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.top)
    }

    /// Whether a daemon has left anything for this network namespace below `top`.
    ///
    /// # Errors
    ///
    /// The kernel does not tell the namespace's cookie.
    pub fn is_used(top: &Path) -> Result<bool, Failure> {
        Ok(namespace(top)?.exists())
    }

    /// Where a map is pinned.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where the link of a program to an interface is pinned.
    #[must_use]
    pub fn link(&self, program: &str, ifindex: u32) -> PathBuf {
        self.directory.join(format!("{program}-{ifindex}"))
    }

    /// The other layouts that something is pinned for.
    #[must_use]
    pub fn layouts(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.namespace()) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter_map(|name| Some(name.strip_prefix(LAYOUT)?.to_owned()))
            .filter(|layout| *layout != ABI_VERSION.to_string())
            .collect()
    }

    /// Where a daemon of another layout pins the link of a program to an interface.
    #[must_use]
    pub fn link_of(&self, layout: &str, program: &str, ifindex: u32) -> PathBuf {
        self.layout(layout).join(format!("{program}-{ifindex}"))
    }

    /// Where a daemon of another layout pins a map.
    #[must_use]
    pub fn map_of(&self, layout: &str, name: &str) -> PathBuf {
        self.layout(layout).join(name)
    }

    /// Takes all pins of another layout away.
    pub fn remove_layout(&self, layout: &str) {
        empty(&self.layout(layout));
        let _ = fs::remove_dir(self.layout(layout));
    }

    /// Takes all pins of this layout away: programs that nothing else holds are gone then, and maps that no program uses.
    pub fn remove_own(&self) {
        empty(&self.directory);
    }

    /// Interfaces that another layout pins something for.
    #[must_use]
    pub fn interfaces_of(&self, layout: &str) -> Vec<u32> {
        links_in(&self.layout(layout)).into_iter().map(|(_, ifindex)| ifindex).collect()
    }

    fn layout(&self, layout: &str) -> PathBuf {
        self.namespace().join(format!("{LAYOUT}{layout}"))
    }

    /// The pinned links of interfaces: program and interface index.
    #[must_use]
    pub fn links(&self) -> Vec<(String, u32)> {
        links_in(&self.directory)
    }

    /// Undoes what a start that failed has pinned, unless an earlier daemon's state is there.
    pub fn undo(&self) {
        if self.is_new {
            self.forget_maps();
            self.remove_directories();
        }
    }

    /// Takes the pins of all maps away; they are gone when the last program that uses them is.
    pub fn forget_maps(&self) {
        for name in map::PINNED {
            let _ = fs::remove_file(self.map(name));
        }
    }

    /// Removes the directories, as far as they are empty.
    pub fn remove_directories(&self) {
        let _ = fs::remove_dir(&self.directory);
        if let Some(namespace) = self.directory.parent() {
            let _ = fs::remove_dir(namespace);
        }
        let _ = fs::remove_dir(&self.top);
    }
}

fn links_in(directory: &Path) -> Vec<(String, u32)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let (program, ifindex) = name.rsplit_once('-')?;
            Some((program.to_owned(), ifindex.parse().ok()?))
        })
        .collect()
}

fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
}

/// Refuses a directory that is not in a BPF file system, or would not be once it is made.
///
/// # Errors
///
/// Neither the directory nor the nearest one above it that exists is in one.
pub fn check_bpffs(top: &Path) -> Result<(), Failure> {
    let existing = top.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let kind = statfs(existing)
        .map_err(|error| Failure::io(format!("looking at {}", existing.display()), &error.into()))?
        .filesystem_type();
    if kind == BPF_FS_MAGIC {
        return Ok(());
    }
    let standard = Path::new("/sys/fs/bpf");
    let mount = if top.starts_with(standard) {
        format!("mount -t bpf bpf {}", standard.display())
    } else {
        format!("mkdir -p {0} && mount -t bpf bpf {0}", top.display())
    };
    Err(Failure::new(
        FailureKind::Unsupported,
        format!("{}: not in a BPF file system (bpffs)", top.display()),
    )
    .with_hint(format!(
        "mount one with `{mount}` (`ip netns exec` hides /sys/fs/bpf: use nsenter --net), or give --pin-dir \
             inside of one"
    )))
}

/// The directory of this network namespace.
fn namespace(top: &Path) -> Result<PathBuf, Failure> {
    Ok(top.join(format!("netns-{}", namespace_cookie()?)))
}

/// The kernel's name of this network namespace, never used twice before the next boot.
fn namespace_cookie() -> Result<u64, Failure> {
    let failed = |error: io::Error| Failure::io("reading the network namespace's cookie", &error);
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None).map_err(failed)?;
    nix::sys::socket::getsockopt(&socket, NamespaceCookie).map_err(|error| failed(error.into()))
}

/// `SO_NETNS_COOKIE` (Linux 5.14).
#[derive(Clone, Copy, Debug)]
struct NamespaceCookie;

impl nix::sys::socket::GetSockOpt for NamespaceCookie {
    type Val = u64;

    fn get<F: AsFd>(&self, fd: &F) -> nix::Result<u64> {
        let mut value = 0_u64;
        let mut length = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or_default();
        // SAFETY: both pointers are to values that outlive the call, and the length is the value's.
        let code = unsafe {
            libc::getsockopt(
                fd.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                71,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        nix::errno::Errno::result(code).map(|_| value)
    }
}
