//! The bytes of a segment file.
//!
//! All numbers are little-endian. A segment begins with a header:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `PGSPOOL\n` |
//! | 8 | 4 | version of the format |
//! | 12 | 4 | CRC-32 of the header without this field |
//! | 16 | 8 | sequence number of the first record |
//!
//! Records follow, one behind the other, each with the sequence number that follows the one before:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | CRC-32 of the rest of the record |
//! | 4 | 4 | length of the body |
//! | 8 | 8 | sequence number |
//! | 16 | 16 | id |
//! | 32 | 8 | time of the record |
//! | 40 | 8 | when it was stored: milliseconds since the epoch |
//! | 48 | | body |

use std::io::{self, Read};

use crate::Record;

const MAGIC: [u8; 8] = *b"PGSPOOL\n";
const VERSION: u32 = 1;

/// Bytes of the header of a segment.
pub(crate) const SEGMENT_HEADER: usize = 24;
/// Bytes of the header of a record.
pub(crate) const RECORD_HEADER: usize = 48;

/// What stands before the body of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) sequence: u64,
    pub(crate) id: u128,
    pub(crate) time: u64,
    /// Milliseconds since the epoch.
    pub(crate) stored: u64,
}

/// Why a segment cannot be read further.
#[derive(Debug)]
pub(crate) enum Damage {
    /// What follows is no record, or not the next one.
    Content,
    /// A newer version of the program has written the segment.
    Version,
    /// The system cannot read it.
    Io(io::Error),
}

/// Reads the records of a segment.
#[derive(Debug)]
pub(crate) struct SegmentReader<R> {
    input: R,
    next: u64,
    /// Bytes read so far that are a header or whole records.
    valid: u64,
}

/// Reads a segment from memory whose first record has the number 0, for the fuzzer: how many whole
/// records it has, and how many bytes belong to them and the header.
#[must_use]
pub fn parse_segment(bytes: &[u8]) -> (u64, u64) {
    let Ok(mut reader) = SegmentReader::new(bytes, 0) else { return (0, 0) };
    let mut body = Vec::new();
    while let Ok(Some(_)) = reader.next(&mut body) {}
    (reader.sequence(), reader.valid())
}

/// The header of the segment whose first record has this number.
pub(crate) fn segment_header(first: u64) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    let (magic, version) = (MAGIC, VERSION.to_le_bytes());
    let checksum = checksum(&[&magic, &version, &first.to_le_bytes()]).to_le_bytes();
    let bytes = magic.into_iter().chain(version).chain(checksum).chain(first.to_le_bytes());
    header.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    header
}

/// Appends a record. `None` if its body is too long.
pub(crate) fn put_record(
    sequence: u64,
    stored: u64,
    record: &Record<'_>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let Record { id, time, body } = *record;
    let start = out.len();
    let len = u32::try_from(body.len()).ok()?;
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(&stored.to_le_bytes());
    out.extend_from_slice(body);
    let (to, rest) = out.get_mut(start..)?.split_first_chunk_mut()?;
    *to = checksum(&[rest]).to_le_bytes();
    Some(())
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header of the segment whose first record has this number.
    pub(crate) fn new(mut input: R, first: u64) -> Result<Self, Damage> {
        let mut header = [0; SEGMENT_HEADER];
        input.read_exact(&mut header)?;
        if header == segment_header(first) {
            return Ok(Self { input, next: first, valid: SEGMENT_HEADER as u64 });
        }
        let mut fields = Fields(&header);
        let (magic, version) = (fields.take::<8>(), u32::from_le_bytes(fields.take()));
        Err(if magic == MAGIC && version > VERSION { Damage::Version } else { Damage::Content })
    }

    /// The number of the next record.
    pub(crate) fn sequence(&self) -> u64 {
        self.next
    }

    /// Bytes from the start to the end of the last record.
    pub(crate) fn valid(&self) -> u64 {
        self.valid
    }

    /// Reads a record and appends its body. `None` at the end of the file.
    pub(crate) fn next(&mut self, body: &mut Vec<u8>) -> Result<Option<RecordHeader>, Damage> {
        let mut bytes = Vec::with_capacity(RECORD_HEADER);
        self.input.by_ref().take(RECORD_HEADER as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let header: [u8; RECORD_HEADER] = bytes.try_into().map_err(|_| Damage::Content)?;
        let mut fields = Fields(&header);
        let expected = u32::from_le_bytes(fields.take());
        let len = u64::from(u32::from_le_bytes(fields.take()));
        let record = RecordHeader {
            sequence: u64::from_le_bytes(fields.take()),
            id: u128::from_le_bytes(fields.take()),
            time: u64::from_le_bytes(fields.take()),
            stored: u64::from_le_bytes(fields.take()),
        };
        if record.sequence != self.next {
            return Err(Damage::Content);
        }
        let start = body.len();
        // Memory grows with what is read, whatever the length says.
        let read = self.input.by_ref().take(len).read_to_end(body);
        let bytes = body.get(start..).unwrap_or_default();
        let rest = header.get(4..).unwrap_or_default();
        let whole = read.as_ref().is_ok_and(|read| *read as u64 == len)
            && checksum(&[rest, bytes]) == expected;
        if !whole {
            body.truncate(start);
            return Err(read.err().map_or(Damage::Content, Damage::Io));
        }
        self.next = self.next.wrapping_add(1);
        self.valid += RECORD_HEADER as u64 + len;
        Ok(Some(record))
    }
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Content,
            _ => Self::Io(error),
        }
    }
}

/// The fields of a header, from the first on.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Zeros behind the end.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *field
    }
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Written = Vec<(u128, u64, Vec<u8>)>;

    fn segment(first: u64, records: &Written) -> Vec<u8> {
        let mut out = segment_header(first).to_vec();
        for (sequence, (id, time, body)) in (first..).zip(records) {
            let record = Record { id: *id, time: *time, body };
            put_record(sequence, 7, &record, &mut out).unwrap();
        }
        out
    }

    fn read(bytes: &[u8], first: u64) -> Written {
        let mut read = Vec::new();
        let Ok(mut reader) = SegmentReader::new(bytes, first) else { return read };
        loop {
            let mut body = Vec::new();
            match reader.next(&mut body) {
                Ok(Some(RecordHeader { id, time, stored, .. })) => {
                    assert_eq!(stored, 7);
                    read.push((id, time, body));
                }
                Ok(None) => {
                    assert_eq!(reader.valid(), bytes.len() as u64);
                    return read;
                }
                Err(_) => return read,
            }
        }
    }

    #[test]
    fn the_format_stays() {
        let bytes = segment(5, &vec![(1 << 100, 9, b"alert".to_vec())]);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let header = "504753504f4f4c0a010000009f91d3550500000000000000";
        let record = "d400f0830500000005000000000000000000000000000000000000001000000009000000000000000700000000000000616c657274";
        assert_eq!(hex, format!("{header}{record}"));
    }

    #[test]
    fn a_segment_of_a_newer_version_is_recognised() {
        let mut bytes = segment_header(0);
        bytes[8] = 2;
        assert!(matches!(SegmentReader::new(&bytes[..], 0), Err(Damage::Version)));
        assert!(matches!(SegmentReader::new(&bytes[..4], 0), Err(Damage::Content)));
        // The name of the file says another number.
        assert!(matches!(SegmentReader::new(&segment_header(0)[..], 1), Err(Damage::Content)));
    }

    fn records() -> impl Strategy<Value = Written> {
        let body = prop::collection::vec(any::<u8>(), 0..200);
        prop::collection::vec((any::<u128>(), any::<u64>(), body), 0..20)
    }

    proptest! {
        #[test]
        fn records_come_back(first in 0..u64::MAX / 2, records in records()) {
            prop_assert_eq!(read(&segment(first, &records), first), records);
        }

        #[test]
        fn a_truncated_segment_has_the_records_before_its_end(
            records in records(), cut in any::<prop::sample::Index>()
        ) {
            let bytes = segment(3, &records);
            let read = read(&bytes[..cut.index(bytes.len() + 1)], 3);
            prop_assert!(records.starts_with(&read));
        }

        /// No record is changed, and none comes after the damage.
        #[test]
        fn flipped_bits_end_the_segment(
            records in records(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8), 1..6)
        ) {
            let whole = segment(3, &records);
            let mut bytes = whole.clone();
            flips.iter().for_each(|(at, bit)| bytes[at.index(whole.len())] ^= 1_u8 << bit);
            let read = read(&bytes, 3);
            prop_assert!(records.starts_with(&read));
            prop_assert!(bytes == whole || read.len() < records.len() || records.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            read(&bytes, 0);
            let mut whole = segment_header(0).to_vec();
            whole.extend_from_slice(&bytes);
            read(&whole, 0);
        }
    }
}
