//! What reloads of configuration and rules did, for the metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::{FileDigest, ReloadStats};

/// Shared by the thread that reloads and the one that collects metrics.
#[derive(Debug)]
pub struct Reloads(Mutex<State>);

#[derive(Debug)]
struct State {
    stats: ReloadStats,
    files: LoadedFiles,
}

/// What the rules in force were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedFiles {
    /// When it was read, nanoseconds since the epoch.
    pub read_at: u64,
    /// Rules files.
    pub rules: Vec<FileDigest>,
    /// Configuration files.
    pub config: Vec<FileDigest>,
}

impl Reloads {
    /// The files of the first generation.
    #[must_use]
    pub fn new(files: LoadedFiles) -> Self {
        let stats = ReloadStats { generation: 1, ..ReloadStats::default() };
        Self(Mutex::new(State { stats, files }))
    }

    /// Counts a reload. Returns the number of its generation.
    pub fn done(&self, files: LoadedFiles, load: Duration, swap: Duration) -> u64 {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.lock();
        state.files = files;
        state.stats.done += 1;
        state.stats.generation += 1;
        state.stats.load = nanoseconds(load);
        state.stats.swap = nanoseconds(swap);
        state.stats.generation
    }

    /// Counts a reload that left the rules as they were.
    pub fn failed(&self) {
        self.lock().stats.failed += 1;
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> ReloadStats {
        self.lock().stats
    }

    /// What the rules in force were read from.
    #[must_use]
    pub fn files(&self) -> LoadedFiles {
        self.lock().files.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Reloads {
    fn default() -> Self {
        Self::new(LoadedFiles::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reload_changes_a_counter_only() {
        let reloads = Reloads::default();
        let files = LoadedFiles { read_at: 7, ..LoadedFiles::default() };
        let (load, swap) = (Duration::from_nanos(5), Duration::from_nanos(3));
        assert_eq!(reloads.done(files.clone(), load, swap), 2);
        reloads.failed();
        let stats = ReloadStats { done: 1, failed: 1, generation: 2, load: 5, swap: 3 };
        assert_eq!((reloads.stats(), reloads.files()), (stats, files));
    }
}
