//! What belongs to a spool as a whole.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::SpoolSettings;
use crate::disk::Disk;
use crate::state::State;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: SpoolSettings,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    /// Notified when records are published or settled, and when the spool stops.
    pub(crate) changed: Condvar,
    /// Set when the directory could be opened.
    pub(crate) disk: OnceLock<Arc<Disk>>,
}

/// The time of day when the spool was opened, and a monotonic clock from then on, so that no
/// correction of the time of day makes records old.
#[derive(Debug)]
pub(crate) struct Clock {
    opened: u64,
    since: Instant,
}

impl Shared {
    pub(crate) fn new(settings: SpoolSettings) -> Self {
        let (state, changed, disk) = (Mutex::default(), Condvar::new(), OnceLock::new());
        Self { settings, clock: Clock::new(), state, changed, disk }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this holds.
    pub(crate) fn wait(&self, holds: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_while(self.lock(), |state| !holds(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until this holds, but not longer than this. Says whether it does.
    pub(crate) fn wait_for(&self, time: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |state| !holds(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Remembers which records are settled and which are safe.
    pub(crate) fn note_marks(&self) {
        let marks = self.lock().marks();
        if let Some(disk) = self.disk.get() {
            disk.advance(marks);
        }
    }

    /// Removes segments, which are no longer in the list.
    pub(crate) fn remove(&self, segments: impl IntoIterator<Item = u64>) {
        if let Some(disk) = self.disk.get() {
            segments.into_iter().for_each(|first| disk.directory.remove(first));
        }
    }

    /// Whether a record that was stored then is too old.
    pub(crate) fn is_expired(&self, stored: u64) -> bool {
        u128::from(self.clock.now().saturating_sub(stored)) > self.settings.max_age.as_millis()
    }
}

impl Clock {
    fn new() -> Self {
        let opened = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { opened: opened.as_millis() as u64, since: Instant::now() }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.opened + self.since.elapsed().as_millis() as u64
    }
}
