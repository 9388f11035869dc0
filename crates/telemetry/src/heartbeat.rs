//! The heartbeat of the event thread: other threads request its attention, and its answers show
//! that it makes progress.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::periodic::{Periodic, Turn};
use crate::phase::Phase;

/// Shared by the event thread and the threads that want something from it, or watch it.
///
/// ```
/// use std::sync::Arc;
/// use peregrine_telemetry::{Heartbeat, Phase};
///
/// let heartbeat = Arc::new(Heartbeat::new());
/// // The event loop polls between two events; the first request is pending.
/// assert!(heartbeat.poll());
/// assert!(!heartbeat.poll());
/// heartbeat.request();
/// assert!(heartbeat.poll());
/// // What may block is named while it lasts.
/// let reading = heartbeat.enter(Phase::ReadingProcess(12));
/// assert_eq!(heartbeat.phase(), Phase::ReadingProcess(12));
/// drop(reading);
/// assert_eq!(heartbeat.phase(), Phase::Starting);
/// ```
#[derive(Debug)]
pub struct Heartbeat {
    /// [`REQUESTED`] and [`DUE`] in one value, so that a poll is one load.
    wanted: AtomicU8,
    /// Time of the last sign of progress, in nanoseconds since `created`.
    progressed: AtomicU64,
    /// A packed [`Phase`]. Only the event thread writes it.
    phase: AtomicU64,
    stalls: AtomicU64,
    /// Nanoseconds.
    longest_stall: AtomicU64,
    created: Instant,
}

/// Stalls of the event thread so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StallStats {
    /// Their number.
    pub count: u64,
    /// Length of the longest that has ended.
    pub longest: Duration,
    /// Time since the last sign of progress.
    pub silence: Duration,
}

/// The attention of the loop is requested.
const REQUESTED: u8 = 1;
/// A sign of progress is due.
const DUE: u8 = 2;
/// Time between two ticks of a [`Ticker`]: how precisely the begin of a stall is known.
const PERIOD: Duration = Duration::from_millis(250);

impl Heartbeat {
    /// The thread counts as alive from now on. The first request is pending.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wanted: AtomicU8::new(REQUESTED | DUE),
            progressed: AtomicU64::new(0),
            phase: AtomicU64::new(Phase::default().pack()),
            stalls: AtomicU64::new(0),
            longest_stall: AtomicU64::new(0),
            created: Instant::now(),
        }
    }

    /// A heartbeat of the past, without a pending request, whose last progress was `age` ago. For
    /// tests of what depends on it.
    #[must_use]
    pub fn aged(age: Duration) -> Self {
        Self { wanted: AtomicU8::new(0), created: Instant::now() - age, ..Self::new() }
    }

    /// Requests the attention of the loop.
    pub fn request(&self) {
        self.wanted.fetch_or(REQUESTED, Ordering::Release);
    }

    /// Asks for a sign of progress, without the attention of the loop.
    pub fn tick(&self) {
        self.wanted.fetch_or(DUE, Ordering::Relaxed);
    }

    /// For the loop, between two events: whether there was a request since the last poll. Costs one
    /// load while nothing is wanted.
    #[inline]
    pub fn poll(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0 && self.answer() & REQUESTED != 0
    }

    /// For the event thread, wherever it makes progress. Costs one load while no sign is due.
    #[inline]
    pub fn progress(&self) {
        if self.wanted.load(Ordering::Relaxed) & DUE != 0 {
            self.wanted.fetch_and(!DUE, Ordering::Relaxed);
            self.mark();
        }
    }

    /// Returns what was wanted.
    #[cold]
    fn answer(&self) -> u8 {
        self.mark();
        self.wanted.swap(0, Ordering::Acquire)
    }

    #[cold]
    fn mark(&self) {
        let now = self.created.elapsed().as_nanos();
        self.progressed.store(now.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Time since the last sign of progress, or since the creation.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let progressed = Duration::from_nanos(self.progressed.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(progressed)
    }

    /// For the event thread: it does this until the guard is dropped, then what it did before.
    /// Begin and end are progress.
    #[must_use]
    pub fn enter(self: &Arc<Self>, phase: Phase) -> PhaseGuard {
        self.progress();
        let before = self.phase.load(Ordering::Relaxed);
        self.phase.store(phase.pack(), Ordering::Relaxed);
        PhaseGuard { heartbeat: Arc::clone(self), before }
    }

    /// As [`enter`](Self::enter), while `work` runs; cheaper.
    #[inline]
    pub fn during<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let before = self.phase.load(Ordering::Relaxed);
        self.phase.store(phase.pack(), Ordering::Relaxed);
        let result = work();
        self.phase.store(before, Ordering::Relaxed);
        result
    }

    /// The stalls that a [`StallMonitor`](crate::StallMonitor) has found.
    #[must_use]
    pub fn stalls(&self) -> StallStats {
        StallStats {
            count: self.stalls.load(Ordering::Relaxed),
            longest: Duration::from_nanos(self.longest_stall.load(Ordering::Relaxed)),
            silence: self.silence(),
        }
    }

    pub(crate) fn stall_began(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stall_ended(&self, length: Duration) {
        let length = length.as_nanos().try_into().unwrap_or(u64::MAX);
        self.longest_stall.fetch_max(length, Ordering::Relaxed);
    }

    /// What the event thread is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::unpack(self.phase.load(Ordering::Relaxed))
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

/// Ends a [`Phase`] when it is dropped.
#[derive(Debug)]
pub struct PhaseGuard {
    heartbeat: Arc<Heartbeat>,
    before: u64,
}

impl Drop for PhaseGuard {
    fn drop(&mut self) {
        self.heartbeat.phase.store(self.before, Ordering::Relaxed);
        self.heartbeat.progress();
    }
}

/// Asks for signs of progress at an interval, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    _periodic: Periodic,
}

impl Ticker {
    /// Starts to ask.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(heartbeat: Arc<Heartbeat>) -> io::Result<Self> {
        Self::with_period(heartbeat, PERIOD)
    }

    fn with_period(heartbeat: Arc<Heartbeat>, period: Duration) -> io::Result<Self> {
        let tick = move |turn| {
            if turn == Turn::Due {
                heartbeat.tick();
            }
        };
        Ok(Self { _periodic: Periodic::start("ticker", period, tick)? })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_request_is_pending() {
        let heartbeat = Heartbeat::new();
        assert!(heartbeat.poll());
        assert!(!heartbeat.poll());
        heartbeat.request();
        assert!(heartbeat.poll());
    }

    #[test]
    fn progress_ends_the_silence_when_it_is_due() {
        let heartbeat = Heartbeat::aged(MINUTE);
        heartbeat.progress();
        assert!(!heartbeat.poll());
        assert!(heartbeat.silence() >= MINUTE);
        heartbeat.tick();
        assert!(heartbeat.silence() >= MINUTE);
        heartbeat.progress();
        assert!(heartbeat.silence() < MINUTE);
    }

    #[test]
    fn a_poll_is_progress_and_progress_answers_no_request() {
        let heartbeat = Heartbeat::aged(MINUTE);
        heartbeat.request();
        heartbeat.tick();
        heartbeat.progress();
        assert!(heartbeat.poll());
        let heartbeat = Heartbeat::aged(MINUTE);
        heartbeat.tick();
        assert!(!heartbeat.poll());
        assert!(heartbeat.silence() < MINUTE);
    }

    #[test]
    fn phases_nest_and_are_progress() {
        let heartbeat = Arc::new(Heartbeat::aged(MINUTE));
        let events = heartbeat.enter(Phase::Events);
        assert!(heartbeat.silence() >= MINUTE);
        heartbeat.tick();
        let process = heartbeat.enter(Phase::ReadingProcess(3));
        assert!(heartbeat.silence() < MINUTE);
        assert_eq!(heartbeat.phase(), Phase::ReadingProcess(3));
        drop(process);
        let phase = heartbeat.during(Phase::SubmittingAlert, || heartbeat.phase());
        assert_eq!((phase, heartbeat.phase()), (Phase::SubmittingAlert, Phase::Events));
        drop(events);
        assert_eq!(heartbeat.phase(), Phase::Starting);
    }

    #[test]
    fn a_ticker_asks_again_and_again() {
        let heartbeat = Arc::new(Heartbeat::aged(MINUTE));
        let ticker = Ticker::with_period(heartbeat.clone(), Duration::from_millis(1)).unwrap();
        for _ in 0..3 {
            while heartbeat.wanted.load(Ordering::Relaxed) & DUE == 0 {
                thread::yield_now();
            }
            heartbeat.progress();
        }
        drop(ticker);
        assert_eq!(Arc::strong_count(&heartbeat), 1);
    }
}
