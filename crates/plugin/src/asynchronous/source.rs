//! Delivers the events of plugins in their time.

use std::time::Duration;

use peregrine_event::Event;
use peregrine_event::source::{Due, Next, Record, Source, TimedSource};
use thiserror::Error;

use super::queue::{AsyncQueue, AsyncStream};
use crate::error::CallError;
use crate::instance::Instance;

/// Why plugins make no events. The text is that of the reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("can't set async event handler for plugin '{plugin}' : {error}")]
pub struct AsyncError {
    /// The plugin.
    pub plugin: String,
    /// Why.
    pub error: String,
}

/// The events that plugins make beside a stream. It runs beside the source of the stream, and ends
/// with it.
#[derive(Debug)]
pub struct AsyncSource {
    queue: AsyncQueue,
    instances: Vec<Instance>,
    /// Longest wait for an event.
    wait: Duration,
    /// The event that was delivered last.
    current: Vec<u8>,
    delivered: u64,
    closed: bool,
}

impl AsyncSource {
    /// Lets those of the instances that make events do so, in their order.
    ///
    /// # Errors
    /// When one of them refuses. The others are told to stop.
    pub fn open(stream: AsyncStream, instances: &[Instance]) -> Result<Self, AsyncError> {
        let makes = |it: &&Instance| it.info().capabilities.async_events.is_some();
        let instances: Vec<_> = instances.iter().filter(makes).cloned().collect();
        let queue = AsyncQueue::new(stream);
        let source = Self {
            queue,
            instances,
            wait: Duration::ZERO,
            current: Vec::new(),
            delivered: 0,
            closed: false,
        };
        for instance in &source.instances {
            let refused = |error: CallError| AsyncError {
                plugin: instance.info().name.clone(),
                error: error.reason(),
            };
            // If it fails, `source` goes, and takes the queue away from all.
            instance.set_async_queue(&source.queue).map_err(refused)?;
        }
        Ok(source)
    }

    /// Whether any of these plugins makes events.
    pub fn is_needed(instances: &[Instance]) -> bool {
        instances.iter().any(|it| it.info().capabilities.async_events.is_some())
    }

    /// Waits this long where no event is there, instead of not at all.
    #[must_use]
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        for instance in &self.instances {
            if let Err(error) = instance.remove_async_queue() {
                let (log, plugin) = (&instance.inner.owner.host.log, &instance.info().name);
                let text = format!("can't reset async event handler: {}", error.reason());
                log(crate::host::Severity::Error, plugin, &text);
            }
        }
    }
}

impl Source for AsyncSource {
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn next(&mut self) -> Result<Next<'_>, Self::Error> {
        let taken = self.queue.take().or_else(|| {
            self.queue.wait(self.wait);
            self.queue.take()
        });
        let Some(bytes) = taken else { return Ok(Next::Idle) };
        self.current = bytes;
        self.delivered += 1;
        let mut event = Event::parse(&self.current, 0)?;
        (event.num, event.source) = (self.delivered, self.queue.stream().id);
        Ok(Next::Record(Record::Event { event, state_only: false }))
    }

    fn close(&mut self) {
        self.stop();
    }
}

impl TimedSource for AsyncSource {
    fn due(&mut self) -> Result<Due, Self::Error> {
        Ok(self.queue.due())
    }

    fn is_beside_others(&self) -> bool {
        true
    }
}

impl Drop for AsyncSource {
    fn drop(&mut self) {
        self.stop();
    }
}
