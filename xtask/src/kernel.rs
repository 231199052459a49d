//! Gets Debian's kernels without a change to this machine: a private state of apt under `target/vm`, with the machine's
//! own mirror and Debian's keyring, and packages that are unpacked and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::apt;
use crate::mirror::mirror;
use crate::sh::{self, Step};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel to test on: the release of Debian that has it, and the start of its version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) suite: &'static str,
    pub(crate) series: &'static str,
}

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The bootable file.
    pub(crate) image: PathBuf,
}

/// Returns where everything of the virtual machines lies.
pub(crate) fn folder() -> PathBuf {
    sh::target().join("vm")
}

/// Returns a kernel; downloads and unpacks it the first time.
pub(crate) fn get(wanted: Wanted) -> Result<Kernel> {
    let tree = folder().join("kernels").join(wanted.series);
    if let Some(kernel) = unpacked(&tree) {
        return Ok(kernel);
    }
    apt::ensure(&["kmod", "debian-archive-keyring"], "unpacking kernels")?;
    let apt = Apt::new(wanted.suite)?;
    let package = apt.image(wanted.series)?;
    let downloads = folder().join("downloads");
    fs::create_dir_all(&downloads).with_context(|| format!("creating {}", downloads.display()))?;
    apt.step(&format!("downloading {package} (once)"), "70 to 110 MB", |command| {
        command.args(["download", &package]).current_dir(&downloads);
    })?;
    let file = newest(&downloads, &package)?;
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).with_context(|| format!("creating {}", tree.display()))?;
    let step = Step { what: &format!("unpacking {package}"), about: "about 10 s", limit: None };
    step.run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&tree))?;
    let modules = modules_in(&tree).with_context(|| format!("{package} holds no modules"))?;
    let version = only_entry(&modules)?;
    let base = modules.parent().and_then(Path::parent).context("the folder above the modules")?;
    let step = Step { what: &format!("listing the modules of {version}"), about: "about 5 s", limit: None };
    step.run(Command::new("/sbin/depmod").arg("-b").arg(base).arg(&version))?;
    fs::write(tree.join("complete"), &package).context("marking the kernel as complete")?;
    unpacked(&tree)
        .with_context(|| format!("{package} has no kernel where one is expected, in {}", tree.display()))
}

/// Installs QEMU, and the busybox that virtme-ng starts a guest with. Where parts of it are here from backports already, Debian's own version would remove them: then it is
/// taken from backports too.
pub(crate) fn emulator() -> Result<()> {
    let packages = ["qemu-system-x86"];
    apt::ensure(&["busybox-static", "file"], "booting other kernels")?;
    let Err(error) = apt::ensure(&packages, "booting other kernels") else { return Ok(()) };
    eprintln!("    so trying backports: {error:#}");
    apt::ensure(&["debian-archive-keyring"], "trusting backports")?;
    let apt = Apt::of("bookworm-backports", &["bookworm", "bookworm-backports"])?;
    apt.step("installing qemu-system-x86 from backports", "about a minute", |command| {
        command.args([
            "install",
            "--yes",
            "--no-remove",
            "--no-install-recommends",
            "-t",
            "bookworm-backports",
        ]);
        command.args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    })
    .with_context(|| format!("neither Debian's QEMU nor that of backports can be installed ({error:#})"))
}

fn unpacked(tree: &Path) -> Option<Kernel> {
    if !tree.join("complete").exists() {
        return None;
    }
    let modules = modules_in(tree)?;
    let version = only_entry(&modules).ok()?;
    let places =
        [tree.join("boot").join(format!("vmlinuz-{version}")), modules.join(&version).join("vmlinuz")];
    let image = places.into_iter().find(|place| place.exists())?;
    Some(Kernel { image })
}

fn modules_in(tree: &Path) -> Option<PathBuf> {
    ["usr/lib/modules", "lib/modules"].iter().map(|place| tree.join(place)).find(|place| place.is_dir())
}

fn only_entry(folder: &Path) -> Result<String> {
    let entry = folder.read_dir().ok().and_then(|mut entries| entries.next()).and_then(Result::ok);
    let entry = entry.with_context(|| format!("{} is empty", folder.display()))?;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

fn newest(downloads: &Path, package: &str) -> Result<PathBuf> {
    let files = downloads.read_dir().with_context(|| format!("listing {}", downloads.display()))?;
    let start = format!("{package}_");
    let mut files: Vec<PathBuf> = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with(&start))
        .map(|file| file.path())
        .collect();
    files.sort_by_key(|file| fs::metadata(file).and_then(|meta| meta.modified()).ok());
    files.pop().with_context(|| format!("apt left no {package} in {}", downloads.display()))
}

/// A state of apt of our own, for one release of Debian.
struct Apt {
    suite: &'static str,
    options: Vec<String>,
}

impl Apt {
    fn new(suite: &'static str) -> Result<Self> {
        Self::of(suite, &[suite])
    }

    /// A state for several suites together, kept under a name.
    fn of(suite: &'static str, suites: &[&str]) -> Result<Self> {
        let home = folder().join("apt").join(suite);
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(part)).with_context(|| format!("creating {}", home.display()))?;
        }
        let list = home.join("sources.list");
        let mirror = mirror()?;
        let lines: Vec<String> =
            suites.iter().map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n")).collect();
        let lines = lines.concat();
        fs::write(&list, lines).with_context(|| format!("writing {}", list.display()))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={}", home.join("state").display()),
            "Dir::State::status=/var/lib/dpkg/status".to_owned(),
            format!("Dir::Cache={}", home.join("cache").display()),
            // Downloading as another user fails where that user may not enter target/.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let apt = Self {
            suite,
            options: options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect(),
        };
        apt.step(&format!("fetching the package lists of {suite}"), "about 5 s", |command| {
            command.arg("update");
        })?;
        Ok(apt)
    }

    fn step(&self, what: &str, about: &str, arguments: impl FnOnce(&mut Command)) -> Result<()> {
        let mut command = Command::new("apt-get");
        command.args(&self.options);
        arguments(&mut command);
        Step { what, about, limit: Some(Duration::from_mins(20)) }.run(&mut command)
    }

    /// Returns the package that Debian's meta package names, of a series of kernels such as 6.12.
    fn image(&self, series: &str) -> Result<String> {
        let mut command = Command::new("apt-cache");
        command.args(&self.options).args(["show", "linux-image-amd64"]);
        let text = sh::answer(&mut command).context("asking apt for linux-image-amd64")?;
        let start = format!("linux-image-{series}.");
        text.lines()
            .filter_map(|line| line.strip_prefix("Depends: "))
            .flat_map(|line| line.split([' ', ',']))
            .find(|word| word.starts_with(&start))
            .map(str::to_owned)
            .with_context(|| format!("{} has no kernel {series}: is the mirror complete?", self.suite))
    }
}
