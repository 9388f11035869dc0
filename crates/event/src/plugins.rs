//! Which event source an event of a plugin belongs to.

use thiserror::Error;

use crate::params::pluginevent_e;
use crate::source::SourceId;
use crate::{Event, EventType};

/// The sources of plugins, by the ids that their events carry.
pub type PluginSources = Vec<(u32, SourceId)>;

/// An event of a plugin that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Unknown event source for inspector's event (plugin ID: {0})")]
pub struct UnknownPlugin(pub u32);

impl UnknownPlugin {
    /// The name under which the plugin is registered with Falco. Captures hold only its id.
    pub fn registered_name(self) -> Option<&'static str> {
        let known = REGISTERED.iter().find(|(id, _)| *id == self.0);
        known.map(|(_, name)| *name)
    }
}

/// Ids of plugins that are registered, with their names: `registry.yaml` of falcosecurity/plugins.
const REGISTERED: [(u32, &str); 24] = [
    (1, "k8saudit"),
    (2, "cloudtrail"),
    (3, "dummy"),
    (4, "dummy_c"),
    (5, "docker"),
    (6, "seccompagent"),
    (7, "okta"),
    (8, "github"),
    (9, "k8saudit-eks"),
    (10, "nomad"),
    (11, "dnscollector"),
    (12, "gcpaudit"),
    (13, "syslogsrv"),
    (14, "salesforce"),
    (15, "box"),
    (16, "k8saudit-gke"),
    (17, "journald"),
    (18, "kafka"),
    (19, "gitlab"),
    (20, "keycloak"),
    (21, "k8saudit-aks"),
    (22, "k8saudit-ovh"),
    (23, "dummy_rs"),
    (24, "collector"),
];

/// Whether the source of an event is that of the plugin whose id it carries.
#[inline]
pub fn is_of_plugin(ty: EventType) -> bool {
    matches!(ty, EventType::PlugineventE | EventType::AsynceventE)
}

/// The source of an event of a plugin, or of one that plugins have made beside a source: these
/// carry the id of the plugin of that source, or 0 for system calls.
///
/// # Errors
/// When the plugin is not among these.
#[cold]
pub fn source_of(event: &Event<'_>, plugins: &PluginSources) -> Result<SourceId, UnknownPlugin> {
    let id = event.u32(pluginevent_e::PLUGIN_ID).unwrap_or_default();
    if id == 0 && event.ty == EventType::AsynceventE {
        return Ok(SourceId::SYSCALL);
    }
    let known = plugins.iter().find(|(known, _)| *known == id);
    known.map(|(_, source)| *source).ok_or(UnknownPlugin(id))
}
