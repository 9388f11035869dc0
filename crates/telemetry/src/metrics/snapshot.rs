//! All metrics at one moment.

use std::collections::BTreeMap;

use super::inputs::MetricInputs;
use super::metric::{Extract, Metric, Sample};
use super::table::metrics;

/// The samples of every metric, in the order of the table.
#[derive(Clone, Debug)]
pub struct MetricSnapshot {
    pub(super) metrics: Vec<(&'static Metric, Vec<Sample>)>,
}

impl MetricSnapshot {
    /// Computes every row of the table.
    #[must_use]
    pub fn take(inputs: &MetricInputs) -> Self {
        let samples = |metric: &Metric| match metric.read {
            Extract::Single(read) => {
                let labels = BTreeMap::new();
                let value = read(inputs);
                value
                    .map(|value| Sample { part: String::new(), labels, value })
                    .into_iter()
                    .collect()
            }
            Extract::Multiple(read) => read(inputs),
        };
        Self { metrics: metrics().map(|metric| (metric, samples(metric))).collect() }
    }
}
