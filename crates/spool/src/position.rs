//! The file that says which records are settled.
//!
//! It has two slots, written in turn, so that a torn write leaves the other one. It is written with
//! each acknowledgement and not forced to the disk: after a loss of power, records that had been
//! acknowledged are sent again.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::directory::Directory;

/// What is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The first record that is not settled.
    pub(crate) next: u64,
    /// The first record that was not forced to the disk.
    pub(crate) synced: u64,
}

#[derive(Debug)]
pub(crate) struct Position {
    file: Option<File>,
    marks: Marks,
    generation: u64,
}

const NAME: &str = "position";
const MAGIC: &[u8; 8] = b"PGSPOSN\n";
/// Magic, generation, two marks, CRC-32 of these.
const SLOT: usize = 36;
/// So far apart that no write touches both.
const DISTANCE: u64 = 4096;

impl Position {
    /// Reads what an earlier run has written, if that is readable.
    pub(crate) fn open(directory: &Directory) -> Self {
        let path = directory.path().join(NAME);
        let file = directory.open_existing(&path, true).or_else(|_| directory.create(&path)).ok();
        let slots = file.iter().flat_map(|file| [0, DISTANCE].map(|at| read(file, at)));
        let newest = slots.flatten().max_by_key(|(generation, _)| *generation);
        let (generation, marks) = newest.unwrap_or_default();
        Self { file, marks, generation }
    }

    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// Remembers marks that are further than those so far.
    pub(crate) fn advance(&mut self, marks: Marks) {
        let Marks { next, synced } = self.marks;
        let marks = Marks { next: next.max(marks.next), synced: synced.max(marks.synced) };
        if marks == self.marks {
            return;
        }
        self.marks = marks;
        self.generation = self.generation.wrapping_add(1);
        let at = if self.generation.is_multiple_of(2) { 0 } else { DISTANCE };
        if let Some(file) = &self.file {
            // If it fails, records are sent again after a restart.
            let _ = file.write_all_at(&slot(self.generation, marks), at);
        }
    }

    pub(crate) fn sync(&self) {
        if let Some(file) = &self.file {
            let _ = file.sync_data();
        }
    }
}

fn slot(generation: u64, Marks { next, synced }: Marks) -> Vec<u8> {
    let numbers = [generation, next, synced].into_iter().flat_map(u64::to_le_bytes);
    let mut slot: Vec<u8> = MAGIC.iter().copied().chain(numbers).collect();
    let checksum = crc32fast::hash(&slot);
    slot.extend_from_slice(&checksum.to_le_bytes());
    slot
}

fn read(file: &File, at: u64) -> Option<(u64, Marks)> {
    let mut bytes = [0; SLOT];
    file.read_exact_at(&mut bytes, at).ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (generation, marks) = (number(8)?, Marks { next: number(16)?, synced: number(24)? });
    (slot(generation, marks) == bytes).then_some((generation, marks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let mut position = Position::open(&directory);
        assert_eq!(position.marks(), Marks::default());
        for next in 1..5 {
            position.advance(Marks { next, synced: 0 });
            assert_eq!(Position::open(&directory).marks().next, next);
        }
        position.advance(Marks { next: 2, synced: 9 });
        assert_eq!(Position::open(&directory).marks(), Marks { next: 4, synced: 9 });
        // Damage one slot after the other.
        let file = directory.open_existing(&dir.path().join(NAME), true).unwrap();
        file.write_all_at(b"x", DISTANCE + 20).unwrap();
        assert_eq!(Position::open(&directory).marks(), Marks { next: 4, synced: 0 });
        file.write_all_at(b"x", 35).unwrap();
        assert_eq!(Position::open(&directory).marks(), Marks::default());
    }

    #[test]
    fn a_slot_has_its_size() {
        assert_eq!(slot(1, Marks::default()).len(), SLOT);
    }
}
