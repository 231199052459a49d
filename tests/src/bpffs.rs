//! A BPF file system of a test's own, gone with everything in it when its guard is dropped.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// How the names of its directories begin, before the process.
pub(crate) const PREFIX: &str = "ipip-bpf";

/// A mounted BPF file system.
#[derive(Debug)]
pub struct BpfFs {
    folder: TempDir,
}

impl BpfFs {
    /// Mounts one.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix(format!("{PREFIX}{}-", std::process::id()))
            .expect("creating a temporary directory");
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), None::<&Path>)
            .expect("mounting a BPF file system");
        Self { folder }
    }

    /// A directory in it that does not exist yet.
    pub fn pins(&self) -> PathBuf {
        self.folder.path().join("ipip")
    }
}

impl Default for BpfFs {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        // Best effort: the temporary directory stays behind when it is still in use.
        let _ = umount2(self.folder.path(), MntFlags::MNT_DETACH);
    }
}
