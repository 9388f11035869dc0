//! Matches of rules: `metrics.rules_counters_enabled`.

use crate::metrics::inputs::{MetricInputs, RuleStats};
use crate::metrics::metric::{
    Extract, Metric, MetricKind, MetricValue, Sample, ZeroPolicy, count, family, sanitized,
};

pub(super) static METRICS: &[Metric] = &[
    Metric::new(
        MetricKind::Counter,
        "falco.rules.matches_total",
        None,
        "Matches of all rules.",
        Extract::Single(|f| count(rules(f)?.iter().map(|rule| rule.matches).sum::<u64>())),
    )
    .zero(ZeroPolicy::Always),
    family(
        MetricKind::Counter,
        "falco.rules.<rule>",
        "falcosecurity_falco_rules_matches_total",
        "Matches of each rule.",
        |f| rules(f).unwrap_or_default().iter().map(sample).collect(),
    )
    .zero(ZeroPolicy::OnDemand),
];

fn rules(inputs: &MetricInputs) -> Option<&[RuleStats]> {
    inputs.rules.as_deref()
}

fn sample(stats: &RuleStats) -> Sample {
    let rule = &stats.rule;
    let priority = rule.priority.to_string();
    let labels = [("priority", &priority), ("rule_name", &rule.name), ("source", &rule.source)];
    let labels = labels.map(|(name, value)| (name, value.as_str()));
    let mut sample = Sample::new(&sanitized(&rule.name), labels, MetricValue::Uint(stats.matches));
    sample.labels.extend(rule.tags.iter().map(|tag| (format!("tag_{tag}"), "true".to_owned())));
    sample
}
