//! The memory of a ring: mapped from the kernel, or on the heap for tests and fuzz targets.
//!
//! This is the only module of the program that reads memory by address. Every access is checked
//! against the length.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

/// Memory that the producer may write to at any time. It starts with a 64-bit position.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    len: usize,
    /// What keeps the memory; `None` for a mapping.
    heap: Option<Arc<[AtomicU64]>>,
}

impl Memory {
    /// Maps a part of a file.
    pub(super) fn map(
        file: impl AsFd,
        len: usize,
        offset: u64,
        access: ProtFlags,
    ) -> io::Result<Self> {
        if len < size_of::<AtomicU64>() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: without a wanted address the system chooses one where nothing is.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, offset)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, heap: None })
    }

    /// Shares these words, of which there must be one.
    pub(super) fn heap(words: Arc<[AtomicU64]>) -> io::Result<Self> {
        if words.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = size_of_val(&*words);
        Ok(Self { start: NonNull::from(&*words).cast(), len, heap: Some(words) })
    }

    /// The position at the start.
    pub(super) fn position(&self) -> &AtomicU64 {
        // SAFETY: a mapping begins at a page and an array of words at a word, both hold 8 bytes,
        // and both live as long as `self`.
        unsafe { self.start.cast().as_ref() }
    }

    /// The 32-bit word here; 0 outside the memory and where none can be.
    pub(super) fn word(&self, at: usize) -> u32 {
        let is_inside = at.checked_add(4).is_some_and(|end| end <= self.len);
        if !is_inside || !at.is_multiple_of(4) {
            return 0;
        }
        // SAFETY: the word is inside the memory, which lives as long as `self`, and it is aligned.
        // Writers access it atomically.
        let word = unsafe { self.start.byte_add(at).cast::<AtomicU32>().as_ref() };
        word.load(Ordering::Acquire)
    }

    /// These bytes, as far as they are inside the memory.
    ///
    /// # Safety
    /// They must not be written to while they are borrowed.
    pub(super) unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        let at = at.min(self.len);
        let len = len.min(self.len - at);
        // SAFETY: `at + len` is at most the length of the memory, which lives as long as `self`;
        // the caller keeps it from being written to.
        unsafe { slice::from_raw_parts(self.start.byte_add(at).as_ptr(), len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.heap.is_none() {
            // SAFETY: `map` made this mapping, and nothing borrows from it any more. Unmapping a
            // mapping cannot fail.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}

// SAFETY: the memory belongs to no thread, and all access to it but by atomics goes through `&mut
// Ring`.
unsafe impl Send for Memory {}
