//! Control messages (`cmsg(3)`), which say of one packet what the socket does not say of all.

use nix::libc;

const HEADER: usize = size_of::<libc::cmsghdr>();
/// Two numbers and a header of IPv6, each with its own header and padding.
const ROOM: usize = 3 * (HEADER + 8);

/// A buffer of control messages.
#[derive(Debug)]
pub(super) struct Control {
    /// In words, for their alignment.
    words: [u64; ROOM / 8],
    used: usize,
}

impl Control {
    pub(super) const fn new() -> Self {
        Self { words: [0; ROOM / 8], used: 0 }
    }

    /// Adds a message, whose data has 8 bytes at most.
    pub(super) fn put(&mut self, level: i32, kind: i32, data: &[u8]) {
        let header = libc::cmsghdr {
            // SAFETY: plain arithmetic.
            cmsg_len: unsafe { libc::CMSG_LEN(u32::try_from(data.len()).unwrap_or_default()) } as usize,
            cmsg_level: level,
            cmsg_type: kind,
        };
        let mut bytes = [0_u8; HEADER + 8];
        let (length, rest) = bytes.split_at_mut(size_of::<usize>());
        length.copy_from_slice(&header.cmsg_len.to_ne_bytes());
        let (one, other) = rest.split_at_mut(size_of::<i32>());
        one.copy_from_slice(&level.to_ne_bytes());
        let (kind_place, place) = other.split_at_mut(size_of::<i32>());
        kind_place.copy_from_slice(&kind.to_ne_bytes());
        if let Some(place) = place.get_mut(..data.len()) {
            place.copy_from_slice(data);
        }
        let start = self.used / 8;
        for (word, chunk) in self.words.iter_mut().skip(start).zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*chunk);
        }
        self.used = (self.used + HEADER + data.len().next_multiple_of(8)).min(ROOM);
    }

    /// What the kernel is to be told.
    pub(super) const fn filled(&mut self) -> (*mut libc::c_void, usize) {
        (self.words.as_mut_ptr().cast(), self.used)
    }

    /// Where the kernel may write.
    pub(super) const fn room(&mut self) -> (*mut libc::c_void, usize) {
        self.used = 0;
        (self.words.as_mut_ptr().cast(), ROOM)
    }

    /// The number in the message of this kind, where the kernel wrote one in the first `length` bytes.
    pub(super) fn number(&self, length: usize, level: i32, kind: i32) -> Option<i32> {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).take(length).collect();
        let mut rest = bytes.as_slice();
        let int = |bytes: &[u8]| Some(i32::from_ne_bytes(bytes.try_into().ok()?));
        while let Some(header) = rest.get(..HEADER) {
            let size = usize::from_ne_bytes(header.get(..size_of::<usize>())?.try_into().ok()?);
            let at = size_of::<usize>();
            if int(header.get(at..at + 4)?)? == level && int(header.get(at + 4..at + 8)?)? == kind {
                return int(rest.get(HEADER..HEADER + 4)?);
            }
            rest = rest.get(size.max(HEADER).next_multiple_of(8)..)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_again() {
        let mut control = Control::new();
        control.put(0, libc::IP_TTL, &64_i32.to_ne_bytes());
        control.put(41, libc::IPV6_DSTOPTS, &[0, 0, 4, 1, 3, 1, 0, 0]);
        control.put(0, libc::IP_TOS, &0xb8_i32.to_ne_bytes());
        let (_, length) = control.filled();
        assert_eq!(length, 3 * (HEADER + 8));
        assert_eq!(control.number(length, 0, libc::IP_TTL), Some(64));
        assert_eq!(control.number(length, 0, libc::IP_TOS), Some(0xb8));
        assert_eq!(control.number(length, 41, libc::IPV6_TCLASS), None);
        assert_eq!(control.number(HEADER + 8, 0, libc::IP_TOS), None);
    }
}
