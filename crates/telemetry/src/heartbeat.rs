//! The heartbeat of the event loop: other threads request its attention, and its answer shows that
//! it makes progress.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Shared by the event loop and the threads that want something from it.
///
/// ```
/// let heartbeat = peregrine_telemetry::Heartbeat::new();
/// assert!(!heartbeat.has_begun());
/// // The event loop polls between two events.
/// assert!(heartbeat.poll() && heartbeat.has_begun());
/// assert!(!heartbeat.poll());
/// heartbeat.request();
/// assert!(heartbeat.poll());
/// ```
#[derive(Debug)]
pub struct Heartbeat {
    requested: AtomicBool,
    /// Time of the last answer, in nanoseconds since `created`; 0 before the first.
    answered: AtomicU64,
    created: Instant,
}

/// Time between two requests of a [`Ticker`].
const SECOND: Duration = Duration::from_secs(1);

impl Heartbeat {
    /// The loop counts as alive from now on. The first request is pending, so that the loop has
    /// begun with its first event.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requested: AtomicBool::new(true),
            answered: AtomicU64::new(0),
            created: Instant::now(),
        }
    }

    /// A heartbeat of the past, without a pending request: created `age` ago and last answered at
    /// that age, or never. For tests of what depends on it.
    #[must_use]
    pub fn aged(age: Duration, answered: bool) -> Self {
        Self {
            requested: AtomicBool::new(false),
            answered: AtomicU64::new(answered.into()),
            created: Instant::now() - age,
        }
    }

    /// Requests the attention of the loop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
    }

    /// For the loop, between two events: whether there was a request since the last poll. Costs one
    /// load while there is none.
    #[inline]
    pub fn poll(&self) -> bool {
        self.requested.load(Ordering::Relaxed) && self.answer()
    }

    #[cold]
    fn answer(&self) -> bool {
        let now = self.created.elapsed().as_nanos().max(1);
        self.answered.store(now.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.requested.swap(false, Ordering::Acquire)
    }

    /// Whether the loop has answered yet.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    /// Time since the last answer, or since the creation.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let answered = Duration::from_nanos(self.answered.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(answered)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

/// Requests a heartbeat every second, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to request.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(heartbeat: Arc<Heartbeat>) -> io::Result<Self> {
        Self::with_period(heartbeat, SECOND)
    }

    fn with_period(heartbeat: Arc<Heartbeat>, period: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let tick = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                heartbeat.request();
            }
        };
        let thread = thread::Builder::new().name("ticker".to_owned()).spawn(tick)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_has_begun_with_its_first_event() {
        let heartbeat = Heartbeat::new();
        assert!(!heartbeat.has_begun());
        assert!(heartbeat.poll() && heartbeat.has_begun());
        assert!(!heartbeat.poll());
    }

    #[test]
    fn an_answer_ends_the_silence() {
        let heartbeat = Heartbeat::aged(Duration::from_secs(60), true);
        assert!(!heartbeat.poll());
        assert!(heartbeat.silence() >= Duration::from_secs(60));
        heartbeat.request();
        assert!(heartbeat.silence() >= Duration::from_secs(60));
        assert!(heartbeat.poll());
        assert!(!heartbeat.poll());
        assert!(heartbeat.has_begun());
        assert!(heartbeat.silence() < Duration::from_secs(60));
    }

    #[test]
    fn a_ticker_requests_again_and_again() {
        let heartbeat = Arc::new(Heartbeat::new());
        let ticker = Ticker::with_period(heartbeat.clone(), Duration::from_millis(1)).unwrap();
        for _ in 0..3 {
            while !heartbeat.poll() {
                thread::yield_now();
            }
        }
        drop(ticker);
        assert_eq!(Arc::strong_count(&heartbeat), 1);
    }
}
