//! Channels whose receiver is reached over a network.
//!
//! An [`Encoder`] turns alerts into bodies, a [`Transport`] sends them and waits for the receiver
//! to acknowledge them. [`Networked`] does everything else that such channels have in common:
//! batches, retries, order, and the spool if there is one.

mod direct;
mod monitor;
mod spooled;

use std::time::Duration;

use peregrine_alert::{Alert, AlertId};

pub(crate) use self::direct::Networked;
pub(crate) use self::monitor::SpoolMonitor;
use super::error::ChannelError;
use crate::format::Formatter;

/// An alert, encoded for a receiver.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "some receivers find both in the body")]
pub(crate) struct Record<'a> {
    pub(crate) id: AlertId,
    /// When it happened: nanoseconds since the epoch.
    pub(crate) time: u64,
    /// All that the receiver needs beside id and time: nothing else survives a restart.
    pub(crate) body: &'a [u8],
}

/// Turns alerts into the bodies of records.
pub(crate) trait Encoder: Send {
    /// Appends the body.
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>);
}

/// A receiver. It is used by one thread, and may block it for a bounded time.
pub(crate) trait Transport: Send {
    /// Name of the channel.
    fn name(&self) -> &'static str;

    /// What one call of [`send`](Self::send) takes at most.
    fn batch(&self) -> BatchLimits;

    /// Time for which a record waits for others at most, if there are fewer than a batch. Records
    /// of a spool do not wait.
    fn max_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// Sends records in order and waits until the receiver has acknowledged them.
    ///
    /// # Errors
    /// Not all of them have arrived.
    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError>;
}

/// How much is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    pub(crate) records: usize,
    /// Bytes of all bodies. A single larger record is sent alone.
    pub(crate) bytes: usize,
}

/// Not all records have arrived.
#[derive(Debug)]
pub(crate) struct SendError {
    /// Records that have arrived, from the first on.
    pub(crate) accepted: usize,
    pub(crate) error: ChannelError,
    pub(crate) fate: Fate,
}

/// What becomes of the records that have not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They are sent again, after this pause at least.
    Again { at_least: Duration },
    /// The receiver will never take this many after the accepted ones: they are lost. At least one.
    Refused(usize),
}

impl Encoder for Formatter {
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>) {
        self.line(alert, body);
    }
}

impl BatchLimits {
    /// One record at a time.
    pub(crate) const SINGLE: Self = Self { records: 1, bytes: usize::MAX };

    /// How many records of these sizes are sent at once, from the first on.
    pub(crate) fn fill(self, sizes: impl Iterator<Item = usize>) -> usize {
        let mut bytes = 0_usize;
        let fits = |&(number, size): &(usize, usize)| {
            bytes = bytes.saturating_add(size);
            number == 0 || number < self.records && bytes <= self.bytes
        };
        sizes.enumerate().take_while(fits).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_limited_in_records_and_bytes() {
        let limits = BatchLimits { records: 3, bytes: 10 };
        let fill = |sizes: &[usize]| limits.fill(sizes.iter().copied());
        assert_eq!(fill(&[]), 0);
        assert_eq!(fill(&[1, 1, 1, 1]), 3);
        assert_eq!(fill(&[5, 5, 1]), 2);
        assert_eq!(fill(&[50, 5]), 1);
        assert_eq!(fill(&[5, usize::MAX, usize::MAX]), 1);
        assert_eq!(BatchLimits::SINGLE.fill([1, 1].into_iter()), 1);
    }
}
