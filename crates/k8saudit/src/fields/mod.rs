//! The fields of audit events, `ka.*`, and of any JSON, `json.*` and `jevt.*`.

mod audit;
mod field;
mod json;
mod payload;
mod read;
mod table;
mod uri;

use std::sync::Arc;

use peregrine_event::{EventSet, EventType};
use peregrine_fields::{ClassError, RuntimeClass};

use crate::SOURCE;

/// The fields of audit events, as the plugin `k8saudit` has them.
///
/// # Errors
/// When the table has a mistake.
pub fn audit_class() -> Result<Arc<RuntimeClass>, ClassError> {
    let rows = table::rows();
    let fields = rows.iter().map(table::Row::field).collect();
    let about = "Audit events of the Kubernetes API server.";
    RuntimeClass::new(
        "k8saudit (plugin)",
        about,
        [SOURCE],
        plugin_events(),
        fields,
        audit::Audit::new(rows),
    )
}

/// The fields of events whose payload is JSON, as the plugin `json` has them, for these sources.
///
/// # Errors
/// When the table has a mistake.
pub fn json_class<'s>(
    sources: impl IntoIterator<Item = &'s str>,
) -> Result<Arc<RuntimeClass>, ClassError> {
    let about = "Payloads of events that are JSON.";
    let events = plugin_events();
    RuntimeClass::new("json (plugin)", about, sources, events, json::fields(), json::JsonFields)
}

/// Only events of plugins have a payload.
fn plugin_events() -> EventSet {
    [EventType::PlugineventE].into_iter().collect()
}
