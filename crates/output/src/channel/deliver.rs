//! What a channel does.

use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Alert;

use super::error::ChannelError;
use super::network::SpoolMonitor;
use crate::counts::Counts;
use crate::shutdown::Shutdown;

/// Formats and delivers alerts. Every operation may be slow.
pub(crate) trait Channel: Send {
    fn name(&self) -> &'static str;

    /// Alerts that the channel takes at once, at most. Progress is visible after each batch, so a
    /// channel that needs long for an alert takes one.
    fn batch(&self) -> usize {
        128
    }

    /// Time for which an alert waits for others at most, if there are fewer than a batch.
    fn max_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// What wakes the channel at the end of the run, if it pauses.
    fn shutdown(&self) -> Arc<Shutdown> {
        Arc::default()
    }

    /// The spool in front of the receiver, if there is one.
    fn spool(&self) -> Option<Arc<SpoolMonitor>> {
        None
    }

    /// Called once, on the thread that delivers, before everything else.
    fn start(&mut self) -> Outcome {
        Outcome::default()
    }

    /// Delivers some alerts. Those that fail are lost.
    fn deliver(&mut self, alerts: &[Alert]) -> Outcome;

    /// The outcome of a delivery is counted.
    fn counted(&mut self) {}

    /// Closes files and programs, and opens those again that stay open.
    fn reopen(&mut self) -> Outcome {
        Outcome::default()
    }

    /// Writes what is buffered; no alert follows.
    fn finish(&mut self) -> Outcome {
        Outcome::default()
    }
}

/// The result of an operation. Alerts that a channel buffers count in a later one.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Alerts that arrived.
    pub(crate) delivered: u64,
    /// Times that an alert was sent again.
    pub(crate) retried: u64,
    /// Alerts that are lost.
    pub(crate) failed: u64,
    /// What became of alerts that went into a spool.
    pub(crate) spool: Counts,
    /// The first thing that went wrong.
    pub(crate) error: Option<ChannelError>,
}

impl Outcome {
    /// This many alerts have the same fate.
    pub(crate) fn of(alerts: usize, result: Result<(), ChannelError>) -> Self {
        let alerts = alerts as u64;
        match result {
            Ok(()) => Self { delivered: alerts, ..Self::default() },
            Err(error) => Self { failed: alerts, error: Some(error), ..Self::default() },
        }
    }

    /// Adds the result of a later operation.
    #[must_use]
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            delivered: self.delivered + later.delivered,
            retried: self.retried + later.retried,
            failed: self.failed + later.failed,
            spool: self.spool.and(later.spool),
            error: self.error.or(later.error),
        }
    }
}

#[cfg(test)]
impl Outcome {
    /// Alerts that arrived.
    #[track_caller]
    pub(crate) fn unwrap(self) -> u64 {
        assert!(self.error.is_none() && self.failed == 0, "{self:?}");
        self.delivered
    }

    #[track_caller]
    pub(crate) fn unwrap_err(self) -> ChannelError {
        self.error.unwrap()
    }
}
