//! Metrics that plugins have of their own.

use std::collections::BTreeSet;

use crate::metrics::inputs::{MetricInputs, PluginStats};
use crate::metrics::metric::{Metric, MetricKind, Sample, ZeroPolicy, family, sanitized};

/// What the reference says about each of them.
const HELP: &str = "https://falco.org/docs/metrics/";

pub(super) static METRICS: &[Metric] = &[
    family(
        MetricKind::Counter,
        "plugins.<plugin.counter>",
        "falcosecurity_plugins_<plugin_counter>_total",
        "Counters that plugins from libraries have of their own.",
        |f| samples(f, true),
    )
    .zero(ZeroPolicy::Always)
    .help(HELP),
    family(
        MetricKind::Gauge,
        "plugins.<plugin.gauge>",
        "falcosecurity_plugins_<plugin_gauge>_total",
        "Other values that plugins from libraries have of their own.",
        |f| samples(f, false),
    )
    .zero(ZeroPolicy::Always)
    .help(HELP),
];

/// The metrics of one kind. Of those with the same name, the first counts.
fn samples(inputs: &MetricInputs, monotonic: bool) -> Vec<Sample> {
    let mut names = BTreeSet::new();
    let mut samples = Vec::new();
    for PluginStats { plugin, name, monotonic: kind, value } in inputs.plugins.iter().flatten() {
        let part = format!("{plugin}.{name}");
        if names.insert(sanitized(&part)) && *kind == monotonic {
            samples.push(Sample::new(&part, [], value.clone()));
        }
    }
    samples
}
