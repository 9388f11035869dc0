//! Metrics: their inputs ([`MetricInputs`]), one table of rows that read them ([`Metric`]), and two
//! text forms: fields of an alert or of a line in a file, and the Prometheus text format.
//!
//! ```
//! use peregrine_telemetry::metrics::{MetricInputs, FieldOptions, MetricSnapshot};
//!
//! let inputs = MetricInputs { ts: 1_000_000_000, events: 7, ..MetricInputs::default() };
//! let snapshot = MetricSnapshot::take(&inputs);
//! let fields = snapshot.fields(FieldOptions::default());
//! assert_eq!(fields["falco.num_evts"].to_string(), "7");
//! ```

mod fields;
mod inputs;
mod metric;
mod prometheus;
mod snapshot;
mod table;

pub use fields::FieldOptions;
pub use inputs::{
    ContainerStats, CostStats, EngineStats, FileDigest, HeldStats, KubernetesStats, LookupStats,
    MetricInputs, OutputStats, PluginStats, PreviousSnapshot, ProgramStats, ReaderStats,
    ReloadStats, ResourceUsage, RuleCost, RuleInfo, RuleStats, RunInfo, ScanStats, StateStats,
    SyscallCost, ThrottleStats, WebConnections,
};
pub use metric::{Metric, MetricKind, MetricUnit, MetricValue, ZeroPolicy};
pub use snapshot::MetricSnapshot;
pub use table::metrics;

#[cfg(test)]
mod tests;
