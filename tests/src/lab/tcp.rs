//! What the kernel tells of a TCP connection, and how fast it may send.

use std::io;
use std::mem::size_of;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

/// The first fields of `struct tcp_info` (linux/tcp.h), which has grown at its end over the years.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Info {
    states: [u8; 8],
    before: [u32; 23],
    total_retrans: u32,
    rates: [u64; 4],
    segs_out: u32,
    segs_in: u32,
}

/// What a connection's end has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segments {
    /// Packets sent, whatever was in them, without a SYN-ACK.
    pub(super) sent: u64,
    /// How many of them were sent again.
    pub(super) again: u64,
}

/// Asks what this end has sent so far; also when the connection is closed.
pub(super) fn segments(stream: &TcpStream) -> io::Result<Segments> {
    let mut info = Info::default();
    let mut length = libc::socklen_t::try_from(size_of::<Info>()).map_err(io::Error::other)?;
    let at = (&raw mut info).cast();
    // SAFETY: the kernel writes at most `length` bytes to the structure, for which any bytes are valid.
    let code = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, at, &raw mut length)
    };
    nix::errno::Errno::result(code)?;
    Ok(Segments { sent: info.segs_out.into(), again: info.total_retrans.into() })
}

/// Lets a connection send at most so many bytes a second, evenly.
pub(super) fn pace(stream: &TcpStream, rate: u32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<u32>()).map_err(io::Error::other)?;
    let at = (&raw const rate).cast();
    // SAFETY: the kernel reads the four bytes of `rate`.
    let code = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, at, length)
    };
    nix::errno::Errno::result(code)?;
    Ok(())
}
