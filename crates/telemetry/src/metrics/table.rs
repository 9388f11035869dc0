//! The table of metrics, a file per group.

mod containers;
mod costs;
mod kernel;
mod kubernetes;
mod outputs;
mod plugins;
mod resources;
mod rules;
mod run;
mod state;

use super::metric::Metric;

/// All rows, in the order of output.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    [
        run::METRICS,
        outputs::METRICS,
        rules::METRICS,
        resources::METRICS,
        state::METRICS,
        containers::METRICS,
        kubernetes::METRICS,
        plugins::METRICS,
        kernel::METRICS,
        costs::METRICS,
    ]
    .into_iter()
    .flatten()
}
