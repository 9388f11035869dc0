//! What matched: `metrics.rules_counters_enabled`.

use std::collections::BTreeSet;

use super::{Figures, Kind, Metric, Read, Sample, Value, Zero, count, family, sanitized};

/// What a rule did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFigures {
    /// Its name.
    pub name: String,
    /// Its priority, 0 for the most urgent.
    pub priority: u8,
    /// Its event source.
    pub source: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Events that it matched.
    pub matches: u64,
}

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
