//! How long reading about one process may take.

use std::time::{Duration, Instant};

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
