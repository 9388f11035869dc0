//! The thread that looks after the workers: it reports channels that block, and what is lost.
//!
//! Losses are reported here and not where they happen, because writing to the log may take long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::counts::Counts;
use crate::incident::{Incident, LossReason, Report};
use crate::lanes::Lanes;
use crate::queue::WhenFull;
use crate::statistics::ChannelStatistics;
use crate::worker::Lane;

/// Time between two checks, at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// Time between two reports of the same kind about a channel, at least.
const REPEAT: Duration = Duration::from_secs(60);

/// Checks the channels until `stopped`, and then reports all that is not reported yet.
pub(crate) fn watch(lanes: &Lanes, stopped: &AtomicBool, report: &Report) {
    let mut watched = Vec::new();
    loop {
        let last = stopped.load(Relaxed);
        // Before the counters are read: those of ended lanes do not change any more.
        let ended = lanes.ended();
        let timeout = lanes.timeout();
        update(&mut watched, lanes.all());
        for lane in &mut watched {
            if !last {
                lane.check_progress(timeout, report);
            }
            let replaced = ended.iter().any(|ended| Arc::ptr_eq(ended, &lane.lane));
            lane.report_losses(last || replaced, replaced, report);
        }
        if last {
            return;
        }
        if !ended.is_empty() {
            lanes.forget(&ended);
        }
        thread::park_timeout(INTERVAL.min(timeout).max(Duration::from_millis(1)));
    }
}

/// Adds new lanes, and removes those that are gone.
fn update(watched: &mut Vec<WatchedLane>, lanes: Vec<Arc<Lane>>) {
    watched.retain(|known| lanes.iter().any(|lane| Arc::ptr_eq(lane, &known.lane)));
    for lane in lanes {
        if !watched.iter().any(|known| Arc::ptr_eq(&lane, &known.lane)) {
            watched.push(WatchedLane::new(lane));
        }
    }
}

struct WatchedLane {
    lane: Arc<Lane>,
    /// The count of the activity, and since when it has been that.
    seen: (u64, Instant),
    /// The count for which blocking was reported.
    reported: Option<u64>,
    blocked: Throttle,
    failed: Reported,
    full: Reported,
    over_share: Reported,
    spool_full: Reported,
    expired: Reported,
    damaged: Reported,
    discarded: Reported,
}

/// How much of a counter is reported.
#[derive(Default)]
struct Reported {
    count: u64,
    throttle: Throttle,
}

#[derive(Default)]
struct Throttle(Option<Instant>);

impl WatchedLane {
    fn new(lane: Arc<Lane>) -> Self {
        Self {
            seen: (lane.activity.count(), Instant::now()),
            lane,
            reported: None,
            blocked: Throttle::default(),
            failed: Reported::default(),
            full: Reported::default(),
            over_share: Reported::default(),
            spool_full: Reported::default(),
            expired: Reported::default(),
            damaged: Reported::default(),
            discarded: Reported::default(),
        }
    }

    /// Reports an operation that takes longer than the timeout, once.
    fn check_progress(&mut self, timeout: Duration, report: &Report) {
        let count = self.lane.activity.count();
        let is_working = count % 2 == 1;
        let (seen, since) = self.seen;
        if count != seen || !is_working {
            self.seen = (count, Instant::now());
        } else if self.reported != Some(count)
            && since.elapsed() >= timeout
            && self.blocked.passes()
        {
            self.reported = Some(count);
            let (channel, queue) = (self.lane.channel, &self.lane.queue);
            let now = ChannelStatistics::new(channel, self.lane.status(), clock::now());
            let ChannelStatistics { waiting, oldest, .. } = now;
            let blocks = queue.when_full() == WhenFull::Block;
            report(&Incident::Blocked { channel, waiting, oldest, blocks });
        }
    }

    /// `all` without regard to the last report; `replaced` if a reload has ended the lane.
    fn report_losses(&mut self, all: bool, replaced: bool, report: &Report) {
        let channel = self.lane.channel;
        self.report_failure(all, report);
        let Counts { full, over_share, discarded, spool_full, expired, damaged, .. } =
            self.lane.status().counts;
        let end = if replaced { LossReason::Replaced } else { LossReason::EndOfRun };
        for (reason, count, reported) in [
            (LossReason::QueueFull, full, &mut self.full),
            (LossReason::OverShare, over_share, &mut self.over_share),
            (LossReason::SpoolFull, spool_full, &mut self.spool_full),
            (LossReason::Expired, expired, &mut self.expired),
            (LossReason::Damaged, damaged, &mut self.damaged),
            (end, discarded, &mut self.discarded),
        ] {
            if let Some(count) = reported.unreported(count, all) {
                report(&Incident::Lost { channel, count, reason });
            }
        }
    }

    fn report_failure(&mut self, all: bool, report: &Report) {
        if !self.failed.throttle.is_open() && !all {
            return;
        }
        // An error may come with no loss, but not the other way round.
        let Some(error) = self.lane.take_error() else { return };
        let counts = self.lane.status().counts;
        let (failed, spooled) = (counts.failed, counts.spooled());
        let lost = failed.saturating_sub(std::mem::replace(&mut self.failed.count, failed));
        let _ = self.failed.throttle.passes();
        report(&Incident::Failed { channel: self.lane.channel, error, lost, spooled });
    }
}

impl Reported {
    /// The difference to what is reported, if it is time to report it.
    fn unreported(&mut self, count: u64, now: bool) -> Option<u64> {
        let new = count.saturating_sub(self.count);
        if new == 0 || !(now || self.throttle.is_open()) {
            return None;
        }
        let _ = self.throttle.passes();
        self.count = count;
        Some(new)
    }
}

impl Throttle {
    /// Whether the last report is long enough ago.
    fn is_open(&self) -> bool {
        self.0.is_none_or(|last| last.elapsed() >= REPEAT)
    }

    /// Whether to report now.
    fn passes(&mut self) -> bool {
        let open = self.is_open();
        if open {
            self.0 = Some(Instant::now());
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_reported_at_once_and_the_sum_of_the_next_after_a_minute() {
        let mut reported = Reported::default();
        assert_eq!(reported.unreported(0, true), None);
        assert_eq!(reported.unreported(3, false), Some(3));
        assert_eq!(reported.unreported(5, false), None);
        reported.throttle = Throttle(Instant::now().checked_sub(REPEAT));
        assert_eq!(reported.unreported(9, false), Some(6));
        assert_eq!(reported.unreported(10, false), None);
        assert_eq!(reported.unreported(10, true), Some(1));
        assert_eq!(reported.unreported(10, true), None);
    }
}
