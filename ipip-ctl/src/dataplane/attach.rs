//! Programs and interfaces: attached through links that are pinned, so that they outlive the daemon, and
//! replaced in place by the next one. Nobody else's program is ever evicted.

use std::fs;
use std::path::Path;

use aya::Ebpf;
use aya::maps::ProgramArray;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp};
use ipip_common::abi::{map, program};
use nix::libc;
use nix::net::if_::if_indextoname;

use super::filters::{attach_filter, detach_filters};
use super::{Kernel, failed, missing};
use crate::failure::Failure;
use crate::netlink::Link;

/// Why there is no XDP program of ours on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoXdp {
    /// The host does not forward from this port, so that tier 1 has nothing to do there; and attaching may cost
    /// something (a veth gives up segmentation offload).
    NotForwarding,
    /// Another program is there, and stays.
    Occupied,
    /// The driver has no native XDP, or not with the interface's present settings.
    NotNative(String),
}

/// Which way packets cross a TC hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the wire: a port.
    Ingress,
    /// From the stack: a tunnel interface.
    Egress,
    /// Out of a tunnel: a tunnel interface, through which another tunnel's packets may come.
    Nested,
}

impl Direction {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Ingress => program::TC_PORT,
            Self::Egress => program::TC_TUNNEL,
            Self::Nested => program::TC_NESTED,
        }
    }

    pub(super) const fn hook(self) -> TcAttachType {
        match self {
            Self::Ingress | Self::Nested => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }
}

impl Kernel {
    /// Attaches the XDP program in native mode, or replaces the one of an earlier daemon.
    ///
    /// # Errors
    ///
    /// The outer one: the kernel refuses something that should work. The inner one: there is no room for the
    /// program on this port.
    pub fn attach_xdp(&mut self, link: &Link) -> Result<Result<(), NoXdp>, Failure> {
        if self.serves_still(program::XDP_PORT, link.index) {
            return Ok(Ok(()));
        }
        let pin = self.pins.link(program::XDP_PORT, link.index);
        let what = || format!("interface {}: attaching XDP", link.name);
        let program = xdp(&mut self.programs)?;
        if let Some(old) = pinned(&pin) {
            let replaced = XdpLink::try_from(old)
                .ok()
                .and_then(|old| program.attach_to_link(old).ok())
                .and_then(|id| program.take_link(id).ok());
            if replaced.is_some() {
                return Ok(Ok(()));
            }
            // Its interface was deleted.
            remove(&pin);
        }
        // Asked before, because aya tries the older interface after EINVAL, which would replace a program.
        if link.has_xdp {
            return Ok(Err(NoXdp::Occupied));
        }
        match program.attach_to_if_index(link.index, XdpMode::Driver) {
            Ok(id) => {
                let link = program.take_link(id).map_err(|error| failed(what(), &error))?;
                // A link that is not a descriptor cannot be pinned, and detaches when it is dropped here.
                match FdLink::try_from(link) {
                    Ok(link) => keep(link, &pin).map(Ok),
                    Err(_) => Ok(Err(NoXdp::NotNative("the driver takes no BPF link".to_owned()))),
                }
            }
            Err(ProgramError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EBUSY) => {
                Ok(Err(NoXdp::Occupied))
            }
            Err(error) => Ok(Err(NoXdp::NotNative(failed("the driver refuses native XDP", &error).message))),
        }
    }

    /// Takes the XDP program off an interface, where it is ours.
    pub fn detach_xdp(&self, ifindex: u32) {
        remove(&self.pins.link(program::XDP_PORT, ifindex));
    }

    /// Whether an earlier daemon attached the XDP program to this interface.
    #[must_use]
    pub fn has_xdp(&self, ifindex: u32) -> bool {
        self.pins.link(program::XDP_PORT, ifindex).exists()
    }

    /// Attaches the TC program of a port, or replaces the one of an earlier daemon.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn attach_tc(&mut self, link: &Link, direction: Direction) -> Result<(), Failure> {
        if self.serves_still(direction.program(), link.index) {
            return Ok(());
        }
        let pin = self.pins.link(direction.program(), link.index);
        let program = classifier(&mut self.programs, direction.program())?;
        if let Some(old) = pinned(&pin) {
            let Ok(old) = SchedClassifierLink::try_from(old) else {
                // The program itself, where the kernel has no links for it.
                return attach_filter(program, link, direction, &pin);
            };
            let replaced = program.attach_to_link(old).ok().and_then(|id| program.take_link(id).ok());
            if replaced.is_some() {
                return Ok(());
            }
            // Its interface was deleted.
            remove(&pin);
        }
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        match program.attach_with_options(&link.name, direction.hook(), options) {
            Ok(id) => {
                let taken = program.take_link(id).map_err(|error| failed("attaching TC", &error))?;
                let taken = FdLink::try_from(taken).map_err(|error| failed("attaching TC", &error))?;
                keep(taken, &pin)
            }
            Err(ProgramError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EINVAL) => {
                attach_filter(program, link, direction, &pin)
            }
            Err(error) => Err(failed(format!("interface {}: attaching TC", link.name), &error)),
        }
    }

    /// Takes every program of ours off an interface. `name` is needed where the kernel has no tcx links.
    pub fn detach(&self, ifindex: u32, name: Option<&str>) {
        for program in program::ALL {
            remove(&self.pins.link(program, ifindex));
        }
        if let Some(name) = name {
            detach_filters(name);
        }
    }

    /// Interfaces that programs of ours are attached to, as far as links are pinned.
    #[must_use]
    pub fn attached(&self) -> Vec<u32> {
        self.pins.links().into_iter().map(|(_, ifindex)| ifindex).collect()
    }

    /// Takes the maps' pins and the directories away: the end of a clean stop.
    pub fn forget(&self) {
        // Of ports that were none in this daemon's time, too.
        for ifindex in self.attached() {
            let name = if_indextoname(ifindex).ok();
            self.detach(ifindex, name.as_ref().and_then(|name| name.to_str().ok()));
        }
        self.pins.remove_own();
        self.pins.remove_directories();
    }
}

/// Loads one program into the kernel.
pub(super) fn load(programs: &mut Ebpf, name: &str) -> Result<(), Failure> {
    let what = || format!("loading program {name}");
    let loaded = match programs.program_mut(name) {
        Some(Program::Xdp(program)) => program.load(),
        Some(Program::SchedClassifier(program)) => program.load(),
        Some(_) | None => return Err(missing(name)),
    };
    loaded.map_err(|error| failed(what(), &error))
}

/// Puts the programs that decide behind those that know.
pub(super) fn join(programs: &mut Ebpf) -> Result<(), Failure> {
    let wrong = |error: &(dyn std::error::Error + 'static)| failed("joining the XDP programs", error);
    for (name, stages) in [(program::XDP_WHOLE, map::STAGES), (program::XDP_CPU_WHOLE, map::CPU_STAGES)] {
        let whole = match programs.program(name) {
            Some(Program::Xdp(program)) => {
                program.fd().map_err(|error| wrong(&error))?.try_clone().map_err(|error| wrong(&error))?
            }
            Some(_) | None => return Err(missing(name)),
        };
        let stages = programs.map_mut(stages).ok_or_else(|| missing(stages))?;
        let mut stages = ProgramArray::try_from(stages).map_err(|error| wrong(&error))?;
        stages.set(map::WHOLE, &whole, 0).map_err(|error| wrong(&error))?;
    }
    Ok(())
}

fn xdp(programs: &mut Ebpf) -> Result<&mut Xdp, Failure> {
    let program = programs.program_mut(program::XDP_PORT).ok_or_else(|| missing(program::XDP_PORT))?;
    program.try_into().map_err(|_| missing(program::XDP_PORT))
}

pub(super) fn classifier<'a>(programs: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, Failure> {
    let program = programs.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(|_| missing(name))
}

fn pinned(pin: &Path) -> Option<FdLink> {
    if !pin.exists() {
        return None;
    }
    PinnedLink::from_pin(pin).map(FdLink::from).ok()
}

fn keep(link: FdLink, pin: &Path) -> Result<(), Failure> {
    remove(pin);
    link.pin(pin).map(drop).map_err(|error| failed(format!("pinning {}", pin.display()), &error))
}

pub(super) fn remove(pin: &Path) {
    let _ = fs::remove_file(pin);
}
