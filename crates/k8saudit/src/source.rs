//! The source of audit events, as the event thread sees it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use peregrine_event::Event;
use peregrine_event::source::{Due, Next, Record, Source, SourceId, TimedSource};
use peregrine_server::Endpoint;
use peregrine_telemetry::AuditStats;

use crate::error::AuditError;
use crate::queue::{Drain, Received, Taken, queue};
use crate::settings::{Place, Settings};
use crate::{files, follow, webhook};

/// What others see of a source, and do with it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    /// What it counts.
    pub stats: Arc<AuditStats>,
    /// Makes the webhook refuse all further events. Those that are queued are still delivered.
    pub closing: Arc<AtomicBool>,
}

/// Audit events. Dropping it closes the webhook.
#[derive(Debug)]
pub struct AuditSource {
    id: SourceId,
    queue: Drain,
    batch: Received,
    /// The next event of the batch.
    next: usize,
    /// Events so far.
    delivered: u64,
    wait: Duration,
    endpoint: Option<Endpoint>,
}

/// Where lines of the log go.
pub(crate) type Log<'l> = &'l dyn Fn(&str);

impl AuditSource {
    /// Starts to listen, or to read.
    ///
    /// # Errors
    /// When files can't be opened, the address can't be listened on, or certificates and token are
    /// not usable.
    pub fn open(
        settings: &Settings,
        id: SourceId,
        handle: &Handle,
        log: Log<'_>,
    ) -> Result<Self, AuditError> {
        let Handle { stats, closing } = handle;
        let (filler, queue) = queue(stats);
        let mut endpoint = None;
        match &settings.place {
            Place::Files(path) => files::start(path, settings, filler, stats)?,
            Place::Follow(path) => follow::start(path, settings, filler, stats)?,
            Place::Webhook { .. } => {
                let started = webhook::start(settings, filler, stats, closing)?;
                log(&format!("Audit events are received at {}", started.address()));
                if !started.has_tls() && settings.options.has_token() {
                    log(
                        "The bearer token of the webhook is sent unencrypted: open_params with https:// encrypts it",
                    );
                }
                endpoint = Some(started);
            }
        }
        let batch = Received { batch: Default::default(), at: 0 };
        let wait = Duration::from_millis(50);
        Ok(Self { id, queue, batch, next: 0, delivered: 0, wait, endpoint })
    }

    /// Sets how long [`next`](Source::next) waits when no event is available: not at all beside
    /// other sources.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Where the webhook listens; `None` without one.
    pub fn address(&self) -> Option<&peregrine_server::Address> {
        self.endpoint.as_ref().map(Endpoint::address)
    }

    /// Takes a batch from the queue if there is no event left.
    fn fill(&mut self, wait: Duration) -> Result<Filled, AuditError> {
        if self.next < self.batch.batch.ends.len() {
            return Ok(Filled::Event);
        }
        self.queue.release();
        if wait.is_zero() && self.queue.is_empty() {
            return Ok(Filled::Nothing);
        }
        match self.queue.take(wait) {
            Taken::Batch(batch) => {
                (self.batch, self.next) = (batch, 0);
                Ok(Filled::Event)
            }
            Taken::Empty => Ok(Filled::Nothing),
            Taken::End => Ok(Filled::End),
            Taken::Failed(failure) => Err(AuditError::Ended(failure)),
        }
    }

    /// The next event of the batch.
    fn event(&mut self) -> Option<Event<'_>> {
        let ends = &self.batch.batch.ends;
        let end = *ends.get(self.next)?;
        let start =
            self.next.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |it| *it);
        self.next += 1;
        let mut event = Event::parse(self.batch.batch.bytes.get(start..end)?, 0).ok()?;
        self.delivered += 1;
        (event.source, event.num) = (self.id, self.delivered);
        Some(event)
    }
}

/// What there is.
enum Filled {
    Event,
    Nothing,
    End,
}

/// Errors of any source.
type SourceError = Box<dyn std::error::Error + Send + Sync>;

impl Source for AuditSource {
    type Error = SourceError;

    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        Ok(match self.fill(self.wait)? {
            Filled::Nothing => Next::Idle,
            Filled::End => Next::End,
            Filled::Event => match self.event() {
                Some(event) => Next::Record(Record::Event { event, state_only: false }),
                None => Next::Idle,
            },
        })
    }
}

impl TimedSource for AuditSource {
    /// Events are due when they are received: the clocks of API servers are not that of this
    /// machine.
    fn due(&mut self) -> Result<Due, SourceError> {
        Ok(match self.fill(Duration::ZERO)? {
            Filled::Event => Due::At(self.batch.at),
            Filled::Nothing => Due::Idle,
            Filled::End => Due::End,
        })
    }
}
