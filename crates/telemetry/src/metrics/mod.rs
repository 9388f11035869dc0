//! Metrics: what was counted ([`Figures`]), one table of what is told of it ([`Metric`]), and the forms in which that is
//! told: fields of an alert or of a line in a file, and text for Prometheus.
//!
//! A part of the figures that is not wanted is `None`, and nothing is told of it.
//!
//! ```
//! use peregrine_telemetry::metrics::{Figures, Form, Snapshot};
//!
//! let figures = Figures { ts: 1_000_000_000, events: 7, ..Figures::default() };
//! let snapshot = Snapshot::take(&figures);
//! let fields = snapshot.fields(Form::default());
//! assert_eq!(fields["falco.num_evts"].to_string(), "7");
//! ```

mod fields;
mod inputs;
mod metric;
mod prometheus;
mod snapshot;
mod table;

pub use fields::Form;
pub use inputs::{
    Before, CostFigures, Figures, FileDigest, ProgramFigures, ResourceFigures, RuleCostFigures,
    RuleFigures, RunFigures, ScanFigures, StateFigures, SyscallFigures,
};
pub use metric::{Kind, Metric, Unit, Value, Zero};
pub use snapshot::Snapshot;
pub use table::metrics;

#[cfg(test)]
mod tests;
