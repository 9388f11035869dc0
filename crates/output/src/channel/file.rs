//! A file that alerts are appended to.

mod place;
mod renamed;
mod rotate;
mod sync;
mod tidy;

use std::path::PathBuf;

use peregrine_alert::Alert;
use peregrine_files::FileMode;

use self::place::OpenFile;
pub use self::renamed::{FileCompression, Rotation};
use self::rotate::Rotator;
pub use self::sync::FileSync;
use self::sync::Syncer;
use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use super::lines::Lines;
use crate::format::Formatter;

/// A file that alerts are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutput {
    /// Its path.
    pub path: PathBuf,
    /// Keeps it open between alerts.
    pub keep_alive: bool,
    /// Its permissions if it is created.
    pub mode: FileMode,
    /// When it is renamed and begun anew; `None` if it is not.
    pub rotation: Option<Rotation>,
    /// When alerts are written to the disk.
    pub sync: FileSync,
}

#[derive(Debug)]
pub(crate) struct File {
    output: FileOutput,
    format: Formatter,
    buffered: bool,
    lines: Lines,
    open: Option<OpenFile>,
    rotator: Option<Rotator>,
    syncer: Syncer,
}

impl FileOutput {
    /// A file that stays open, is not rotated, and is written to the disk when the system does it.
    #[must_use]
    pub fn new(path: PathBuf, mode: FileMode) -> Self {
        Self { path, keep_alive: true, mode, rotation: None, sync: FileSync::Never }
    }
}

impl File {
    pub(crate) fn new(output: FileOutput, format: Formatter, buffered: bool) -> Self {
        let rotator = |rotation| Rotator::new(output.path.clone(), output.mode, rotation);
        let rotator = output.rotation.map(rotator);
        let syncer = Syncer::new(output.sync);
        Self { output, format, buffered, lines: Lines::default(), open: None, rotator, syncer }
    }

    fn open(&mut self) -> Result<&OpenFile, ChannelError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::append(&self.output.path, self.output.mode)?,
        };
        Ok(self.open.insert(open))
    }

    /// Writes what waits. After an error the file is opened again: the name may lead to a better
    /// place by then.
    fn flush(&mut self) -> Outcome {
        if self.lines.bytes().is_empty() {
            return Outcome::default();
        }
        let rotated = self.rotate();
        let file = match self.open() {
            Ok(open) => open.file().clone(),
            Err(error) => return rotated.and(Outcome::of(self.lines.clear(), Err(error))),
        };
        let written = rotated.and(self.lines.write_to(&*file));
        let written = self.syncer.after_write(&file, written);
        if written.error.is_some() {
            self.open = None;
        }
        written
    }

    /// Begins a new file if it is time. If that fails, alerts go on into the old one.
    fn rotate(&mut self) -> Outcome {
        let Ok(open) = self.open() else { return Outcome::default() };
        let file = open.file().clone();
        let (pending, path) = (self.lines.bytes().len(), &self.output.path);
        let Some(rotator) = &mut self.rotator else { return Outcome::default() };
        let tidied = Outcome::of(0, rotator.tidy_at_start());
        if !rotator.is_due(&file, pending) {
            return tidied;
        }
        let renamed = rotator.rename(path);
        if renamed.is_ok() {
            self.open = None;
        }
        tidied.and(Outcome::of(0, renamed))
    }

    fn close(&mut self) -> Outcome {
        let flushed = self.flush();
        self.open = None;
        flushed
    }
}

impl Channel for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        if self.open.as_ref().is_some_and(|open| open.is_left(&self.output.path)) {
            self.open = None;
        }
        let mut outcome = Outcome::default();
        for alert in alerts {
            self.lines.add(alert, &mut self.format);
            if self.lines.is_full() {
                outcome = outcome.and(self.flush());
            }
        }
        match (self.output.keep_alive, self.buffered) {
            (true, true) => outcome,
            (true, false) => outcome.and(self.flush()),
            (false, _) => outcome.and(self.close()),
        }
    }

    fn reopen(&mut self) -> Outcome {
        let closed = self.close();
        closed.and(Outcome::of(0, self.open().map(|_| ())))
    }

    fn finish(&mut self) -> Outcome {
        let closed = self.close().and(self.syncer.finish());
        let tidied = self.rotator.take().map_or(Ok(()), Rotator::finish);
        closed.and(Outcome::of(0, tidied))
    }
}

#[cfg(test)]
mod tests;
