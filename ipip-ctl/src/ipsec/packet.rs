//! A packet in the daemon's memory, with room in front of it for an outer header.

use ipip_common::abi::{Carried, Family, Reason};
use ipip_common::frame::Frame;
use ipip_common::packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, checksum};
use ipip_common::verdict::Hop;

use crate::tun::{OFFLOAD_HEADER, READ_MAX};

/// Bytes of the longest outer header.
const OUTER_MAX: usize = 40 + 8;
/// Where a packet begins that is read.
const START: usize = OUTER_MAX + OFFLOAD_HEADER;

/// One packet. The buffer is kept for the next one.
#[derive(Debug)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    ethertype: u16,
}

impl Packet {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; START + READ_MAX], start: START, end: START, ethertype: 0 }
    }

    /// Where a packet that begins with `front` bytes of something else may be read to.
    pub(super) fn room(&mut self, front: usize) -> &mut [u8] {
        self.bytes.get_mut(START - front..).unwrap_or_default()
    }

    /// The `front` bytes in front of the packet that was read.
    pub(super) fn front(&self, front: usize) -> &[u8] {
        self.bytes.get(START - front..START).unwrap_or_default()
    }

    /// Takes over what was read: `length` bytes, behind those in front.
    pub(super) fn take(&mut self, length: usize) {
        (self.start, self.end) = (START, (START + length).min(self.bytes.len()));
        self.find_version();
    }

    /// Puts a header in front, whose place is known to be there.
    pub(super) fn put_front(&mut self, header: &[u8]) {
        self.start = self.start.saturating_sub(header.len());
        if let Some(place) = self.bytes.get_mut(self.start..self.start + header.len()) {
            place.copy_from_slice(header);
        }
        self.find_version();
    }

    fn find_version(&mut self) {
        self.ethertype = match self.bytes.get(self.start).map(|first| first >> 4) {
            Some(4) => ETHERTYPE_IPV4,
            Some(6) => ETHERTYPE_IPV6,
            _ => 0,
        };
    }

    /// The packet, from its first header on.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The packet as the interface takes it: behind an offload header that asks for nothing.
    pub(super) fn for_interface(&mut self) -> &[u8] {
        let Some(begin) = self.start.checked_sub(OFFLOAD_HEADER) else { return &[] };
        if let Some(header) = self.bytes.get_mut(begin..self.start) {
            header.fill(0);
        }
        self.bytes.get(begin..self.end).unwrap_or_default()
    }

    fn get(&self, at: u32, count: usize) -> Option<&[u8]> {
        let at = usize::try_from(at).ok()?;
        self.bytes().get(at..at.checked_add(count)?)
    }

    fn put(&mut self, at: u32, value: &[u8]) -> Option<()> {
        let begin = self.start.checked_add(usize::try_from(at).ok()?)?;
        let end = begin.checked_add(value.len()).filter(|end| *end <= self.end)?;
        self.bytes.get_mut(begin..end)?.copy_from_slice(value);
        Some(())
    }
}

impl Frame for Packet {
    fn ethertype(&self) -> u16 {
        self.ethertype
    }

    fn length(&self) -> u32 {
        u32::try_from(self.end - self.start).unwrap_or(u32::MAX)
    }

    fn segments(&self) -> u32 {
        1
    }

    fn pull(&mut self, _bytes: u32) {}

    fn byte(&self, at: u32) -> Option<u8> {
        self.get(at, 1)?.first().copied()
    }

    fn half(&self, at: u32) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(at, 2)?.try_into().ok()?))
    }

    fn words<const N: usize>(&self, at: u32) -> Option<[u32; N]> {
        let bytes = self.get(at, 4 * N)?;
        let mut words = [0; N];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*chunk);
        }
        Some(words)
    }

    fn put_half(&mut self, at: u32, value: u16) -> Option<()> {
        self.put(at, &value.to_be_bytes())
    }

    fn put_words<const N: usize>(&mut self, at: u32, values: [u32; N]) -> Option<()> {
        self.get(at, 4 * N)?;
        values
            .into_iter()
            .zip((at..).step_by(4))
            .try_for_each(|(value, at)| self.put(at, &value.to_be_bytes()))
    }

    fn mend_transport_sum(&mut self, checksum_at: u32, old: u16, new: u16) -> Option<()> {
        let field = self.half(checksum_at)?;
        self.put_half(checksum_at, checksum::update(field, old, new))
    }

    fn trim(&mut self, length: u32) -> Result<(), Reason> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.end = self.end.min(self.start.saturating_add(length));
        Ok(())
    }

    fn push_front(&mut self, bytes: u32, _family: Family) -> Result<(), Reason> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.start = self.start.checked_sub(bytes).ok_or(Reason::NoRoom)?;
        Ok(())
    }

    fn pull_front(&mut self, bytes: u32, _family: Family, _inner: Carried) -> Result<(), Reason> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let start = self.start.checked_add(bytes).filter(|start| *start <= self.end);
        self.start = start.ok_or(Reason::NoRoom)?;
        Ok(())
    }

    fn put_link(&mut self, _hop: &Hop, ethertype: u16) -> Option<()> {
        self.ethertype = ethertype;
        Some(())
    }
}
