//! The raw sockets of a tunnel, one for each protocol that it carries. The kernel builds and takes apart the outer IP
//! header, fragments and reassembles, and applies IPsec in between.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::{Mutex, PoisonError};

use ipip_common::abi::{Ends, Family};
use ipip_common::packet::ipv6::next_header;
use nix::libc::{self, c_int};
use socket2::{Domain, Protocol, Socket, Type};

use super::control::Control;
use super::packet::Packet;
use super::policy::{Direction, policy};

/// Bytes that may wait in each direction.
const WAITING: usize = 4 << 20;
/// Bytes of an IPv4 header without options, and of an IPv6 header.
const IPV4: usize = 20;
const IPV6: usize = 40;
/// Bytes of the destination options that hold an encapsulation limit.
const LIMIT: usize = 8;

/// A raw socket between the ends of a tunnel.
#[derive(Debug)]
pub(super) struct Raw {
    socket: Socket,
    ends: Ends,
    protocol: u8,
    /// Whether packets go with DF now; held while one is sent.
    has_df: Mutex<bool>,
}

impl Raw {
    /// Opens a socket that neither sends nor receives anything but by IPsec, with the keys of this request.
    pub(super) fn open(ends: Ends, protocol: u8, request_id: u32) -> io::Result<Self> {
        let family = ends.family();
        let domain = if matches!(family, Family::V4) { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
        let raw = Self { socket, ends, protocol, has_df: Mutex::new(false) };
        raw.socket.set_nonblocking(true)?;
        raw.set_number(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, WAITING)
            .or_else(|_| raw.socket.set_send_buffer_size(WAITING))?;
        raw.set_number(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, WAITING)
            .or_else(|_| raw.socket.set_recv_buffer_size(WAITING))?;
        match family {
            Family::V4 => raw.set_df(false)?,
            Family::V6 => {
                raw.set_number(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
                raw.set_number(libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO_SEND, 1)?;
                let fragments = usize::try_from(libc::IPV6_PMTUDISC_DONT).unwrap_or_default();
                raw.set_number(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, fragments)?;
            }
        }
        raw.socket.bind(&SocketAddr::new(ends.local(), 0).into())?;
        // With a policy the kernel would want the keys for that.
        raw.socket.connect(&SocketAddr::new(ends.remote(), 0).into())?;
        for direction in [Direction::In, Direction::Out] {
            let (level, name) = match family {
                Family::V4 => (libc::IPPROTO_IP, libc::IP_XFRM_POLICY),
                Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_XFRM_POLICY),
            };
            raw.set(level, name, &policy(direction, family, request_id))?;
        }
        // What came before, from anybody and unprotected.
        let mut nothing = Packet::new();
        while raw.receive(&mut nothing).is_ok() {}
        Ok(raw)
    }

    /// The protocol that it carries.
    pub(super) const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Sends a packet with its outer header, which the kernel makes anew of what it says.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let mut control = Control::new();
        let mut df = self.has_df.lock().unwrap_or_else(PoisonError::into_inner);
        let (payload, label) = match self.ends.family() {
            Family::V4 => {
                let header = packet.get(..IPV4).ok_or(io::ErrorKind::InvalidInput)?;
                let byte = |at: usize| header.get(at).copied().unwrap_or_default();
                let has_df = byte(6) & 0x40 != 0;
                if has_df != *df {
                    self.set_df(has_df)?;
                    *df = has_df;
                }
                control.put(libc::IPPROTO_IP, libc::IP_TOS, &c_int::from(byte(1)).to_ne_bytes());
                control.put(libc::IPPROTO_IP, libc::IP_TTL, &c_int::from(byte(8)).to_ne_bytes());
                (packet.get(IPV4..), 0)
            }
            Family::V6 => {
                let header = packet.get(..IPV6).ok_or(io::ErrorKind::InvalidInput)?;
                let byte = |at: usize| header.get(at).copied().unwrap_or_default();
                let first = u32::from_be_bytes([byte(0), byte(1), byte(2), byte(3)]);
                let class = c_int::try_from(first >> 20 & 0xff).unwrap_or_default();
                control.put(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class.to_ne_bytes());
                control.put(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &c_int::from(byte(7)).to_ne_bytes());
                let mut length = IPV6;
                if byte(6) == next_header::DESTINATION {
                    length += LIMIT;
                    let limit = packet.get(IPV6..length).ok_or(io::ErrorKind::InvalidInput)?;
                    control.put(libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, limit);
                }
                (packet.get(length..), first & 0xf_ffff)
            }
        };
        self.send_message(payload.unwrap_or_default(), label, &mut control)
    }

    fn send_message(&self, payload: &[u8], label: u32, control: &mut Control) -> io::Result<()> {
        let mut part = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        // SAFETY: a message header and an address of zeros are valid ones.
        let (mut message, mut to): (libc::msghdr, libc::sockaddr_in6) = unsafe { std::mem::zeroed() };
        if let IpAddr::V6(remote) = self.ends.remote() {
            to.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or_default();
            to.sin6_addr.s6_addr = remote.octets();
            to.sin6_flowinfo = label.to_be();
            message.msg_name = (&raw mut to).cast();
            message.msg_namelen = u32::try_from(size_of::<libc::sockaddr_in6>()).unwrap_or_default();
        }
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let (start, length) = control.filled();
        message.msg_control = start;
        message.msg_controllen = length as _;
        // SAFETY: all that the message points at outlives the call, which writes to none of it.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Receives a packet, with its outer header.
    pub(super) fn receive(&self, packet: &mut Packet) -> io::Result<()> {
        let mut control = Control::new();
        let room = packet.room(0);
        let mut part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        // SAFETY: a message header of zeros is a valid one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let (start, length) = control.room();
        message.msg_control = start;
        message.msg_controllen = length as _;
        // SAFETY: all that the message points at outlives the call, and is the room that it says.
        let received =
            unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        packet.take(length);
        if let (IpAddr::V6(local), IpAddr::V6(remote)) = (self.ends.local(), self.ends.remote()) {
            let class = control
                .number(message.msg_controllen as usize, libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
                .unwrap_or_default();
            // The kernel keeps the header for itself, and the extensions, which it has dealt with.
            let first = 6 << 28 | u32::try_from(class & 0xff).unwrap_or_default() << 20;
            let length = u16::try_from(length).unwrap_or(u16::MAX);
            let mut header = [0; IPV6];
            header[..4].copy_from_slice(&first.to_be_bytes());
            header[4..6].copy_from_slice(&length.to_be_bytes());
            (header[6], header[7]) = (self.protocol, 64);
            header[8..24].copy_from_slice(&remote.octets());
            header[24..].copy_from_slice(&local.octets());
            packet.put_front(&header);
        }
        Ok(())
    }

    fn set_df(&self, on: bool) -> io::Result<()> {
        let mode = if on { libc::IP_PMTUDISC_DO } else { libc::IP_PMTUDISC_DONT };
        self.set_number(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, usize::try_from(mode).unwrap_or_default())
    }

    fn set_number(&self, level: c_int, name: c_int, value: usize) -> io::Result<()> {
        self.set(level, name, &c_int::try_from(value).unwrap_or(c_int::MAX).to_ne_bytes())
    }

    fn set(&self, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
        let length = u32::try_from(value.len()).unwrap_or_default();
        // SAFETY: the kernel reads so many bytes, which are there.
        let done =
            unsafe { libc::setsockopt(self.socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl std::os::fd::AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
