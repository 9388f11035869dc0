//! What a reload puts into force.

use std::sync::Arc;

use peregrine_engine::Generation;
use peregrine_output::NextOutputs;
use peregrine_probe::bpf::KernelTypes;

use crate::observers::RunPolicies;
use crate::observers::metrics::Metrics;

/// Rules, outputs and settings that take effect together, between two events.
pub struct Update {
    /// The rules.
    pub generation: Arc<Generation>,
    /// The outputs.
    pub outputs: NextOutputs,
    /// Reactions of the run.
    pub policies: RunPolicies,
    /// Whether metrics are collected.
    pub metrics: MetricsChange,
    /// Read where other system calls are selected, so that the event thread does not have to.
    pub types: Option<KernelTypes>,
}

/// Begin or end of metrics.
pub enum MetricsChange {
    /// They stay as they are: collected or not.
    Stay,
    /// They begin.
    Begin(Metrics),
    /// They end.
    End,
}
