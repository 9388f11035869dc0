//! Stalls of the event thread: when one begins, how long it was, and where.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::heartbeat::Heartbeat;
use crate::phase::Phase;

/// Tells the begin and the end of stalls from the [`Heartbeat`], which must be asked for signs of
/// progress meanwhile ([`Ticker`](crate::Ticker)).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use peregrine_telemetry::{Heartbeat, StallChange, StallMonitor};
///
/// let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(9)));
/// let mut monitor = StallMonitor::new(heartbeat.clone(), Duration::from_secs(4));
/// assert!(matches!(monitor.check(), Some(StallChange::Began { .. })));
/// assert_eq!(monitor.check(), None);
/// heartbeat.tick();
/// heartbeat.progress();
/// assert!(matches!(monitor.check(), Some(StallChange::Ended { .. })));
/// assert_eq!(heartbeat.stalls().count, 1);
/// ```
#[derive(Debug)]
pub struct StallMonitor {
    heartbeat: Arc<Heartbeat>,
    /// Silence that is a stall.
    limit: Duration,
    /// When the stall began that lasts.
    since: Option<Instant>,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallChange {
    /// The thread makes no progress.
    Began {
        /// For how long it has made none.
        silence: Duration,
        /// What it is doing.
        phase: Phase,
    },
    /// It makes progress again.
    Ended {
        /// For how long it made none.
        length: Duration,
    },
}

impl StallMonitor {
    /// A silence longer than `limit` is a stall.
    #[must_use]
    pub fn new(heartbeat: Arc<Heartbeat>, limit: Duration) -> Self {
        Self { heartbeat, limit, since: None }
    }

    /// Changes what is a stall.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// What has changed since the last check.
    pub fn check(&mut self) -> Option<StallChange> {
        let silence = self.heartbeat.silence();
        let last = Instant::now().checked_sub(silence)?;
        match self.since {
            None if silence > self.limit => {
                self.since = Some(last);
                self.heartbeat.stall_began();
                Some(StallChange::Began { silence, phase: self.heartbeat.phase() })
            }
            Some(since) if silence <= self.limit => {
                self.since = None;
                let length = last.saturating_duration_since(since);
                self.heartbeat.stall_ended(length);
                Some(StallChange::Ended { length })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_once_with_its_phase_and_its_length() {
        let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(60)));
        let _reading = heartbeat.enter(Phase::ReadingProcess(12));
        let mut monitor = StallMonitor::new(heartbeat.clone(), Duration::from_secs(4));
        let Some(StallChange::Began { silence, phase }) = monitor.check() else { unreachable!() };
        assert!(silence >= Duration::from_secs(60));
        assert_eq!(phase, Phase::ReadingProcess(12));
        assert_eq!((monitor.check(), heartbeat.stalls().count), (None, 1));
        heartbeat.tick();
        assert_eq!(monitor.check(), None);
        heartbeat.progress();
        let Some(StallChange::Ended { length }) = monitor.check() else { unreachable!() };
        assert!(length >= Duration::from_secs(59), "{length:?}");
        assert_eq!(heartbeat.stalls().longest, length);
        assert_eq!(monitor.check(), None);
    }

    #[test]
    fn a_thread_that_makes_progress_does_not_stall() {
        let heartbeat = Arc::new(Heartbeat::new());
        let mut monitor = StallMonitor::new(heartbeat.clone(), Duration::from_secs(60));
        assert_eq!((monitor.check(), heartbeat.stalls().count), (None, 0));
    }
}
