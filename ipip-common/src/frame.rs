//! A packet that can be read and changed: the port between the paths and a hook.

use crate::{
    abi::{Carried, Family, Reason},
    verdict::Hop,
};

/// One packet. Offsets count from the network header. Values are in host order; the frame turns them into wire
/// order. It deals in words, because a byte array of more than a word or two becomes a call to a copy
/// loop in BPF (docs/adr/0002-frames-speak-in-words.md).
///
/// Reads and writes return `None` outside of the packet's directly readable part.
pub trait Frame {
    /// The EtherType of what stands at the network header.
    fn ethertype(&self) -> u16;
    /// Bytes from the network header to the end, link padding included.
    fn length(&self) -> u32;
    /// How many packets leave in the end: more than one for a segmentation-offload packet.
    fn segments(&self) -> u32;
    /// Makes the first `bytes` readable if the packet has them.
    fn pull(&mut self, bytes: u32);

    /// Reads one byte.
    fn byte(&self, at: u32) -> Option<u8>;
    /// Reads 16 bits.
    fn half(&self, at: u32) -> Option<u16>;
    /// Reads `N` 32-bit words.
    fn words<const N: usize>(&self, at: u32) -> Option<[u32; N]>;

    /// Writes 16 bits.
    fn put_half(&mut self, at: u32, value: u16) -> Option<()>;
    /// Writes `N` 32-bit words.
    fn put_words<const N: usize>(&mut self, at: u32, values: [u32; N]) -> Option<()>;
    /// Mends the transport checksum at `checksum_at` after the 16 bits `old` became `new` (both as the
    /// checksum's arithmetic sees them), unless an offload will compute it anyway.
    fn mend_transport_sum(&mut self, checksum_at: u32, old: u16, new: u16) -> Option<()>;

    /// Cuts link padding: the packet ends `length` bytes after the network header.
    ///
    /// # Errors
    /// The reason under which the packet is refused, when the kernel does not do it.
    fn trim(&mut self, length: u32) -> Result<(), Reason>;
    /// Makes room for an outer header of `bytes` in front of the network header, which becomes the start of that
    /// room. The packet is one of `family` from then on.
    ///
    /// # Errors
    /// `NoRoom` with the packet unchanged, or `Torn`.
    fn push_front(&mut self, bytes: u32, family: Family) -> Result<(), Reason>;
    /// Takes an outer header of `bytes` away, which was of `family`. What remains is of the kind `inner`.
    ///
    /// # Errors
    /// `NoRoom` with the packet unchanged, or `Torn`.
    fn pull_front(&mut self, bytes: u32, family: Family, inner: Carried) -> Result<(), Reason>;
    /// Writes the link header for `hop`.
    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()>;
}

/// A frame with its Ethernet header, in the bytes as they stand in memory. Offsets count from the Ethernet header.
///
/// One look at the end covers many bytes: reads and writes may only follow a [`Raw::has`] that covers them. On the host
/// anything else panics; in the kernel, the verifier does not let such a program in.
pub trait Raw: Frame {
    /// Whether the first `bytes` bytes can be read and written.
    fn has(&self, bytes: usize) -> bool;
    /// Bytes that can be read directly: all of the frame, unless its driver keeps the rest elsewhere.
    fn linear(&self) -> u32;
    /// Reads a byte.
    fn get8(&self, at: usize) -> u8;
    /// Reads two bytes.
    fn get16(&self, at: usize) -> u16;
    /// Reads four bytes.
    fn get32(&self, at: usize) -> u32;
    /// Reads eight bytes.
    fn get64(&self, at: usize) -> u64;
    /// Writes a byte.
    fn put8(&mut self, at: usize, value: u8);
    /// Writes two bytes.
    fn put16(&mut self, at: usize, value: u16);
    /// Writes four bytes.
    fn put32(&mut self, at: usize, value: u32);
    /// Writes eight bytes.
    fn put64(&mut self, at: usize, value: u64);
}
