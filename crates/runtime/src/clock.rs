//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// A deadline further ahead than it can be, by this many nanoseconds, shows that the clock has been
/// set back.
const STEP: u64 = 1_000_000_000;

/// Whether a deadline that was set at most `ahead` before it is reached, all in nanoseconds. If the
/// clock has been set back since, it is.
#[inline]
pub(crate) fn is_reached(deadline: u64, ahead: u64, now: u64) -> bool {
    deadline <= now || deadline > now.saturating_add(ahead).saturating_add(STEP)
}

/// Nanoseconds since the epoch.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_also_when_the_clock_was_set_back() {
        let is_reached = |now| is_reached(100 * STEP, STEP, now);
        assert!(is_reached(100 * STEP) && is_reached(200 * STEP));
        assert!(!is_reached(99 * STEP) && !is_reached(98 * STEP));
        assert!(is_reached(98 * STEP - 1) && is_reached(0));
    }
}
