//! What is said between the daemon and the process that keeps descriptors: single packets over a Unix socket, in the words of
//! systemd's descriptor store where it has them. Both sides may be of different versions of this program, so that the
//! words stay as they are.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Asks for everything that is kept: one packet each, and [`END`].
pub(super) const LIST: &str = "LIST=1";
/// The end of what is kept.
pub(super) const END: &str = "END=1";
/// Ends the process.
pub(super) const QUIT: &str = "QUIT=1";

const STORE: &str = "FDSTORE=1\nFDNAME=";
const REMOVE: &str = "FDSTOREREMOVE=1\nFDNAME=";
/// No packet is longer.
const LONGEST: usize = 128;

/// A packet that came.
#[derive(Debug)]
pub(super) enum Packet {
    /// Keep this descriptor; or here it is.
    Store(u32, OwnedFd),
    /// Let go of it.
    Remove(u32),
    List,
    End,
    Quit,
    /// Something newer, or nonsense.
    Other,
    /// The other side has gone.
    Gone,
}

/// To keep a descriptor, which goes with it.
pub(super) fn store(name: u32) -> String {
    format!("{STORE}{name}")
}

/// To let go of it.
pub(super) fn remove(name: u32) -> String {
    format!("{REMOVE}{name}")
}

pub(super) fn send(socket: impl AsFd, text: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(descriptor) = &descriptor {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(descriptor)));
    }
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

pub(super) fn receive(socket: impl AsFd) -> io::Result<Packet> {
    let mut text = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = ancillary.drain().find_map(|message| {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message { descriptors.next() } else { None }
    });
    let text = std::str::from_utf8(text.get(..received.bytes).unwrap_or_default()).unwrap_or_default();
    if received.bytes == 0 {
        return Ok(Packet::Gone);
    }
    Ok(match (text, descriptor) {
        (LIST, _) => Packet::List,
        (END, _) => Packet::End,
        (QUIT, _) => Packet::Quit,
        (text, Some(descriptor)) => {
            number(text, STORE).map_or(Packet::Other, |name| Packet::Store(name, descriptor))
        }
        (text, None) => number(text, REMOVE).map_or(Packet::Other, Packet::Remove),
    })
}

fn number(text: &str, words: &str) -> Option<u32> {
    text.strip_prefix(words)?.parse().ok()
}
