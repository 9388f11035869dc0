//! When alerts are written to the disk.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::deliver::Outcome;

/// When alerts are written to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileSync {
    /// When the system does it.
    #[default]
    Never,
    /// Before they count as delivered.
    Always,
    /// After this time at most.
    Every(Duration),
}

/// Writes a file to the disk.
#[derive(Debug)]
pub(crate) struct Syncer {
    sync: FileSync,
    background: Option<Background>,
    /// The file that was written to last, if the interval may not be over for it.
    last: Option<Arc<File>>,
}

/// The thread that waits for the interval.
#[derive(Debug)]
struct Background {
    files: Sender<Arc<File>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The thread has got a file.
    pending: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

impl Syncer {
    pub(crate) fn new(sync: FileSync) -> Self {
        Self { sync, background: None, last: None }
    }

    /// To be called when alerts were written, with what became of them. Those that may not be on
    /// the disk although they should are lost.
    pub(crate) fn after_write(&mut self, file: &Arc<File>, written: Outcome) -> Outcome {
        let synced = match self.sync {
            FileSync::Never => return written,
            FileSync::Always => sync(file),
            FileSync::Every(interval) => return written.and(self.request(interval, file)),
        };
        match synced {
            Ok(()) => written,
            Err(error) => Outcome {
                delivered: 0,
                failed: written.failed + written.delivered,
                error: written.error.or(Some(error.into())),
                ..written
            },
        }
    }

    /// To be called at the end.
    pub(crate) fn finish(&mut self) -> Outcome {
        let synced = self.last.take().map_or(Ok(()), |file| sync(&file));
        Outcome::of(0, synced.map_err(Into::into))
    }

    /// Has the file written to the disk after the interval. Reports the last failure.
    fn request(&mut self, interval: Duration, file: &Arc<File>) -> Outcome {
        let background = match self.background.take() {
            Some(background) => background,
            None => match Background::start(interval) {
                Ok(background) => background,
                Err(error) => return Outcome::of(0, Err(error.into())),
            },
        };
        let background = self.background.insert(background);
        self.last = Some(file.clone());
        if !background.shared.pending.swap(true, Ordering::AcqRel) {
            let _ = background.files.send(file.clone());
        }
        let error = background.shared.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        Outcome::of(0, error.map_or(Ok(()), |error| Err(error.into())))
    }
}

impl Background {
    fn start(interval: Duration) -> io::Result<Self> {
        let (files, requests) = mpsc::channel::<Arc<File>>();
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        let run = move || {
            for file in requests {
                thread::sleep(interval);
                // What is written from now on has the next request.
                own.pending.store(false, Ordering::Release);
                if let Err(error) = sync(&file) {
                    *own.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        };
        thread::Builder::new().name("output-sync".to_owned()).spawn(run)?;
        Ok(Self { files, shared })
    }
}

/// Pipes and devices have nothing to be written.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}
