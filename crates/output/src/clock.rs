//! The clock that alerts are stamped with when they are submitted.

use nix::time::{ClockId, clock_gettime};

/// Milliseconds of a clock that never goes back. Precise to a few of them, because it costs a tenth
/// of the precise clock.
pub(crate) fn now() -> u64 {
    // The C library's call: rustix's own one ends the program under valgrind.
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_or(0, |now| now.tv_sec() as u64 * 1000 + now.tv_nsec() as u64 / 1_000_000)
}
