//! The form for alerts and files: a flat map of names and values.

use std::collections::BTreeMap;

use super::metric::{Metric, Sample, Unit, Value, Zero, rounded};
use super::snapshot::Snapshot;

/// How fields look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Memory in megabytes, not in the unit it is measured in.
    pub megabytes: bool,
    /// With numbers that are zero.
    pub zeros: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self { megabytes: true, zeros: false }
    }
}

impl Snapshot {
    /// Names and values.
    #[must_use]
    pub fn fields(&self, form: Form) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::new();
        for (metric, samples) in &self.metrics {
            for sample in samples {
                if form.zeros || metric.zero == Zero::Told || !sample.value.is_zero() {
                    let (name, value) = field(metric, sample, form);
                    insert(&mut fields, name, value);
                }
            }
        }
        fields
    }
}

/// Names of two rules may become the same: then the number is that of both.
fn insert(fields: &mut BTreeMap<String, Value>, name: String, value: Value) {
    match (fields.get_mut(&name), value) {
        (Some(Value::Uint(old)), Value::Uint(new)) => *old = old.saturating_add(new),
        (_, value) => drop(fields.insert(name, value)),
    }
}

fn field(metric: &Metric, sample: &Sample, form: Form) -> (String, Value) {
    let name = with_part(metric.name, &sample.part);
    match (metric.unit, &sample.value) {
        (Unit::Bytes, Value::Uint(bytes)) if form.megabytes => {
            (in_megabytes(&name), rounded(*bytes as f64 / 1024.0 / 1024.0))
        }
        (Unit::Kibibytes, Value::Uint(kib)) if form.megabytes => {
            (in_megabytes(&name), rounded(*kib as f64 / 1024.0))
        }
        _ => (name, sample.value.clone()),
    }
}

fn in_megabytes(name: &str) -> String {
    let stem = name.strip_suffix("_kb").or_else(|| name.strip_suffix("_bytes"));
    format!("{}_mb", stem.unwrap_or(name))
}

/// A name of the table, with what a sample has of its own in the place of `<…>`.
pub(super) fn with_part(name: &str, part: &str) -> String {
    match (name.split_once('<'), name.split_once('>')) {
        (Some((before, _)), Some((_, after))) => format!("{before}{part}{after}"),
        _ => name.to_owned(),
    }
}
