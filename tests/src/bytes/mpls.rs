//! Labelled packets, byte by byte (RFC 3032 2.1).

use super::LABEL_THERE;

/// An entry of a label stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Label, 20 bits.
    pub label: u32,
    /// Traffic class, 3 bits (RFC 5462).
    pub class: u8,
    /// Time to live.
    pub ttl: u8,
}

/// A labelled packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The stack, top first.
    pub entries: Vec<Entry>,
    /// What is underneath.
    pub payload: Vec<u8>,
    /// Whether the last entry says that it is the last.
    pub has_bottom: bool,
}

impl Labelled {
    /// A packet under the label that leads into the tunnel.
    pub fn new(payload: &[u8]) -> Self {
        let entries = vec![Entry { label: LABEL_THERE, class: 0, ttl: 64 }];
        Self { entries, payload: payload.to_vec(), has_bottom: true }
    }

    /// The packet with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The packet with so many more labels underneath the top one.
    #[must_use]
    pub fn deeper(self, labels: u32) -> Self {
        self.with(|packet| {
            packet.entries.extend((0..labels).map(|number| Entry { label: 1000 + number, class: 5, ttl: 9 }));
        })
    }

    /// The packet as a label switching router sends it on: in the world of the cases a label leaves as one hundred more.
    #[must_use]
    pub fn forwarded(self) -> Self {
        self.with(|packet| {
            packet.entries[0].ttl -= 1;
            packet.entries[0].label += 100;
        })
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let last = self.entries.len() - 1;
        let entry = |(at, entry): (usize, &Entry)| {
            let bottom = u32::from(at == last && self.has_bottom);
            (entry.label << 12 | u32::from(entry.class) << 9 | bottom << 8 | u32::from(entry.ttl))
                .to_be_bytes()
        };
        let stack = self.entries.iter().enumerate().flat_map(entry);
        stack.chain(self.payload.iter().copied()).collect()
    }
}
