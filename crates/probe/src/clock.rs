//! The clock of the events.

use rustix::time::{ClockId, clock_gettime};

/// Tells the time as timestamps have it: nobody can set it, and it goes on while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Nanoseconds from the epoch to boot.
    boot_epoch: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let boot_epoch =
            nanoseconds(ClockId::Realtime).saturating_sub(nanoseconds(ClockId::Boottime));
        Self { boot_epoch }
    }

    /// Nanoseconds from the epoch to boot.
    pub(crate) fn boot_epoch(self) -> u64 {
        self.boot_epoch
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(self) -> u64 {
        nanoseconds(ClockId::Boottime).saturating_add(self.boot_epoch)
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
