//! Puts records into segments.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peregrine_limits::{SPOOL_BYTES, SPOOL_MEMORY};

use crate::directory::Directory;
use crate::disk::Disk;
use crate::format::{RECORD_HEADER, SEGMENT_HEADER, segment_header};
use crate::shared::Shared;
use crate::state::Segment;
use crate::{Record, SpoolError, WhenFull};

/// The writing side of a spool. Only one thread at a time has it.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    active: Option<Active>,
    /// When the disk is tried again, after a failure.
    retry_at: Option<Instant>,
    /// Records on their way into the file; kept for its memory.
    buffer: Vec<u8>,
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
    path: PathBuf,
    /// The number of the record behind its last one.
    end: u64,
    bytes: u64,
}

/// What became of records.
#[derive(Debug, Default)]
pub struct Appended {
    /// Records that are in the spool now.
    pub stored: u64,
    /// Older records that were dropped to make room.
    pub dropped: u64,
    /// Records that were not taken, because there was no room.
    pub refused: u64,
    /// What went wrong, if that is new.
    pub error: Option<SpoolError>,
}

/// Most bytes that are written at once.
const WRITE: usize = 256 * 1024;
/// Time between two attempts to use a disk that has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Largest size of a segment, unless a single record has more.
const SEGMENT: u64 = 8 << 20;

impl Writer {
    pub(crate) fn append<'a>(
        &mut self,
        shared: &Shared,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Appended {
        let mut appended = Appended::default();
        let most = write_size(shared).min(shared.settings.memory);
        for record in records {
            let size = RECORD_HEADER + record.body.len();
            if shared.lock().unwritten_bytes() + size > most {
                self.flush(shared, &mut appended.error);
            }
            if self.make_room(shared, size, &mut appended.dropped) {
                shared.lock().push(&record, shared.clock.now());
                appended.stored += 1;
            } else {
                appended.refused += 1;
            }
        }
        self.flush(shared, &mut appended.error);
        appended
    }

    /// Writes what is only in memory, unless the disk has failed a moment ago.
    pub(crate) fn flush(&mut self, shared: &Shared, error: &mut Option<SpoolError>) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        match self.write_all(shared) {
            Ok(()) => self.retry_at = None,
            Err(new) => {
                // The first failure of several in a row is told.
                if self.retry_at.replace(Instant::now() + RETRY).is_none() {
                    error.get_or_insert(new);
                }
            }
        }
    }

    /// The next attempt to use the disk does not wait.
    pub(crate) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// The disk has failed to keep what was written to it: records that are still in memory are
    /// written again, to another segment.
    pub(crate) fn rewrite(
        &mut self,
        shared: &Shared,
        failed: SpoolError,
        error: &mut Option<SpoolError>,
    ) {
        self.active = None;
        if self.retry_at.replace(Instant::now() + RETRY).is_none() {
            error.get_or_insert(failed);
        }
        let mut state = shared.lock();
        let synced = state.synced;
        let superfluous = state.rewrite_from(synced);
        drop(state);
        shared.remove(superfluous);
    }

    /// Ends the segment, so that it can be removed when it is settled.
    pub(crate) fn end_segment(&mut self, shared: &Shared) {
        self.active = None;
        let mut state = shared.lock();
        state.active = false;
        let settled = state.take_settled();
        drop(state);
        shared.remove(settled);
    }

    /// Whether a record of this size can be added.
    fn make_room(&mut self, shared: &Shared, size: usize, dropped: &mut u64) -> bool {
        let settings = &shared.settings;
        let size = (size + SEGMENT_HEADER) as u64;
        if size > settings.max_bytes.min(u32::MAX.into()) {
            SPOOL_BYTES.reach();
            return false;
        }
        loop {
            let mut state = shared.lock();
            let waiting = state.unwritten_bytes() as u64;
            if state.disk_bytes() + waiting + size <= settings.max_bytes {
                let fits = waiting == 0 || waiting + size <= settings.memory as u64;
                if !fits {
                    SPOOL_MEMORY.reach();
                }
                return fits;
            }
            SPOOL_BYTES.reach();
            if settings.when_full == WhenFull::DropNewest {
                return false;
            }
            let Some((first, lost)) = state.evict() else { return false };
            if !state.active {
                self.active = None;
            }
            drop(state);
            *dropped += lost;
            shared.remove([first]);
        }
    }

    fn write_all(&mut self, shared: &Shared) -> Result<(), SpoolError> {
        let disk = self.disk(shared)?;
        let room = write_size(shared);
        loop {
            self.buffer.clear();
            let records = {
                let state = shared.lock();
                if state.unwritten() == 0 {
                    return Ok(());
                }
                if !state.active || state.active_damaged {
                    self.active = None;
                }
                state.encode_unwritten(room, &mut self.buffer)
            };
            let size = self.buffer.len() as u64;
            let fits = |active: &Active| {
                active.end == records.start && active.bytes + size <= segment_size(shared)
            };
            let active = match self.active.take().filter(fits) {
                Some(active) => active,
                None => begin(shared, &disk.directory, records.start)?,
            };
            let active = self.active.insert(active);
            if let Err(source) = (&*active.file).write_all(&self.buffer) {
                let path = active.path.clone();
                // Half a record would look like damage.
                let _ = active.file.set_len(active.bytes);
                self.end_segment(shared);
                return Err(SpoolError::Write { path, source });
            }
            active.end = records.end;
            active.bytes += size;
            let memory = shared.settings.memory;
            let mut state = shared.lock();
            state.set_written(records.end, self.buffer.len(), &active.file, memory);
            drop(state);
            shared.changed.notify_all();
        }
    }

    /// The disk, opened if that was not possible before.
    fn disk(&mut self, shared: &Shared) -> Result<Arc<Disk>, SpoolError> {
        if let Some(disk) = shared.disk.get() {
            return Ok(disk.clone());
        }
        let (disk, marks, segments) = Disk::open(&shared.settings.directory)?;
        let mut state = shared.lock();
        state.recover(marks, segments);
        let settled = state.take_settled();
        drop(state);
        let disk = shared.disk.get_or_init(|| Arc::new(disk)).clone();
        shared.remove(settled);
        shared.changed.notify_all();
        Ok(disk)
    }
}

/// Creates a segment.
fn begin(shared: &Shared, directory: &Directory, first: u64) -> Result<Active, SpoolError> {
    let path = directory.segment(first);
    let create = || -> io::Result<File> {
        let file = directory.create(&path)?;
        (&file).write_all(&segment_header(first))?;
        Ok(file)
    };
    let file = create().map_err(|source| SpoolError::Write { path: path.clone(), source })?;
    let bytes = SEGMENT_HEADER as u64;
    let mut state = shared.lock();
    // One of the same name has no records, or none that count.
    state.segments.retain(|segment| segment.first != first);
    state.segments.push_back(Segment { first, end: first, bytes });
    state.active = true;
    state.active_damaged = false;
    state.unsynced.directory = true;
    Ok(Active { file: Arc::new(file), path, end: first, bytes })
}

/// Bytes that are written at once.
fn write_size(shared: &Shared) -> usize {
    WRITE.min(segment_size(shared) as usize)
}

/// Segments are removed as a whole, so a small spool has small ones.
fn segment_size(shared: &Shared) -> u64 {
    (shared.settings.max_bytes / 8).clamp(64 * 1024, SEGMENT)
}
