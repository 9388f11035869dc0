//! Sources of plugins, as the event thread sees them.
//!
//! A thread of its own calls `next_batch`, so that a plugin that waits or hangs holds up no other
//! source. The state of a plugin belongs to one thread at a time: this thread has it until events
//! are there, then the event thread has it until it has taken the last of them, and extracts their
//! fields. So plugins see the calls in the order that the reference makes them in.

mod batch;
mod worker;

use std::time::Duration;

use peregrine_event::source::{Due, Next, Record, Source, SourceId, TimedSource};
use peregrine_event::{Event, EventType};
use peregrine_limits::PLUGIN_SILENCE;
use thiserror::Error;

use crate::abi::{EOF, SUCCESS, TIMEOUT};
use crate::error::CallError;
use crate::host::Severity;
use crate::instance::Instance;
use crate::source::batch::{Batch, CopyFault, now};
use crate::source::worker::{Taken, Worker};

/// Why a source has ended. The texts are those of the reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The plugin says so.
    #[error("{error} (plugin '{plugin}')")]
    Failed {
        /// The plugin.
        plugin: String,
        /// What it says.
        error: String,
    },
    /// It has said that there are events, but there are none.
    #[error("unexpected 0 size event returned by plugin {plugin}")]
    NoEvents {
        /// The plugin.
        plugin: String,
    },
    /// An event is none, or not one that the plugin may deliver.
    #[error("malformed plugin event produced by plugin: '{plugin}'")]
    Malformed {
        /// The plugin.
        plugin: String,
    },
    /// An event carries no id.
    #[error("malformed plugin event produced by plugin (no ID): '{plugin}'")]
    NoId {
        /// The plugin.
        plugin: String,
    },
    /// An event carries the id of another plugin.
    #[error(
        "unexpected plugin ID in plugin event: plugin='{plugin}', expected_id={expected}, \
         actual_id={actual}"
    )]
    WrongId {
        /// The plugin.
        plugin: String,
        /// Its id.
        expected: u32,
        /// The id in the event.
        actual: u32,
    },
    /// An event is longer than any may be.
    #[error("plugin {plugin} has delivered an event of {len} bytes")]
    TooLong {
        /// The plugin.
        plugin: String,
        /// The bytes that it says it has.
        len: u32,
    },
    /// It has said that there are more events than can be.
    #[error("plugin {plugin} has delivered {count} events at once")]
    TooMany {
        /// The plugin.
        plugin: String,
        /// The number.
        count: u32,
    },
    /// Its thread can't be started, or has ended.
    #[error("plugin {plugin} has no thread: {error}")]
    Thread {
        /// The plugin.
        plugin: String,
        /// Why.
        error: String,
    },
}

/// An answer within this time is at once.
const QUICK: Duration = Duration::from_micros(100);

/// The events of a plugin. Dropping it closes the source.
#[derive(Debug)]
pub struct PluginSource {
    id: SourceId,
    instance: Instance,
    /// Id that events carry.
    plugin_id: u32,
    worker: Worker,
    batch: Option<Batch>,
    /// The next event, and whether it is one that was not delivered yet.
    event: Vec<u8>,
    prepared: bool,
    delivered: u64,
    wait: Duration,
    /// Whether the plugin has answered at once the last time: its next answer is waited for.
    quick: bool,
    /// Whether the log does not say yet that the plugin does not return.
    silence_is_news: bool,
}

impl Instance {
    /// Opens the source of the plugin, whose events get this id.
    ///
    /// # Errors
    /// When the plugin has none, or refuses the parameters.
    pub fn open(&self, params: &str, id: SourceId) -> Result<PluginSource, CallError> {
        let plugin_id = self.info().capabilities.sourcing.as_ref().map_or(0, |it| it.id);
        Ok(PluginSource {
            id,
            instance: self.clone(),
            plugin_id,
            worker: Worker::open(self, params)?,
            batch: None,
            event: Vec::new(),
            prepared: false,
            delivered: 0,
            wait: Duration::from_millis(50),
            quick: false,
            silence_is_news: true,
        })
    }
}

impl PluginSource {
    /// Sets how long [`next`](Source::next) waits when no event is available: not at all beside
    /// other sources.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The plugin.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// How far the source is, in hundredths of a per cent, and as text. `None` when it does not
    /// say, or while it waits for events.
    pub fn progress(&self) -> Option<(u32, String)> {
        self.worker.progress(&self.instance)
    }

    /// Prepares the next event.
    fn fill(&mut self, wait: Duration) -> Result<Filled, SourceError> {
        loop {
            if self.prepared {
                return Ok(Filled::Event);
            }
            let Some(batch) = &mut self.batch else {
                // Else a plugin that delivers one event at a time would have to wait for its turn
                // among the other sources each time.
                match self.worker.take(if self.quick { wait.max(QUICK) } else { wait }) {
                    Taken::Batch(batch) => {
                        self.silence_is_news = true;
                        self.quick = batch.took < QUICK;
                        self.check(&batch)?;
                        self.batch = Some(batch);
                        continue;
                    }
                    Taken::Nothing => {
                        self.quick = false;
                        self.tell_of_silence();
                        return Ok(Filled::Nothing);
                    }
                    Taken::Gone => {
                        let error = "it has ended".to_owned();
                        return Err(SourceError::Thread { plugin: self.plugin(), error });
                    }
                }
            };
            if let Some(copied) = batch.copy_next(&mut self.event) {
                self.complete(copied)?;
                continue;
            }
            match batch.code {
                SUCCESS | TIMEOUT => {
                    self.batch = None;
                    self.worker.ask();
                }
                EOF => return Ok(Filled::End),
                _ => {
                    let error = batch.error.clone();
                    return Err(SourceError::Failed { plugin: self.plugin(), error });
                }
            }
        }
    }

    fn check(&self, batch: &Batch) -> Result<(), SourceError> {
        let plugin = || self.plugin();
        if batch.is_too_long() {
            return Err(SourceError::TooMany { plugin: plugin(), count: batch.count });
        }
        if batch.count == 0 && batch.code == SUCCESS {
            return Err(SourceError::NoEvents { plugin: plugin() });
        }
        Ok(())
    }

    /// Checks an event that was copied, and adds what the plugin leaves to the host.
    fn complete(&mut self, copied: Result<(), CopyFault>) -> Result<(), SourceError> {
        let plugin = || self.instance.info().name.clone();
        copied.map_err(|fault| match fault {
            CopyFault::Malformed => SourceError::Malformed { plugin: plugin() },
            CopyFault::TooLong(len) => SourceError::TooLong { plugin: plugin(), len },
        })?;
        let parsed = Event::parse(&self.event, 0);
        let parsed = parsed.map_err(|_| SourceError::Malformed { plugin: plugin() })?;
        let is_plugin_event = parsed.ty == EventType::PlugineventE;
        if self.plugin_id != 0 && (!is_plugin_event || parsed.nparams() != 2) {
            return Err(SourceError::Malformed { plugin: plugin() });
        }
        let now = (parsed.ts == u64::MAX).then(now);
        if is_plugin_event {
            let id = parsed.param(0).and_then(|id| id.first_chunk::<4>().filter(|_| id.len() == 4));
            let id = id.map(|id| u32::from_le_bytes(*id));
            let id = id.ok_or_else(|| SourceError::Malformed { plugin: plugin() })?;
            if id == 0 && self.plugin_id == 0 {
                return Err(SourceError::NoId { plugin: plugin() });
            }
            if id != 0 && id != self.plugin_id {
                let expected = self.plugin_id;
                return Err(SourceError::WrongId { plugin: plugin(), expected, actual: id });
            }
            // Header, two lengths of four bytes, the id.
            put(&mut self.event, 8, &u64::MAX.to_le_bytes());
            put(&mut self.event, 34, &self.plugin_id.to_le_bytes());
        }
        if let Some(now) = now {
            put(&mut self.event, 0, &now.to_le_bytes());
        }
        self.prepared = true;
        Ok(())
    }

    fn plugin(&self) -> String {
        self.instance.info().name.clone()
    }

    /// Writes to the log, once, that the plugin does not return.
    #[cold]
    fn tell_of_silence(&mut self) {
        let limit = PLUGIN_SILENCE.duration();
        let Some(called) = self.worker.in_call_since() else { return };
        if self.silence_is_news && called.elapsed() > limit {
            self.silence_is_news = false;
            PLUGIN_SILENCE.reach();
            let text = format!("next_batch has not returned for {} s", limit.as_secs());
            let owner = &self.instance.inner.owner;
            (owner.host.log)(Severity::Warning, &owner.plugin, &text);
        }
    }
}

/// What there is.
enum Filled {
    Event,
    Nothing,
    End,
}

/// Errors of any source.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Source for PluginSource {
    type Error = AnyError;

    fn next(&mut self) -> Result<Next<'_>, AnyError> {
        Ok(match self.fill(self.wait)? {
            Filled::Nothing => Next::Idle,
            Filled::End => Next::End,
            Filled::Event => {
                self.prepared = false;
                // It was parsed before.
                let Ok(mut event) = Event::parse(&self.event, 0) else { return Ok(Next::Idle) };
                self.delivered += 1;
                (event.source, event.num) = (self.id, self.delivered);
                Next::Record(Record::Event { event, state_only: false })
            }
        })
    }
}

impl TimedSource for PluginSource {
    /// Events are due when they are delivered: those of a plugin may be of any time.
    fn due(&mut self) -> Result<Due, AnyError> {
        Ok(match self.fill(Duration::ZERO)? {
            Filled::Event => Due::At(self.batch.as_ref().map_or(0, |batch| batch.at)),
            Filled::Nothing => Due::Idle,
            Filled::End => Due::End,
        })
    }
}

fn put(event: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = event.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
