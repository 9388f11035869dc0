//! Takes records out of the spool.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::sync::Arc;

use peregrine_limits::SPOOL_AGE;

use crate::error::DamageReason;
use crate::format::{Damage, RecordHeader, SegmentReader};
use crate::shared::Shared;
use crate::state::Segment;
use crate::{Record, SpoolError};

/// The reading side of a spool. It holds some of the oldest records until they are settled.
#[derive(Debug)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    held: Held,
    /// The segment that is being read, at the record behind those that are held.
    open: Option<(u64, SegmentReader<BufReader<File>>)>,
}

/// Records that the reader has.
#[derive(Debug, Default)]
struct Held {
    bodies: Vec<u8>,
    entries: Vec<Entry>,
    /// Those before this one are settled.
    start: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u128,
    time: u64,
    stored: u64,
    /// Where its body begins and ends.
    body: (usize, usize),
}

/// How much is taken out of a spool at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeLimits {
    /// Number of records.
    pub records: usize,
    /// Bytes of their bodies. A larger record is taken alone.
    pub bytes: usize,
}

/// Records that are lost.
#[derive(Debug, Default)]
pub struct Missing {
    /// They were too old.
    pub expired: u64,
    /// They are unreadable.
    pub damaged: u64,
    /// Why they are unreadable.
    pub error: Option<SpoolError>,
}

impl SpoolReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, held: Held::default(), open: None }
    }

    /// Waits until a record can be taken. False when the spool is stopped.
    pub fn wait(&self) -> bool {
        self.shared.wait(|state| state.stopped || !state.has_all_read());
        !self.shared.lock().stopped
    }

    /// Takes the next records, if none is held. Skips those that are too old, and those that are
    /// unreadable; what comes behind these is there for the next call.
    pub fn take(&mut self, limits: TakeLimits) -> Missing {
        let mut missing = Missing::default();
        while self.held.is_empty() && missing.error.is_none() {
            self.held.clear();
            let mut state = self.shared.lock();
            if state.has_all_read() {
                break;
            }
            if state.next < state.recent_start() {
                let (start, end) = (state.next, state.published.min(state.recent_start()));
                let segment = state.segments.iter().find(|segment| segment.end > start).copied();
                drop(state);
                self.take_from_disk(start..end, segment, limits, &mut missing);
                continue;
            }
            let mut expired = 0;
            state.each_recent(|record, stored| {
                if self.held.is_empty() && self.shared.is_expired(stored) {
                    expired += 1;
                    return true;
                }
                self.held.add(record, stored, limits)
            });
            let settled = state.skip(expired);
            state.set_in_flight(self.held.len(), self.held.oldest());
            drop(state);
            self.settled(expired, settled);
            missing.expired += expired;
        }
        if missing.expired > 0 {
            SPOOL_AGE.reach();
        }
        missing
    }

    /// The records that are held, oldest first.
    pub fn records(&self) -> Vec<Record<'_>> {
        self.held.records()
    }

    /// The first records that are held were delivered, or are given up.
    pub fn settle(&mut self, records: usize) {
        let records = records.min(self.held.entries.len() - self.held.start);
        self.held.start += records;
        let settled = self.shared.lock().settle(records as u64, self.held.oldest());
        self.settled(records as u64, settled);
    }

    /// Gives up records that are held and have become too old. Gives back their number.
    pub fn expire(&mut self) -> u64 {
        let held = self.held.entries.get(self.held.start..).unwrap_or_default();
        let expired = held.iter().take_while(|entry| self.shared.is_expired(entry.stored)).count();
        if expired > 0 {
            SPOOL_AGE.reach();
            self.settle(expired);
        }
        expired as u64
    }

    /// Removes segments, and remembers how far the records are settled.
    fn settled(&mut self, records: u64, segments: Vec<u64>) {
        if records > 0 {
            self.shared.note_marks();
            self.shared.changed.notify_all();
        }
        // A file that is open keeps its space.
        self.open = self.open.take().filter(|(first, _)| !segments.contains(first));
        self.shared.remove(segments);
    }

    /// Reads records of this range, which are in files, from its start on. If they are dropped
    /// meanwhile, nothing happens.
    fn take_from_disk(
        &mut self,
        Range { start, end }: Range<u64>,
        segment: Option<Segment>,
        limits: TakeLimits,
        missing: &mut Missing,
    ) {
        let read = match segment {
            Some(segment) if segment.first < end => {
                self.read(start, Segment { end: segment.end.min(end), ..segment }, limits)
            }
            // The files are gone.
            _ => Read { missing: end - start, ..Read::default() },
        };
        let mut state = self.shared.lock();
        if state.next != start {
            drop(state);
            self.held.clear();
            self.open = None;
            return;
        }
        let skipped = read.expired + read.missing;
        let settled = state.skip(skipped);
        state.set_in_flight(self.held.len(), self.held.oldest());
        if let (Some(_), Some(segment)) = (&read.error, segment) {
            state.active_damaged |= state.segments.back().is_some_and(|l| l.first == segment.first);
        }
        drop(state);
        missing.expired += read.expired;
        missing.damaged += read.missing;
        missing.error = read.error;
        self.settled(skipped, settled);
    }

    /// Reads records of a segment.
    fn read(&mut self, start: u64, segment: Segment, limits: TakeLimits) -> Read {
        // A file before it may be gone.
        let missing = segment.first.saturating_sub(start);
        let mut read = Read { missing, ..Read::default() };
        let start = start.max(segment.first);
        let mut reader = match self.reader(start, segment) {
            Ok(reader) => reader,
            Err((at, damage)) => {
                read.damage(&self.shared, segment, start, at, damage);
                return read;
            }
        };
        while reader.sequence() < segment.end {
            let (sequence, at) = (reader.sequence(), self.held.bodies.len());
            match reader.next(&mut self.held.bodies) {
                Ok(Some(header))
                    if self.held.is_empty() && self.shared.is_expired(header.stored) =>
                {
                    self.held.bodies.truncate(at);
                    read.expired += 1;
                }
                Ok(Some(header)) => {
                    self.held.added(header, at);
                    if self.held.is_full(limits) {
                        break;
                    }
                }
                // The records before the damage come first.
                _ if !self.held.is_empty() => return read,
                Ok(None) => {
                    let valid = reader.valid();
                    read.damage(&self.shared, segment, sequence, valid, Damage::Content);
                    return read;
                }
                Err(damage) => {
                    let valid = reader.valid();
                    read.damage(&self.shared, segment, sequence, valid, damage);
                    return read;
                }
            }
        }
        self.open = Some((segment.first, reader));
        read
    }

    /// A reader of the segment that stands at this record. With the damage, how many bytes before
    /// it are whole.
    fn reader(
        &mut self,
        start: u64,
        segment: Segment,
    ) -> Result<SegmentReader<BufReader<File>>, (u64, Damage)> {
        if let Some((first, reader)) = self.open.take()
            && first == segment.first
            && reader.sequence() == start
        {
            return Ok(reader);
        }
        let Some(disk) = self.shared.disk.get() else { return Err((0, Damage::Content)) };
        let path = disk.directory.segment(segment.first);
        let file = disk.directory.open_existing(&path, false).map_err(|error| (0, error.into()))?;
        let file = BufReader::with_capacity(BUFFER, file);
        let mut reader = SegmentReader::new(file, segment.first).map_err(|damage| (0, damage))?;
        let mut body = Vec::new();
        while reader.sequence() < start {
            body.clear();
            match reader.next(&mut body) {
                Ok(Some(_)) => {}
                Ok(None) => return Err((reader.valid(), Damage::Content)),
                Err(damage) => return Err((reader.valid(), damage)),
            }
        }
        Ok(reader)
    }
}

const BUFFER: usize = 64 * 1024;

/// What became of the records that were read.
#[derive(Debug, Default)]
struct Read {
    expired: u64,
    missing: u64,
    error: Option<SpoolError>,
}

impl Read {
    /// The segment is damaged before this record, at this byte.
    fn damage(&mut self, shared: &Shared, segment: Segment, from: u64, at: u64, damage: Damage) {
        let records = segment.end.saturating_sub(from);
        let path = shared.settings.directory.clone();
        let path = shared.disk.get().map_or(path, |disk| disk.directory.segment(segment.first));
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let reason = match damage {
            Damage::Content => DamageReason::Content,
            Damage::Version => DamageReason::Version,
            Damage::Io(error) => DamageReason::Io(error),
        };
        self.missing += records;
        let bytes = size.saturating_sub(at);
        self.error = Some(SpoolError::Damaged { path, reason, records, bytes });
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.start == self.entries.len()
    }

    fn len(&self) -> u64 {
        (self.entries.len() - self.start) as u64
    }

    fn clear(&mut self) {
        self.bodies.clear();
        self.entries.clear();
        self.start = 0;
    }

    /// When the oldest was stored.
    fn oldest(&self) -> Option<u64> {
        self.entries.get(self.start).map(|entry| entry.stored)
    }

    /// Adds a record, unless there would be too much. Says whether another one may fit.
    fn add(&mut self, record: &Record<'_>, stored: u64, limits: TakeLimits) -> bool {
        if !self.is_empty() && self.bodies.len() + record.body.len() > limits.bytes {
            return false;
        }
        let start = self.bodies.len();
        self.bodies.extend_from_slice(record.body);
        let body = (start, self.bodies.len());
        self.entries.push(Entry { id: record.id, time: record.time, stored, body });
        !self.is_full(limits)
    }

    /// The body of this record was appended.
    fn added(&mut self, header: RecordHeader, start: usize) {
        let RecordHeader { id, time, stored, .. } = header;
        self.entries.push(Entry { id, time, stored, body: (start, self.bodies.len()) });
    }

    fn is_full(&self, limits: TakeLimits) -> bool {
        self.entries.len() >= limits.records || self.bodies.len() >= limits.bytes
    }

    fn records(&self) -> Vec<Record<'_>> {
        let body = |(start, end)| self.bodies.get(start..end).unwrap_or_default();
        let record =
            |entry: &Entry| Record { id: entry.id, time: entry.time, body: body(entry.body) };
        self.entries.get(self.start..).unwrap_or_default().iter().map(record).collect()
    }
}
