//! All metrics at one moment.

use std::collections::BTreeMap;

use super::inputs::Figures;
use super::metric::{Metric, Read, Sample};
use super::table::metrics;

/// All that is told of some figures, in the order of the table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) metrics: Vec<(&'static Metric, Vec<Sample>)>,
}

impl Snapshot {
    /// Looks up every row of the table.
    #[must_use]
    pub fn take(figures: &Figures) -> Self {
        let samples = |metric: &Metric| match metric.read {
            Read::One(read) => {
                let labels = BTreeMap::new();
                let value = read(figures);
                value
                    .map(|value| Sample { part: String::new(), labels, value })
                    .into_iter()
                    .collect()
            }
            Read::Each(read) => read(figures),
        };
        Self { metrics: metrics().map(|metric| (metric, samples(metric))).collect() }
    }
}
