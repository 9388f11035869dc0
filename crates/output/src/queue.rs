//! The queue between the threads that submit alerts and the worker of one channel.
//!
//! Loom checks it in all orders in which its threads can run:
//! `RUSTFLAGS="--cfg loom_queue" cargo test -p peregrine-output --no-default-features --lib loom`.

mod fair;
mod limits;

use std::sync::PoisonError;
#[cfg(not(loom_queue))]
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[cfg(loom_queue)]
use loom::sync::{Condvar, Mutex, MutexGuard};

use peregrine_limits::ALERT_QUEUE_BYTES;

use crate::counts::Counts;

pub(crate) use fair::Queued;
use fair::{FairQueue, Losses};
pub use limits::{QueueLimits, WhenFull};

/// Alerts that wait for the delivery through one channel.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Wakes the consumer.
    ready: Condvar,
    /// Wakes producers that wait for room, and who waits for the end.
    room: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: FairQueue<T>,
    counts: Counts,
    reopen: bool,
    closed: bool,
    /// Nothing more is delivered.
    ended: bool,
    when_full: WhenFull,
    /// Producers wait when the queue is full.
    blocks: bool,
    blocked: usize,
    consumer: Consumer,
}

/// State of the consumer. Waking it costs the producer more than making an alert, so not every
/// alert wakes it: while alerts keep coming, the consumer polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consumer {
    /// Delivers, or is about to.
    Busy,
    /// Sleeps for [`LINGER`], then polls.
    Lingers,
    /// Sleeps until it is woken.
    Sleeps,
}

/// Pause between two polls: too short for a human to notice, long enough that a burst needs no
/// wake-up.
const LINGER: Duration = Duration::from_millis(1);

/// The state of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueStatus {
    pub(crate) counts: Counts,
    /// Memory of the items that wait, in bytes.
    pub(crate) bytes: usize,
    /// When the oldest of them came, or the oldest in the spool.
    pub(crate) oldest: Option<u64>,
    /// Bytes of the spool.
    pub(crate) spool_bytes: u64,
}

/// What woke the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Items are in the buffer.
    Items,
    /// Channels must open their files again.
    Reopen,
    /// The queue is closed and empty, or given up.
    End,
}

impl QueueStatus {
    /// Both together.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let oldest = self.oldest.into_iter().chain(other.oldest).min();
        let counts = self.counts.and(other.counts);
        let spool_bytes = self.spool_bytes + other.spool_bytes;
        Self { counts, bytes: self.bytes + other.bytes, oldest, spool_bytes }
    }
}

impl<T: Queued> Queue<T> {
    pub(crate) fn new(limits: QueueLimits, when_full: WhenFull) -> Self {
        let state = State {
            waiting: FairQueue::new(limits),
            counts: Counts::default(),
            reopen: false,
            closed: false,
            ended: false,
            when_full,
            blocks: when_full == WhenFull::Block,
            blocked: 0,
            consumer: Consumer::Busy,
        };
        Self { state: Mutex::new(state), ready: Condvar::new(), room: Condvar::new() }
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.lock().when_full
    }

    /// Changes the limits for what comes from now on.
    pub(crate) fn set_limits(&self, limits: QueueLimits, when_full: WhenFull) {
        let mut state = self.lock();
        state.waiting.set_limits(limits);
        state.when_full = when_full;
        state.blocks = when_full == WhenFull::Block;
        drop(state);
        self.room.notify_all();
    }

    /// Adds an item, which comes at this time. Waits only with [`WhenFull::Block`].
    pub(crate) fn push(&self, item: T, at: u64) {
        let mut state = self.lock();
        while state.blocks && !state.ended && !state.waiting.fits(&item) {
            state.blocked += 1;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.blocked -= 1;
        }
        self.insert(state, item, at);
    }

    /// Adds an item without waiting. With [`WhenFull::Block`], it is lost if there is no room.
    pub(crate) fn push_or_lose(&self, item: T, at: u64) {
        let mut state = self.lock();
        if state.blocks && !state.waiting.fits(&item) {
            state.counts.submitted += 1;
            state.counts.full += 1;
            state.waiting.count_lost(&item);
            return;
        }
        self.insert(state, item, at);
    }

    fn insert(&self, mut state: MutexGuard<'_, State<T>>, item: T, at: u64) {
        state.counts.submitted += 1;
        if state.ended {
            state.counts.discarded += 1;
            state.waiting.count_lost(&item);
            return;
        }
        let when_full = state.when_full;
        let Losses { full, over_share, by_memory } = state.waiting.push(item, at, when_full);
        if by_memory {
            ALERT_QUEUE_BYTES.reach();
        }
        state.counts.full += full;
        state.counts.over_share += over_share;
        let wake = match state.consumer {
            Consumer::Busy => false,
            // A short queue must not fill up while the consumer lingers.
            Consumer::Lingers => state.waiting.is_half_full(),
            Consumer::Sleeps => true,
        };
        if wake {
            state.consumer = Consumer::Busy;
            self.ready.notify_one();
        }
    }

    pub(crate) fn reopen(&self) {
        self.lock().reopen = true;
        self.ready.notify_one();
    }

    /// The consumer ends when it has taken all that waits.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Producers that wait, and all later ones, lose what does not fit.
    pub(crate) fn stop_blocking(&self) {
        self.lock().blocks = false;
        self.room.notify_all();
    }

    /// Nothing more is delivered: counts as discarded what is not delivered, and what comes from
    /// now on. The consumer, if it has not ended, ends as soon as it can.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.counts.discarded += state.counts.waiting();
        state.waiting.discard();
        drop(state);
        self.ready.notify_one();
        self.room.notify_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Whether the queue ends within this time.
    #[cfg(not(loom_queue))]
    pub(crate) fn wait_until_ended(&self, most: Duration) -> bool {
        let waited = self.room.wait_timeout_while(self.lock(), most, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    #[cfg(loom_queue)]
    pub(crate) fn wait_until_ended(&self, _: Duration) -> bool {
        self.has_ended()
    }

    /// Gives what waits to another queue, which counts it. What was taken stays here.
    pub(crate) fn hand_over(&self) -> Vec<T> {
        let mut state = self.lock();
        let items = state.waiting.hand_over();
        state.counts.submitted = state.counts.submitted.saturating_sub(items.len() as u64);
        items
    }

    /// Counts items of another queue, which are taken already. If nothing more is delivered, they
    /// are lost, and the answer is `false`.
    pub(crate) fn adopt(&self, items: usize) -> bool {
        let mut state = self.lock();
        state.counts.submitted += items as u64;
        if state.ended {
            state.counts.discarded += items as u64;
        }
        !state.ended
    }

    /// With what is counted elsewhere. Nothing is counted here meanwhile.
    pub(crate) fn status(&self, elsewhere: impl FnOnce() -> Counts) -> QueueStatus {
        let state = self.lock();
        let (bytes, oldest) = (state.waiting.bytes(), state.waiting.oldest());
        let counts = state.counts.and(elsewhere());
        QueueStatus { counts, bytes, oldest, ..QueueStatus::default() }
    }

    /// Adds the losses by rule, except those that the consumer failed to deliver.
    pub(crate) fn add_lost_by_rule(&self, sums: &mut Vec<u64>) {
        for (rule, lost) in self.lock().waiting.lost_by_rule().enumerate() {
            match sums.get_mut(rule) {
                Some(sum) => *sum += lost,
                None => sums.push(lost),
            }
        }
    }

    /// Waits for something to do. `items` must be empty; it comes back with up to `max` items.
    /// They occupy the queue until they are settled.
    pub(crate) fn take(&self, items: &mut Vec<T>, max: usize) -> Taken {
        let mut state = self.lock();
        let mut lingered = false;
        loop {
            if state.ended {
                return Taken::End;
            }
            if std::mem::take(&mut state.reopen) {
                return Taken::Reopen;
            }
            if !state.waiting.is_empty() {
                state.waiting.take(items, max);
                self.wake_producers(&state);
                return Taken::Items;
            }
            if state.closed {
                return Taken::End;
            }
            if lingered {
                state.consumer = Consumer::Sleeps;
                state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.consumer = Consumer::Lingers;
                state = self.wait_ready(state, LINGER);
                lingered = true;
            }
            state.consumer = Consumer::Busy;
        }
    }

    /// Takes further items until there are `max`, for this time at most. Ends at once if the worker
    /// has something else to do.
    pub(crate) fn take_more(&self, items: &mut Vec<T>, max: usize, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while items.len() < max && !state.ended && !state.reopen {
            let before = items.len();
            state.waiting.take(items, max - before);
            self.wake_producers(&state);
            let left = until.saturating_duration_since(Instant::now());
            // What still waits has found no place among those that were taken.
            if state.closed || left.is_zero() || !state.waiting.is_empty() {
                break;
            }
            state.consumer = Consumer::Sleeps;
            state = self.wait_ready(state, left);
            state.consumer = Consumer::Busy;
        }
    }

    /// Says what became of items that were taken.
    pub(crate) fn settle(&self, settled: Counts) {
        let mut state = self.lock();
        let retried = settled.retried;
        let settled = if state.ended { Counts { retried, ..Counts::default() } } else { settled };
        state.counts = state.counts.and(settled);
        state.waiting.settle();
        self.wake_producers(&state);
    }

    fn wake_producers(&self, state: &State<T>) {
        if state.blocked > 0 {
            self.room.notify_all();
        }
    }

    /// Waits to be woken, for this time at most.
    #[cfg(not(loom_queue))]
    fn wait_ready<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        time: Duration,
    ) -> MutexGuard<'a, State<T>> {
        let waited = self.ready.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Loom has no clock: the time may have passed after any step of the other threads.
    #[cfg(loom_queue)]
    fn wait_ready<'a>(
        &'a self,
        state: MutexGuard<'a, State<T>>,
        _: Duration,
    ) -> MutexGuard<'a, State<T>> {
        drop(state);
        loom::thread::yield_now();
        self.lock()
    }

    /// A thread that panics while it holds the lock leaves only complete items behind.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, loom_queue))]
mod loom_tests;

#[cfg(all(test, not(loom_queue)))]
mod tests;
