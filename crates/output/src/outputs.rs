//! Submits alerts to all channels, and ends them.

mod next;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_alert::Alert;

use crate::channel::ChannelSettings;
use crate::clock;
use crate::incident::{Incident, Report};
use crate::lanes::Lanes;
use crate::queue::{Queue, QueueLimits};
use crate::statistics::{ChannelStatistics, DeliveryReport};
use crate::watchdog;
use crate::worker::Lane;

use next::Start;
pub use next::{NextOutputs, OutputsPlanner};

/// How alerts are delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub channels: Vec<ChannelSettings>,
    /// `buffered_outputs`: lines may wait until many can be written at once.
    pub buffered: bool,
    /// Limits of the queue of each channel.
    pub queue: QueueLimits,
    /// `output_timeout`: how long a channel may take before that is reported.
    pub timeout: Duration,
}

/// How long [`Outputs::close`] waits for channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Until all is delivered. A channel that makes no progress for the timeout of the delivery is
    /// given up.
    WhileProgress,
    /// The same, but not longer than this in total.
    Within(Duration),
}

/// Delivers alerts through channels. Each has a queue and a thread of its own, so that one that is
/// slow, blocked or failing delays no other; it gets its alerts in the order in which they were
/// submitted. Other outputs can take the place of these ([`install`](Self::install)).
pub struct Outputs {
    /// The lanes in force, as in `all`.
    lanes: Arc<[Arc<Lane>]>,
    all: Arc<Lanes>,
    /// Cloned for each worker.
    alive: Sender<()>,
    /// Gets a word when a worker ends; disconnected when all have.
    ended: Receiver<()>,
    watchdog: Watchdog,
    report: Report,
}

struct Watchdog {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

/// Time for channels that are given up.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Submits alerts to [`Outputs`] from other threads than that of the events.
#[derive(Clone)]
pub struct AlertSender(Arc<Lanes>);

impl Outputs {
    /// Starts to deliver.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub fn start(delivery: Delivery, report: Report) -> io::Result<Self> {
        Self::begin(NextOutputs::new(delivery, Vec::new())?, report)
    }

    fn begin(first: NextOutputs, report: Report) -> io::Result<Self> {
        let all = Arc::new(Lanes::new(first.timeout));
        let stop = Arc::new(AtomicBool::new(false));
        let watch = {
            let (all, stop, report) = (all.clone(), stop.clone(), report.clone());
            move || watchdog::watch(&all, &stop, &report)
        };
        let thread = thread::Builder::new().name("outputs-watch".to_owned()).spawn(watch)?;
        let (alive, ended) = mpsc::channel();
        let watchdog = Watchdog { thread, stop };
        let mut outputs = Self { lanes: Arc::default(), all, alive, ended, watchdog, report };
        outputs.install(first);
        Ok(outputs)
    }

    /// Prepares other outputs, on other threads.
    #[must_use]
    pub fn planner(&self) -> OutputsPlanner {
        OutputsPlanner(self.all.clone())
    }

    /// Delivers alerts to other outputs from now on. Those that are equal stay as they are, with
    /// their queue, connection and files. An output that is changed or removed delivers what it has
    /// got, beside the others and within a bound; what it has not delivered by then goes to its
    /// successor. Does not wait.
    pub fn install(&mut self, next: NextOutputs) {
        let NextOutputs { lanes, limits, timeout } = next;
        self.ended.try_iter().for_each(drop);
        let mut replaced = self.lanes.to_vec();
        replaced.retain(|old| !lanes.iter().any(|next| Arc::ptr_eq(&next.lane, old)));
        self.lanes = lanes.iter().map(|next| next.lane.clone()).collect();
        self.all.install(self.lanes.clone(), timeout);
        for next in lanes {
            let Some(start) = next.start else {
                next.lane.queue.set_limits(limits, next.when_full);
                continue;
            };
            let old = replaced.iter().position(|old| old.channel == next.lane.channel);
            let predecessor = old.map(|index| replaced.remove(index));
            // The worker waits for this.
            let _ = start.send(Start { predecessor, alive: self.alive.clone() });
        }
    }

    /// Queues an alert for each channel that gets it. Waits only for channels with
    /// [`WhenFull::Block`](crate::WhenFull::Block).
    pub fn submit(&self, alert: Alert) {
        submit(&self.lanes, alert, Queue::push);
    }

    /// A handle for other threads.
    #[must_use]
    pub fn sender(&self) -> AlertSender {
        AlertSender(self.all.clone())
    }

    /// Makes channels reopen their files and restart their programs before the next alert.
    pub fn reopen(&self) {
        self.lanes.iter().for_each(|lane| lane.queue.reopen());
    }

    /// Alerts that were lost because a queue was full. Each channel counts.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let channels = self.statistics().into_iter();
        channels.map(|channel| channel.queue_full + channel.over_share).sum()
    }

    /// What became of the alerts so far.
    #[must_use]
    pub fn statistics(&self) -> Vec<ChannelStatistics> {
        self.all.statistics()
    }

    /// [`DeliveryReport::lost_by_rule`] so far.
    #[must_use]
    pub fn lost_by_rule(&self) -> Vec<u64> {
        self.all.lost_by_rule()
    }

    /// No thread waits for room in a queue any longer: what does not fit is lost. For the end of a
    /// run.
    pub fn stop_blocking(&self) {
        stop_blocking(&self.lanes);
    }

    /// Delivers the alerts in the queues, then stops. What cannot be delivered is counted and
    /// reported.
    pub fn close(self, drain: Drain) -> DeliveryReport {
        let Self { all, alive, ended, watchdog: Watchdog { thread, stop }, report, .. } = self;
        drop(alive);
        let lanes = all.all();
        stop_blocking(&lanes);
        lanes.iter().for_each(|lane| lane.close());
        if !drain_all(&lanes, all.timeout(), &ended, drain) {
            report(&Incident::Discarded);
            // They end the programs that they have started.
            let until = Instant::now() + LAST_MOMENT;
            while ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        }
        stop.store(true, Relaxed);
        thread.thread().unpark();
        let _ = thread.join();
        DeliveryReport { channels: all.statistics(), lost_by_rule: all.lost_by_rule() }
    }
}

/// Waits until all workers have ended or are given up. Returns whether none was given up.
fn drain_all(lanes: &[Arc<Lane>], timeout: Duration, ended: &Receiver<()>, drain: Drain) -> bool {
    let deadline = match drain {
        Drain::WhileProgress => None,
        Drain::Within(time) => Some(Instant::now() + time),
    };
    let mut working: Vec<_> = lanes.iter().map(|lane| (lane, lane.progress())).collect();
    let (mut all_ended, mut checked) = (true, Instant::now());
    loop {
        working.retain(|(lane, _)| !lane.queue.has_ended());
        if working.is_empty() {
            return all_ended;
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(checked));
        let wait = left.map_or(timeout, |left| left.min(timeout));
        match ended.recv_timeout(wait.saturating_sub(checked.elapsed())) {
            Ok(()) => continue,
            Err(RecvTimeoutError::Disconnected) => return all_ended,
            Err(RecvTimeoutError::Timeout) => checked = Instant::now(),
        }
        let late = left.is_some_and(|left| left <= timeout);
        for (lane, seen) in &mut working {
            let count = lane.progress();
            let progresses = std::mem::replace(seen, count) != count && !late;
            if !progresses && !lane.queue.has_ended() {
                all_ended &= lane.end_with_spool();
                lane.end();
            }
        }
    }
}

impl AlertSender {
    /// Queues an alert for each channel that gets it. Never waits: a channel with
    /// [`WhenFull::Block`](crate::WhenFull::Block) and a full queue loses it. An alert that comes
    /// after [`Outputs::close`] is lost.
    pub fn submit(&self, alert: Alert) {
        self.0.with_current(|lanes| submit(lanes, alert, Queue::push_or_lose));
    }

    /// As [`Outputs::stop_blocking`].
    pub fn stop_blocking(&self) {
        self.0.with_current(stop_blocking);
    }

    /// As [`Outputs::statistics`].
    #[must_use]
    pub fn statistics(&self) -> Vec<ChannelStatistics> {
        self.0.statistics()
    }
}

fn submit(lanes: &[Arc<Lane>], alert: Alert, push: impl Fn(&Queue<Alert>, Alert, u64)) {
    let now = clock::now();
    for lane in lanes.iter().filter(|lane| lane.accepts(&alert)) {
        push(&lane.queue, alert.clone(), now);
    }
}

fn stop_blocking(lanes: &[Arc<Lane>]) {
    lanes.iter().for_each(|lane| lane.queue.stop_blocking());
}

impl fmt::Debug for AlertSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertSender").finish_non_exhaustive()
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("timeout", &self.all.timeout()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
