//! Reads a BPF ring buffer in place.
//!
//! Positions only grow. The kernel writes a record, then clears its busy bit; we read it where it is, and tell the
//! kernel from time to time how far we are. This is the only module of the program that reads memory by address.
//!
//! The kernel offers the data twice, one behind the other, so that a record that goes over the end lies in one piece.
//! All that is mapped is resident, so we take it once, and put the one record that goes over the end together.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

/// Set while a record is written.
const BUSY: u32 = 1 << 31;
/// Set when it is to be passed over.
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record: its length and a number for the kernel.
const HEADER: u64 = 8;

/// A ring, read by one reader.
#[derive(Debug)]
pub struct Ring {
    consumer: Mapping,
    /// One page with the position up to which there are records, then the data.
    producer: Mapping,
    page: usize,
    size: u64,
    /// Where the next record begins.
    position: u64,
    /// Up to where records were when last asked.
    end: u64,
    /// Up to where the kernel may write again.
    released: u64,
    /// The record that goes over the end of the data, in one piece.
    joined: Vec<u8>,
    /// Which one that is.
    joined_at: Option<u64>,
}

impl Ring {
    /// Maps the ring buffer map behind a file descriptor. `bytes` is its size.
    ///
    /// # Errors
    /// When the size is none a ring can have, or the system refuses.
    pub fn map(map: impl AsFd, bytes: u32) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let size = bytes as usize;
        if !size.is_power_of_two() || !size.is_multiple_of(page) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let writable = ProtFlags::READ | ProtFlags::WRITE;
        let consumer = Mapping::new(&map, page, 0, writable)?;
        let producer = Mapping::new(&map, page + size, page as u64, ProtFlags::READ)?;
        let position = consumer.counter().load(Ordering::Acquire);
        Ok(Self {
            consumer,
            producer,
            page,
            size: size as u64,
            position,
            end: position,
            released: position,
            joined: Vec::new(),
            joined_at: None,
        })
    }

    /// The next record, where it lies. `None` when there is none yet, also while it is being written.
    pub fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.position >= self.end {
                self.end = self.producer.counter().load(Ordering::Acquire);
                if self.position >= self.end {
                    return None;
                }
            }
            let header = self.header();
            if header & BUSY != 0 {
                return None;
            }
            if header & DISCARDED == 0 {
                return Some(self.record(header));
            }
            self.skip(header);
        }
    }

    /// Passes the record that [`Ring::peek`] gives; nothing when it gives none.
    pub fn advance(&mut self) {
        if self.position < self.end {
            let header = self.header();
            if header & BUSY == 0 {
                self.skip(header);
            }
        }
        // The kernel needs room before the ring is read through, and each time we tell it of some
        // both sides wait for memory.
        if self.position - self.released >= self.size / 8 {
            self.release();
        }
    }

    /// Gives everything passed back to the kernel.
    pub fn release(&mut self) {
        if self.released != self.position {
            self.consumer.counter().store(self.position, Ordering::Release);
            self.released = self.position;
        }
    }

    fn skip(&mut self, header: u32) {
        let len = u64::from(header & !(BUSY | DISCARDED));
        self.position += (HEADER + len).next_multiple_of(HEADER);
    }

    /// The first word of the header at the position.
    fn header(&self) -> u32 {
        let at = self.page + (self.position & (self.size - 1)) as usize;
        // SAFETY: `at` is below `page + size` and a multiple of 8, as every record begins at one; the mapping
        // is longer than that, lives as long as `self`, and the kernel writes this word atomically.
        let word = unsafe { self.producer.start.byte_add(at).cast::<AtomicU32>().as_ref() };
        word.load(Ordering::Acquire)
    }

    fn record(&mut self, header: u32) -> &[u8] {
        let len = u64::from(header & !(BUSY | DISCARDED)).min(self.size - HEADER);
        let from = self.position + HEADER;
        let before_end = self.size - (from & (self.size - 1));
        if len <= before_end {
            return self.data(from, len);
        }
        if self.joined_at != Some(self.position) {
            let mut joined = std::mem::take(&mut self.joined);
            joined.clear();
            joined.extend_from_slice(self.data(from, before_end));
            joined.extend_from_slice(self.data(from + before_end, len - before_end));
            (self.joined, self.joined_at) = (joined, Some(self.position));
        }
        &self.joined
    }

    /// Bytes of the record at the position, up to the end of the data.
    fn data(&self, from: u64, len: u64) -> &[u8] {
        let at = from & (self.size - 1);
        let len = len.min(self.size - at) as usize;
        // SAFETY: `at + len` is at most `size`, and so within the mapping. The kernel does not write to the record
        // again before `release` has told it that the position is beyond, for which the borrow given here must have
        // ended.
        unsafe {
            slice::from_raw_parts(
                self.producer.start.byte_add(self.page + at as usize).as_ptr(),
                len,
            )
        }
    }
}

/// Memory shared with the kernel.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(file: impl AsFd, len: usize, offset: u64, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: without a wanted address the system takes one where nothing is.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, offset)?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// The position at the start of the page.
    fn counter(&self) -> &AtomicU64 {
        // SAFETY: a mapping begins at a page, which is aligned and holds 8 bytes, and lives as long as `self`.
        unsafe { self.start.cast().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: we mapped this and nothing borrows from it any more. It can't fail for a mapping.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

// SAFETY: the memory belongs to no thread, and all access to it but by atomics goes through `&mut Ring`.
unsafe impl Send for Mapping {}

#[cfg(test)]
pub(crate) mod testing {
    //! The kernel's side of a ring, played by a file in memory. It holds the data once.

    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use rustix::fs::MemfdFlags;

    use super::*;

    /// Writes records as the kernel does.
    pub(crate) struct Producer {
        pub(crate) file: File,
        size: u64,
        position: u64,
    }

    impl Producer {
        pub(crate) fn new(size: u32) -> Self {
            let page = rustix::param::page_size() as u64;
            let file = File::from(rustix::fs::memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
            file.set_len(2 * page + u64::from(size)).unwrap();
            Self { file, size: size.into(), position: 0 }
        }

        /// Whether there was room.
        pub(crate) fn push(&mut self, record: &[u8], flags: u32) -> bool {
            let len = record.len() as u64;
            let end = self.position + (HEADER + len).next_multiple_of(HEADER);
            let mut consumer = [0; 8];
            self.file.read_exact_at(&mut consumer, 0).unwrap();
            if end - u64::from_ne_bytes(consumer) > self.size {
                return false;
            }
            let header = (len as u32 | flags).to_ne_bytes();
            self.write(self.position + HEADER, record);
            self.write(self.position, &header);
            self.position = end;
            let page = rustix::param::page_size() as u64;
            self.file.write_all_at(&end.to_ne_bytes(), page).unwrap();
            true
        }

        /// Ends the writing of the record that begins at this position.
        pub(crate) fn finish(&mut self, position: u64, len: u32) {
            self.write(position, &len.to_ne_bytes());
        }

        fn write(&self, position: u64, bytes: &[u8]) {
            let data = 2 * rustix::param::page_size() as u64;
            for (offset, &byte) in (0..).zip(bytes) {
                let at = (position + offset) % self.size;
                self.file.write_all_at(&[byte], data + at).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::Producer;
    use super::*;

    #[test]
    fn records_come_in_order_and_in_one_piece() {
        let mut kernel = Producer::new(4096);
        let mut ring = Ring::map(&kernel.file, 4096).unwrap();
        assert_eq!(ring.peek(), None);
        // Some thousand bytes, so that the ring is gone round several times.
        for round in 0..40_u8 {
            let record = vec![round; 300 + usize::from(round)];
            assert!(kernel.push(&record, 0));
            assert!(kernel.push(b"not this one", DISCARDED));
            assert_eq!(ring.peek(), Some(record.as_slice()));
            assert_eq!(ring.peek(), Some(record.as_slice()));
            ring.advance();
            assert_eq!(ring.peek(), None);
            ring.release();
        }
    }

    #[test]
    fn a_record_that_is_being_written_holds_back_what_follows() {
        let mut kernel = Producer::new(4096);
        let mut ring = Ring::map(&kernel.file, 4096).unwrap();
        kernel.push(b"first", BUSY);
        kernel.push(b"second", 0);
        assert_eq!(ring.peek(), None);
        ring.advance();
        kernel.finish(0, 5);
        assert_eq!(ring.peek(), Some(&b"first"[..]));
        ring.advance();
        assert_eq!(ring.peek(), Some(&b"second"[..]));
    }

    #[test]
    fn the_kernel_gets_its_room_back() {
        let mut kernel = Producer::new(4096);
        let mut ring = Ring::map(&kernel.file, 4096).unwrap();
        while kernel.push(&[7; 100], 0) {}
        ring.peek();
        ring.advance();
        assert!(!kernel.push(&[7; 100], 0));
        ring.release();
        assert!(kernel.push(&[7; 100], 0));
        // Without being told to, once an eighth has been read.
        for _ in 0..8 {
            ring.peek();
            ring.advance();
        }
        assert!(kernel.push(&[7; 100], 0));
    }

    #[test]
    fn sizes_that_no_ring_has_are_refused() {
        let kernel = Producer::new(4096);
        assert!(Ring::map(&kernel.file, 0).is_err());
        assert!(Ring::map(&kernel.file, 5000).is_err());
        assert!(Ring::map(&kernel.file, 12288).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_goes_in_comes_out(steps in prop::collection::vec((any::<bool>(), 0..900_usize), 1..60)) {
            let mut kernel = Producer::new(4096);
            let mut ring = Ring::map(&kernel.file, 4096).unwrap();
            let mut waiting = std::collections::VecDeque::new();
            for (index, (write, len)) in steps.into_iter().enumerate() {
                let record = vec![index as u8; len];
                if write && kernel.push(&record, 0) {
                    waiting.push_back(record);
                } else {
                    let expected = waiting.pop_front();
                    prop_assert_eq!(ring.peek(), expected.as_deref());
                    ring.advance();
                    ring.release();
                }
            }
        }
    }
}
