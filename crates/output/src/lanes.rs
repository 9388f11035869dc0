//! The lanes of all outputs: those in force, and those that a reload has replaced.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::clock;
use crate::queue::QueueStatus;
use crate::statistics::ChannelStatistics;
use crate::worker::Lane;

/// Time for a lane that was replaced or removed to deliver what it has.
const RETIREMENT: Duration = Duration::from_secs(10);

/// The lanes, shared by all threads that submit alerts or look after lanes.
#[derive(Debug)]
pub(crate) struct Lanes(RwLock<State>);

#[derive(Debug)]
struct State {
    current: Arc<[Arc<Lane>]>,
    retired: Vec<Retired>,
    past: Past,
    timeout: Duration,
}

/// A lane that gets no more alerts. Those that it has are delivered until the deadline.
#[derive(Clone, Debug)]
struct Retired {
    lane: Arc<Lane>,
    deadline: Instant,
}

/// What became of the alerts of lanes that have ended.
#[derive(Debug, Default)]
struct Past {
    by_name: Vec<(&'static str, QueueStatus)>,
    lost_by_rule: Vec<u64>,
}

impl Lanes {
    pub(crate) fn new(timeout: Duration) -> Self {
        let (retired, past) = (Vec::new(), Past::default());
        Self(RwLock::new(State { current: Arc::default(), retired, past, timeout }))
    }

    /// Puts these lanes into force. The others get no more alerts.
    pub(crate) fn install(&self, lanes: Arc<[Arc<Lane>]>, timeout: Duration) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + RETIREMENT;
        let old = std::mem::replace(&mut state.current, lanes.clone());
        for lane in old.iter().filter(|lane| !contains(&lanes, lane)) {
            lane.queue.stop_blocking();
            lane.close();
            state.retired.push(Retired { lane: lane.clone(), deadline });
        }
        state.timeout = timeout;
    }

    /// Calls this with the lanes in force, which stay so until it returns. It must not wait.
    pub(crate) fn with_current<R>(&self, act: impl FnOnce(&[Arc<Lane>]) -> R) -> R {
        act(&self.read().current)
    }

    /// All lanes, those in force first.
    pub(crate) fn all(&self) -> Vec<Arc<Lane>> {
        let state = self.read();
        state.all().cloned().collect()
    }

    /// `output_timeout`
    pub(crate) fn timeout(&self) -> Duration {
        self.read().timeout
    }

    /// Lanes that are not in force and have ended. Ends those whose time is over.
    pub(crate) fn ended(&self) -> Vec<Arc<Lane>> {
        let retired = self.read().retired.clone();
        let now = Instant::now();
        retired.iter().filter(|it| it.deadline <= now).for_each(|it| it.lane.end());
        let ended = retired.into_iter().map(|it| it.lane);
        ended.filter(|lane| lane.queue.has_ended()).collect()
    }

    /// Keeps the counters of these lanes only.
    pub(crate) fn forget(&self, lanes: &[Arc<Lane>]) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let State { retired, past, .. } = &mut *state;
        retired.retain(|it| {
            let forgotten = contains(lanes, &it.lane);
            if forgotten {
                past.add(&it.lane);
            }
            !forgotten
        });
    }

    /// A row for each lane in force, then one for each name that has none any more. What became of
    /// the alerts of earlier lanes counts in the row of their name.
    pub(crate) fn statistics(&self) -> Vec<ChannelStatistics> {
        let (state, now) = (self.read(), clock::now());
        let status = |lane: &Arc<Lane>| (lane.channel, lane.status());
        let mut rows: Vec<_> = state.current.iter().map(status).collect();
        let retired = state.retired.iter().map(|it| status(&it.lane));
        retired.chain(state.past.by_name.iter().copied()).for_each(|row| add(&mut rows, row));
        rows.into_iter().map(|(name, sum)| ChannelStatistics::new(name, sum, now)).collect()
    }

    /// Alerts of each rule that were lost before a channel was given them.
    pub(crate) fn lost_by_rule(&self) -> Vec<u64> {
        let state = self.read();
        let mut lost = state.past.lost_by_rule.clone();
        state.all().for_each(|lane| lane.queue.add_lost_by_rule(&mut lost));
        lost
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.current.iter().chain(self.retired.iter().map(|it| &it.lane))
    }
}

impl Past {
    fn add(&mut self, lane: &Lane) {
        add(&mut self.by_name, (lane.channel, lane.status()));
        lane.queue.add_lost_by_rule(&mut self.lost_by_rule);
    }
}

/// Adds a row to that of the same name.
fn add(rows: &mut Vec<(&'static str, QueueStatus)>, (name, status): (&'static str, QueueStatus)) {
    match rows.iter_mut().find(|(row, _)| *row == name) {
        Some((_, sum)) => *sum = sum.and(status),
        None => rows.push((name, status)),
    }
}

fn contains(lanes: &[Arc<Lane>], lane: &Arc<Lane>) -> bool {
    lanes.iter().any(|other| Arc::ptr_eq(other, lane))
}
