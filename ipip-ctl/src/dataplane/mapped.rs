//! An array of the kernel that is mapped into this process: reading and writing a value costs no call.

use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io, slice};

use aya::Pod;
use aya::maps::{Array, IterableMap as _, MapData};
use bytemuck::NoUninit;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::failure::Failure;

/// Bytes of the words that values consist of; the kernel rounds each value up to whole ones.
const WORD: usize = size_of::<u64>();

/// An array of values of whole words, made with `BPF_F_MMAPABLE`. It outlives the descriptor that it was mapped by.
///
/// Each word is read and written at once, and a value word by word, as the calls of the kernel do it too: whoever reads while
/// somebody writes may see some words of both.
pub(super) struct Mapped<V> {
    start: NonNull<AtomicU64>,
    words: usize,
    values: PhantomData<V>,
}

// SAFETY: it owns the mapping, which belongs to no thread, and all access to it is atomic.
unsafe impl<V> Send for Mapped<V> {}
// SAFETY: as above.
unsafe impl<V> Sync for Mapped<V> {}

impl<V> fmt::Debug for Mapped<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("words", &self.words).finish_non_exhaustive()
    }
}

impl<V: Pod + bytemuck::Pod> Mapped<V> {
    /// Words of a value.
    const STRIDE: usize = {
        assert!(size_of::<V>() > 0 && size_of::<V>().is_multiple_of(WORD) && align_of::<V>() == WORD);
        size_of::<V>() / WORD
    };

    /// Maps an array.
    ///
    /// # Errors
    ///
    /// The kernel refuses; it has not been made with `BPF_F_MMAPABLE`.
    pub(super) fn new(name: &str, array: &Array<MapData, V>) -> Result<Self, Failure> {
        Self::map(array.map().fd(), array.len())
            .map_err(|error| Failure::io(format!("mapping {name} into memory"), &error))
    }

    fn map(array: impl AsFd, values: u32) -> io::Result<Self> {
        let words = usize::try_from(values).unwrap_or_default().saturating_mul(Self::STRIDE);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place where nothing is.
        let start =
            unsafe { mmap(ptr::null_mut(), words.saturating_mul(WORD), access, MapFlags::SHARED, array, 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, words, values: PhantomData })
    }

    /// The words of a value; none beyond the end of the array.
    pub(super) fn words(&self, index: u32) -> &[AtomicU64] {
        // SAFETY: the mapping is so long, begins at a page, is there as long as `self`, and nobody has another kind of
        // reference to it. Others write to it, which atomics allow for.
        let all = unsafe { slice::from_raw_parts(self.start.as_ptr(), self.words) };
        let from = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(Self::STRIDE);
        all.get(from..from.saturating_add(Self::STRIDE)).unwrap_or_default()
    }

    /// A value as it is now; zeros beyond the end of the array.
    pub(super) fn load(&self, index: u32) -> V {
        let mut value = V::zeroed();
        let into = bytemuck::cast_slice_mut::<V, u64>(slice::from_mut(&mut value));
        for (into, word) in into.iter_mut().zip(self.words(index)) {
            *into = word.load(Ordering::Acquire);
        }
        value
    }

    /// Writes those words of a value that are others, the first one last. Returns whether there is such a value.
    pub(super) fn store(&self, index: u32, value: &V) -> bool {
        let words = self.words(index);
        for (word, from) in words.iter().zip(words_of(value)).rev() {
            if word.load(Ordering::Relaxed) != *from {
                word.store(*from, Ordering::Release);
            }
        }
        !words.is_empty()
    }
}

impl<V> Drop for Mapped<V> {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and no reference to it outlives `self`.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.words.saturating_mul(WORD)) } {
            log::error!("unmapping an array: {error}");
        }
    }
}

fn words_of<V: NoUninit>(value: &V) -> &[u64] {
    bytemuck::cast_slice(slice::from_ref(value))
}

#[cfg(test)]
mod tests {
    use ipip_common::abi::{Answers, Probing};

    use super::*;

    #[test]
    fn a_value_is_where_the_kernel_has_it_and_outlives_the_descriptor() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096 * 3).unwrap();
        let [first, second] = [(); 2].map(|()| Mapped::<Answers>::map(&file, 100).unwrap());
        drop(file);
        let answers = Answers { count: 1, latest: 2, ways: 3, ..Answers::default() };
        assert!(first.store(99, &answers) && !first.store(100, &answers));
        assert_eq!(
            [second.load(99), second.load(98), second.load(100)],
            [answers, Answers::default(), Answers::default()]
        );
        drop(first);
        assert_eq!(second.words(99)[0].load(Ordering::Relaxed), 1);
        assert!(second.words(100).is_empty() && second.words(u32::MAX).is_empty());
    }

    #[test]
    fn all_words_of_a_value_are_written() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapped = Mapped::<Probing>::map(&file, 2).unwrap();
        let probing = Probing { key: [1, 2], patience_ns: 3, sent: 4, state: 5 };
        assert!(mapped.store(1, &probing));
        assert_eq!((mapped.load(0), mapped.load(1)), (Probing::default(), probing));
        assert!(mapped.store(1, &Probing::default()));
        assert_eq!(mapped.load(1), Probing::default());
    }
}
