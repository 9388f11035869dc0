//! Recordings: everything that goes through the engine ([`Recording`]), or what happens around matches ([`Captures`]).
//!
//! A recording begins with the state as it is at that moment, so that a replay of it knows what the engine knew.
//!
//! ```
//! use peregrine_engine::recorder::Recording;
//! use peregrine_scap::Reader;
//! use peregrine_state::{Config, State};
//!
//! let file = std::env::temp_dir().join("recorder-example.scap");
//! let recording = Recording::create(&file, &State::new(Config::default()))?;
//! recording.finish()?;
//! assert!(Reader::open(&file)?.next()?.is_some(), "it tells of the machine");
//! # std::fs::remove_file(&file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peregrine_event::Event;
use peregrine_scap::{Compression, ScapError, Writer};
use peregrine_state::State;
use thiserror::Error;

/// Why there is no recording.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file can't be made.
    #[error("cannot record into {}: {error}", path.display())]
    Create {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file can't be written. What it holds so far can be replayed.
    #[error("recording into {} ends: {error}", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: ScapError,
    },
}

/// A capture file being written.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    writer: Writer<Counted>,
    written: Arc<AtomicU64>,
}

impl Recording {
    /// Begins a file with the state as it is. It is compressed when its name ends in `.gz`.
    ///
    /// # Errors
    /// When the file can't be made or written.
    pub fn create(path: &Path, state: &State) -> Result<Self, RecordError> {
        let gz = path.extension().is_some_and(|extension| extension == "gz");
        Self::with(path, if gz { Compression::Gzip } else { Compression::None }, state)
    }

    fn with(path: &Path, compression: Compression, state: &State) -> Result<Self, RecordError> {
        let path = path.to_owned();
        let file = match File::create(&path) {
            Ok(file) => file,
            Err(error) => return Err(RecordError::Create { path, error }),
        };
        let written = Arc::new(AtomicU64::new(0));
        let sink = Counted { file, written: Arc::clone(&written) };
        match Writer::new(sink, compression, &state.snapshot(|_| true)) {
            Ok(writer) => Ok(Self { path, writer, written }),
            Err(error) => Err(RecordError::Write { path, error }),
        }
    }

    /// Appends an event. `state_only` marks one that rules are not asked about.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn event(&mut self, event: &Event<'_>, state_only: bool) -> Result<(), RecordError> {
        self.writer.event(event, state_only).map_err(|error| self.failed(error))
    }

    /// Goes on with another capture, which begins with this state.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn restart(&mut self, state: &State) -> Result<(), RecordError> {
        self.writer.restart(&state.snapshot(|_| true)).map_err(|error| self.failed(error))
    }

    /// Bytes in the file. Some more may wait to be compressed.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the file and gives its size.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(self) -> Result<u64, RecordError> {
        let Self { path, writer, written } = self;
        writer.finish().map_err(|error| RecordError::Write { path, error })?;
        Ok(written.load(Ordering::Relaxed))
    }

    fn failed(&self, error: ScapError) -> RecordError {
        RecordError::Write { path: self.path.clone(), error }
    }
}

/// What the configuration says of recordings around matches (`capture`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Beginning of the names of the files.
    pub path_prefix: String,
    /// Whether every match starts one, or only those of rules that ask for it.
    pub all_rules: bool,
    /// How long to record after a match whose rule does not say.
    pub default_duration: Duration,
    /// Size at which a recording ends.
    pub max_bytes: Option<u64>,
}

/// Records what happens around matches, one file after another.
#[derive(Debug)]
pub struct Captures {
    config: CaptureConfig,
    state: Progress,
    told: Told,
}

/// Events that told of users, groups and containers: a snapshot has no place for all they said, so recordings begin with
/// them.
#[derive(Debug, Default)]
struct Told {
    events: VecDeque<(u16, Vec<u8>)>,
    bytes: usize,
}

/// Bytes of such events that are kept; the oldest go first.
const MAX_TOLD: usize = 16 << 20;

/// Where a capture is.
#[derive(Debug)]
enum Progress {
    None,
    /// The event being looked at has matched a rule that asks for one. With the time at which it is to end.
    Wanted(u64),
    /// With the time at which it is to end.
    Running(Box<Recording>, u64),
}

/// The file of a capture has got as large as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeReached {
    /// Its size.
    pub written: u64,
}

impl Captures {
    /// Records nothing yet.
    pub fn new(config: CaptureConfig) -> Self {
        Self { config, state: Progress::None, told: Told::default() }
    }

    /// Something has happened that a recording may have to begin with.
    pub fn arrived(&mut self, event: &Event<'_>) {
        if event.ty.describes_machine() {
            self.told.push(event);
        }
    }

    /// Another capture begins: what was told does not count any more.
    ///
    /// # Errors
    /// When the file of the running recording can't be written.
    pub fn restart(&mut self) -> Result<(), RecordError> {
        self.told = Told::default();
        self.finish()
    }

    /// A rule matched the event being looked at. `duration` is what the rule says; zero for nothing. Any match lets a
    /// capture go on; only some start one.
    pub fn hit(&mut self, ts: u64, starts: bool, duration: Duration) {
        let duration = if duration.is_zero() { self.config.default_duration } else { duration };
        let deadline = ts.saturating_add(duration.as_nanos().try_into().unwrap_or(u64::MAX));
        match &mut self.state {
            Progress::Wanted(end) | Progress::Running(_, end) => *end = deadline.max(*end),
            Progress::None if starts || self.config.all_rules => {
                self.state = Progress::Wanted(deadline);
            }
            Progress::None => {}
        }
    }

    /// The event being looked at is done with: it is recorded, along with the state it has led to where it is the first.
    ///
    /// # Errors
    /// When the file can't be written. The next match tries another one.
    pub fn event(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        state: &State,
    ) -> Result<Option<SizeReached>, RecordError> {
        let (mut recording, deadline) = match std::mem::replace(&mut self.state, Progress::None) {
            Progress::None => return Ok(None),
            Progress::Running(recording, deadline) => (recording, deadline),
            Progress::Wanted(deadline) => {
                let path = file_name(&self.config.path_prefix, event.ts, event.num);
                let mut recording = Box::new(Recording::with(&path, Compression::Gzip, state)?);
                self.told.write(event, &mut recording)?;
                (recording, deadline)
            }
        };
        recording.event(event, state_only)?;
        if event.ts >= deadline {
            recording.finish()?;
            return Ok(None);
        }
        if self.config.max_bytes.is_some_and(|max| recording.written() >= max) {
            let written = recording.finish()?;
            return Ok(Some(SizeReached { written }));
        }
        self.state = Progress::Running(recording, deadline);
        Ok(None)
    }

    /// Ends the recording that is running, if one is.
    ///
    /// # Errors
    /// When its file can't be written.
    pub fn finish(&mut self) -> Result<(), RecordError> {
        match std::mem::replace(&mut self.state, Progress::None) {
            Progress::Running(recording, _) => recording.finish().map(drop),
            _ => Ok(()),
        }
    }

    /// Ends the recording that is running when it is `now` later than it was to last: for when no event comes that
    /// would show it.
    ///
    /// # Errors
    /// When its file can't be written.
    pub fn idle(&mut self, now: u64) -> Result<(), RecordError> {
        match &self.state {
            Progress::Running(_, deadline) if now >= *deadline => self.finish(),
            _ => Ok(()),
        }
    }
}

impl Told {
    fn push(&mut self, event: &Event<'_>) {
        self.bytes += event.bytes().len();
        self.events.push_back((event.cpu, event.bytes().to_vec()));
        while self.bytes > MAX_TOLD {
            let Some((_, oldest)) = self.events.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// Writes what was told before this event.
    fn write(&self, first: &Event<'_>, recording: &mut Recording) -> Result<(), RecordError> {
        let known = self.events.iter().filter(|(_, bytes)| bytes != first.bytes());
        for (cpu, bytes) in known {
            if let Ok(event) = Event::parse(bytes, *cpu) {
                recording.event(&event, true)?;
            }
        }
        Ok(())
    }
}

/// Names sort by time.
fn file_name(prefix: &str, ts: u64, num: u64) -> PathBuf {
    PathBuf::from(format!("{prefix}_{ts:020}_{num:020}.scap"))
}

/// A file that counts what it is given.
#[derive(Debug)]
struct Counted {
    file: File,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
