//! What the source of Kubernetes audit events counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of a request to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// All its events are queued.
    Queued,
    /// There was no room for its events, or the webhook closes: it is to be sent again.
    Full,
    /// It is not what the webhook takes.
    Bad,
    /// It has no valid token.
    Unauthorized,
    /// Its body is too large.
    TooLarge,
}

impl AuditOutcome {
    /// All of them, with their names in metrics.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Queued, "queued"),
        (Self::Full, "full"),
        (Self::Bad, "bad"),
        (Self::Unauthorized, "unauthorized"),
        (Self::TooLarge, "too_large"),
    ];
}

/// What a source of audit events has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Requests by their outcome.
    pub requests: Vec<(&'static str, u64)>,
    /// Events that were queued.
    pub events: u64,
    /// Events that were left out, by the reason: `invalid`, `too_large`, and lines of files that
    /// are no `document`.
    pub left_out: Vec<(&'static str, u64)>,
    /// Bytes of events that wait to be processed.
    pub queued: u64,
}

impl From<&AuditStats> for AuditCounts {
    fn from(stats: &AuditStats) -> Self {
        let requests = AuditOutcome::ALL.into_iter();
        Self {
            requests: requests.map(|(it, name)| (name, stats.requests(it))).collect(),
            events: stats.events.load(Relaxed),
            left_out: vec![
                ("invalid", stats.invalid.load(Relaxed)),
                ("too_large", stats.too_large.load(Relaxed)),
                ("document", stats.documents.load(Relaxed)),
            ],
            queued: stats.queued.load(Relaxed),
        }
    }
}

/// Counters of a source of audit events.
#[derive(Debug, Default)]
pub struct AuditStats {
    requests: [AtomicU64; AuditOutcome::ALL.len()],
    events: AtomicU64,
    invalid: AtomicU64,
    too_large: AtomicU64,
    documents: AtomicU64,
    queued: AtomicU64,
}

impl AuditStats {
    /// Counts a request.
    pub fn request(&self, outcome: AuditOutcome) {
        if let Some(count) = self.requests.get(outcome as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts the events of a document: those that are queued, those that are not valid and those
    /// that are too large.
    pub fn add(&self, events: u64, invalid: u64, too_large: u64) {
        self.events.fetch_add(events, Relaxed);
        self.invalid.fetch_add(invalid, Relaxed);
        self.too_large.fetch_add(too_large, Relaxed);
    }

    /// Counts a line of a file that holds no events.
    pub fn refused_document(&self) {
        self.documents.fetch_add(1, Relaxed);
    }

    /// Sets how many bytes of events wait to be processed.
    pub fn set_queued(&self, bytes: u64) {
        self.queued.store(bytes, Relaxed);
    }

    /// Requests with this outcome.
    pub fn requests(&self, outcome: AuditOutcome) -> u64 {
        self.requests.get(outcome as usize).map_or(0, |count| count.load(Relaxed))
    }
}
