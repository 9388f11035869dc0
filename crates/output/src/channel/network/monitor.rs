//! What the threads of a spool tell the others.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use peregrine_spool::{Spool, SpoolSettings, SpoolStatus};

use crate::channel::error::ChannelError;
use crate::counts::Counts;

/// The spool of a channel, and what became of the alerts in it.
#[derive(Debug)]
pub(crate) struct SpoolMonitor {
    pub(crate) settings: SpoolSettings,
    /// Set when the channel has started.
    spool: OnceLock<Spool>,
    /// Without what is put into the spool: the worker of the channel counts that.
    counts: Mutex<Counts>,
    /// Alerts of this run that an earlier channel has left in the same spool.
    inherited: AtomicU64,
    /// The first error that is not reported yet.
    error: Mutex<Option<ChannelError>>,
    progress: AtomicU64,
}

impl SpoolMonitor {
    pub(crate) fn new(settings: SpoolSettings) -> Self {
        let (spool, counts, inherited) = (OnceLock::new(), Mutex::default(), AtomicU64::new(0));
        let (error, progress) = (Mutex::default(), AtomicU64::new(0));
        Self { settings, spool, counts, inherited, error, progress }
    }

    /// The channel has started.
    pub(crate) fn start(&self, spool: Spool) {
        let _ = self.spool.set(spool);
    }

    /// Counts alerts that have left the spool: each is delivered or lost.
    pub(crate) fn settle(&self, settled: Counts) {
        let Counts { delivered, failed, expired, damaged, discarded, .. } = settled;
        let spooled_out = delivered + failed + expired + damaged + discarded;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts = counts.and(Counts { spooled_out, ..settled });
        drop(counts);
        if spooled_out > 0 {
            self.progress.fetch_add(1, Relaxed);
        }
    }

    /// What became of the alerts in the spool, and those that an earlier run had left.
    pub(crate) fn counts(&self) -> Counts {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Read after what has left the spool.
        let recovered = self.status().recovered;
        let new = recovered.saturating_sub(self.inherited.load(Relaxed));
        counts.and(Counts { recovered: new, spooled_in: recovered, ..Counts::default() })
    }

    /// What the spool holds.
    pub(crate) fn status(&self) -> SpoolStatus {
        self.spool.get().map(Spool::status).unwrap_or_default()
    }

    /// Another channel has left so many alerts of this run in the same spool. From now on they
    /// count here.
    pub(crate) fn inherit(&self, other: &Self, spooled: u64) {
        let mut counts = other.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.spooled_out += spooled;
        drop(counts);
        self.inherited.fetch_add(spooled, Relaxed);
    }

    /// Changes when an alert leaves the spool.
    pub(crate) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    pub(crate) fn set_error(&self, error: ChannelError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn take_error(&self) -> Option<ChannelError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
