//! The bytes of a capture, buffered so that a block is read in place.

use std::io::{self, BufReader, ErrorKind, Read};

use crate::decompress::{Packed, Source};

/// Bytes requested from the source at once. The buffer grows only for larger blocks.
const CHUNK: usize = 256 << 10;

/// A window over the decompressed bytes of `R`.
#[derive(Debug)]
pub(crate) struct Input<R: Read> {
    source: Source<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Position of the window in the decompressed stream.
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(reader: R) -> Self {
        // Smaller than our requests, so that a plain file is read directly into our buffer.
        let reader = BufReader::with_capacity(CHUNK / 4, reader);
        Self { source: Source::new(reader), buffer: Vec::new(), start: 0, end: 0, offset: 0 }
    }

    /// Whether the compressed bytes end without their end mark.
    pub(crate) fn is_cut(&self) -> bool {
        self.source.is_cut()
    }

    /// The form of compression, if it is one that is not read.
    pub(crate) fn packed(&self) -> Option<Packed> {
        self.source.packed()
    }

    /// Position of the first byte of [`Self::bytes`] in the decompressed stream.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The buffered bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        debug_assert!(self.start <= self.end && self.end <= self.buffer.len());
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads until `want` bytes are buffered. Returns the number of buffered bytes: fewer only at
    /// the end of the source.
    #[inline]
    pub(crate) fn fill(&mut self, want: usize) -> io::Result<usize> {
        if self.end - self.start < want {
            self.read(want)?;
        }
        Ok(self.end - self.start)
    }

    #[cold]
    fn read(&mut self, want: usize) -> io::Result<()> {
        while self.end - self.start < want {
            self.make_room(want);
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves the buffered bytes to the front. A full buffer is doubled until it holds what is
    /// wanted, so that a false length costs no more memory than there are bytes.
    fn make_room(&mut self, want: usize) {
        let len = self.end - self.start;
        if len == self.buffer.len() {
            let size = (2 * len).min(want).max(CHUNK);
            self.buffer.reserve_exact(size - len);
            self.buffer.resize(size, 0);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, len);
    }

    /// Consumes `count` buffered bytes.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Skips `count` bytes. Returns how many existed.
    pub(crate) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            let chunk = self.fill(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK))?;
            if chunk == 0 {
                break;
            }
            let chunk = left.min(chunk as u64);
            self.consume(chunk as usize);
            left -= chunk;
        }
        Ok(count - left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_length_costs_no_memory() {
        let mut input = Input::new([7; 10].as_slice());
        assert_eq!(input.fill(1 << 40).unwrap(), 10);
        assert_eq!(input.buffer.len(), CHUNK);
    }

    #[test]
    fn the_buffer_grows_to_what_is_there_and_keeps_its_place() {
        let bytes: Vec<u8> = (0..3 * CHUNK).map(|i| (i % 251) as u8).collect();
        let mut input = Input::new(bytes.as_slice());
        assert!(input.fill(10).unwrap() >= 10);
        input.consume(3);
        assert_eq!(input.skip(4).unwrap(), 4);
        assert_eq!(input.offset(), 7);
        assert_eq!(input.fill(usize::MAX).unwrap(), bytes.len() - 7);
        assert_eq!(input.bytes(), &bytes[7..]);
        assert_eq!(input.skip(u64::MAX).unwrap(), bytes.len() as u64 - 7);
        assert_eq!(input.fill(1).unwrap(), 0);
    }
}
