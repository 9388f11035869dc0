//! What matched: `metrics.rules_counters_enabled`.

use crate::metrics::inputs::{Figures, RuleFigures};
use crate::metrics::metric::{Kind, Metric, Read, Sample, Value, Zero, count, family, sanitized};

pub(super) static METRICS: &[Metric] = &[
    Metric::new(
        Kind::Counter,
        "falco.rules.matches_total",
        None,
        "Matches of all rules.",
        Read::One(|f| count(rules(f)?.iter().map(|rule| rule.matches).sum::<u64>())),
    )
    .zero(Zero::Told),
    family(
        Kind::Counter,
        "falco.rules.<rule>",
        "falcosecurity_falco_rules_matches_total",
        "Matches of each rule.",
        |f| rules(f).unwrap_or_default().iter().map(sample).collect(),
    )
    .zero(Zero::OnDemand),
];

fn rules(figures: &Figures) -> Option<&[RuleFigures]> {
    figures.rules.as_deref()
}

fn sample(rule: &RuleFigures) -> Sample {
    let priority = rule.priority.to_string();
    let labels = [("priority", &priority), ("rule_name", &rule.name), ("source", &rule.source)];
    let labels = labels.map(|(name, value)| (name, value.as_str()));
    let mut sample = Sample::new(&sanitized(&rule.name), labels, Value::Uint(rule.matches));
    sample.labels.extend(rule.tags.iter().map(|tag| (format!("tag_{tag}"), "true".to_owned())));
    sample
}
