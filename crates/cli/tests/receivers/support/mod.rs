//! The program, and the servers that it sends alerts to, in directories and on ports of their own.

#![allow(dead_code, unused_imports, reason = "each receiver uses a part of it")]

mod certificates;
mod program;
mod servers;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use crate::ports::free_port;
pub(crate) use program::{Feed, Place, Run, number_in};
pub(crate) use servers::{Server, find, skip_or_fail};

/// Tells a bounded time from none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
