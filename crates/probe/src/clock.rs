//! The clock of event timestamps.

use rustix::time::{ClockId, clock_gettime};

/// Smallest change of the wall clock that timestamps follow, ns. Smaller differences are noise of
/// reading two clocks one after the other.
const SMALLEST_STEP: u64 = 1_000_000;
/// Two readings further apart than this, ns, are not compared: the thread was preempted in between.
const LARGEST_GAP: u64 = 100_000;

/// The boot clock, shifted to the epoch. It never stops, not even during suspend, and follows
/// changes of the wall clock only in [`Clock::follow`], at the same point for kernel and reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Nanoseconds from the epoch to boot.
    boot_epoch: u64,
    /// Added to the wall clock in tests, which cannot set that of the machine.
    wall_shift: i64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let boot_epoch =
            nanoseconds(ClockId::Realtime).saturating_sub(nanoseconds(ClockId::Boottime));
        Self::with_boot_epoch(boot_epoch)
    }

    pub(crate) fn with_boot_epoch(boot_epoch: u64) -> Self {
        Self { boot_epoch, wall_shift: 0 }
    }

    /// Nanoseconds from the epoch to boot.
    pub(crate) fn boot_epoch(self) -> u64 {
        self.boot_epoch
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(self) -> u64 {
        nanoseconds(ClockId::Boottime).saturating_add(self.boot_epoch)
    }

    /// Adopts a changed wall clock, and returns by how many nanoseconds. `None` if it has not
    /// changed.
    pub(crate) fn follow(&mut self) -> Option<i64> {
        let before = nanoseconds(ClockId::Boottime);
        let wall = nanoseconds(ClockId::Realtime).saturating_add_signed(self.wall_shift);
        let after = nanoseconds(ClockId::Boottime);
        if after.saturating_sub(before) > LARGEST_GAP {
            return None;
        }
        self.follow_epoch(wall.saturating_sub(before))
    }

    /// Behaves from now on as if the wall clock had been set by this many nanoseconds.
    pub(crate) fn shift_wall(&mut self, by: i64) {
        self.wall_shift = self.wall_shift.saturating_add(by);
    }

    fn follow_epoch(&mut self, boot_epoch: u64) -> Option<i64> {
        if boot_epoch.abs_diff(self.boot_epoch) < SMALLEST_STEP {
            return None;
        }
        let step = boot_epoch.wrapping_sub(self.boot_epoch) as i64;
        self.boot_epoch = boot_epoch;
        Some(step)
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_was_set_is_followed() {
        let mut clock = Clock::with_boot_epoch(5_000_000_000);
        assert_eq!(clock.follow_epoch(5_000_000_000 + SMALLEST_STEP - 1), None);
        assert_eq!(clock.boot_epoch(), 5_000_000_000);
        assert_eq!(clock.follow_epoch(6_000_000_000), Some(1_000_000_000));
        assert_eq!(clock.follow_epoch(3_000_000_000), Some(-3_000_000_000));
        assert_eq!(clock.boot_epoch(), 3_000_000_000);
    }
}
