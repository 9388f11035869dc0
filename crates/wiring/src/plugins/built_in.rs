//! The plugins that are built in.

use peregrine_config::Plugin;
use peregrine_rules::Version;

use crate::version::{CONTAINER_PLUGIN, PODS_PLUGIN};

/// A plugin that is built in.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The version of the plugin whose fields and events it has.
    pub version: Version,
    /// What it is for.
    pub about: &'static str,
    /// What it can do, as `--list-plugins` prints it.
    pub capabilities: &'static [&'static str],
    /// JSON schema of `init_config`.
    pub init_schema: Option<&'static str>,
    /// The event source that it adds, and the id that events of it carry.
    pub source: Option<(&'static str, u32)>,
    /// What the names of its fields begin with.
    pub fields: &'static [&'static str],
}

/// All of them.
pub(super) static BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: Plugin::CONTAINER,
        version: CONTAINER_PLUGIN,
        about: "Containers and pods, built into Peregrine",
        capabilities: &["Field Extraction", "Event Parsing", "Async Events"],
        init_schema: None,
        source: None,
        fields: &["container.", "k8s."],
    },
    BuiltIn {
        name: peregrine_k8saudit::PLUGIN,
        version: Version { major: 0, minor: 18, patch: 0 },
        about: "Audit events of Kubernetes, built into Peregrine",
        capabilities: &["Event Sourcing (ID=1, source='k8s_audit')", "Field Extraction"],
        init_schema: Some(include_str!("../../assets/k8saudit-init.schema.json")),
        source: Some((peregrine_k8saudit::SOURCE, peregrine_k8saudit::PLUGIN_ID)),
        fields: &["ka."],
    },
    BuiltIn {
        name: peregrine_k8saudit::JSON_PLUGIN,
        version: Version { major: 0, minor: 7, patch: 4 },
        about: "Fields of events that are JSON, built into Peregrine",
        capabilities: &["Field Extraction"],
        init_schema: Some(include_str!("../../assets/json-init.schema.json")),
        source: None,
        fields: &["json.", "jevt."],
    },
    BuiltIn {
        name: Plugin::K8SMETA,
        version: PODS_PLUGIN,
        about: "Pods and their owners, from the API server, built into Peregrine",
        capabilities: &["Field Extraction", "Event Parsing", "Async Events"],
        init_schema: None,
        source: None,
        fields: &["k8smeta."],
    },
];

/// What serves for a plugin without its library.
pub(super) fn built_in(plugin: &Plugin) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|built_in| built_in.name == plugin.name && plugin.is_native())
}

impl BuiltIn {
    /// Whether it has a field.
    pub fn has_field(&self, field: &str) -> bool {
        self.fields.iter().any(|prefix| field.starts_with(prefix))
    }
}
