//! How much may wait, and what happens to more.

use std::num::NonZeroUsize;

/// How much may wait in the queue of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Number of alerts. `None`: only memory limits it.
    pub alerts: Option<NonZeroUsize>,
    /// Memory in bytes. Alerts that are being delivered count.
    pub bytes: usize,
}

/// What happens when the queue of a channel is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The rule that has most of the queue loses its newest alert.
    DropNewest,
    /// The rule that has most of the queue loses its oldest alert.
    DropOldest,
    /// The thread that submits waits. Nothing is lost.
    Block,
}
