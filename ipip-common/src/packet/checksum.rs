//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Sums are taken over 16-bit words in host order, which gives the stored field in host order: the one's
//! complement sum does not care about byte order as long as every term has the same (RFC 1071 2B).
//! Two values that must not be confused have two names: a *sum* is the running one's complement sum, a
//! *checksum* is what stands in a header, the complement of the folded sum.

use super::flow::Flow;

/// Adds the two halves of a word to a running sum. No carry is lost for up to 2^15 words.
#[must_use]
#[inline(always)]
pub const fn add_word(sum: u32, word: u32) -> u32 {
    sum.wrapping_add(word >> 16).wrapping_add(word & 0xffff)
}

/// Sums whole words: 2^16 is 1 in this arithmetic, so that halves need not be told apart before the end. The words may
/// all stand in either byte order; the folded sum then does too (RFC 1071 2B).
#[must_use]
#[inline(always)]
pub const fn fold_words(sum: u64) -> u16 {
    let sum = (sum >> 32).wrapping_add(sum & 0xffff_ffff);
    let sum = (sum >> 16).wrapping_add(sum & 0xffff);
    let sum = (sum >> 16).wrapping_add(sum & 0xffff);
    ((sum >> 16).wrapping_add(sum & 0xffff) & 0xffff) as u16
}

/// Whether the sum of a header's words is that of a right one: all ones. The same as folding it with [`fold_words`], in one
/// step: it is a multiple of 0xffff and not zero, which no header's is.
///
/// A number is a multiple of an odd one if its product with the inverse (modulo 2^64) is no more than the quotient of the
/// largest number (Warren, Hacker's Delight, 10-17). 0xffff times the word below is 2^64 - 1: it is the quotient, and less
/// than zero it is the inverse.
#[must_use]
#[inline(always)]
pub const fn is_all_ones(sum: u64) -> bool {
    const QUOTIENT: u64 = 0x0001_0001_0001_0001;
    sum.wrapping_mul(QUOTIENT).wrapping_neg() <= QUOTIENT
}

/// The checksum field of an IPv4 header after its TTL became one less, as the field stands in memory on a little-endian
/// processor: there the TTL is the lower half of its word. The same as [`update`].
#[must_use]
#[inline(always)]
pub const fn after_hop(checksum: u16) -> u16 {
    let sum = (checksum as u32).wrapping_add(1);
    sum.wrapping_add(sum.wrapping_add(1) >> 16) as u16
}

/// Folds the carries of a running sum into 16 bits.
#[must_use]
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum >> 16).wrapping_add(sum & 0xffff);
    ((once >> 16).wrapping_add(once & 0xffff) & 0xffff) as u16
}

/// The header field for a running sum.
#[must_use]
#[inline(always)]
pub const fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// The same for the sum of a few halves, below 2^19: its carries and the one that they make are added at once.
#[must_use]
#[inline(always)]
pub const fn finish_few(sum: u32) -> u16 {
    let carries = sum.wrapping_add(sum >> 16) >> 16;
    !(sum.wrapping_add(carries) as u16)
}

/// The checksum field after a 16-bit word it covers changed from `old` to `new`: RFC 1624 equation 3,
/// `HC' = ~(~HC + ~m + m')`, which keeps 0x0000 and 0xffff apart where equation 2 of RFC 1141 does not.
#[must_use]
#[inline(always)]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    finish((!checksum as u32).wrapping_add(!old as u32).wrapping_add(new as u32))
}

/// The sum over the pseudo-header (RFC 9293 3.1, RFC 8200 8.1): addresses, protocol, transport length. Folded, this
/// is also what a sender leaves in the field when an offload is to add the rest.
#[must_use]
#[inline(always)]
pub const fn pseudo_header_sum(flow: &Flow, protocol: u8, length: u32) -> u32 {
    let [a, b, c, d] = flow.source;
    let [e, f, g, h] = flow.destination;
    let sum = add_word(add_word(add_word(add_word(0, a), b), c), d);
    let sum = add_word(add_word(add_word(add_word(sum, e), f), g), h);
    add_word(sum.wrapping_add(protocol as u32), length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(bytes: &[u8]) -> std::vec::Vec<u16> {
        bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    fn full(words: &[u16]) -> u16 {
        finish(words.iter().fold(0, |sum, word| add_word(sum, u32::from(*word))))
    }

    #[test]
    fn carries_of_whole_words_are_kept() {
        for words in
            [[u32::MAX; 5], [0xffff_0000; 5], [1, 0, 0, 0, 0], [0; 5], [0xffff, 0xffff_ffff, 0, 1, 0]]
        {
            let sum = words.into_iter().fold(0_u64, |sum, word| sum + u64::from(word));
            assert_eq!(fold_words(sum), fold(words.into_iter().fold(0, add_word)), "{words:x?}");
            assert!(sum == 0 || is_all_ones(sum) == (fold_words(sum) == 0xffff), "{words:x?}");
        }
    }

    #[test]
    fn sum_of_rfc_1071_section_3() {
        // RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
        let sum = [0x0001_f203, 0xf4f5_f6f7].into_iter().fold(0, add_word);
        assert_eq!(fold(sum), 0xddf2);
    }

    #[test]
    fn a_few_halves_finish_like_many() {
        for sum in 0..1 << 19 {
            assert_eq!(finish_few(sum), finish(sum), "{sum:#x}");
        }
    }

    // conformance: C3
    #[test]
    fn a_hop_is_an_update() {
        for checksum in 0..=u16::MAX {
            assert_eq!(after_hop(checksum), update(checksum, 1, 0), "{checksum:#x}");
        }
    }

    // conformance: C3
    #[test]
    fn update_of_rfc_1624_section_4() {
        // RFC 1624 section 4: HC = DD2F, m = 5555, m' = 3285 gives 0000 and not FFFF.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        // conformance: C3
        #[test]
        fn incremental_is_full(mut bytes in prop::collection::vec(any::<u8>(), 20), at in 0_usize..10, new in any::<u16>()) {
            bytes[0] |= 0x40; // A header is never all zero; RFC 1624 excludes that case.
            let mut header = words(&bytes);
            prop_assume!(at != 0);
            let before = full(&header);
            let after = update(before, header[at], new);
            header[at] = new;
            prop_assert_eq!(after, full(&header));
        }

        #[test]
        fn a_right_header_is_all_ones(words in prop::array::uniform5(any::<u32>())) {
            let sum: u64 = words.into_iter().map(u64::from).sum();
            prop_assume!(sum != 0);
            prop_assert_eq!(is_all_ones(sum), fold_words(sum) == 0xffff);
            let missing = u64::from(!fold_words(sum));
            prop_assert!(is_all_ones(sum.wrapping_add(missing)));
        }

        #[test]
        fn all_ones_are_multiples(sum in 1..=u64::MAX, few in 0..=0x0001_0001_0001_0001_u64) {
            prop_assert_eq!(is_all_ones(sum), sum % 0xffff == 0);
            prop_assert!(few == 0 || is_all_ones(few.wrapping_mul(0xffff)));
        }

        #[test]
        fn full_agrees_with_etherparse(bytes in prop::collection::vec(any::<u8>(), 40)) {
            let theirs = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes).ones_complement();
            prop_assert_eq!(full(&words(&bytes)), theirs.to_be());
        }
    }
}
