//! The queue between the event thread and the thread that delivers.
//!
//! Loom checks it in all orders in which its threads can run:
//! `RUSTFLAGS="--cfg loom" cargo test -p peregrine-output --lib loom`.

use std::num::NonZeroUsize;
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[cfg(loom)]
use loom::sync::{Condvar, Mutex, MutexGuard};

/// Alerts that wait for delivery. The consumer takes all of them at once: one lock for many alerts.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    capacity: Option<NonZeroUsize>,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    reopen: bool,
    closed: bool,
    consumer: Consumer,
    dropped: u64,
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

/// What became of an item that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits for the consumer.
    Queued,
    /// The queue was full, for the first time.
    FirstDrop,
    /// The queue was full once more.
    Drop,
}

/// What woke the consumer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Items are in the buffer.
    Items,
    /// Channels must open their files again.
    Reopen,
    /// The queue is closed and empty.
    End,
}

impl<T> Queue<T> {
    /// Without a capacity it grows as far as memory allows.
    pub(crate) fn new(capacity: Option<NonZeroUsize>) -> Self {
        let state = State {
            waiting: Vec::new(),
            reopen: false,
            closed: false,
            consumer: Consumer::Busy,
            dropped: 0,
        };
        Self { state: Mutex::new(state), ready: Condvar::new(), capacity }
    }

    /// Never waits.
    pub(crate) fn push(&self, item: T) -> Pushed {
        let mut state = self.lock();
        if self.capacity.is_some_and(|capacity| state.waiting.len() >= capacity.get()) {
            state.dropped += 1;
            return if state.dropped == 1 { Pushed::FirstDrop } else { Pushed::Drop };
        }
        state.waiting.push(item);
        // A short queue must not fill up while the consumer lingers.
        let half_full =
            self.capacity.is_some_and(|capacity| state.waiting.len() >= capacity.get().div_ceil(2));
        let wake = match state.consumer {
            Consumer::Busy => false,
            Consumer::Lingers => half_full,
            Consumer::Sleeps => true,
        };
        if wake {
            state.consumer = Consumer::Busy;
            self.ready.notify_one();
        }
        Pushed::Queued
    }

    pub(crate) fn reopen(&self) {
        self.lock().reopen = true;
        self.ready.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Drops all items that wait; returns their number.
    pub(crate) fn discard(&self) -> usize {
        std::mem::take(&mut self.lock().waiting).len()
    }

    /// Items that found the queue full.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits for something to do. `items` must be empty; it comes back with all that waited.
    pub(crate) fn take(&self, items: &mut Vec<T>) -> Taken {
        let mut state = self.lock();
        let mut lingered = false;
        loop {
            if std::mem::take(&mut state.reopen) {
                return Taken::Reopen;
            }
            if !state.waiting.is_empty() {
                std::mem::swap(&mut state.waiting, items);
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
                state = self.linger(state);
                lingered = true;
            }
            state.consumer = Consumer::Busy;
        }
    }

    /// Waits to be woken, for [`LINGER`] at most.
    #[cfg(not(loom))]
    fn linger<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let waited = self.ready.wait_timeout(state, LINGER);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Loom has no clock: the time may have passed after any step of the other threads.
    #[cfg(loom)]
    fn linger<'a>(&'a self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let _ = LINGER;
        drop(state);
        loom::thread::yield_now();
        self.lock()
    }

    /// A thread that panics while it holds the lock leaves only complete items behind.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod loom_tests;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_then_the_end() {
        let queue = Queue::new(None);
        for item in 0..3 {
            assert_eq!(queue.push(item), Pushed::Queued);
        }
        queue.close();
        let mut items = Vec::new();
        assert_eq!(queue.take(&mut items), Taken::Items);
        assert_eq!(items, [0, 1, 2]);
        items.clear();
        assert_eq!(queue.take(&mut items), Taken::End);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = Queue::new(NonZeroUsize::new(1));
        let pushed = [queue.push('a'), queue.push('b'), queue.push('c')];
        assert_eq!(pushed, [Pushed::Queued, Pushed::FirstDrop, Pushed::Drop]);
        assert_eq!(queue.dropped(), 2);
        assert_eq!(queue.discard(), 1);
        assert_eq!(queue.push('d'), Pushed::Queued);
    }

    #[test]
    fn a_consumer_that_sleeps_is_woken_for_each_thing() {
        let queue = Queue::new(None);
        let sleeping = || {
            while queue.lock().consumer != Consumer::Sleeps {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let consumer = scope.spawn(|| {
                let mut items = Vec::new();
                [queue.take(&mut items), queue.take(&mut Vec::new()), queue.take(&mut Vec::new())]
            });
            sleeping();
            queue.push('a');
            sleeping();
            queue.reopen();
            sleeping();
            queue.close();
            assert_eq!(consumer.join().unwrap(), [Taken::Items, Taken::Reopen, Taken::End]);
        });
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let queue = Queue::new(None);
        std::thread::scope(|scope| {
            let consumer = scope.spawn(|| {
                let (mut items, mut all) = (Vec::new(), Vec::new());
                while queue.take(&mut items) != Taken::End {
                    all.append(&mut items);
                }
                all
            });
            for item in 0..1000 {
                queue.push(item);
            }
            queue.reopen();
            queue.close();
            assert_eq!(consumer.join().unwrap(), (0..1000).collect::<Vec<_>>());
        });
    }
}
