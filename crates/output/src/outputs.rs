//! The thread that delivers alerts, and its watchdog.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_alert::{Alert, Priority};
use thiserror::Error;

use crate::channel::{Channel, ChannelError, Channels};
use crate::format::Format;
use crate::queue::{Pushed, Queue, Taken};

/// How alerts are delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub channels: Channels,
    /// How alerts look there.
    pub format: Format,
    /// `buffered_outputs`: lines may wait until many can be written at once.
    pub buffered: bool,
    /// `outputs_queue.capacity`: alerts that may wait. None: as many as memory holds.
    pub queue_capacity: Option<NonZeroUsize>,
    /// `output_timeout`: how long a channel may take before that is reported.
    pub timeout: Duration,
}

/// A problem with the delivery of alerts. Prints as the message for the log.
#[derive(Debug, Error)]
pub enum Incident {
    /// A channel exceeds the timeout, and all others wait for it.
    #[error("\"{channel}\" output timeout, all output channels are blocked")]
    Blocked {
        /// The slow channel.
        channel: &'static str,
    },
    /// A channel failed, so the alerts it was given are lost. Reported once until the channel works
    /// again.
    #[error("{channel}: {error}")]
    Channel {
        /// The channel.
        channel: &'static str,
        /// What went wrong.
        error: ChannelError,
    },
    /// Channels were still blocked at the end, so the alerts in the queue are lost.
    #[error("output channels still blocked, discarding all remaining notifications")]
    Discarded,
    /// The queue is full and an alert was lost. Reported once; [`Outputs::dropped`] counts.
    #[error("Outputs queue out of memory. Drop event and continue on ...")]
    QueueFull,
}

impl Incident {
    /// Level in the log.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Blocked { .. } => Priority::Critical,
            Self::Channel { .. } | Self::QueueFull => Priority::Error,
            Self::Discarded => Priority::Notice,
        }
    }
}

/// Called for each incident, from any thread.
pub type Report = Arc<dyn Fn(&Incident) + Send + Sync>;

/// Delivers alerts on a thread of its own, in the order in which they were submitted.
pub struct Outputs {
    shared: Arc<Shared>,
    deliverer: JoinHandle<()>,
    /// Disconnected when the deliverer ends.
    ended: Receiver<()>,
    watchdog: Option<JoinHandle<()>>,
    report: Report,
    timeout: Duration,
}

struct Shared {
    queue: Queue<Alert>,
    activity: Activity,
    /// Set when `close` has given up on the deliverer.
    abandoned: AtomicBool,
    ended: AtomicBool,
}

/// Submits alerts to [`Outputs`] from another thread.
#[derive(Clone)]
pub struct AlertSender {
    shared: Arc<Shared>,
    report: Report,
}

/// Alerts that a channel gets at once. Progress is visible after each batch.
const BATCH: usize = 128;
/// Time between two checks of the watchdog, at most.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

impl Outputs {
    /// Starts to deliver.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub fn start(delivery: Delivery, report: Report) -> io::Result<Self> {
        let Delivery { channels, format, buffered, queue_capacity, timeout } = delivery;
        Self::with_channels(channels.build(&format, buffered), queue_capacity, timeout, report)
    }

    fn with_channels(
        channels: Vec<Box<dyn Channel>>,
        queue_capacity: Option<NonZeroUsize>,
        timeout: Duration,
        report: Report,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(queue_capacity),
            activity: Activity::new(channels.iter().map(|channel| channel.name()).collect()),
            abandoned: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let (alive, ended) = mpsc::channel();
        let mut deliverer = Deliverer::new(channels, shared.clone(), report.clone());
        let deliverer = thread::Builder::new().name("outputs".to_owned()).spawn(move || {
            deliverer.run();
            drop(alive);
        })?;
        let watchdog = {
            let (shared, report) = (shared.clone(), report.clone());
            let watch = move || watchdog(&shared, timeout, &report);
            thread::Builder::new().name("outputs-watch".to_owned()).spawn(watch)?
        };
        Ok(Self { shared, deliverer, ended, watchdog: Some(watchdog), report, timeout })
    }

    /// Queues an alert. Never blocks: when the queue is full, the alert is dropped, counted and
    /// reported.
    pub fn submit(&self, alert: Alert) {
        self.shared.submit(alert, &self.report);
    }

    /// A handle for other threads.
    #[must_use]
    pub fn sender(&self) -> AlertSender {
        AlertSender { shared: self.shared.clone(), report: self.report.clone() }
    }

    /// Makes channels reopen their files and restart their programs before the next alert.
    pub fn reopen(&self) {
        self.shared.queue.reopen();
    }

    /// Alerts that were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.queue.dropped()
    }

    /// Delivers the alerts in the queue, then stops. If no channel makes progress within the
    /// timeout of the delivery, the rest of the queue is dropped.
    pub fn close(mut self) {
        self.shared.queue.close();
        let mut seen = self.shared.activity.count();
        while self.ended.recv_timeout(self.timeout) == Err(RecvTimeoutError::Timeout) {
            let count = self.shared.activity.count();
            if count == seen {
                (self.report)(&Incident::Discarded);
                self.shared.abandoned.store(true, Relaxed);
                self.shared.queue.discard();
                self.stop_watching();
                return;
            }
            seen = count;
        }
        self.stop_watching();
        // The thread has ended, so this does not block.
        let _ = self.deliverer.join();
    }

    fn stop_watching(&mut self) {
        self.shared.ended.store(true, Relaxed);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.thread().unpark();
            let _ = watchdog.join();
        }
    }
}

impl AlertSender {
    /// As [`Outputs::submit`]. An alert that comes after [`Outputs::close`] is lost.
    pub fn submit(&self, alert: Alert) {
        self.shared.submit(alert, &self.report);
    }
}

impl Shared {
    fn submit(&self, alert: Alert, report: &Report) {
        if self.queue.push(alert) == Pushed::FirstDrop {
            report(&Incident::QueueFull);
        }
    }
}

impl fmt::Debug for AlertSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertSender").finish_non_exhaustive()
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

struct Deliverer {
    channels: Vec<Box<dyn Channel>>,
    /// For each channel, whether its last operation failed.
    failing: Vec<bool>,
    shared: Arc<Shared>,
    report: Report,
}

impl Deliverer {
    fn new(channels: Vec<Box<dyn Channel>>, shared: Arc<Shared>, report: Report) -> Self {
        Self { failing: vec![false; channels.len()], channels, shared, report }
    }

    fn run(&mut self) {
        let mut alerts = Vec::new();
        loop {
            match self.shared.queue.take(&mut alerts) {
                Taken::End => return self.each(|channel| channel.finish()),
                Taken::Items => {
                    for batch in alerts.chunks(BATCH) {
                        if self.shared.abandoned.load(Relaxed) {
                            return;
                        }
                        self.each(|channel| channel.deliver(batch));
                    }
                    alerts.clear();
                }
                Taken::Reopen => self.each(|channel| channel.reopen()),
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Channel) -> Result<(), ChannelError>) {
        for (index, (channel, failing)) in
            self.channels.iter_mut().zip(&mut self.failing).enumerate()
        {
            self.shared.activity.start(index);
            let done = act(channel.as_mut());
            self.shared.activity.end();
            match done {
                Ok(()) => *failing = false,
                Err(error) => {
                    // Reporting every failure would flood the log.
                    if !std::mem::replace(failing, true) {
                        (self.report)(&Incident::Channel { channel: channel.name(), error });
                    }
                }
            }
        }
    }
}

/// Progress of the deliverer, for the watchdog. Counting is cheaper than reading a clock.
struct Activity {
    names: Vec<&'static str>,
    /// Odd while a channel works. Only the deliverer writes it.
    count: AtomicU64,
    /// The channel that works.
    index: AtomicU64,
}

impl Activity {
    fn new(names: Vec<&'static str>) -> Self {
        Self { names, count: AtomicU64::new(0), index: AtomicU64::new(0) }
    }

    fn start(&self, index: usize) {
        self.index.store(index as u64, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    fn end(&self) {
        self.count.fetch_add(1, Relaxed);
    }

    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn channel(&self) -> &'static str {
        let index = self.index.load(Relaxed) as usize;
        self.names.get(index).copied().unwrap_or_default()
    }
}

/// Reports a channel operation that takes longer than the timeout, once per operation.
fn watchdog(shared: &Shared, timeout: Duration, report: &Report) {
    let interval = WATCH_INTERVAL.min(timeout).max(Duration::from_millis(1));
    let (mut seen, mut since, mut reported) = (shared.activity.count(), Instant::now(), false);
    while !shared.ended.load(Relaxed) {
        thread::park_timeout(interval);
        let count = shared.activity.count();
        let is_working = count % 2 == 1;
        if count != seen || !is_working {
            (seen, since, reported) = (count, Instant::now(), false);
        } else if !reported && since.elapsed() >= timeout {
            report(&Incident::Blocked { channel: shared.activity.channel() });
            reported = true;
        }
    }
}

#[cfg(test)]
mod tests;
