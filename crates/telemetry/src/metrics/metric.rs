//! A row of the table of metrics, and the values it has.

use std::collections::BTreeMap;
use std::fmt;

use super::inputs::Figures;

/// One row of the table: what is told, and how.
#[derive(Debug)]
pub struct Metric {
    /// Name in alerts and files. `<…>` stands for what differs from sample to sample.
    pub name: &'static str,
    /// Name for Prometheus, where it is told so.
    pub prometheus: Option<&'static str>,
    /// What happens to it.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether it is told when it is zero.
    pub zero: Zero,
    /// What it means.
    pub about: &'static str,
    pub(super) read: Read,
}

/// What happens to a value as time goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is a text. Prometheus gets it as a label of the number 1.
    Info,
}

/// What a value is measured in, where that depends on the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// What the name says, in every form.
    Plain,
    /// Bytes.
    Bytes,
    /// 1,024 bytes; bytes for Prometheus.
    Kibibytes,
    /// Hundredths; a ratio for Prometheus.
    Percent,
    /// Nanoseconds; seconds for Prometheus.
    Nanoseconds,
}

/// Whether a value of zero is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// Always.
    Told,
    /// For Prometheus; in fields only where that is asked for.
    InPrometheus,
    /// Only where that is asked for.
    OnDemand,
}

#[derive(Clone, Copy)]
pub(super) enum Read {
    One(fn(&Figures) -> Option<Value>),
    Each(fn(&Figures) -> Vec<Sample>),
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Uint(u64),
    Double(f64),
    Text(String),
}

/// A value of a metric that has several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// What stands for `<…>` in names.
    pub(super) part: String,
    /// By name.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: Value,
}

impl Metric {
    pub(super) const fn new(
        kind: Kind,
        name: &'static str,
        prometheus: Option<&'static str>,
        about: &'static str,
        read: Read,
    ) -> Self {
        Self { name, prometheus, kind, unit: Unit::Plain, zero: Zero::InPrometheus, about, read }
    }

    pub(super) const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    pub(super) const fn zero(self, zero: Zero) -> Self {
        Self { zero, ..self }
    }
}

impl Sample {
    pub(super) fn new<const N: usize>(part: &str, labels: [(&str, &str); N], value: Value) -> Self {
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { part: part.to_owned(), labels: labels.into(), value }
    }
}

impl Value {
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Uint(v) => *v == 0,
            Self::Double(v) => *v == 0.0,
            Self::Text(_) => false,
        }
    }
}

/// As JSON has it, and texts as they are.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(v) => v.fmt(f),
            Self::Double(v) => write!(f, "{v:?}"),
            Self::Text(v) => f.write_str(v),
        }
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Each(_) => "Each",
        })
    }
}

/// A row with one value that only grows.
pub(super) const fn counter(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Counter, name, Some(prometheus), about, Read::One(read))
}

/// A row with one value that goes up and down.
pub(super) const fn gauge(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Gauge, name, Some(prometheus), about, Read::One(read))
}

/// A row that Prometheus does not get: it reckons such things itself.
pub(super) const fn field(
    name: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Gauge, name, None, about, Read::One(read)).zero(Zero::Told)
}

/// A row with many values.
pub(super) const fn family(
    kind: Kind,
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Vec<Sample>,
) -> Metric {
    Metric::new(kind, name, Some(prometheus), about, Read::Each(read))
}

pub(super) fn count(value: impl Into<u64>) -> Option<Value> {
    Some(Value::Uint(value.into()))
}

pub(super) fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

/// To one decimal, as the reference engine has it.
pub(super) fn rounded(value: f64) -> Value {
    Value::Double((value * 10.0).round() / 10.0)
}

/// What `now` is more than `before`, for a second.
pub(super) fn rate(now: u64, before: u64, seconds: f64) -> Value {
    if seconds > 0.0 {
        rounded(now.saturating_sub(before) as f64 / seconds)
    } else {
        Value::Double(0.0)
    }
}

/// What may stand in a name, as the reference engine makes names of rules and files fit.
pub(super) fn sanitized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    if out.ends_with('_') {
        out.pop();
    }
    out
}
