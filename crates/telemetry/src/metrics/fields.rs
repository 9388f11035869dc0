//! Metrics as fields of alerts and files: a flat map of names and values.

use std::collections::BTreeMap;

use super::metric::{Metric, MetricUnit, MetricValue, Sample, ZeroPolicy, rounded};
use super::snapshot::MetricSnapshot;

/// Which fields there are, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldOptions {
    /// Memory in megabytes instead of the unit of its source.
    pub megabytes: bool,
    /// Includes numbers that are zero.
    pub zeros: bool,
}

impl Default for FieldOptions {
    fn default() -> Self {
        Self { megabytes: true, zeros: false }
    }
}

impl MetricSnapshot {
    /// The samples as names and values.
    #[must_use]
    pub fn fields(&self, options: FieldOptions) -> BTreeMap<String, MetricValue> {
        let mut fields = BTreeMap::new();
        for (metric, samples) in &self.metrics {
            for sample in samples {
                if options.zeros || metric.zero == ZeroPolicy::Always || !sample.value.is_zero() {
                    let (name, value) = field(metric, sample, options);
                    insert(&mut fields, name, value);
                }
            }
        }
        fields
    }
}

/// Two rules may have the same name after sanitizing: their numbers are added.
fn insert(fields: &mut BTreeMap<String, MetricValue>, name: String, value: MetricValue) {
    match (fields.get_mut(&name), value) {
        (Some(MetricValue::Uint(old)), MetricValue::Uint(new)) => *old = old.saturating_add(new),
        (_, value) => drop(fields.insert(name, value)),
    }
}

fn field(metric: &Metric, sample: &Sample, options: FieldOptions) -> (String, MetricValue) {
    let name = with_part(metric.name, &sample.part);
    match (metric.unit, &sample.value) {
        (MetricUnit::Bytes, MetricValue::Uint(bytes)) if options.megabytes => {
            (in_megabytes(&name), rounded(*bytes as f64 / 1024.0 / 1024.0))
        }
        (MetricUnit::Kibibytes, MetricValue::Uint(kib)) if options.megabytes => {
            (in_megabytes(&name), rounded(*kib as f64 / 1024.0))
        }
        _ => (name, sample.value.clone()),
    }
}

fn in_megabytes(name: &str) -> String {
    let stem = name.strip_suffix("_kb").or_else(|| name.strip_suffix("_bytes"));
    format!("{}_mb", stem.unwrap_or(name))
}

/// A name of the table, with `<…>` replaced by the part of a sample.
pub(super) fn with_part(name: &str, part: &str) -> String {
    match (name.split_once('<'), name.split_once('>')) {
        (Some((before, _)), Some((_, after))) => format!("{before}{part}{after}"),
        _ => name.to_owned(),
    }
}
