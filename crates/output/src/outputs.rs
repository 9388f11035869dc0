//! Submits alerts to all channels, and ends them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_alert::Alert;

use crate::channel::{Channel, ChannelSettings};
use crate::clock;
use crate::format::Format;
use crate::incident::{Incident, Report};
use crate::queue::{Queue, QueueLimits, WhenFull};
use crate::statistics::{ChannelStatistics, DeliveryReport};
use crate::watchdog;
use crate::worker::Lane;

/// How alerts are delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub channels: Vec<ChannelSettings>,
    /// How alerts look there.
    pub format: Format,
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
/// submitted.
pub struct Outputs {
    lanes: Arc<[Arc<Lane>]>,
    /// Disconnected when all workers have ended.
    ended: Receiver<()>,
    watchdog: Watchdog,
    report: Report,
    timeout: Duration,
}

struct Watchdog {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

/// Submits alerts to [`Outputs`] from other threads than that of the events.
#[derive(Clone)]
pub struct AlertSender {
    lanes: Arc<[Arc<Lane>]>,
}

impl Outputs {
    /// Starts to deliver.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub fn start(delivery: Delivery, report: Report) -> io::Result<Self> {
        let Delivery { channels, format, buffered, queue, timeout } = delivery;
        let channels = channels.into_iter().map(|ChannelSettings { output, when_full }| {
            (output.build(&format, buffered), when_full)
        });
        Self::with_channels(channels.collect(), queue, timeout, report)
    }

    fn with_channels(
        channels: Vec<(Box<dyn Channel>, WhenFull)>,
        limits: QueueLimits,
        timeout: Duration,
        report: Report,
    ) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel();
        let start = |(channel, when_full): (Box<dyn Channel>, WhenFull)| {
            let lane = Arc::new(Lane::new(&*channel, limits, when_full));
            start_worker(&lane, channel, alive.clone()).map(|()| lane)
        };
        let lanes = channels.into_iter().map(start).collect::<io::Result<Arc<[_]>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let watch = {
            let (lanes, stop, report) = (lanes.clone(), stop.clone(), report.clone());
            move || watchdog::watch(&lanes, &stop, timeout, &report)
        };
        let thread = thread::Builder::new().name("outputs-watch".to_owned()).spawn(watch)?;
        Ok(Self { lanes, ended, watchdog: Watchdog { thread, stop }, report, timeout })
    }

    /// Queues an alert for each channel. Waits only for channels with [`WhenFull::Block`].
    pub fn submit(&self, alert: Alert) {
        submit(&self.lanes, alert, Queue::push);
    }

    /// A handle for other threads.
    #[must_use]
    pub fn sender(&self) -> AlertSender {
        AlertSender { lanes: self.lanes.clone() }
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
        statistics(&self.lanes)
    }

    /// [`DeliveryReport::lost_by_rule`] so far.
    #[must_use]
    pub fn lost_by_rule(&self) -> Vec<u64> {
        lost_by_rule(&self.lanes)
    }

    /// No thread waits for room in a queue any longer: what does not fit is lost. For the end of a
    /// run.
    pub fn stop_blocking(&self) {
        stop_blocking(&self.lanes);
    }

    /// Delivers the alerts in the queues, then stops. What cannot be delivered is counted and
    /// reported.
    pub fn close(self, drain: Drain) -> DeliveryReport {
        self.stop_blocking();
        self.lanes.iter().for_each(|lane| lane.close());
        self.drain(drain);
        let Watchdog { thread, stop } = self.watchdog;
        stop.store(true, Relaxed);
        thread.thread().unpark();
        let _ = thread.join();
        DeliveryReport {
            channels: statistics(&self.lanes),
            lost_by_rule: lost_by_rule(&self.lanes),
        }
    }

    /// Waits until all workers have ended or are given up.
    fn drain(&self, drain: Drain) {
        let deadline = match drain {
            Drain::WhileProgress => None,
            Drain::Within(time) => Some(Instant::now() + time),
        };
        let mut working: Vec<_> =
            self.lanes.iter().map(|lane| (lane, lane.activity.count())).collect();
        let mut given_up = false;
        while !working.is_empty() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wait = left.map_or(self.timeout, |left| left.min(self.timeout));
            if self.ended.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            let late = left.is_some_and(|left| left <= self.timeout);
            working.retain_mut(|(lane, seen)| {
                let count = lane.activity.count();
                let progresses = std::mem::replace(seen, count) != count && !late;
                if !progresses && !lane.queue.has_ended() {
                    lane.end();
                    given_up = true;
                }
                !lane.queue.has_ended()
            });
        }
        if given_up {
            (self.report)(&Incident::Discarded);
        }
    }
}

impl AlertSender {
    /// Queues an alert for each channel. Never waits: a channel with [`WhenFull::Block`] and a full
    /// queue loses it. An alert that comes after [`Outputs::close`] is lost.
    pub fn submit(&self, alert: Alert) {
        submit(&self.lanes, alert, Queue::push_or_lose);
    }

    /// As [`Outputs::stop_blocking`].
    pub fn stop_blocking(&self) {
        stop_blocking(&self.lanes);
    }

    /// As [`Outputs::statistics`].
    #[must_use]
    pub fn statistics(&self) -> Vec<ChannelStatistics> {
        statistics(&self.lanes)
    }
}

type Lanes = [Arc<Lane>];

fn submit(lanes: &Lanes, alert: Alert, push: impl Fn(&Queue<Alert>, Alert, u64)) {
    let now = clock::now();
    if let Some((last, others)) = lanes.split_last() {
        others.iter().for_each(|lane| push(&lane.queue, alert.clone(), now));
        push(&last.queue, alert, now);
    }
}

fn stop_blocking(lanes: &Lanes) {
    lanes.iter().for_each(|lane| lane.queue.stop_blocking());
}

fn statistics(lanes: &Lanes) -> Vec<ChannelStatistics> {
    let now = clock::now();
    let of = |lane: &Arc<Lane>| ChannelStatistics::new(lane.channel, lane.queue.status(), now);
    lanes.iter().map(of).collect()
}

fn lost_by_rule(lanes: &Lanes) -> Vec<u64> {
    let mut lost = Vec::new();
    lanes.iter().for_each(|lane| lane.queue.add_lost_by_rule(&mut lost));
    lost
}

/// Starts the thread of a channel. `alive` is dropped when it ends.
fn start_worker(
    lane: &Arc<Lane>,
    mut channel: Box<dyn Channel>,
    alive: Sender<()>,
) -> io::Result<()> {
    let lane = lane.clone();
    // Linux shows 15 bytes of it.
    let name = format!("output-{}", lane.channel);
    let run = move || {
        lane.run(channel.as_mut());
        drop(alive);
    };
    thread::Builder::new().name(name).spawn(run).map(drop)
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

#[cfg(test)]
mod tests;
