//! Walking through a list whose elements say how long they are, in a way that the kernel's verifier can follow.

/// The cursor `at`, unchanged. `unknown` is any number from the packet of which no bit is known.
///
/// The verifier knows every way to come to a place of the list by the exact offset there, and checks the rest of the
/// program for each of them again ("BPF program is too large"). Adding and subtracting an unknown number makes it
/// forget; with a mask behind, all ways are one.
#[must_use]
#[inline(always)]
pub fn forget(at: u32, unknown: u32) -> u32 {
    // Without the black box the compiler sees that nothing is added.
    at.wrapping_add(unknown).wrapping_sub(core::hint::black_box(unknown))
}
