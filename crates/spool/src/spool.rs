//! A spool as its users see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::reader::SpoolReader;
use crate::shared::Shared;
use crate::state::{State, Unsynced};
use crate::writer::{Appended, Writer};
use crate::{Record, SpoolError, SpoolSettings, SpoolStatus};

/// An ordered queue of records that survives the process.
///
/// One thread appends, one takes records out ([`SpoolReader`]), and one forces them to the disk
/// ([`sync_until_closed`](Self::sync_until_closed)). Where the disk fails, records wait in memory
/// and are written when it works again.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    writer: Arc<Mutex<Writer>>,
}

/// Bytes after which records are forced to the disk without waiting for more.
const SYNC_BYTES: usize = 1 << 20;

impl Spool {
    /// Opens a spool with what an earlier run has left. A directory that cannot be used now is
    /// tried again later; the error says why.
    #[must_use]
    pub fn open(settings: SpoolSettings) -> (Self, SpoolReader, Option<SpoolError>) {
        let shared = Arc::new(Shared::new(settings));
        let mut writer = Writer::default();
        let mut error = None;
        writer.flush(&shared, &mut error);
        let reader = SpoolReader::new(shared.clone());
        (Self { shared, writer: Arc::new(Mutex::new(writer)) }, reader, error)
    }

    /// Adds records. The reader sees them after [`publish`](Self::publish).
    pub fn append<'a>(&self, records: impl IntoIterator<Item = Record<'a>>) -> Appended {
        self.writer().append(&self.shared, records)
    }

    /// Shows the reader what was appended.
    pub fn publish(&self) {
        let mut state = self.shared.lock();
        state.published = state.end;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Forces records to the disk, again and again, until the spool is closed. `tell` is called
    /// with what goes wrong.
    pub fn sync_until_closed(&self, mut tell: impl FnMut(SpoolError)) {
        let has_work = |state: &State| {
            let is_open = self.shared.disk.get().is_some();
            state.stopped || !is_open || state.unwritten() > 0 || state.unsynced.bytes > 0
        };
        loop {
            self.shared.wait(has_work);
            let interval = self.shared.settings.sync_interval;
            let urgent = |state: &State| state.stopped || state.unsynced.bytes >= SYNC_BYTES;
            self.shared.wait_for(interval, urgent);
            if let Err(error) = self.sync() {
                tell(error);
            }
            if self.shared.lock().stopped {
                return;
            }
        }
    }

    /// Writes what is only in memory and forces everything to the disk.
    ///
    /// # Errors
    /// The disk has not taken it, for the first time in a row. Records that are still in memory are
    /// written again later.
    pub fn sync(&self) -> Result<(), SpoolError> {
        let mut error = None;
        self.writer().flush(&self.shared, &mut error);
        let (unsynced, written) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.unsynced), state.written_end())
        };
        if let Some(disk) = self.shared.disk.get().filter(|_| unsynced.bytes > 0) {
            let Unsynced { files, directory, .. } = unsynced;
            let synced = files.iter().try_for_each(|(_, file)| file.sync_data());
            let synced =
                synced.and_then(|()| if directory { disk.directory.sync() } else { Ok(()) });
            match synced {
                Ok(()) => {
                    let mut state = self.shared.lock();
                    state.synced = state.synced.max(written);
                    drop(state);
                    self.shared.note_marks();
                }
                Err(source) => {
                    let path = disk.directory.path().to_owned();
                    let failed = SpoolError::Write { path, source };
                    self.writer().rewrite(&self.shared, failed, &mut error);
                }
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// What the spool holds.
    #[must_use]
    pub fn status(&self) -> SpoolStatus {
        self.shared.lock().status(self.shared.clock.now())
    }

    /// Waits until all records are settled, but not longer than this. Says whether they are.
    #[must_use]
    pub fn wait_empty(&self, time: Duration) -> bool {
        self.shared.wait_for(time, State::is_empty)
    }

    /// Forces everything to the disk and wakes the threads that wait. The directory can be opened
    /// again when all handles of the spool are dropped.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn close(&self) -> Result<(), SpoolError> {
        self.writer().retry_now();
        let synced = self.sync();
        self.writer().end_segment(&self.shared);
        if let Some(disk) = self.shared.disk.get() {
            disk.sync_marks();
        }
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        synced
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
