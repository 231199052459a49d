//! A packet in memory.

use std::vec::Vec;

use crate::{
    abi::{Carried, Family, Reason},
    frame::{Frame, Raw},
    packet::checksum,
    verdict::{Hop, Way},
};

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// A frame in a vector, with an Ethernet header in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VecFrame {
    /// All bytes, Ethernet header first.
    pub bytes: Vec<u8>,
    /// What [`Frame::segments`] says.
    pub segments: u32,
}

impl VecFrame {
    /// A frame of these bytes; fewer than an Ethernet header's are filled up with zeros.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        if bytes.len() < ETHERNET {
            bytes.resize(ETHERNET, 0);
        }
        Self { bytes, segments: 1 }
    }

    fn get(&self, at: u32, count: usize) -> Option<&[u8]> {
        let start = ETHERNET + at as usize;
        self.bytes.get(start..start + count)
    }

    fn put(&mut self, at: u32, value: &[u8]) -> Option<()> {
        let start = ETHERNET + at as usize;
        self.bytes.get_mut(start..start + value.len())?.copy_from_slice(value);
        Some(())
    }
}

impl Frame for VecFrame {
    fn ethertype(&self) -> u16 {
        u16::from_be_bytes([self.bytes[12], self.bytes[13]])
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len() - ETHERNET).unwrap_or(u32::MAX)
    }

    fn segments(&self) -> u32 {
        self.segments
    }

    fn pull(&mut self, _bytes: u32) {}

    fn byte(&self, at: u32) -> Option<u8> {
        self.get(at, 1).map(|bytes| bytes[0])
    }

    fn half(&self, at: u32) -> Option<u16> {
        self.get(at, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn words<const N: usize>(&self, at: u32) -> Option<[u32; N]> {
        let bytes = self.get(at, 4 * N)?;
        let mut words = [0; N];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        Some(words)
    }

    fn put_half(&mut self, at: u32, value: u16) -> Option<()> {
        self.put(at, &value.to_be_bytes())
    }

    fn put_words<const N: usize>(&mut self, at: u32, values: [u32; N]) -> Option<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        self.put(at, &bytes)
    }

    fn mend_transport_sum(&mut self, checksum_at: u32, old: u16, new: u16) -> Option<()> {
        let field = self.half(checksum_at)?;
        self.put_half(checksum_at, checksum::update(field, old, new))
    }

    fn trim(&mut self, length: u32) -> Result<(), Reason> {
        self.bytes.truncate(ETHERNET + length as usize);
        Ok(())
    }

    fn push_front(&mut self, bytes: u32, _family: Family) -> Result<(), Reason> {
        self.bytes.splice(ETHERNET..ETHERNET, core::iter::repeat_n(0, bytes as usize));
        Ok(())
    }

    fn pull_front(&mut self, bytes: u32, _family: Family, _inner: Carried) -> Result<(), Reason> {
        self.bytes.drain(ETHERNET..ETHERNET + bytes as usize);
        Ok(())
    }

    fn put_link(&mut self, hop: &Hop, ethertype: u16) -> Option<()> {
        if hop.way == Way::Wire {
            for (at, word) in hop.link.words().into_iter().enumerate() {
                self.bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_be_bytes());
            }
        }
        self.bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
        Some(())
    }
}

impl Raw for VecFrame {
    fn has(&self, bytes: usize) -> bool {
        bytes <= self.bytes.len()
    }

    fn linear(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn get8(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    fn get16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.bytes[at..at + 2].try_into().unwrap_or_default())
    }

    fn get32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap_or_default())
    }

    fn get64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes[at..at + 8].try_into().unwrap_or_default())
    }

    fn put8(&mut self, at: usize, value: u8) {
        self.bytes[at] = value;
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn put64(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
}
