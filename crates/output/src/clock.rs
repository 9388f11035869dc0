//! The clock that alerts are stamped with when they are submitted.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of a clock that never goes back. Precise to a few of them, because it costs a tenth
/// of the precise clock.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
