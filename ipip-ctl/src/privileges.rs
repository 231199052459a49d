//! What the daemon gives up once it has what it needs: capabilities, and the way to most files. Both belong to a thread
//! and to those that it starts later, so that this comes before the first other thread.

use std::fs::File;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::failure::{Failure, FailureKind};

/// What it takes to load programs: without `CAP_PERFMON` the verifier refuses what these do with pointers.
const TO_LOAD: [Capability; 1] = [Capability::CAP_PERFMON];
/// What it takes later: maps and links; interfaces, routes and filters; sockets for ICMP; to keep the owner of a
/// configuration file.
const TO_RUN: [Capability; 4] =
    [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_CHOWN];

/// What is read: what the kernel tells, names of groups and hosts, and the libraries for that.
const READ: [&str; 9] = ["/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr", "/var/lib/misc"];
/// Where the kernel's settings of interfaces are.
const SETTINGS: &str = "/proc/sys/net";
/// The newest rights that are known here; older kernels have fewer.
const RIGHTS: ABI = ABI::V5;

/// How much of the way to files is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// All but what is needed.
    Closed,
    /// The kernel knows a part of the rights.
    PartlyClosed,
    /// The kernel has no Landlock.
    Open,
}

impl Files {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "yes",
            Self::PartlyClosed => "partly",
            Self::Open => "no",
        }
    }
}

/// Gives up what not even loading the programs needs. `writable`: directories in which this process makes and replaces
/// files, as far as they exist. `hook`: a program that it starts, which has no more than this process.
///
/// # Errors
///
/// The kernel refuses, which it has no reason to.
pub fn confine(writable: &[PathBuf], hook: Option<&Path>) -> Result<Files, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(FailureKind::Failed, format!("giving up the way to files: {error}"))
    };
    keep_only(&[&TO_LOAD[..], &TO_RUN[..]].concat())?;
    let everything = AccessFs::from_all(RIGHTS);
    let read = AccessFs::from_read(RIGHTS);
    let device = AccessFs::from_file(RIGHTS);
    // A rule is about what a name means now: the kernel may give these another meaning once nobody has them open.
    let settings = std::mem::ManuallyDrop::new(File::open(SETTINGS));
    let settings = settings.as_ref().ok();
    let rules = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(everything)?
            .create()?
            .add_rules(path_beneath_rules(READ, read))?
            .add_rules(path_beneath_rules(hook.map(directory_of), read))?
            .add_rules(path_beneath_rules(writable, everything))?
            .add_rules(path_beneath_rules(["/dev/net/tun", "/dev/null"], device))?
            .add_rules(settings.map(|settings| {
                Ok::<_, RulesetError>(PathBeneath::new(settings, read | AccessFs::WriteFile))
            }))?
            .restrict_self()
    };
    let done = rules().map_err(|error: RulesetError| failed(&error))?;
    Ok(match done.ruleset {
        RulesetStatus::FullyEnforced => Files::Closed,
        RulesetStatus::PartiallyEnforced => Files::PartlyClosed,
        RulesetStatus::NotEnforced => Files::Open,
    })
}

/// Gives up what only loading the programs needs, in this thread.
///
/// # Errors
///
/// The kernel refuses, which it has no reason to.
pub fn settle() -> Result<(), Failure> {
    keep_only(&TO_RUN)
}

/// Gives up every capability.
///
/// # Errors
///
/// The kernel refuses, which it has no reason to.
pub fn drop_all() -> Result<(), Failure> {
    keep_only(&[])
}

/// The capabilities that this thread has, as the kernel names them.
#[must_use]
pub fn capabilities() -> Vec<String> {
    let has = caps::read(None, CapSet::Effective).unwrap_or_default();
    let mut names: Vec<String> = has.iter().map(|capability| capability.to_string().to_lowercase()).collect();
    names.sort();
    names
}

/// The directory of a file, which need not exist, behind symbolic links.
#[must_use]
pub fn directory_of(file: &Path) -> PathBuf {
    parent_of(&file.canonicalize().unwrap_or_else(|_| file.to_owned())).to_owned()
}

/// The directory that a path names, which is this one where it names none.
pub(crate) fn parent_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What this thread does not have it does not get: the rest of a smaller set, as in a container, is kept.
fn keep_only(capabilities: &[Capability]) -> Result<(), Failure> {
    let failed = |error: &caps::errors::CapsError| {
        Failure::new(FailureKind::Failed, format!("giving up capabilities: {error}"))
    };
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Failure::io("giving up new privileges", &error.into()))?;
    let wanted: CapsHashSet = capabilities.iter().copied().collect();
    let has = caps::read(None, CapSet::Permitted).map_err(|error| failed(&error))?;
    let kept: CapsHashSet = has.intersection(&wanted).copied().collect();
    // The bounding set needs a capability to change, and so comes first, as far as it goes; with no new privileges
    // it is of no consequence.
    for capability in caps::all().difference(&wanted) {
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
    caps::clear(None, CapSet::Ambient).map_err(|error| failed(&error))?;
    caps::clear(None, CapSet::Inheritable).map_err(|error| failed(&error))?;
    caps::set(None, CapSet::Effective, &kept).map_err(|error| failed(&error))?;
    caps::set(None, CapSet::Permitted, &kept).map_err(|error| failed(&error))
}
