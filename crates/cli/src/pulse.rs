//! The pulse of the event loop: others ask it to look up from its work, and that it does so shows that it works.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between the event loop and those who want something of it.
#[derive(Debug)]
pub(crate) struct Pulse {
    asked: AtomicBool,
    /// When the loop looked up last, in nanoseconds since `born`; 0 before it did.
    answered: AtomicU64,
    born: Instant,
}

/// Longest time between two questions.
const SECOND: Duration = Duration::from_secs(1);

impl Pulse {
    /// The loop counts as alive from now on. It is asked at once, so that it has begun with its first event.
    pub(crate) fn new() -> Self {
        Self { asked: AtomicBool::new(true), answered: AtomicU64::new(0), born: Instant::now() }
    }

    /// Asks the loop to look up.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// For the loop, between two events: whether somebody has asked. One load, as long as nobody has.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) && self.answer()
    }

    #[cold]
    fn answer(&self) -> bool {
        let now = self.born.elapsed().as_nanos().max(1);
        self.answered.store(now.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.asked.swap(false, Ordering::Acquire)
    }

    /// One that has not looked up yet, for so long.
    #[cfg(test)]
    pub(crate) fn born_before(time: Duration) -> Self {
        Self { asked: AtomicBool::new(false), born: Instant::now() - time, ..Self::new() }
    }

    /// One that has looked up once, so long ago.
    #[cfg(test)]
    pub(crate) fn silent_for(time: Duration) -> Self {
        Self { answered: AtomicU64::new(1), ..Self::born_before(time) }
    }

    /// Whether the loop has looked up yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    /// How long the loop has not looked up.
    pub(crate) fn silence(&self) -> Duration {
        let answered = Duration::from_nanos(self.answered.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(answered)
    }
}

/// Asks regularly, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Asks about every second, and so that `interval` is a multiple of the time between two questions.
    pub(crate) fn start(pulse: Arc<Pulse>, interval: Option<Duration>) -> io::Result<Self> {
        let period = interval.map_or(SECOND, period);
        let (stop, stopped) = mpsc::channel();
        let mut next = Instant::now() + period;
        let tick = move || {
            let wait = |next: Instant| {
                stopped.recv_timeout(next.saturating_duration_since(Instant::now()))
            };
            while wait(next) == Err(RecvTimeoutError::Timeout) {
                pulse.ask();
                next = next_after(next, Instant::now(), period);
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

/// When it is time again, `period` by `period` from `due` on. Nobody makes up for what was missed.
pub(crate) fn next_after(due: Instant, now: Instant, period: Duration) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let missed = late / period.as_nanos().max(1);
    due + period * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

/// The longest time up to a second of which `interval` is a multiple, nearly.
fn period(interval: Duration) -> Duration {
    let parts = interval.as_nanos().div_ceil(SECOND.as_nanos()).max(1);
    interval / u32::try_from(parts).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_has_begun_with_its_first_event() {
        let pulse = Pulse::new();
        assert!(!pulse.has_begun());
        assert!(pulse.is_asked() && pulse.has_begun());
        assert!(!pulse.is_asked());
    }

    #[test]
    fn silence_ends_when_the_loop_looks_up() {
        let pulse = Pulse::silent_for(Duration::from_secs(60));
        assert!(!pulse.is_asked());
        assert!(pulse.silence() >= Duration::from_secs(60));
        pulse.ask();
        assert!(pulse.silence() >= Duration::from_secs(60));
        assert!(pulse.is_asked());
        assert!(!pulse.is_asked());
        assert!(pulse.has_begun());
        assert!(pulse.silence() < Duration::from_secs(60));
    }

    #[test]
    fn a_ticker_asks_again_and_again() {
        let pulse = Arc::new(Pulse::new());
        let ticker = Ticker::start(pulse.clone(), Some(Duration::from_millis(1))).unwrap();
        for _ in 0..3 {
            while !pulse.is_asked() {
                thread::yield_now();
            }
        }
        drop(ticker);
        assert_eq!(Arc::strong_count(&pulse), 1);
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let due = Instant::now();
        let (second, after) = (Duration::from_secs(1), |ms| due + Duration::from_millis(ms));
        assert_eq!(next_after(due, due, second), after(1000));
        assert_eq!(next_after(due, after(999), second), after(1000));
        assert_eq!(next_after(due, after(3500), second), after(4000));
    }

    #[test]
    fn periods_divide_the_interval() {
        let millis = Duration::from_millis;
        let periods = [100, 1000, 1500, 5000, 3_600_000].map(|ms| period(millis(ms)));
        assert_eq!(periods, [100, 1000, 750, 1000, 1000].map(millis));
    }
}
