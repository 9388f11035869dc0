//! What the threads of a spool share: which records exist, and where they are.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::format::{RECORD_HEADER, put_record};
use crate::position::Marks;
use crate::{Record, SpoolStatus};

/// Records have consecutive numbers:
///
/// ```text
///   next        published       end
///    |  spooled     |  appended  |
///    [ segments … ][ unwritten   ]
///          [        recent       ]
/// ```
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The oldest record that is not settled.
    pub(crate) next: u64,
    /// The first record that the reader cannot see yet.
    pub(crate) published: u64,
    /// The number of the next record.
    pub(crate) end: u64,
    /// Records from `next` on that the reader has.
    in_flight: u64,
    /// Records that the reader has and that are nowhere else.
    detached: u64,
    /// When the first record that the reader has was stored.
    oldest: Option<u64>,
    /// The newest records.
    recent: VecDeque<Stored>,
    recent_bytes: usize,
    /// Records at the end of `recent` that are not in a segment.
    unwritten: usize,
    unwritten_bytes: usize,
    /// The files, oldest first.
    pub(crate) segments: VecDeque<Segment>,
    /// The last segment is written to, so that it stays when it is settled.
    pub(crate) active: bool,
    /// The last segment is damaged: nothing more is to be written to it.
    pub(crate) active_damaged: bool,
    pub(crate) unsynced: Unsynced,
    /// The first record that was not forced to the disk.
    pub(crate) synced: u64,
    /// Records that were on the disk when it was opened.
    recovered: u64,
    pub(crate) stopped: bool,
}

/// A file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of its first record.
    pub(crate) first: u64,
    /// The number of the record behind its last one.
    pub(crate) end: u64,
    pub(crate) bytes: u64,
}

/// What is to be forced to the disk.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Segments, by the number of their first record.
    pub(crate) files: Vec<(u64, Arc<File>)>,
    pub(crate) bytes: usize,
    /// Files were created.
    pub(crate) directory: bool,
}

impl Unsynced {
    /// These segments are removed. Their space is free when they are closed.
    fn forget(&mut self, segments: &[u64]) {
        self.files.retain(|(first, _)| !segments.contains(first));
    }
}

#[derive(Debug)]
struct Stored {
    id: u128,
    time: u64,
    stored: u64,
    body: Box<[u8]>,
}

impl Stored {
    fn size(&self) -> usize {
        RECORD_HEADER + self.body.len()
    }
}

impl State {
    pub(crate) fn status(&self, now: u64) -> SpoolStatus {
        SpoolStatus {
            records: self.published - self.next + self.detached,
            recovered: self.recovered,
            unwritten: self.unwritten as u64,
            bytes: self.disk_bytes() + self.unwritten_bytes as u64,
            oldest: self.oldest.map(|stored| now.saturating_sub(stored)),
        }
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub(crate) fn marks(&self) -> Marks {
        Marks { next: self.next, synced: self.synced }
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten
    }

    pub(crate) fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    /// The first record that is not in a segment.
    pub(crate) fn written_end(&self) -> u64 {
        self.end - self.unwritten as u64
    }

    /// The first record in memory.
    pub(crate) fn recent_start(&self) -> u64 {
        self.end - self.recent.len() as u64
    }

    pub(crate) fn has_all_read(&self) -> bool {
        self.next + self.in_flight >= self.published
    }

    /// Whether no record is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.published == self.next && self.detached == 0
    }

    /// Adds a record that is not written yet.
    pub(crate) fn push(&mut self, record: &Record<'_>, stored: u64) {
        let Record { id, time, body } = *record;
        let record = Stored { id, time, stored, body: body.into() };
        self.recent_bytes += record.size();
        self.unwritten_bytes += record.size();
        self.recent.push_back(record);
        self.unwritten += 1;
        self.end += 1;
    }

    /// Appends unwritten records, from the first on, in the form of a segment: as many as fit into
    /// so many bytes, but at least one. Gives back their numbers.
    pub(crate) fn encode_unwritten(&self, room: usize, out: &mut Vec<u8>) -> Range<u64> {
        let first = self.written_end();
        let mut end = first;
        for record in self.recent.range(self.recent.len() - self.unwritten..) {
            if end > first && out.len() + record.size() > room {
                break;
            }
            let Stored { id, time, stored, ref body } = *record;
            // What is too long for the format was not accepted.
            let _ = put_record(end, stored, &Record { id, time, body }, out);
            end += 1;
        }
        first..end
    }

    /// Records up to this one are now in the last segment, in so many bytes. Those that memory is
    /// too short for are forgotten.
    pub(crate) fn set_written(&mut self, end: u64, bytes: usize, file: &Arc<File>, memory: usize) {
        // Some may have been settled meanwhile.
        let written = end.saturating_sub(self.written_end()) as usize;
        let first = self.recent.len() - self.unwritten;
        let records = self.recent.range(first..).take(written);
        self.unwritten_bytes -= records.map(Stored::size).sum::<usize>();
        self.unwritten -= written.min(self.unwritten);
        self.unsynced.bytes += bytes;
        if let Some(last) = self.segments.back_mut() {
            last.end = end;
            last.bytes += bytes as u64;
            let files = &mut self.unsynced.files;
            if files.last().is_none_or(|(first, _)| *first != last.first) {
                files.push((last.first, file.clone()));
            }
        }
        self.trim(memory);
    }

    /// Records from this one on, as far as they are in memory, are to be written again: the disk
    /// has not kept them. Gives back segments that have become superfluous.
    pub(crate) fn rewrite_from(&mut self, from: u64) -> Vec<u64> {
        let from = from.max(self.recent_start()).min(self.end);
        self.unwritten = (self.end - from) as usize;
        let first = self.recent.len() - self.unwritten;
        self.unwritten_bytes = self.recent.range(first..).map(Stored::size).sum();
        let mut superfluous = Vec::new();
        while let Some(last) = self.segments.back_mut().filter(|last| last.end > from) {
            if last.first < from {
                last.end = from;
                break;
            }
            superfluous.push(last.first);
            self.segments.pop_back();
        }
        self.active = false;
        self.unsynced = Unsynced { directory: self.unsynced.directory, ..Unsynced::default() };
        superfluous
    }

    /// The records of an earlier run, in these segments, come before those that are in memory. Only
    /// possible while nothing was written.
    pub(crate) fn recover(&mut self, marks: Marks, segments: Vec<Segment>) {
        let written = segments.last().map_or(0, |last| last.end);
        self.detach();
        self.trim(usize::MAX);
        let published = self.published - self.next;
        // Numbers are never used again, even if the disk has lost the records that had them.
        let written = written.max(marks.next).max(marks.synced);
        self.end = written + self.recent.len() as u64;
        self.published = written + published;
        self.synced = written;
        self.next = marks.next.max(segments.first().map_or(written, |first| first.first));
        self.segments = segments.into();
        self.recovered = written - self.next;
    }

    /// Drops the oldest segment to make room. Gives back its number, and how many records are lost:
    /// those that the reader has are not.
    pub(crate) fn evict(&mut self) -> Option<(u64, u64)> {
        let oldest = self.segments.pop_front()?;
        self.unsynced.forget(&[oldest.first]);
        if self.segments.is_empty() {
            self.active = false;
        }
        let lost = oldest.end.saturating_sub(self.next + self.in_flight);
        if oldest.end > self.next {
            self.detach();
            self.next = self.next.max(oldest.end);
            self.published = self.published.max(self.next);
            self.trim(usize::MAX);
        }
        Some((oldest.first, lost))
    }

    /// The reader has these records, from `next` on.
    pub(crate) fn set_in_flight(&mut self, records: u64, oldest: Option<u64>) {
        self.in_flight = records;
        self.oldest = oldest;
    }

    /// The first records that the reader has are settled. `oldest` is about those that it still
    /// has. Gives back segments that are settled.
    pub(crate) fn settle(&mut self, records: u64, oldest: Option<u64>) -> Vec<u64> {
        self.oldest = oldest;
        let detached = records.min(self.detached);
        self.detached -= detached;
        self.in_flight = self.in_flight.saturating_sub(records - detached);
        self.skip(records - detached)
    }

    /// Records that the reader does not have are settled. Gives back segments that are settled.
    pub(crate) fn skip(&mut self, records: u64) -> Vec<u64> {
        self.next += records;
        self.trim(usize::MAX);
        self.take_settled()
    }

    /// Takes segments out of the list whose records are settled.
    pub(crate) fn take_settled(&mut self) -> Vec<u64> {
        let kept = usize::from(self.active);
        let mut settled = Vec::new();
        while self.segments.len() > kept
            && let Some(oldest) = self.segments.front().filter(|oldest| oldest.end <= self.next)
        {
            settled.push(oldest.first);
            self.segments.pop_front();
        }
        self.unsynced.forget(&settled);
        settled
    }

    /// Calls `add` with records in memory, from `next` on, until it has enough.
    pub(crate) fn each_recent(&self, mut add: impl FnMut(&Record<'_>, u64) -> bool) {
        let skipped = (self.next - self.recent_start()) as usize;
        let published = (self.published - self.next) as usize;
        let records = self.recent.range(skipped.min(self.recent.len())..).take(published);
        for Stored { id, time, stored, body } in records {
            if !add(&Record { id: *id, time: *time, body }, *stored) {
                break;
            }
        }
    }

    /// What the reader has is no longer counted from `next` on.
    fn detach(&mut self) {
        self.next += self.in_flight;
        self.detached += std::mem::take(&mut self.in_flight);
    }

    /// Drops records in memory that are settled, and the oldest of those that are in segments
    /// while memory is short.
    fn trim(&mut self, memory: usize) {
        while !self.recent.is_empty() {
            let settled = self.recent_start() < self.next;
            let spare = self.recent_bytes > memory && self.recent.len() > self.unwritten;
            if !settled && !spare {
                break;
            }
            self.pop_recent();
        }
    }

    fn pop_recent(&mut self) {
        let Some(record) = self.recent.pop_front() else { return };
        self.recent_bytes -= record.size();
        if self.recent.len() < self.unwritten {
            self.unwritten -= 1;
            self.unwritten_bytes -= record.size();
        }
    }
}
