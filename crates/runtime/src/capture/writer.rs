//! The thread that writes capture files.
//!
//! The event thread copies events into batches and sends them through a bounded channel; this
//! thread encodes, compresses and writes them. The snapshot at the beginning of a file is collected
//! on the event thread, because later events change the state, and encoded here.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use peregrine_event::Event;
use peregrine_event::wire::Abi;
use peregrine_files::{FileError, FileMode};
use peregrine_limits::CAPTURE_SNAPSHOTS;
use peregrine_scap::{Compression, OldestReader, ScapError, Writer};
use peregrine_state::{Description, FullSnapshot};
use peregrine_telemetry::{Heartbeat, Phase};
use thiserror::Error;

use crate::Log;

/// Size of a batch in bytes.
const BATCH_BYTES: usize = 128 << 10;
/// Capacity of the channel in batches: 16 MiB of events.
const MAX_WAITING: usize = 128;

/// Why a capture file can't be created or ends early.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file can't be created.
    #[error("cannot record into {}: {error}", path.display())]
    Create {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// The file can't be written. Its content so far can be replayed.
    #[error("recording into {} ends: {error}", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: ScapError,
    },
    /// The writer thread can't be started.
    #[error("cannot start the thread that writes captures: {0}")]
    Thread(io::Error),
}

/// Behaviour when the writer does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backpressure {
    /// The event thread waits: for replays.
    Wait,
    /// Events are dropped from the file and counted, and a file is not begun: for the kernel, whose
    /// rings do not wait.
    Drop,
}

/// Sends files to the writer thread.
#[derive(Debug)]
pub struct CaptureWriter {
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
    backpressure: Backpressure,
    files: u64,
    dropped: u64,
    /// Ends of files that found the channel full. Only with [`Backpressure::Drop`].
    unsent: VecDeque<Task>,
    /// Snapshots that wait for the thread.
    snapshots: Arc<AtomicUsize>,
    heartbeat: Arc<Heartbeat>,
    log: Log,
}

/// A file being written.
#[derive(Debug)]
pub struct CaptureFile {
    id: u64,
    batch: Batch,
    /// Time of the last event.
    last_ts: u64,
    progress: Arc<Progress>,
}

/// Path, compression, limit and permissions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The file.
    pub path: PathBuf,
    /// How it is compressed.
    pub compression: Compression,
    /// Size at which it ends, in bytes.
    pub max_bytes: Option<u64>,
    /// Its permissions.
    pub mode: FileMode,
    /// The oldest program that shall read it.
    pub oldest_reader: OldestReader,
}

impl FileSettings {
    /// A private file without a limit, compressed if its name ends in `.gz`.
    pub fn by_name(path: &Path) -> Self {
        let gz = path.extension().is_some_and(|extension| extension == "gz");
        let compression = if gz { Compression::Gzip } else { Compression::None };
        Self {
            path: path.to_owned(),
            compression,
            max_bytes: None,
            mode: FileMode::PRIVATE,
            oldest_reader: OldestReader::default(),
        }
    }

    /// Creates the file.
    ///
    /// # Errors
    /// It can't be created.
    pub fn create(&self) -> Result<File, CaptureError> {
        peregrine_files::create(&self.path, self.mode)
            .map_err(|error| CaptureError::Create { path: self.path.clone(), error })
    }
}

/// Progress of a file, set by the writer thread.
#[derive(Debug, Default)]
struct Progress {
    /// It has failed or reached its size: nothing more is written.
    ended: AtomicBool,
    /// Its final size if it has reached its limit, else 0.
    full: AtomicU64,
}

#[derive(Debug)]
enum Task {
    Create {
        id: u64,
        settings: FileSettings,
        /// Created by the writer thread if it is `None`.
        file: Option<File>,
        snapshot: FullSnapshot,
        progress: Arc<Progress>,
    },
    Events(u64, Batch),
    Restart(u64, FullSnapshot),
    Finish(u64),
    /// Replies when all tasks before it are done.
    Sync(SyncSender<()>),
}

/// Concatenated events.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    events: Vec<Meta>,
}

/// Attributes that the bytes of an event do not contain.
#[derive(Clone, Copy, Debug)]
struct Meta {
    len: u32,
    cpu: u16,
    abi: Abi,
    state_only: bool,
}

impl CaptureWriter {
    /// Starts the thread. Errors of files go to the log.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(backpressure: Backpressure, log: Log) -> Result<Self, CaptureError> {
        let (tasks, receiver) = sync_channel(MAX_WAITING);
        let errors = log.clone();
        let snapshots = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::clone(&snapshots);
        let write =
            move || Files { open: HashMap::new(), snapshots: waiting, log: errors }.run(&receiver);
        let thread = thread::Builder::new().name("captures".to_owned()).spawn(write);
        let thread = Some(thread.map_err(CaptureError::Thread)?);
        Ok(Self {
            tasks: Some(tasks),
            thread,
            backpressure,
            files: 0,
            dropped: 0,
            unsent: VecDeque::new(),
            snapshots,
            heartbeat: Arc::default(),
            log,
        })
    }

    /// Shows here when the event thread waits for the writer.
    pub(crate) fn show_waits(&mut self, heartbeat: &Arc<Heartbeat>) {
        self.heartbeat = Arc::clone(heartbeat);
    }

    /// Whether a file would not be begun, because the thread does not keep up; counted.
    pub fn is_behind(&mut self) -> bool {
        if self.waits() {
            return false;
        }
        self.send_rest();
        let snapshots = self.snapshots.load(Ordering::Relaxed);
        let behind = snapshots >= CAPTURE_SNAPSHOTS.get() || !self.unsent.is_empty();
        if behind {
            CAPTURE_SNAPSHOTS.reach();
        }
        behind
    }

    /// Begins a file with this snapshot.
    pub fn create(&mut self, settings: FileSettings, snapshot: FullSnapshot) -> CaptureFile {
        self.begin(settings, None, snapshot)
    }

    /// The same in a file that is open and empty.
    pub fn begin_in(
        &mut self,
        file: File,
        settings: FileSettings,
        snapshot: FullSnapshot,
    ) -> CaptureFile {
        self.begin(settings, Some(file), snapshot)
    }

    fn begin(
        &mut self,
        settings: FileSettings,
        file: Option<File>,
        snapshot: FullSnapshot,
    ) -> CaptureFile {
        self.files += 1;
        let ts = snapshot.ts;
        let (id, progress) = (self.files, Arc::new(Progress::default()));
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        let create = Task::Create { id, settings, file, snapshot, progress: Arc::clone(&progress) };
        let sent = match self.backpressure {
            Backpressure::Wait => self.send(create),
            Backpressure::Drop => self.try_send(create).is_ok(),
        };
        if !sent {
            self.snapshots.fetch_sub(1, Ordering::Relaxed);
            CAPTURE_SNAPSHOTS.reach();
            progress.ended.store(true, Ordering::Release);
        }
        CaptureFile { id, batch: Batch::default(), last_ts: ts, progress }
    }

    /// Appends an event. `state_only` marks one that rules are not evaluated for.
    #[inline]
    pub fn event(&mut self, file: &mut CaptureFile, event: &Event<'_>, state_only: bool) {
        file.last_ts = event.ts;
        file.batch.push(event, state_only);
        if file.batch.bytes.len() >= BATCH_BYTES {
            self.flush(file);
        }
    }

    /// Appends events about something that was found out after the last event.
    pub(crate) fn describe(&mut self, file: &mut CaptureFile, description: &Description) {
        let ts = file.last_ts;
        description.events(ts, |event| self.event(file, event, true));
    }

    /// Continues with another section, which begins with this snapshot.
    pub fn restart(&mut self, file: &mut CaptureFile, snapshot: FullSnapshot) {
        self.flush(file);
        self.send(Task::Restart(file.id, snapshot));
    }

    /// Ends a file. It is complete when the writer is [closed](Self::close).
    pub fn finish(&mut self, mut file: CaptureFile) {
        self.flush(&mut file);
        let finish = Task::Finish(file.id);
        match self.backpressure {
            Backpressure::Wait => drop(self.send(finish)),
            Backpressure::Drop => {
                self.unsent.push_back(finish);
                self.send_rest();
            }
        }
    }

    /// Sends the appended events to the thread.
    pub fn flush(&mut self, file: &mut CaptureFile) {
        if file.batch.events.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut file.batch);
        let events = batch.events.len() as u64;
        match self.backpressure {
            Backpressure::Wait => drop(self.send(Task::Events(file.id, batch))),
            Backpressure::Drop => {
                if self.try_send(Task::Events(file.id, batch)).is_err() {
                    self.dropped += events;
                }
            }
        }
    }

    /// Whether the event thread waits for the writer.
    pub fn waits(&self) -> bool {
        self.backpressure == Backpressure::Wait
    }

    /// Waits until all events sent so far are written.
    pub fn sync(&mut self) {
        let (done, synced) = sync_channel(1);
        self.send(Task::Sync(done));
        // An error means that the thread has ended.
        let _ = synced.recv();
    }

    /// Events dropped because the writer did not keep up.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Finishes all files and waits until they are written.
    pub fn close(&mut self) {
        while let Some(task) = self.unsent.pop_front() {
            self.send(task);
        }
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of that thread.
            let _ = thread.join();
            if self.dropped > 0 {
                let dropped = self.dropped;
                self.log.warning(format_args!(
                    "{dropped} events are missing in recordings: they could not be written fast enough"
                ));
            }
        }
    }

    /// Waits while the channel is full. False means that the thread has panicked.
    fn send(&self, task: Task) -> bool {
        let Some(tasks) = &self.tasks else { return false };
        match tasks.try_send(task) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(task)) => {
                self.heartbeat.during(Phase::AwaitingCaptureWriter, || tasks.send(task).is_ok())
            }
        }
    }

    /// Never waits: gives the task back when the channel is full or the thread has panicked.
    fn try_send(&mut self, task: Task) -> Result<(), Task> {
        self.send_rest();
        let Some(tasks) = self.tasks.as_ref().filter(|_| self.unsent.is_empty()) else {
            return Err(task);
        };
        tasks.try_send(task).map_err(|error| match error {
            TrySendError::Full(task) | TrySendError::Disconnected(task) => task,
        })
    }

    /// Sends the ends of files that found the channel full, as far as it has room.
    fn send_rest(&mut self) {
        let Some(tasks) = &self.tasks else { return };
        while let Some(task) = self.unsent.pop_front() {
            if let Err(TrySendError::Full(task)) = tasks.try_send(task) {
                return self.unsent.push_front(task);
            }
        }
    }
}

impl Drop for CaptureWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl CaptureFile {
    /// Whether no more events are written to it.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.progress.ended.load(Ordering::Acquire)
    }

    /// Its size if it has reached its limit.
    pub fn full(&self) -> Option<u64> {
        Some(self.progress.full.load(Ordering::Acquire)).filter(|written| *written > 0)
    }
}

impl Batch {
    fn push(&mut self, event: &Event<'_>, state_only: bool) {
        let bytes = event.bytes();
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        self.bytes.extend_from_slice(bytes);
        self.events.push(Meta { len, cpu: event.cpu, abi: event.abi, state_only });
    }

    /// The events, each with its `state_only` flag.
    fn events(&self) -> impl Iterator<Item = (Event<'_>, bool)> {
        let mut rest = self.bytes.as_slice();
        self.events.iter().filter_map(move |meta| {
            let (bytes, after) = rest.split_at_checked(meta.len as usize)?;
            rest = after;
            let mut event = Event::parse(bytes, meta.cpu).ok()?;
            event.abi = meta.abi;
            Some((event, meta.state_only))
        })
    }
}

/// The files of the writer thread.
struct Files {
    open: HashMap<u64, OpenFile>,
    /// Snapshots that wait for this thread.
    snapshots: Arc<AtomicUsize>,
    log: Log,
}

struct OpenFile {
    settings: FileSettings,
    writer: Writer<CountedFile>,
    written: Arc<AtomicU64>,
    progress: Arc<Progress>,
}

impl Files {
    fn run(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            match task {
                Task::Create { id, settings, file, snapshot, progress } => {
                    let begun = OpenFile::begin(settings, file, &snapshot, &progress);
                    self.snapshots.fetch_sub(1, Ordering::Relaxed);
                    match begun {
                        Ok(file) => drop(self.open.insert(id, file)),
                        Err(error) => {
                            progress.ended.store(true, Ordering::Release);
                            self.log.error(error);
                        }
                    }
                }
                Task::Events(id, batch) => self.update(id, |file| file.write(&batch)),
                Task::Restart(id, snapshot) => {
                    self.update(id, |file| {
                        file.writer.restart(&snapshot.items)?;
                        describe(&snapshot, &mut file.writer).map(|()| false)
                    });
                }
                Task::Finish(id) => self.update(id, |_| Ok(true)),
                Task::Sync(done) => {
                    // An error means that the event thread no longer waits.
                    let _ = done.send(());
                }
            }
        }
        for file in self.open.into_values() {
            if let Err(error) = file.finish() {
                self.log.error(error);
            }
        }
    }

    /// Updates a file that has not ended. It ends if `work` returns true or fails.
    fn update(&mut self, id: u64, work: impl FnOnce(&mut OpenFile) -> Result<bool, ScapError>) {
        let Some(file) = self.open.get_mut(&id) else { return };
        let error = match work(file) {
            Ok(false) => return,
            Ok(true) => None,
            Err(error) => Some(file.failed(error)),
        };
        let finished = self.open.remove(&id).map_or(Ok(()), OpenFile::finish);
        // Only the first error is logged.
        if let Some(error) = error.or(finished.err()) {
            self.log.error(error);
        }
    }
}

/// Appends what the lists of a capture have no form for.
fn describe(snapshot: &FullSnapshot, writer: &mut Writer<CountedFile>) -> Result<(), ScapError> {
    let mut result = Ok(());
    snapshot.events(|event| {
        if result.is_ok() {
            result = writer.event(event, true);
        }
    });
    result
}

impl OpenFile {
    fn begin(
        settings: FileSettings,
        file: Option<File>,
        snapshot: &FullSnapshot,
        progress: &Arc<Progress>,
    ) -> Result<Self, CaptureError> {
        let path = || settings.path.clone();
        let file = file.map_or_else(|| settings.create(), Ok)?;
        let written = Arc::new(AtomicU64::new(0));
        let sink = CountedFile { file, written: Arc::clone(&written) };
        let begun = Writer::new(sink, settings.compression, &snapshot.items);
        let described = |mut writer| describe(snapshot, &mut writer).map(|()| writer);
        let writer = begun
            .map(|writer| writer.oldest_reader(settings.oldest_reader))
            .and_then(described)
            .map_err(|error| CaptureError::Write { path: path(), error })?;
        Ok(Self { settings, writer, written, progress: Arc::clone(progress) })
    }

    /// Appends events until the file reaches its size. Returns whether it has.
    fn write(&mut self, batch: &Batch) -> Result<bool, ScapError> {
        for (event, state_only) in batch.events() {
            self.writer.event(&event, state_only)?;
            let limit = self.settings.max_bytes;
            if limit.is_some_and(|max| self.written.load(Ordering::Relaxed) >= max) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn finish(self) -> Result<(), CaptureError> {
        let Self { settings: FileSettings { path, max_bytes, .. }, writer, written, progress } =
            self;
        let result = writer.finish();
        let written = written.load(Ordering::Relaxed);
        if result.is_ok() && max_bytes.is_some_and(|max| written >= max) {
            progress.full.store(written, Ordering::Release);
        }
        progress.ended.store(true, Ordering::Release);
        result.map(drop).map_err(|error| CaptureError::Write { path, error })
    }

    fn failed(&self, error: ScapError) -> CaptureError {
        CaptureError::Write { path: self.settings.path.clone(), error }
    }
}

/// A file that counts the bytes written to it.
#[derive(Debug)]
struct CountedFile {
    file: File,
    written: Arc<AtomicU64>,
}

impl Write for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
