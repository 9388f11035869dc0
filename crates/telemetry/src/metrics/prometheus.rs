//! Metrics in the Prometheus text format, version 0.0.4. Crates that write this format validate and
//! change names; Falco's names are a contract, so the writer is our own.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::fields::with_part;
use super::metric::{Metric, MetricKind, MetricUnit, MetricValue, Sample, ZeroPolicy};
use super::snapshot::MetricSnapshot;

impl MetricSnapshot {
    /// The text. `zeros` includes the series that are left out at zero by default.
    #[must_use]
    pub fn prometheus(&self, zeros: bool) -> String {
        // A family has one help and one type line; a row about BPF programs yields a family per
        // program.
        let mut text = String::new();
        for (metric, samples) in &self.metrics {
            let Some(name) = metric.prometheus else { continue };
            let mut families: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            for sample in samples {
                if metric.zero != ZeroPolicy::OnDemand || zeros || !sample.value.is_zero() {
                    let family = fit(&with_part(name, &sample.part), true);
                    families
                        .entry(family)
                        .or_default()
                        .insert(labels(sample), value(metric, sample));
                }
            }
            for (family, series) in families {
                // Writing into a string does not fail.
                let _ = writeln!(
                    text,
                    "# HELP {family} {}",
                    escaped(metric.help.unwrap_or(metric.about), false)
                );
                let _ = writeln!(text, "# TYPE {family} {}", type_name(metric.kind));
                for (labels, value) in series {
                    let _ = writeln!(text, "{family}{labels} {value}");
                }
            }
        }
        text
    }
}

fn labels(sample: &Sample) -> String {
    let mut text = String::new();
    // Sanitizing may make two labels equal.
    let labels: BTreeMap<_, _> =
        sample.labels.iter().map(|(name, value)| (fit(name, false), value)).collect();
    let mut before = '{';
    for (name, value) in &labels {
        let _ = write!(text, "{before}{name}=\"{}\"", escaped(value, true));
        before = ',';
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

fn value(metric: &Metric, sample: &Sample) -> String {
    match (metric.unit, &sample.value) {
        (_, MetricValue::Text(_)) => "1".to_owned(),
        (MetricUnit::Kibibytes, MetricValue::Uint(kib)) => kib.saturating_mul(1024).to_string(),
        (MetricUnit::Percent, MetricValue::Double(percent)) => format!("{:.6}", percent / 100.0),
        (MetricUnit::Nanoseconds, MetricValue::Uint(ns)) => (*ns as f64 / 1e9).to_string(),
        (_, MetricValue::Uint(value)) => value.to_string(),
        (_, MetricValue::Int(value)) => value.to_string(),
        (_, MetricValue::Double(value)) => format!("{value:.6}"),
    }
}

fn type_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        // The format has no type for texts.
        MetricKind::Gauge | MetricKind::Info => "gauge",
    }
}

/// A valid name: runs of other characters become one `_`.
fn fit(name: &str, colons: bool) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || (colons && c == ':') { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert(0, '_');
    }
    out
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', r"\\").replace('\n', r"\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}
