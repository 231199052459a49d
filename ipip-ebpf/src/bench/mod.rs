//! Programs of the benchmark: floors, and wrappers that run the real program again and again on the same packet.
//!
//! `BPF_PROG_TEST_RUN` runs a program again on its own output, so that one that pushes a header soon has no room left and
//! measures its own failure. Each wrapper therefore calls what is measured as a function, and then puts the packet back. A
//! base wrapper that calls nothing is what has to be subtracted.
#![expect(clippy::needless_pass_by_value, reason = "the macros of aya hand the context over")]

mod floor;
mod packet;
mod price;
mod rig;
mod timed;

use core::cell::UnsafeCell;

use aya_ebpf::{
    btf_maps::{Array, HashMap},
    macros::btf_map,
};

/// What the packet looks like before each run, in words as they stand in memory.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Original {
    /// The first bytes of the frame.
    pub(crate) words: [u64; 16],
}

/// Settings of a run.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    /// Bytes by which the head is moved to put the packet back: the length of the outer header, negative after
    /// decapsulation.
    pub(crate) undo: i32,
    /// Interface that the generator and the floors send to.
    pub(crate) ifindex: u32,
    /// Keys that are gone through; a power of two less one.
    pub(crate) mask: u32,
    /// Zero.
    pub(crate) stay: i32,
}

#[btf_map]
pub(crate) static ORIGINAL: Array<Original, 1> = Array::new();

#[btf_map]
pub(crate) static SETTING: Array<Setting, 1> = Array::new();

/// What a hash lookup costs by itself.
#[btf_map]
pub(crate) static PRICE: HashMap<u32, u64, 1> = HashMap::new();

/// Packets that reached the end of a rig, on this CPU.
#[btf_map]
pub(crate) static ARRIVED: Array<u64, 1> = Array::new();

/// The state of the generator of keys.
#[unsafe(no_mangle)]
pub(crate) static SEED: Seed = Seed(UnsafeCell::new(1));

/// A word that only one CPU uses at a time.
#[repr(transparent)]
pub(crate) struct Seed(UnsafeCell<u32>);

// SAFETY: the benchmark runs on one CPU.
unsafe impl Sync for Seed {}

impl Seed {
    /// The next number of a linear congruential generator (Knuth, TAOCP 3.3.4; the constants are those of Numerical Recipes).
    #[inline(always)]
    pub(crate) fn next(&self) -> u32 {
        // SAFETY: as for `Sync`.
        unsafe {
            let next = self.0.get().read_volatile().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.0.get().write_volatile(next);
            next
        }
    }
}
