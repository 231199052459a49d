//! Offloads of veth interfaces, through the same requests as the program `ethtool`, which a fresh machine lacks.
//!
//! A veth pair hands packets over as its sender left them: without checksum (the receiver trusts its own
//! machine), and as segments of 64 KiB. Frames from a real network are complete, and this makes veth's so.

use std::os::fd::AsRawFd as _;
use std::os::raw::c_ulong;
use std::process::Command;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::netns::Netns;

const SIOCETHTOOL: c_ulong = 0x8946;

/// An offload that can be switched: the numbers are those of linux/ethtool.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Offload {
    /// The sender computes no transport checksums; without it there is no segmentation offload either.
    TxChecksum = 0x17,
    /// The sender hands over TCP segments that are larger than the MTU.
    TcpSegmentation = 0x1f,
    /// The same for other protocols, done by the kernel late.
    GenericSegmentation = 0x24,
    /// The receiver merges segments. A veth end with this also takes frames that XDP redirects to its peer.
    GenericReceive = 0x2c,
}

/// Switches an offload of an interface on or off.
#[track_caller]
pub fn set(namespace: &Netns, interface: &str, offload: Offload, on: bool) {
    let result = namespace.enter(|| request(interface, offload as u32, on));
    result.unwrap_or_else(|error| panic!("setting {offload:?}={on} of {interface}: {error}"));
}

/// Makes an interface send complete frames, as a real network card puts them on the wire.
pub fn send_complete_frames(namespace: &Netns, interface: &str) {
    set(namespace, interface, Offload::TxChecksum, false);
}

/// Makes an interface take frames that XDP redirects to its peer.
pub fn receive_redirected(namespace: &Netns, interface: &str) {
    set(namespace, interface, Offload::GenericReceive, true);
}

/// Has the kernel take what arrives at a veth in a thread of its own, and not in the middle of whatever sent it. The
/// other end must send complete frames.
pub fn receive_in_a_thread(namespace: &Netns, interface: &str) {
    receive_redirected(namespace, interface);
    let line = format!("echo 1 > /sys/class/net/{interface}/threaded");
    // It mounts the namespace's own /sys.
    let mut command = Command::new("ip");
    let status = command.args(["netns", "exec", namespace.name(), "sh", "-c", &line]).status();
    assert!(status.is_ok_and(|status| status.success()), "{line}");
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

fn request(interface: &str, command: u32, on: bool) -> nix::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = Value { command, data: u32::from(on) };
    let name = nix::net::if_::if_nametoindex(interface).map(|_| interface.as_bytes())?;
    // SAFETY: all zeros are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (target, byte) in request.ifr_name.iter_mut().zip(name) {
        *target = byte.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value it points to live until the call returns.
    let code = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    nix::errno::Errno::result(code).map(drop)
}
