//! Which event source an event of a plugin belongs to.

use thiserror::Error;

use crate::Event;
use crate::params::pluginevent_e;
use crate::source::SourceId;

/// The sources of plugins, by the ids that their events carry.
pub type PluginSources = Vec<(u32, SourceId)>;

/// An event of a plugin that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Unknown event source for inspector's event (plugin ID: {0})")]
pub struct UnknownPlugin(pub u32);

/// The source of an event of a plugin.
///
/// # Errors
/// When the plugin is not among these.
#[cold]
pub fn source_of(event: &Event<'_>, plugins: &PluginSources) -> Result<SourceId, UnknownPlugin> {
    let id = event.u32(pluginevent_e::PLUGIN_ID).unwrap_or_default();
    let known = plugins.iter().find(|(known, _)| *known == id);
    known.map(|(_, source)| *source).ok_or(UnknownPlugin(id))
}
