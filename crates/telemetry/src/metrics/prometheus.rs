//! The form for Prometheus: its text format, version 0.0.4. Crates that write it check and change names, and these names are
//! a contract, so it is written here.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::fields::with_part;
use super::metric::{Kind, Metric, Sample, Unit, Value, Zero};
use super::snapshot::Snapshot;

impl Snapshot {
    /// The text. `zeros`: with series that are told on demand only.
    #[must_use]
    pub fn prometheus(&self, zeros: bool) -> String {
        // Families stand together, each with one help and one type: those of programs differ in their names.
        let mut text = String::new();
        for (metric, samples) in &self.metrics {
            let Some(name) = metric.prometheus else { continue };
            let mut families: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            for sample in samples {
                if metric.zero != Zero::OnDemand || zeros || !sample.value.is_zero() {
                    let family = fit(&with_part(name, &sample.part), true);
                    families
                        .entry(family)
                        .or_default()
                        .insert(labels(sample), value(metric, sample));
                }
            }
            for (family, series) in families {
                // Writing into a string does not fail.
                let _ = writeln!(text, "# HELP {family} {}", escaped(metric.about, false));
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
    // Two labels may become the same by being made fit.
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
        (_, Value::Text(_)) => "1".to_owned(),
        (Unit::Kibibytes, Value::Uint(kib)) => kib.saturating_mul(1024).to_string(),
        (Unit::Percent, Value::Double(percent)) => format!("{:.6}", percent / 100.0),
        (Unit::Nanoseconds, Value::Uint(ns)) => (*ns as f64 / 1e9).to_string(),
        (_, Value::Uint(value)) => value.to_string(),
        (_, Value::Double(value)) => value.to_string(),
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        // Prometheus knows no type for texts.
        Kind::Gauge | Kind::Info => "gauge",
    }
}

/// A name that Prometheus takes: `_` for what may not be in it, and only one of them in a row.
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
