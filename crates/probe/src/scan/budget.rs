//! How much time work may take.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A moment after which nothing more is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// So much later than now.
    pub(crate) fn within(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// Whether it has passed; never where there is none.
    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Time for work that others can cause: a share of all time, and a reserve that the first calls can
/// use up at once. Work that took longer than there was time for is paid off before more is done.
#[derive(Clone, Debug)]
pub(crate) struct TimeBudget {
    reserve: Duration,
    /// One part of so many.
    share: u32,
    used: Duration,
    at: Instant,
}

impl TimeBudget {
    pub(crate) fn new(reserve: Duration, share: u32, now: Instant) -> Self {
        Self { reserve, share: share.max(1), used: Duration::ZERO, at: now }
    }

    /// The time that is left.
    pub(crate) fn left(&mut self, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at) / self.share;
        self.used = self.used.saturating_sub(earned);
        self.at = now;
        self.reserve.saturating_sub(self.used)
    }

    /// Takes away the time that was used.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.used = self.used.saturating_add(time);
    }
}

/// What was left out when a process was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadOutcome {
    /// There was no time for all.
    pub(crate) cut: bool,
    /// Mount tables that were not read because there was no time left for them.
    pub(crate) tables_refused: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_used_up_grows_with_time() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut budget = TimeBudget::new(ms(100), 10, start);
        assert_eq!(budget.left(start), ms(100));
        budget.spend(ms(70));
        assert_eq!(budget.left(start), ms(30));
        budget.spend(ms(40));
        assert_eq!(budget.left(start), ms(0));
        assert_eq!(budget.left(start + ms(100)), ms(0));
        assert_eq!(budget.left(start + ms(300)), ms(20));
        assert_eq!(budget.left(start + ms(5000)), ms(100));
    }
}
