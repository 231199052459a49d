//! IPv6 extension headers, byte by byte (RFC 8200 4).

/// An extension header, as whoever stands in front of it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its number.
    pub number: u8,
    /// Its bytes; the first is that of the next header.
    bytes: Vec<u8>,
}

impl Extension {
    /// Any header: what follows its first byte.
    pub fn new(number: u8, rest: &[u8]) -> Self {
        Self { number, bytes: [&[0], rest].concat() }
    }

    /// Hop-by-hop options, filled up with `PadN` to whole units of 8 bytes.
    pub fn hop_by_hop(options: &[u8]) -> Self {
        Self::options(0, options)
    }

    /// Destination options, filled up in the same way.
    pub fn destination(options: &[u8]) -> Self {
        Self::options(60, options)
    }

    /// Destination options with a Tunnel Encapsulation Limit alone: 8 bytes (RFC 2473 4.1.1 and 5.1).
    pub fn limit(value: u8) -> Self {
        Self::new(60, &[0, 4, 1, value, 1, 1, 0])
    }

    /// A routing header of an unknown type, with nothing left to visit.
    pub fn routing() -> Self {
        Self::new(43, &[0, 253, 0, 0, 0, 0, 0])
    }

    /// A fragment header; the offset counts units of 8 bytes.
    pub fn fragment(offset: u16, more: bool) -> Self {
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        Self::new(44, &[0, high, low, 0xca, 0xfe, 0xba, 0xbe])
    }

    fn options(number: u8, options: &[u8]) -> Self {
        let mut bytes = [&[0, 0], options].concat();
        let missing = bytes.len().next_multiple_of(8) - bytes.len();
        match missing {
            0 => (),
            1 => bytes.push(0),
            _ => bytes
                .extend([&[1, u8::try_from(missing - 2).unwrap()], vec![0; missing - 2].as_slice()].concat()),
        }
        bytes[1] = u8::try_from(bytes.len() / 8 - 1).unwrap();
        Self { number, bytes }
    }

    /// The bytes on the wire in front of a header with this number.
    pub(super) fn in_front_of(&self, next: u8) -> Vec<u8> {
        [&[next], &self.bytes[1..]].concat()
    }
}
