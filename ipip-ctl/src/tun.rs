//! The tunnel interface: a persistent TUN device.
//!
//! The device outlives the daemon, so that the programs on it go on working; only carrier needs a descriptor, which
//! somebody else keeps too (`keeper/`).
//! What the programs leave over can be read from the descriptor.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};

use nix::libc;
use tokio::io::unix::AsyncFd;

use crate::failure::{Failure, FailureKind};

const DEVICE: &str = "/dev/net/tun";
/// Bytes of the offload header in front of a packet (`struct virtio_net_hdr`).
pub(crate) const OFFLOAD_HEADER: usize = 10;
/// Most bytes that one packet is read as.
pub const READ_MAX: usize = 65_536 + OFFLOAD_HEADER;

mod calls {
    //! The ioctls of `linux/if_tun.h`.
    use nix::libc::c_int;

    nix::ioctl_write_int!(set_persist, b'T', 203);
    nix::ioctl_write_int!(set_owner, b'T', 204);
    nix::ioctl_write_int!(set_offload, b'T', 208);
    nix::ioctl_write_ptr!(set_carrier, b'T', 226, c_int);
    nix::ioctl_write_ptr_bad!(set_interface, 0x4004_54ca, nix::libc::ifreq);
    nix::ioctl_read_bad!(interface, 0x8004_54d2, nix::libc::ifreq);
    // Of any socket.
    nix::ioctl_readwrite_bad!(ethtool, nix::libc::SIOCETHTOOL, nix::libc::ifreq);
}

/// Checksum, TCP and UDP segmentation of both families (`TUN_F_*`).
const OFFLOADS: u64 = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
/// The same without UDP segmentation, which came with Linux 6.2.
const OFFLOADS_WITHOUT_UDP: u64 = 0x01 | 0x02 | 0x04;

/// `ETHTOOL_GLINK` (linux/ethtool.h).
const GET_LINK: u32 = 10;

/// `struct ethtool_value`.
#[repr(C)]
struct LinkQuestion {
    command: u32,
    answer: u32,
}

/// Whether an offload header says that the packet is not what would stand on a wire.
pub(crate) fn is_offloaded(header: &[u8]) -> bool {
    const NEEDS_CHECKSUM: u8 = 1;
    let [flags, segmentation] = [0, 1].map(|at| header.get(at).copied().unwrap_or_default());
    flags & NEEDS_CHECKSUM != 0 || segmentation != 0
}

/// A tunnel interface whose descriptor is held.
#[derive(Debug)]
pub struct Tun {
    file: AsyncFd<File>,
}

impl Tun {
    /// Makes the interface, or takes hold of it where it is there already, with segmentation offloads on. A new
    /// one goes away with this process until [`Tun::keep`]. `None` while another process holds it.
    ///
    /// # Errors
    ///
    /// The device cannot be opened, or the name is another interface's.
    pub fn open(name: &str) -> Result<Option<Self>, Failure> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(DEVICE)
            .map_err(|error| {
                Failure::io(format!("opening {DEVICE}"), &error)
                    .with_hint("load the kernel module tun: modprobe tun")
            })?;
        match attach(file.as_raw_fd(), name) {
            Ok(()) => Self::new(file, name).map(Some),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(None),
            Err(error) => Err(taken(name, &error)),
        }
    }

    /// Takes over a descriptor that was kept, and tells the name of its interface.
    ///
    /// # Errors
    ///
    /// It is no descriptor of an interface, or the interface is gone.
    pub fn adopt(descriptor: OwnedFd) -> Result<(String, Self), Failure> {
        let failed = |error: &io::Error| Failure::io("taking over a descriptor", error);
        let name = interface(descriptor.as_raw_fd()).map_err(|error| failed(&error))?;
        rustix::io::ioctl_fionbio(&descriptor, true).map_err(|error| failed(&error.into()))?;
        rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)
            .map_err(|error| failed(&error.into()))?;
        let tun = Self::new(descriptor.into(), &name)?;
        Ok((name, tun))
    }

    fn new(file: File, name: &str) -> Result<Self, Failure> {
        let failed = |what: &str, error: &io::Error| Failure::io(format!("interface {name}: {what}"), error);
        offload(file.as_raw_fd(), true)
            .map_err(|error| failed("switching segmentation offloads on", &error))?;
        // A `File` owns its descriptor and always gives the same one, as the reactor asks for.
        // SAFETY: see above.
        let file =
            unsafe { AsyncFd::register(file) }.map_err(|error| failed("waiting on it", &error.into()))?;
        Ok(Self { file })
    }

    /// The interface's name as it is now.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub fn name(&self) -> io::Result<String> {
        interface(self.file.as_raw_fd())
    }

    /// The descriptor, to be kept elsewhere too.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.get_ref().as_fd()
    }

    /// Sets carrier: the interface's running flag for everybody else. That it is gone may take up to a second until routes
    /// and listeners know, unless [`Tun::tell_of_carrier`] follows.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_carrier(&self, is_running: bool) -> io::Result<()> {
        let value = libc::c_int::from(is_running);
        // SAFETY: the descriptor is open, and the pointer is to a number that outlives the call.
        unsafe { calls::set_carrier(self.file.as_raw_fd(), &raw const value) }?;
        Ok(())
    }

    /// Has the kernel act on a carrier that is gone, at once: by itself it lets a second pass between two such events on the
    /// whole machine (`linkwatch_nextevent`, `net/core/link_watch.c`). Since Linux 6.8 whoever asks whether there is a link
    /// has the question answered after that (`linkwatch_sync_dev`).
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn tell_of_carrier(&self) -> io::Result<()> {
        let mut request = request(self.file.as_raw_fd())?;
        let mut question = LinkQuestion { command: GET_LINK, answer: 0 };
        request.ifr_ifru.ifru_data = (&raw mut question).cast();
        let socket = UnixDatagram::unbound()?;
        // SAFETY: the socket is open; request and question outlive the call, and have the shapes that it asks for.
        unsafe { calls::ethtool(socket.as_raw_fd(), &raw mut request) }?;
        Ok(())
    }

    /// Lets packets come unsegmented and without checksums, as programs take them, or whole, as the daemon does.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn set_offloads(&self, on: bool) -> io::Result<()> {
        offload(self.file.as_raw_fd(), on)
    }

    /// Makes the interface outlive its descriptors. It is root's: nobody else may take hold of it when no descriptor is held.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn keep(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open, and the argument is a number.
        unsafe { calls::set_owner(self.file.as_raw_fd(), 0) }?;
        // SAFETY: as above.
        unsafe { calls::set_persist(self.file.as_raw_fd(), 1) }?;
        Ok(())
    }

    /// Waits for a packet that the programs left over, takes it out, and hands its bytes from the IP header on to `work`.
    /// `buffer` has room for [`READ_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub async fn take_left_over<T>(
        &self,
        buffer: &Mutex<Vec<u8>>,
        work: impl FnOnce(&[u8]) -> T,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.file.readable().await?;
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            match ready.try_io(|file| file.get_ref().read(&mut buffer)) {
                Ok(length) => return Ok(work(buffer.get(OFFLOAD_HEADER..length?).unwrap_or_default())),
                Err(_would_block) => {}
            }
        }
    }
}

/// Switches IPv6 on an interface on or off. A tunnel that carries none should have none: each address and each route
/// costs the kernel time at every change of any interface. Does nothing where the kernel has no IPv6.
pub fn switch_ipv6(name: &str, on: bool) {
    let switch = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    let value = if on { "0" } else { "1" };
    let is_so = fs::read_to_string(&switch).is_ok_and(|text| text.trim() == value);
    if !is_so && let Err(error) = fs::write(&switch, value) {
        log::debug!("writing {switch}: {error}");
    }
}

fn offload(fd: RawFd, on: bool) -> io::Result<()> {
    let wanted = if on { OFFLOADS } else { 0 };
    // SAFETY: the descriptor is open, and the argument is a number.
    let done = unsafe { calls::set_offload(fd, wanted) };
    if on && done.is_err() {
        // SAFETY: as above.
        unsafe { calls::set_offload(fd, OFFLOADS_WITHOUT_UDP) }?;
    } else {
        done?;
    }
    Ok(())
}

/// Makes or takes the interface: no packet information in front of a packet, but the offload header.
fn attach(fd: RawFd, name: &str) -> io::Result<()> {
    // SAFETY: an ifreq of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or_default();
    // SAFETY: the descriptor is open, and the request outlives the call.
    unsafe { calls::set_interface(fd, &raw const request) }?;
    Ok(())
}

/// A request about the interface that a descriptor is attached to, with its name.
fn request(fd: RawFd) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the request outlives the call.
    unsafe { calls::interface(fd, &raw mut request) }?;
    Ok(request)
}

/// The name of the interface that a descriptor is attached to.
fn interface(fd: RawFd) -> io::Result<String> {
    let request = request(fd)?;
    let name = request.ifr_name.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0);
    String::from_utf8(name.collect()).map_err(io::Error::other)
}

/// Another process holds an interface.
#[must_use]
pub fn held(name: &str) -> Failure {
    Failure::new(FailureKind::Conflict, format!("interface {name}: another process has it open"))
        .with_hint(format!("end that process, then `ipip-ctl enable {name}`"))
}

fn taken(name: &str, error: &io::Error) -> Failure {
    if error.raw_os_error() == Some(libc::EINVAL) {
        Failure::new(FailureKind::Conflict, format!("interface {name}: the name is another interface's"))
            .with_hint("choose another name, or remove that interface")
    } else {
        Failure::io(format!("making interface {name}"), error)
    }
}
