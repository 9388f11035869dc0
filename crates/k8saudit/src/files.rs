//! Files that are read to their end.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use peregrine_limits::AUDIT_BATCH_BYTES;
use peregrine_telemetry::AuditStats;

use crate::batch::{Batch, Splitter};
use crate::error::AuditError;
use crate::queue::{Filler, now};
use crate::settings::Settings;

/// Opens the file, or those of the directory, and starts to read them.
pub(crate) fn start(
    path: &Path,
    settings: &Settings,
    filler: Filler,
    stats: &Arc<AuditStats>,
) -> Result<(), AuditError> {
    let files = open(path)?;
    let mut lines = Lines::new(settings, filler, stats);
    spawn(move || {
        for (path, file) in files {
            match lines.read(&mut BufReader::with_capacity(64 << 10, file)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return lines.filler.fail(format!("{}: {error}", path.display())),
            }
        }
    })
}

pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) -> Result<(), AuditError> {
    let thread = thread::Builder::new().name("k8saudit".to_owned()).spawn(run);
    thread.map(drop).map_err(AuditError::Thread)
}

/// The files of a directory are ordered by the times of their last changes.
fn open(path: &Path) -> Result<Vec<(PathBuf, File)>, AuditError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |error| AuditError::File { what, path, error }
    };
    let opened = |path: &Path| {
        let file = File::open(path).map_err(failed("open", path))?;
        Ok((path.to_owned(), file))
    };
    let metadata = fs::metadata(path).map_err(failed("stat", path))?;
    if !metadata.is_dir() {
        return Ok(vec![opened(path)?]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed("open", path))? {
        let path = entry.map_err(failed("open", path))?.path();
        let metadata = fs::metadata(&path).map_err(failed("stat", &path))?;
        if !metadata.is_dir() {
            files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path));
        }
    }
    files.sort();
    files.iter().map(|(_, path)| opened(path)).collect()
}

/// Queues the events of lines.
pub(crate) struct Lines {
    pub(crate) filler: Filler,
    splitter: Splitter,
    stats: Arc<AuditStats>,
    max_bytes: usize,
    line: Vec<u8>,
    /// Whether the line is longer than the limit: the rest of it is left out.
    too_long: bool,
}

/// Pause while the queue is full.
const FULL: Duration = Duration::from_millis(2);

impl Lines {
    pub(crate) fn new(settings: &Settings, filler: Filler, stats: &Arc<AuditStats>) -> Self {
        Self {
            filler,
            splitter: Splitter::new(settings.max_event_bytes),
            stats: Arc::clone(stats),
            max_bytes: settings.max_batch_bytes,
            line: Vec::new(),
            too_long: false,
        }
    }

    /// Reads to the end, the last line too if it has no end. False when nothing takes the events
    /// any more.
    fn read(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        Ok(self.follow(input)? && self.end_line())
    }

    /// Reads complete lines. What follows the last of them is kept.
    pub(crate) fn follow(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        loop {
            let available = match input.fill_buf() {
                Ok([]) => return Ok(true),
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', available);
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            let taken = part.len() + usize::from(end.is_some());
            if self.line.len() + part.len() > self.max_bytes {
                self.too_long = true;
                self.line.clear();
            } else if !self.too_long {
                self.line.extend_from_slice(part);
            }
            input.consume(taken);
            if end.is_some() && !self.end_line() {
                return Ok(false);
            }
        }
    }

    /// Forgets the beginning of a line whose rest will not come.
    pub(crate) fn forget(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let goes_on = if std::mem::take(&mut self.too_long) {
            AUDIT_BATCH_BYTES.reach();
            self.stats.refused_document();
            true
        } else if line.iter().all(u8::is_ascii_whitespace) {
            true
        } else {
            self.document(&line)
        };
        self.line = line;
        self.line.clear();
        goes_on
    }

    fn document(&mut self, line: &[u8]) -> bool {
        match self.splitter.split(line) {
            Ok((batch, split)) => {
                self.stats.add(split.events, split.invalid, split.too_large);
                self.put(batch)
            }
            Err(_) => {
                self.stats.refused_document();
                true
            }
        }
    }

    /// Queues a batch; waits while the queue is full.
    fn put(&self, mut batch: Batch) -> bool {
        while !self.filler.is_closed() {
            match self.filler.offer(batch, now()) {
                Ok(()) => return true,
                Err(back) => batch = back,
            }
            thread::sleep(FULL);
        }
        false
    }
}
