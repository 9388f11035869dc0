//! The thread that compresses and removes renamed files.
//!
//! It can be interrupted at any time: a compressed file has another name while it is written, and
//! the uncompressed one is removed when the compressed one is on the disk.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use flate2::write::GzEncoder;
use peregrine_files::{FileError, FileMode, Siblings};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::super::error::ChannelError;
use super::renamed::{FileCompression, Rotation, Stamp};

/// Starts the thread when it is needed, and asks it.
#[derive(Debug)]
pub(crate) struct Tidy {
    files: RenamedFiles,
    thread: Option<Thread>,
    error: Arc<Mutex<Option<ChannelError>>>,
}

#[derive(Debug)]
struct Thread {
    requests: SyncSender<()>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// The files that a rotation leaves behind.
#[derive(Clone, Debug)]
struct RenamedFiles {
    path: PathBuf,
    mode: FileMode,
    rotation: Rotation,
}

/// What the name of a file that is being compressed ends with.
const PARTIAL: &str = ".partial";
/// Bytes that are compressed at once.
const CHUNK: u64 = 1 << 20;
/// Time that the end of a run waits for the thread.
const PATIENCE: Duration = Duration::from_secs(1);

impl Tidy {
    pub(crate) fn new(path: PathBuf, mode: FileMode, rotation: Rotation) -> Self {
        let files = RenamedFiles { path, mode, rotation };
        Self { files, thread: None, error: Arc::default() }
    }

    /// Has the thread look through the files soon.
    pub(crate) fn request(&mut self) -> Result<(), ChannelError> {
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => self.start().map_err(|error| self.files.failed(error.into()))?,
        };
        // A request that waits is enough.
        let _ = self.thread.insert(thread).requests.try_send(());
        Ok(())
    }

    /// The last failure.
    pub(crate) fn take_error(&self) -> Option<ChannelError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn finish(mut self) -> Result<(), ChannelError> {
        if let Some(Thread { requests, ended }) = self.thread.take() {
            drop(requests);
            let _ = ended.recv_timeout(PATIENCE);
        }
        self.take_error().map_or(Ok(()), Err)
    }

    fn start(&self) -> io::Result<Thread> {
        let ((requests, receiver), (alive, ended)) = (mpsc::sync_channel(1), mpsc::channel());
        let (files, error) = (self.files.clone(), self.error.clone());
        let run = move || {
            for () in receiver {
                if let Err(failed) = files.tidy() {
                    let failed = files.failed(failed);
                    *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
                }
            }
            drop::<mpsc::Sender<()>>(alive);
        };
        thread::Builder::new().name("output-rotate".to_owned()).spawn(run)?;
        Ok(Thread { requests, ended })
    }
}

impl RenamedFiles {
    fn failed(&self, source: FileError) -> ChannelError {
        ChannelError::Rotate { path: self.path.clone(), source }
    }

    /// Removes what is too much and compresses the rest, the oldest first.
    fn tidy(&self) -> Result<(), FileError> {
        let (files, name) = Siblings::of(&self.path)?;
        for (stamp, form) in Stamp::of_files(&files, name)? {
            if form.to_str().is_some_and(|form| form.ends_with(PARTIAL)) {
                files.remove(&joined(stamp.name(name), &form))?;
            }
        }
        while let Some(plain) = self.thin_out(&files, name)? {
            let Some(compression) = self.rotation.compression else { break };
            compress(&files, &plain, compression, self.mode)?;
        }
        Ok(())
    }

    /// Removes what is too much. Gives back the oldest file that is not compressed.
    fn thin_out(&self, files: &Siblings, name: &OsStr) -> Result<Option<OsString>, FileError> {
        let found = Stamp::of_files(files, name)?;
        let mut stamps: Vec<_> = found.iter().map(|(stamp, _)| *stamp).collect();
        stamps.dedup();
        let excess = self.rotation.keep.map_or(0, |keep| stamps.len().saturating_sub(keep.get()));
        let first_kept = stamps.get(excess).copied();
        let mut plain = None;
        for (stamp, form) in &found {
            let is_kept = first_kept.is_some_and(|first| *stamp >= first);
            // A file that has been compressed, and was not removed before an interruption.
            let is_done = form.is_empty()
                && found.iter().any(|(other, form)| other == stamp && !form.is_empty());
            if !is_kept || is_done {
                files.remove(&joined(stamp.name(name), form))?;
            } else if form.is_empty() && plain.is_none() {
                plain = Some(stamp.name(name));
            }
        }
        Ok(plain)
    }
}

fn compress(
    files: &Siblings,
    plain: &OsStr,
    compression: FileCompression,
    mode: FileMode,
) -> Result<(), FileError> {
    let whole = joined(plain.to_owned(), OsStr::new(compression.suffix()));
    let partial = joined(whole.clone(), OsStr::new(PARTIAL));
    let source = files.open(plain)?;
    let file = files.create(&partial, mode)?;
    let written = compression.write(source, &file).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = files.remove(&partial);
        return Err(FileError::System(error));
    }
    files.rename(&partial, &whole)?;
    files.sync()?;
    files.remove(plain)
}

impl FileCompression {
    fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    fn write(self, mut from: File, mut to: &File) -> io::Result<()> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut from, &mut encoder)?;
                encoder.finish().map(drop)
            }
            // The encoder panics if it can't read or write, so it gets memory. Frames that follow
            // each other are one file.
            Self::Zstd => loop {
                let mut chunk = Vec::new();
                if (&from).take(CHUNK).read_to_end(&mut chunk)? == 0 {
                    return Ok(());
                }
                to.write_all(&compress_to_vec(&*chunk, CompressionLevel::Fastest))?;
            },
        }
    }
}

fn joined(mut name: OsString, end: &OsStr) -> OsString {
    name.push(end);
    name
}
