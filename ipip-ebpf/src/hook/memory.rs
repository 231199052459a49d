//! Packet memory between `data` and `data_end`, read and written in words.

use core::arch::asm;

/// The directly accessible part of a packet, from its network header on.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The largest offset that is asked for: two IPv4 headers, a TCP header, all with options, and some.
const FARTHEST: u32 = 0xff;

impl Memory {
    /// What lies between two fields of the context: the bytes at `DATA` and `END` in it.
    ///
    /// The fields are 32 bits wide and the verifier makes pointers of them. Where Rust widens them, LLVM likes to do so
    /// behind a branch, by shifts that the verifier refuses ("pointer arithmetic on `pkt_end` prohibited").
    ///
    /// # Safety
    /// `ctx` is the context of the running program.
    #[inline(always)]
    pub(crate) unsafe fn between<T, const DATA: usize, const END: usize>(ctx: *const T) -> Self {
        let (start, end);
        // SAFETY: two loads from the context, which the caller vouches for.
        unsafe {
            asm!(
                "{start} = *(u32 *)({ctx} + {data})",
                "{end} = *(u32 *)({ctx} + {data_end})",
                ctx = in(reg) ctx,
                start = out(reg) start,
                end = lateout(reg) end,
                data = const DATA,
                data_end = const END,
                options(readonly, nostack, preserves_flags),
            );
        }
        Self { start, end }
    }

    /// Where `T` stands at `at`, if all of it is there.
    #[inline(always)]
    fn place<T>(self, at: u32) -> Option<*mut T> {
        if at > FARTHEST {
            return None;
        }
        let place = self.start + at as usize;
        // The verifier wants to see the packet pointer itself compared with data_end.
        if place + size_of::<T>() > self.end { None } else { Some(place as *mut T) }
    }

    /// Reads a value as it stands. `T` is an integer or an array of integers.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, at: u32) -> Option<T> {
        // SAFETY: `place` has compared the whole of T with data_end, and the programs' targets read
        // unaligned words.
        self.place::<T>(at).map(|place| unsafe { *place })
    }

    /// Writes a value. `T` is an integer or an array of integers.
    #[inline(always)]
    pub(crate) fn write<T>(self, at: u32, value: T) -> Option<()> {
        // SAFETY: as in `read`.
        self.place::<T>(at).map(|place| unsafe { *place = value })
    }

    #[inline(always)]
    pub(crate) fn words<const N: usize>(self, at: u32) -> Option<[u32; N]> {
        let mut words: [u32; N] = self.read(at)?;
        for word in &mut words {
            *word = u32::from_be(*word);
        }
        Some(words)
    }

    #[inline(always)]
    pub(crate) fn put_words<const N: usize>(self, at: u32, mut words: [u32; N]) -> Option<()> {
        for word in &mut words {
            *word = word.to_be();
        }
        self.write(at, words)
    }
}
