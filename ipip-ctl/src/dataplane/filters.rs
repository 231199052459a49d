//! Programs as filters on an interface's clsact qdisc. They belong to the interface, and so outlive the daemon.
//!
//! On a tunnel's interface they stand also where the kernel has tcx links: to make such a link it waits for an RCU grace
//! period, milliseconds in which nothing else of the network can be changed; a filter takes microseconds
//! (docs/adr/0018).

use std::fs;
use std::path::Path;

use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{ProgramError, SchedClassifier};

use super::attach::{classifier, remove};
use super::{Direction, Kernel, failed};
use crate::failure::Failure;
use crate::netlink::Link;

/// Priority and handle of our filters.
const PRIORITY: u16 = 50;
const HANDLE: TcHandle = TcHandle::new(0, 1);

impl Kernel {
    /// Attaches the TC programs of a tunnel's interface; `may_be_there`: those of an earlier daemon are replaced, each in
    /// one step, but for those of another layout, which serve until [`Kernel::finish_moving`].
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn attach_tunnel(&mut self, link: &Link, may_be_there: bool) -> Result<(), Failure> {
        if may_be_there && self.is_moving() {
            return Ok(());
        }
        for direction in [Direction::Egress, Direction::Nested] {
            let pin = self.pins.link(direction.program(), link.index);
            if may_be_there && pin.exists() {
                // A daemon that made links here.
                self.attach_tc(link, direction)?;
                continue;
            }
            let program = classifier(&mut self.programs, direction.program())?;
            put(program, &link.name, direction, may_be_there)
                .map_err(|error| failed(format!("interface {}: attaching a TC filter", link.name), &error))?;
        }
        Ok(())
    }
}

/// A filter of a port, for kernels without tcx. The program, pinned in the place of a link, is the sign that the filter
/// there is ours to replace. It comes first, and in one step: a daemon that dies in between leaves no filter without it.
pub(super) fn attach_filter(
    program: &mut SchedClassifier,
    link: &Link,
    direction: Direction,
    pin: &Path,
) -> Result<(), Failure> {
    let may_be_there = pin.exists();
    let mut new = pin.as_os_str().to_owned();
    // No name in this file system has a dot.
    new.push("-new");
    let new = Path::new(&new);
    remove(new);
    let what = || format!("pinning {}", pin.display());
    program.pin(new).map_err(|error| failed(what(), &error))?;
    fs::rename(new, pin).map_err(|error| Failure::io(what(), &error))?;
    put(program, &link.name, direction, may_be_there).map_err(|error| {
        // Somebody else's may be in its place, which is not ours to replace the next time.
        if !may_be_there {
            remove(pin);
        }
        failed(format!("interface {}: attaching a TC filter", link.name), &error)
    })
}

/// Takes the filters of our programs off an interface.
pub(super) fn detach_filters(interface: &str) {
    for direction in [Direction::Ingress, Direction::Egress, Direction::Nested] {
        let _ = tc::qdisc_detach_program(interface, direction.hook(), direction.program());
    }
}

fn put(
    program: &mut SchedClassifier,
    interface: &str,
    direction: Direction,
    may_be_there: bool,
) -> Result<(), ProgramError> {
    let hook = direction.hook();
    let old = || SchedClassifierLink::attached(interface, hook, PRIORITY, HANDLE, None).ok();
    let replaced = may_be_there.then(old).flatten().and_then(|old| program.attach_to_link(old).ok());
    let id = if let Some(id) = replaced {
        id
    } else {
        // That it is there already is no error; anything else shows when the filter is attached.
        let _ = tc::qdisc_add_clsact(interface);
        let options = NlOptions { priority: PRIORITY, handle: HANDLE, ..NlOptions::default() };
        program.attach_with_options(interface, hook, TcAttachOptions::Netlink(options))?
    };
    // Dropping the link would detach the filter.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}
