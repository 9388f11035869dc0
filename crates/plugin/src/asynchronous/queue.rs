//! The queue between the threads of plugins and the event thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peregrine_event::SourceId;
use peregrine_event::source::Due;
use peregrine_limits::{ASYNC_EVENT_BYTES, ASYNC_EVENTS};

use super::event::{self, AsyncFault, MAX_AHEAD};
use crate::library::is_compatible;

/// The stream that events are put beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncStream {
    /// Id of its event source.
    pub id: SourceId,
    /// Name of its event source.
    pub source: String,
    /// Id of the plugin whose source it is; 0 for system calls.
    pub plugin_id: u32,
}

/// Events of plugins that wait for their time. Clones are the same queue.
#[derive(Clone)]
pub struct AsyncQueue {
    shared: Arc<Shared>,
}

struct Shared {
    stream: AsyncStream,
    waiting: Mutex<Waiting>,
    /// Events in the queue, so that an empty one costs the event thread one load.
    len: AtomicUsize,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: BinaryHeap<Reverse<Entry>>,
    bytes: usize,
    arrivals: u64,
}

/// Ordered by time, those of the same time by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// 0 for events that take the time of their delivery, which come first.
    time: u64,
    arrival: u64,
    bytes: Vec<u8>,
}

impl AsyncQueue {
    /// An empty queue beside a stream.
    pub fn new(stream: AsyncStream) -> Self {
        let shared = Shared {
            stream,
            waiting: Mutex::default(),
            len: AtomicUsize::new(0),
            arrived: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The stream that it is beside.
    pub fn stream(&self) -> &AsyncStream {
        &self.shared.stream
    }

    /// Number of events in it.
    pub fn len(&self) -> usize {
        self.shared.len.load(Ordering::Acquire)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an event into it that is checked. One that finds no room, or is too far in the future,
    /// is lost, with a warning. `sources` are those beside which its plugin makes events.
    pub(super) fn push(
        &self,
        mut bytes: Vec<u8>,
        sources: &[String],
        warn: &dyn Fn(&str),
    ) -> Result<(), AsyncFault> {
        let AsyncStream { source, plugin_id, .. } = &self.shared.stream;
        if !is_compatible(sources, source) {
            return Err(AsyncFault::Source(source.clone()));
        }
        if *plugin_id != 0 && event::tid(&bytes) != u64::MAX {
            return Err(AsyncFault::Thread(source.clone()));
        }
        event::set_id(&mut bytes, *plugin_id);
        let time = event::time(&bytes);
        if time != u64::MAX && time > now().saturating_add(MAX_AHEAD.as_nanos() as u64) {
            warn("async event ts too far in future");
            return Ok(());
        }
        let time = if time == u64::MAX { 0 } else { time.max(1) };
        let mut waiting = self.lock();
        let full = waiting.events.len() >= ASYNC_EVENTS.get();
        let large = !waiting.events.is_empty()
            && waiting.bytes.saturating_add(bytes.len()) > ASYNC_EVENT_BYTES.get();
        if full || large {
            drop(waiting);
            if full { &ASYNC_EVENTS } else { &ASYNC_EVENT_BYTES }.reach();
            warn("async event queue is full");
            return Ok(());
        }
        waiting.bytes += bytes.len();
        waiting.arrivals += 1;
        let arrival = waiting.arrivals;
        waiting.events.push(Reverse(Entry { time, arrival, bytes }));
        self.shared.len.store(waiting.events.len(), Ordering::Release);
        drop(waiting);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// When the next event is due.
    pub(super) fn due(&self) -> Due {
        if self.is_empty() {
            return Due::Idle;
        }
        match self.lock().events.peek() {
            Some(Reverse(Entry { time: 0, .. })) => Due::Now,
            // What is in the future waits for its time.
            Some(Reverse(Entry { time, .. })) if *time <= now() => Due::At(*time),
            _ => Due::Idle,
        }
    }

    /// Takes the next event, if it is due.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let mut waiting = self.lock();
        let Reverse(Entry { time, .. }) = waiting.events.peek()?;
        let (time, now) = (*time, now());
        if time > now {
            return None;
        }
        let Reverse(Entry { mut bytes, .. }) = waiting.events.pop()?;
        waiting.bytes = waiting.bytes.saturating_sub(bytes.len());
        self.shared.len.store(waiting.events.len(), Ordering::Release);
        drop(waiting);
        if time == 0 {
            event::set_time(&mut bytes, now);
        }
        Some(bytes)
    }

    /// Waits this long for an event that is due.
    pub(super) fn wait(&self, longest: Duration) {
        let waiting = self.lock();
        let wait = match waiting.events.peek() {
            Some(Reverse(next)) => {
                longest.min(Duration::from_nanos(next.time.saturating_sub(now())))
            }
            None => longest,
        };
        if !wait.is_zero() {
            drop(self.shared.arrived.wait_timeout(waiting, wait));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AsyncQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncQueue")
            .field("stream", &self.shared.stream)
            .field("len", &self.len())
            .finish()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}
