//! Connections of the web server.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts the connections of the web server. Those that it drops are counted by the limits that
/// they reach.
#[derive(Debug, Default)]
pub struct WebStats {
    open: AtomicU64,
    accepted: AtomicU64,
}

impl WebStats {
    /// Counts a connection; returns its number, from 1.
    pub fn accept(&self) -> u64 {
        self.accepted.fetch_add(1, Relaxed) + 1
    }

    /// So many are open now.
    pub fn set_open(&self, open: u64) {
        self.open.store(open, Relaxed);
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Open connections.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }
}
