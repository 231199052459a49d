//! What a process gives up that does not need it.

use caps::{CapSet, Capability, CapsHashSet};

use crate::failure::{Failure, FailureKind};

/// Gives up every capability, in this thread.
///
/// # Errors
///
/// The kernel refuses, which it has no reason to.
pub fn drop_all() -> Result<(), Failure> {
    keep_only(&[])
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
