//! The thread of a channel.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peregrine_alert::Alert;
use peregrine_spool::{SpoolSettings, SpoolStatus};

use crate::channel::{Channel, ChannelError, ChannelOutput, Outcome, SpoolMonitor};
use crate::clock;
use crate::counts::Counts;
use crate::filter::{AlertFilter, CachedFilter};
use crate::format::Format;
use crate::queue::{Queue, QueueLimits, QueueStatus, Queued, Taken, WhenFull};
use crate::shutdown::Shutdown;

/// What the worker of a channel shares with the other threads.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) channel: &'static str,
    /// What the channel was made of. `None` if a test made it.
    pub(crate) settings: Option<LaneSettings>,
    filter: Option<CachedFilter>,
    pub(crate) queue: Queue<Alert>,
    pub(crate) activity: Activity,
    /// The first error that is not reported yet.
    error: Mutex<Option<ChannelError>>,
    shutdown: Arc<Shutdown>,
    spool: Option<Arc<SpoolMonitor>>,
}

/// What a channel is made of. With equal settings, it stays over a reload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LaneSettings {
    pub(crate) output: ChannelOutput,
    pub(crate) format: Format,
    pub(crate) filter: AlertFilter,
    pub(crate) buffered: bool,
    pub(crate) spool: Option<SpoolSettings>,
}

/// Longest wait of a lane for the one that it replaces.
const HANDOVER: Duration = Duration::from_secs(5);
/// Time for a spool to be closed.
const SPOOL_CLOSING: Duration = Duration::from_secs(1);
/// Time between two looks at its progress.
const STEP: Duration = Duration::from_millis(100);

/// Progress of a worker, for the watchdog. Counting is cheaper than reading a clock.
#[derive(Debug, Default)]
pub(crate) struct Activity(AtomicU64);

impl Queued for Alert {
    fn rule(&self) -> usize {
        self.subject().id().index()
    }

    fn memory(&self) -> usize {
        Alert::memory(self)
    }
}

impl Lane {
    pub(crate) fn new(
        channel: &dyn Channel,
        settings: Option<LaneSettings>,
        limits: QueueLimits,
        when_full: WhenFull,
    ) -> Self {
        Self {
            channel: channel.name(),
            filter: settings.as_ref().and_then(|settings| CachedFilter::new(&settings.filter)),
            settings,
            queue: Queue::new(limits, when_full),
            activity: Activity::default(),
            error: Mutex::new(None),
            shutdown: channel.shutdown(),
            spool: channel.spool(),
        }
    }

    /// Whether the channel gets this alert.
    pub(crate) fn accepts(&self, alert: &Alert) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.accepts(alert))
    }

    /// Waits until a lane that this one replaces has delivered what it has, so that alerts keep
    /// their order and a destination is not written to by two. After a while, delivers what that
    /// lane has left. A spool is taken over as it is.
    pub(crate) fn follow(&self, predecessor: &Self, channel: &mut dyn Channel) {
        let deadline = Instant::now() + HANDOVER;
        let mut seen = predecessor.progress();
        while !predecessor.queue.wait_until_ended(STEP) && Instant::now() < deadline {
            if let (Some(ours), Some(theirs)) = (&self.spool, &predecessor.spool)
                && ours.settings.directory == theirs.settings.directory
                && predecessor.end_with_spool()
            {
                ours.inherit(theirs, predecessor.status().counts.spooled());
                break;
            }
            let count = predecessor.progress();
            if std::mem::replace(&mut seen, count) != count {
                // Who waits for an end of this lane waits as well while the other one moves.
                self.activity.progress();
            }
        }
        self.start(channel);
        let mut left = predecessor.queue.hand_over();
        let batch = channel.batch().max(1);
        while !left.is_empty() {
            let later = left.split_off(batch.min(left.len()));
            if self.queue.adopt(left.len()) {
                self.deliver(channel, &left);
            }
            left = later;
        }
    }

    /// Opens the spool, if there is one.
    pub(crate) fn start(&self, channel: &mut dyn Channel) {
        if self.spool.is_some() {
            self.act(|| channel.start());
        }
    }

    /// Delivers until the queue ends.
    pub(crate) fn run(&self, channel: &mut dyn Channel) {
        let mut alerts = Vec::new();
        let (batch, max_wait) = (channel.batch(), channel.max_wait());
        loop {
            match self.queue.take(&mut alerts, batch) {
                Taken::Items => {
                    if !max_wait.is_zero() {
                        self.queue.take_more(&mut alerts, batch, max_wait);
                    }
                    self.deliver(channel, &alerts);
                }
                Taken::Reopen => self.act(|| channel.reopen()),
                Taken::End => break,
            }
            alerts.clear();
        }
        self.act(|| channel.finish());
        self.end();
    }

    /// No alert follows. What waits is still delivered.
    pub(crate) fn close(&self) {
        self.queue.close();
        self.shutdown.close();
    }

    /// Nothing more is delivered.
    pub(crate) fn end(&self) {
        self.queue.end();
        self.shutdown.end();
    }

    /// The first error since the last call.
    pub(crate) fn take_error(&self) -> Option<ChannelError> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.or_else(|| self.spool.as_ref()?.take_error())
    }

    /// Changes with each operation of the channel, and when an alert leaves the spool.
    pub(crate) fn progress(&self) -> u64 {
        self.activity.count() + self.spool.as_ref().map_or(0, |spool| spool.progress())
    }

    /// What became of the alerts, and what waits.
    pub(crate) fn status(&self) -> QueueStatus {
        let Some(spool) = &self.spool else { return self.queue.status(Counts::default) };
        let queue = self.queue.status(|| spool.counts());
        let SpoolStatus { bytes, oldest, .. } = spool.status();
        let oldest = oldest.map(|age| clock::now().saturating_sub(age));
        queue.and(QueueStatus { oldest, spool_bytes: bytes, ..QueueStatus::default() })
    }

    /// Ends the channel, if nothing is lost by that: all that is not delivered is in the spool. The
    /// worker needs a moment to close that.
    pub(crate) fn end_with_spool(&self) -> bool {
        let saved = self.spool.is_some() && self.status().counts.waiting() == 0;
        if saved {
            self.shutdown.end();
            self.queue.wait_until_ended(SPOOL_CLOSING);
        }
        saved
    }

    fn deliver(&self, channel: &mut dyn Channel, alerts: &[Alert]) {
        self.act(|| channel.deliver(alerts));
        channel.counted();
    }

    fn act(&self, act: impl FnOnce() -> Outcome) {
        self.activity.toggle();
        let Outcome { delivered, retried, failed, spool, error } = act();
        self.activity.toggle();
        // The losses are counted before the error can be taken.
        self.queue.settle(Counts { delivered, retried, failed, ..spool });
        if let Some(error) = error {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }
}

impl Activity {
    /// Operations begun and ended; odd while the channel works.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn toggle(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// As after an operation.
    fn progress(&self) {
        self.0.fetch_add(2, Relaxed);
    }
}
