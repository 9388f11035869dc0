//! How often and when something is tried again.

use std::time::{Duration, Instant};

/// How often and how long something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// Tries after the first one.
    pub max: u32,
    /// The time of all tries together.
    pub time: Duration,
}

/// Bounds tries in number and time. The pause doubles with each.
#[derive(Debug)]
pub(crate) struct Retries {
    left: u32,
    until: Instant,
    backoff: Backoff,
}

/// Pauses that double with each attempt, up to five seconds.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
    attempts: u32,
}

/// Why there is no further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRetry {
    /// There were enough.
    Number,
    /// It would be too late.
    Time,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Retries {
    /// The time begins now.
    pub(crate) fn new(RetryLimits { max, time }: RetryLimits) -> Self {
        Self { left: max, until: Instant::now() + time, backoff: Backoff::new() }
    }

    /// The pause before the next try, not shorter than the receiver asks for.
    pub(crate) fn next_pause(&mut self, at_least: Duration) -> Result<Duration, NoRetry> {
        self.left = self.left.checked_sub(1).ok_or(NoRetry::Number)?;
        let pause = self.backoff.next_pause(at_least);
        let in_time = Instant::now().checked_add(pause).is_some_and(|next| next < self.until);
        if in_time { Ok(pause) } else { Err(NoRetry::Time) }
    }
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { pause: FIRST_PAUSE, attempts: 0 }
    }

    /// The pause before the next attempt, not shorter than the receiver asks for.
    pub(crate) fn next_pause(&mut self, at_least: Duration) -> Duration {
        let pause = self.pause.max(at_least);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.attempts = self.attempts.saturating_add(1);
        pause
    }

    /// How many pauses there were.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(max: u32, time: Duration) -> Retries {
        Retries::new(RetryLimits { max, time })
    }

    #[test]
    fn pauses_grow_to_a_limit_and_end() {
        let mut retries = retries(8, Duration::from_secs(1000));
        let second = Duration::from_secs(1);
        assert_eq!(retries.next_pause(second), Ok(second));
        let pauses: Vec<_> =
            std::iter::from_fn(|| retries.next_pause(Duration::ZERO).ok()).collect();
        let expected = [200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis);
        assert_eq!(pauses, expected);
        assert_eq!(retries.next_pause(Duration::ZERO), Err(NoRetry::Number));
    }

    #[test]
    fn no_try_begins_after_the_time() {
        let mut retries = retries(100, Duration::from_secs(30));
        assert_eq!(retries.next_pause(Duration::from_secs(u64::MAX)), Err(NoRetry::Time));
        assert!(retries.next_pause(Duration::ZERO).is_ok());
        let mut none = self::retries(100, Duration::ZERO);
        assert_eq!(none.next_pause(Duration::ZERO), Err(NoRetry::Time));
    }
}
