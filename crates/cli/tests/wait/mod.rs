//! Waiting for something that happens soon, or never.

use std::thread;
use std::time::{Duration, Instant};

/// Tells a bounded time from none: much longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a condition holds. Fails with `what` if that takes too long.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
