//! Reads a BPF ring buffer in place.
//!
//! Positions only grow. The kernel writes a record, then clears its busy bit; the reader uses it in
//! place, and releases memory to the kernel from time to time.
//!
//! The kernel offers the data twice, one behind the other, so that a record that goes over the end
//! lies in one piece. All that is mapped is resident, so we take it once, and put the one record
//! that goes over the end together.
//!
//! The tests also read rings on the heap, for Miri:
//! `MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p peregrine-probe --lib -- ring`.

mod memory;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::ProtFlags;

use memory::Memory;

/// Set while a record is written.
const BUSY: u32 = 1 << 31;
/// Set when the reader must skip it.
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record: its length and a number for the kernel.
const HEADER: u64 = 8;

/// A ring, read by one reader.
#[derive(Debug)]
pub struct Ring {
    consumer: Memory,
    /// The position up to which there are records, then the data.
    producer: Memory,
    /// Where in it the data begins.
    data_at: usize,
    size: u64,
    /// Where the next record begins.
    position: u64,
    /// End of the records when it was last read.
    end: u64,
    /// Memory before this position is released to the kernel.
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
    /// When no ring can have that size, or the system refuses.
    pub fn map(map: impl AsFd, bytes: u32) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let size = bytes as usize;
        if !size.is_power_of_two() || !size.is_multiple_of(page) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let writable = ProtFlags::READ | ProtFlags::WRITE;
        let consumer = Memory::map(&map, page, 0, writable)?;
        let producer = Memory::map(&map, page + size, page as u64, ProtFlags::READ)?;
        Ok(Self::over(consumer, producer, page, size as u64))
    }

    /// Reads a ring on the heap.
    #[doc(hidden)]
    pub fn on_heap(memory: &HeapRing) -> io::Result<Self> {
        let producer = Memory::heap(Arc::clone(&memory.producer))?;
        let consumer = Memory::heap(Arc::clone(&memory.consumer))?;
        Ok(Self::over(consumer, producer, HeapRing::DATA_AT, memory.size()))
    }

    fn over(consumer: Memory, producer: Memory, data_at: usize, size: u64) -> Self {
        let position = consumer.position().load(Ordering::Acquire);
        Self {
            consumer,
            producer,
            data_at,
            size,
            position,
            end: position,
            released: position,
            joined: Vec::new(),
            joined_at: None,
        }
    }

    /// The next record, in place. `None` while there is none, or while it is being written.
    pub fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.position >= self.end {
                self.end = self.producer.position().load(Ordering::Acquire);
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

    /// Skips the record that [`Ring::peek`] returns, if any.
    pub fn advance(&mut self) {
        if self.position < self.end {
            let header = self.header();
            if header & BUSY == 0 {
                self.skip(header);
            }
        }
        // The kernel needs room before the ring has been read to its end, but each release makes a
        // cache line move between CPUs.
        if self.position - self.released >= self.size / 8 {
            self.release();
        }
    }

    /// Releases all skipped records to the kernel.
    pub fn release(&mut self) {
        if self.released != self.position {
            self.consumer.position().store(self.position, Ordering::Release);
            self.released = self.position;
        }
    }

    fn skip(&mut self, header: u32) {
        let len = u64::from(header & !(BUSY | DISCARDED));
        self.position += (HEADER + len).next_multiple_of(HEADER);
    }

    /// The first word of the header at the position.
    fn header(&self) -> u32 {
        self.producer.word(self.data_at + (self.position & (self.size - 1)) as usize)
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
        // SAFETY: the kernel does not write to the record again before `release` has told it that
        // the position is beyond, for which the borrow given here must have ended.
        unsafe { self.producer.bytes(self.data_at + at as usize, len) }
    }
}

/// A ring in ordinary memory, which tests and fuzz targets fill. What a [`Ring`] does with it is
/// the same.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct HeapRing {
    consumer: Arc<[AtomicU64]>,
    /// The position, then the data.
    producer: Arc<[AtomicU64]>,
}

impl HeapRing {
    const DATA_AT: usize = size_of::<u64>();

    /// An empty ring of this size, or the next one that a ring can have.
    pub fn new(bytes: usize) -> Self {
        let words = bytes.max(64).next_power_of_two() / size_of::<u64>();
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { consumer: zeros(1), producer: zeros(1 + words) }
    }

    /// Bytes of data.
    pub fn size(&self) -> u64 {
        (size_of_val(&*self.producer) - Self::DATA_AT) as u64
    }

    /// Up to where the reader has released.
    pub fn released(&self) -> u64 {
        self.consumer.first().map_or(0, |position| position.load(Ordering::Acquire))
    }

    /// Offers everything up to this position.
    pub fn commit(&self, position: u64) {
        if let Some(word) = self.producer.first() {
            word.store(position, Ordering::Release);
        }
    }

    /// Writes bytes at a position, past the end of the data to its start.
    pub fn write(&self, position: u64, bytes: &[u8]) {
        for (at, &byte) in (position..).zip(bytes) {
            let at = at & (self.size() - 1);
            let Some(word) = self.producer.get(1 + at as usize / 8) else { continue };
            let mut bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            if let Some(place) = bytes.get_mut(at as usize % 8) {
                *place = byte;
            }
            word.store(u64::from_ne_bytes(bytes), Ordering::Release);
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! The kernel's side of a ring: on the heap, or in a file in memory, which is mapped as the
    //! kernel's is.

    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use rustix::fs::MemfdFlags;

    use super::*;

    /// Writes records as the kernel does.
    pub(crate) struct Producer {
        memory: Backing,
        size: u64,
        position: u64,
    }

    enum Backing {
        Heap(HeapRing),
        File(File),
    }

    impl Producer {
        pub(crate) fn new(size: u32) -> Self {
            let memory = Backing::Heap(HeapRing::new(size as usize));
            Self { memory, size: size.into(), position: 0 }
        }

        pub(crate) fn mapped(size: u32) -> Self {
            let page = rustix::param::page_size() as u64;
            let file = File::from(rustix::fs::memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
            file.set_len(2 * page + u64::from(size)).unwrap();
            Self { memory: Backing::File(file), size: size.into(), position: 0 }
        }

        /// One of each kind. Miri knows no mapping of files.
        pub(crate) fn each(size: u32) -> Vec<Self> {
            let mapped = (!cfg!(miri)).then(|| Self::mapped(size));
            [Self::new(size)].into_iter().chain(mapped).collect()
        }

        /// Its reader.
        pub(crate) fn ring(&self) -> Ring {
            match &self.memory {
                Backing::Heap(heap) => Ring::on_heap(heap).unwrap(),
                Backing::File(file) => Ring::map(file, self.size as u32).unwrap(),
            }
        }

        /// Whether there was room.
        pub(crate) fn push(&mut self, record: &[u8], flags: u32) -> bool {
            let len = record.len() as u64;
            let end = self.position + (HEADER + len).next_multiple_of(HEADER);
            if end - self.released() > self.size {
                return false;
            }
            let header = (len as u32 | flags).to_ne_bytes();
            self.write(self.position + HEADER, record);
            self.write(self.position, &header);
            self.position = end;
            let page = rustix::param::page_size() as u64;
            match &self.memory {
                Backing::Heap(heap) => heap.commit(end),
                Backing::File(file) => file.write_all_at(&end.to_ne_bytes(), page).unwrap(),
            }
            true
        }

        /// Ends the writing of the record that begins at this position.
        pub(crate) fn finish(&mut self, position: u64, len: u32) {
            self.write(position, &len.to_ne_bytes());
        }

        fn released(&self) -> u64 {
            match &self.memory {
                Backing::Heap(heap) => heap.released(),
                Backing::File(file) => {
                    let mut position = [0; 8];
                    file.read_exact_at(&mut position, 0).unwrap();
                    u64::from_ne_bytes(position)
                }
            }
        }

        fn write(&self, position: u64, bytes: &[u8]) {
            let data = 2 * rustix::param::page_size() as u64;
            match &self.memory {
                Backing::Heap(heap) => heap.write(position, bytes),
                Backing::File(file) => {
                    for (offset, &byte) in (0..).zip(bytes) {
                        let at = (position + offset) % self.size;
                        file.write_all_at(&[byte], data + at).unwrap();
                    }
                }
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
        for mut kernel in Producer::each(4096) {
            let mut ring = kernel.ring();
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
    }

    #[test]
    fn a_record_that_is_being_written_holds_back_what_follows() {
        let mut kernel = Producer::new(4096);
        let mut ring = kernel.ring();
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
        let mut ring = kernel.ring();
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
    #[cfg_attr(miri, ignore = "it maps a file")]
    fn sizes_that_no_ring_has_are_refused() {
        let file = tempfile::tempfile().unwrap();
        for size in [0, 5000, 12288] {
            assert!(Ring::map(&file, size).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 64 }) })]

        #[test]
        fn what_goes_in_comes_out(steps in prop::collection::vec((any::<bool>(), 0..900_usize), 1..60)) {
            for mut kernel in Producer::each(4096) {
                let mut ring = kernel.ring();
                let mut waiting = std::collections::VecDeque::new();
                for (index, &(write, len)) in steps.iter().enumerate() {
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

        #[test]
        fn any_bytes_can_be_in_a_ring(
            bytes in prop::collection::vec(any::<u8>(), 0..256),
            end in 0..400_u64,
        ) {
            let memory = HeapRing::new(256);
            memory.write(0, &bytes);
            memory.commit(end);
            let mut ring = Ring::on_heap(&memory).unwrap();
            for _ in 0..=400 / HEADER {
                prop_assert!(ring.peek().is_none_or(|record| record.len() as u64 <= memory.size()));
                ring.advance();
            }
        }
    }
}
