//! Batches of events on their way to the event thread: bounded, and read without locks.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peregrine_limits::{AUDIT_QUEUE_BYTES, AUDIT_QUEUE_EVENTS};
use peregrine_telemetry::AuditStats;

use crate::batch::Batch;

/// Why there will be no more batches before the end of the events, as an error says it.
type Failure = String;

/// A batch, and when it was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) batch: Batch,
    /// Nanoseconds since the epoch.
    pub(crate) at: u64,
}

#[derive(Debug)]
struct Shared {
    /// What the queue holds, with the batch that the event thread reads.
    bytes: AtomicUsize,
    events: AtomicUsize,
    /// Messages in the channel, and its end: so that an empty queue costs one load.
    messages: AtomicUsize,
    /// Whether the receiving end is gone.
    closed: AtomicBool,
    stats: Arc<AuditStats>,
}

/// Fills the queue.
#[derive(Debug)]
pub(crate) struct Filler {
    sender: Sender<Result<Received, Failure>>,
    shared: Arc<Shared>,
}

/// Empties the queue.
#[derive(Debug)]
pub(crate) struct Drain {
    receiver: Receiver<Result<Received, Failure>>,
    shared: Arc<Shared>,
    /// Size of the batch that is being read.
    taken: (usize, usize),
}

/// What a queue gives.
#[derive(Debug)]
pub(crate) enum Taken {
    Batch(Received),
    Empty,
    Failed(Failure),
    /// There will be no more batches.
    End,
}

/// A queue.
pub(crate) fn queue(stats: &Arc<AuditStats>) -> (Filler, Drain) {
    let (sender, receiver) = mpsc::channel();
    let shared = Arc::new(Shared {
        bytes: AtomicUsize::new(0),
        events: AtomicUsize::new(0),
        messages: AtomicUsize::new(0),
        closed: AtomicBool::new(false),
        stats: Arc::clone(stats),
    });
    let filler = Filler { sender, shared: Arc::clone(&shared) };
    (filler, Drain { receiver, shared, taken: (0, 0) })
}

impl Filler {
    /// Queues a batch, whole. Gives it back when the queue has no room; an empty one takes any.
    pub(crate) fn offer(&self, batch: Batch, at: u64) -> Result<(), Batch> {
        if batch.ends.is_empty() {
            return Ok(());
        }
        let (bytes, events) = (batch.bytes.len(), batch.ends.len());
        // One thread fills the queue, so nothing is added between this and the sending.
        let queued = (self.shared.bytes.load(SeqCst), self.shared.events.load(SeqCst));
        let full = queued.0 + bytes > AUDIT_QUEUE_BYTES.get()
            || queued.1 + events > AUDIT_QUEUE_EVENTS.get();
        if full && queued.1 > 0 {
            return Err(batch);
        }
        self.shared.bytes.fetch_add(bytes, SeqCst);
        self.shared.events.fetch_add(events, SeqCst);
        self.shared.stats.set_queued(self.shared.bytes.load(SeqCst) as u64);
        self.send(Ok(Received { batch, at }));
        Ok(())
    }

    /// Reports that events end here because of an error.
    pub(crate) fn fail(&self, failure: Failure) {
        self.send(Err(failure));
    }

    /// Whether nothing reads the queue any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(SeqCst)
    }

    fn send(&self, message: Result<Received, Failure>) {
        self.shared.messages.fetch_add(1, SeqCst);
        // An error says that nothing reads the queue any more.
        let _ = self.sender.send(message);
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // The end counts as a message that stays.
        self.shared.messages.fetch_add(1, SeqCst);
    }
}

impl Drain {
    /// The next batch. Waits for one at most this long.
    pub(crate) fn take(&mut self, wait: Duration) -> Taken {
        self.release();
        match self.receiver.recv_timeout(wait) {
            Ok(Ok(received)) => {
                self.shared.messages.fetch_sub(1, SeqCst);
                self.taken = (received.batch.bytes.len(), received.batch.ends.len());
                Taken::Batch(received)
            }
            Ok(Err(failure)) => Taken::Failed(failure),
            Err(RecvTimeoutError::Timeout) => Taken::Empty,
            Err(RecvTimeoutError::Disconnected) => Taken::End,
        }
    }

    /// Frees the room of the batch that was taken last: it is read.
    pub(crate) fn release(&mut self) {
        let (bytes, events) = std::mem::take(&mut self.taken);
        if events > 0 {
            self.shared.bytes.fetch_sub(bytes, SeqCst);
            self.shared.events.fetch_sub(events, SeqCst);
            self.shared.stats.set_queued(self.shared.bytes.load(SeqCst) as u64);
        }
    }

    /// Whether [`take`](Self::take) would give nothing now.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.messages.load(Relaxed) == 0
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.shared.closed.store(true, SeqCst);
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: usize, bytes: usize) -> Batch {
        Batch { bytes: vec![0; bytes], ends: vec![0; events] }
    }

    #[test]
    fn a_full_queue_gives_whole_batches_back() {
        let stats = Arc::default();
        let (filler, mut drain) = queue(&stats);
        assert!(drain.is_empty());
        let half = AUDIT_QUEUE_EVENTS.get() / 2;
        assert!(filler.offer(batch(half, 1), 1).is_ok());
        assert!(filler.offer(batch(half, 1), 2).is_ok());
        assert_eq!(filler.offer(batch(1, 1), 3).unwrap_err().ends.len(), 1);
        assert!(!drain.is_empty());
        // A batch counts while it is read.
        assert!(matches!(drain.take(Duration::ZERO), Taken::Batch(Received { at: 1, .. })));
        assert!(filler.offer(batch(1, 1), 3).is_err());
        assert!(matches!(drain.take(Duration::ZERO), Taken::Batch(Received { at: 2, .. })));
        assert!(filler.offer(batch(1, 1), 3).is_ok());
        assert!(matches!(drain.take(Duration::ZERO), Taken::Batch(Received { at: 3, .. })));
        assert!(matches!(drain.take(Duration::ZERO), Taken::Empty));
        assert!(drain.is_empty());
        // One that is larger than the queue is taken by an empty one.
        assert!(filler.offer(batch(1, AUDIT_QUEUE_BYTES.get() + 1), 4).is_ok());
        assert!(filler.offer(batch(1, 1), 5).is_err());
        drop(filler);
        assert!(matches!(drain.take(Duration::ZERO), Taken::Batch(_)));
        assert!(!drain.is_empty());
        assert!(matches!(drain.take(Duration::ZERO), Taken::End));
        assert!(!drain.is_empty());
    }
}
