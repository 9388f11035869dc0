//! Sources of the events that plugins have made.

use std::fmt;

use thiserror::Error;

use crate::params::pluginevent_e;
use crate::source::{Next, Record, Source, SourceId};
use crate::{Event, EventType};

/// The sources of plugins, by the ids that their events carry.
pub type PluginSources = Vec<(u32, SourceId)>;

/// A source, such as a capture, whose events of plugins get the source of their plugin.
#[derive(Debug)]
pub struct WithPlugins<S> {
    source: S,
    plugins: PluginSources,
}

/// Why there are no more events.
#[derive(Debug, Error)]
pub enum PluginsError<E: fmt::Display> {
    /// The error of the source.
    #[error("{0}")]
    Source(E),
    /// An event of a plugin that is not known.
    #[error("Unknown event source for inspector's event (plugin ID: {0})")]
    Unknown(u32),
}

impl<S> WithPlugins<S> {
    /// The source with the plugins whose events it may have.
    pub fn new(source: S, plugins: PluginSources) -> Self {
        Self { source, plugins }
    }
}

impl<S: Source<Error: fmt::Display>> Source for WithPlugins<S> {
    type Error = PluginsError<S::Error>;

    #[inline]
    fn next(&mut self) -> Result<Next<'_>, Self::Error> {
        match self.source.next() {
            Ok(Next::Record(Record::Event { mut event, state_only })) => {
                if event.ty == EventType::PlugineventE {
                    let (id, known) = source_of(&self.plugins, &event);
                    event.source = known.ok_or(PluginsError::Unknown(id))?;
                }
                Ok(Next::Record(Record::Event { event, state_only }))
            }
            Ok(next) => Ok(next),
            Err(error) => Err(PluginsError::Source(error)),
        }
    }
}

#[cold]
fn source_of(plugins: &PluginSources, event: &Event<'_>) -> (u32, Option<SourceId>) {
    let id = event.u32(pluginevent_e::PLUGIN_ID).unwrap_or_default();
    let known = plugins.iter().find(|(known, _)| *known == id);
    (id, known.map(|(_, source)| *source))
}
