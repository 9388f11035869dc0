//! What is on the disk when a spool is opened.

use std::io::BufReader;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use peregrine_files::FileError;

use crate::SpoolError;
use crate::directory::Directory;
use crate::format::SegmentReader;
use crate::position::{Marks, Position};
use crate::state::Segment;

/// An open spool directory.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) directory: Directory,
    position: Mutex<Position>,
}

impl Disk {
    /// Opens a directory with what an earlier run has left.
    pub(crate) fn open(path: &Path) -> Result<(Self, Marks, Vec<Segment>), SpoolError> {
        let directory = Directory::open(path)?;
        let failed = |error| SpoolError::Directory {
            path: path.to_owned(),
            source: FileError::System(error),
        };
        let files = directory.segments().map_err(failed)?;
        let position = Position::open(&directory);
        let marks = position.marks();
        let mut segments: Vec<_> =
            files.into_iter().map(|(first, bytes)| Segment { first, end: first, bytes }).collect();
        let mut behind = None;
        for segment in segments.iter_mut().rev() {
            // What is missing between two segments is found when the first one is read. The last
            // one was perhaps not written to its end. Only what was forced to the disk must be
            // there.
            segment.end = behind.unwrap_or_else(|| {
                let end = scan(&directory, segment.first).max(segment.first);
                if marks.next < marks.synced { end.max(marks.synced) } else { end }
            });
            behind = Some(segment.first);
        }
        if let Some(last) = segments.pop_if(|last| last.first == last.end) {
            directory.remove(last.first);
        }
        Ok((Self { directory, position: Mutex::new(position) }, marks, segments))
    }

    /// Remembers marks.
    pub(crate) fn advance(&self, marks: Marks) {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).advance(marks);
    }

    /// Forces the marks to the disk.
    pub(crate) fn sync_marks(&self) {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).sync();
    }
}

/// The number of the record behind the last readable one of a segment.
fn scan(directory: &Directory, first: u64) -> u64 {
    let Ok(file) = directory.open_existing(&directory.segment(first), false) else { return first };
    let Ok(mut reader) = SegmentReader::new(BufReader::with_capacity(1 << 16, file), first) else {
        return first;
    };
    let mut body = Vec::new();
    while let Ok(Some(_)) = reader.next(&mut body) {
        body.clear();
    }
    reader.sequence()
}
