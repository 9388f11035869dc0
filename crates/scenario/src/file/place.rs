//! Places of values.

use std::sync::Arc;

use peregrine_diagnostics::{Label, Source};
use peregrine_yaml::Node;

/// The place of a node.
pub(super) fn label(source: &Arc<Source>, node: &Node) -> Label {
    Label { source: Arc::clone(source), span: node.span() }
}
