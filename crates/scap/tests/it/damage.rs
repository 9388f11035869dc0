//! Damaged files: an error with its place, the events before it, and nothing more.
//!
//! `PEREGRINE_DAMAGE_ROUNDS` and `PEREGRINE_DAMAGE_CAPTURES` (a directory) make it thorough.

use crate::common::{CAPTURES, Owned, captures, events, gzip, items, plain, read, read_all};
use peregrine_event::Event;
use peregrine_scap::{Compression, Reader, Record, ScapError, Writer};

#[test]
fn a_small_capture_survives_ten_thousand_wounds() {
    let file = small_capture();
    wound(&file, rounds(10_000), 1);
}

#[test]
fn real_captures_survive_wounds() {
    let folder = std::env::var("PEREGRINE_DAMAGE_CAPTURES").unwrap_or_else(|_| CAPTURES.to_owned());
    for (seed, path) in (2..).zip(captures(&folder)) {
        wound(&plain(&path), rounds(50), seed);
    }
}

#[test]
fn compressed_captures_survive_wounds() {
    let file = gzip(&small_capture());
    let mut random = Random(99);
    for _ in 0..rounds(1_000) {
        let mut bytes = file.clone();
        random.damage(&mut bytes);
        let (records, error) = read(bytes.as_slice());
        assert!(error.is_some() || !events(&records).is_empty());
    }
}

#[test]
fn the_capture_of_a_killed_recorder_is_read_to_its_end() {
    let file = gzip(&small_capture());
    let whole = read_all(small_capture().as_slice());
    for len in file.len() / 2..=file.len() {
        let mut reader = Reader::new(&file[..len]);
        let mut events = 0;
        let error = loop {
            match reader.next() {
                Ok(Some(record)) => events += usize::from(matches!(record, Record::Event { .. })),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!(reader.is_cut(), len < file.len(), "{len}");
        if events > 0 {
            assert!(error.is_none(), "{len}: {error:?}");
        }
        if len + 8 >= file.len() {
            assert_eq!(events, whole.iter().filter(|it| matches!(it, Owned::Event { .. })).count());
        }
    }
}

#[test]
fn a_file_that_ends_early_gives_all_events_before() {
    let file = small_capture();
    let whole = read_all(file.as_slice());
    for len in (0..file.len()).step_by(7) {
        let (records, error) = read(&file[..len]);
        assert_eq!(records, whole[..records.len()]);
        match error {
            Some(ScapError::Damaged { offset, .. }) => assert!(offset <= len as u64),
            Some(ScapError::NotACapture) => assert!(len < 28),
            Some(ScapError::NoEvents) | None => {}
            Some(error) => panic!("{error}"),
        }
    }
}

/// Damages a file in many ways. Everything before the first damaged byte must read as before.
fn wound(file: &[u8], rounds: u32, seed: u64) {
    let whole = read_all(file);
    let mut random = Random(seed);
    for round in 0..rounds {
        let mut bytes = file.to_vec();
        let first = random.damage(&mut bytes);
        let (records, error) = read(bytes.as_slice());
        let (sound, _) = read(&file[..first]);
        assert_eq!(records[..sound.len()], whole[..sound.len()], "round {round}, byte {first}");
        if let Some(ScapError::Damaged { offset, .. }) = error {
            assert!(offset <= bytes.len() as u64, "round {round}: {offset}");
        }
        for record in &records {
            if let Owned::Event { bytes, .. } = record {
                assert!(Event::parse(bytes, 0).is_ok());
            }
        }
    }
}

/// A capture of a few kilobytes with all kinds of blocks.
fn small_capture() -> Vec<u8> {
    let path = format!("{CAPTURES}/curl_google.scap");
    let records = read_all(std::fs::File::open(path).unwrap());
    let mut kept = items(&records);
    let mut seen = std::collections::HashMap::new();
    kept.retain(|item| {
        let count = seen.entry(std::mem::discriminant(item)).or_insert(0);
        *count += 1;
        *count <= 2
    });
    let mut writer = Writer::new(Vec::new(), Compression::None, &kept).unwrap();
    for (index, event) in events(&records).into_iter().step_by(40).enumerate() {
        writer.event(&Event::parse(event, 0).unwrap(), index % 5 == 0).unwrap();
    }
    writer.finish().unwrap()
}

fn rounds(default: u32) -> u32 {
    let rounds = std::env::var("PEREGRINE_DAMAGE_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

/// A generator with the same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Flips bits, writes boundary values, or truncates. Returns the first byte that differs.
    fn damage(&mut self, bytes: &mut Vec<u8>) -> usize {
        let mut first = bytes.len();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = 0xff,
                2 => bytes[at] = 0,
                _ => bytes[at] ^= 1 << self.below(8),
            }
            first = first.min(at);
        }
        first
    }
}
