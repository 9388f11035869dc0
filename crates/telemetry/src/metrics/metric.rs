//! A row of the table of metrics, and the values it has.

use std::collections::BTreeMap;
use std::fmt;

use super::inputs::MetricInputs;

/// One row of the table: names, kind, unit and how its samples are computed.
#[derive(Debug)]
pub struct Metric {
    /// Name in alerts and files. `<…>` is replaced by the part of each sample.
    pub name: &'static str,
    /// Name in the Prometheus text; `None` leaves the metric out of it.
    pub prometheus: Option<&'static str>,
    /// Counter, gauge or text.
    pub kind: MetricKind,
    /// Unit of the values.
    pub unit: MetricUnit,
    /// Whether a value of zero is shown.
    pub zero: ZeroPolicy,
    /// Description, as in docs/metrics.md.
    pub about: &'static str,
    /// The Prometheus help; the description where there is none of its own.
    pub help: Option<&'static str>,
    pub(super) read: Extract,
}

/// How a value changes over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A text. Prometheus gets it as a label of the number 1.
    Info,
}

/// The unit of a value; some forms convert it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// As the name says, in every form.
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

/// Whether a value of zero is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroPolicy {
    /// Always.
    Always,
    /// In the Prometheus text; in fields only with
    /// [`FieldOptions::zeros`](super::FieldOptions::zeros).
    InPrometheus,
    /// Only where the configuration asks for zeros.
    OnDemand,
}

#[derive(Clone, Copy)]
pub(super) enum Extract {
    Single(fn(&MetricInputs) -> Option<MetricValue>),
    Multiple(fn(&MetricInputs) -> Vec<Sample>),
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum MetricValue {
    Uint(u64),
    Int(i64),
    Double(f64),
    Text(String),
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Replaces `<…>` in names.
    pub(super) part: String,
    /// By name.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: MetricValue,
}

impl Metric {
    pub(super) const fn new(
        kind: MetricKind,
        name: &'static str,
        prometheus: Option<&'static str>,
        about: &'static str,
        read: Extract,
    ) -> Self {
        Self {
            name,
            prometheus,
            kind,
            unit: MetricUnit::Plain,
            zero: ZeroPolicy::InPrometheus,
            about,
            help: None,
            read,
        }
    }

    pub(super) const fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    pub(super) const fn unit(self, unit: MetricUnit) -> Self {
        Self { unit, ..self }
    }

    pub(super) const fn zero(self, zero: ZeroPolicy) -> Self {
        Self { zero, ..self }
    }
}

impl Sample {
    pub(super) fn new<const N: usize>(
        part: &str,
        labels: [(&str, &str); N],
        value: MetricValue,
    ) -> Self {
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { part: part.to_owned(), labels: labels.into(), value }
    }
}

impl MetricValue {
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Uint(v) => *v == 0,
            Self::Int(v) => *v == 0,
            Self::Double(v) => *v == 0.0,
            Self::Text(_) => false,
        }
    }
}

/// As JSON has it, and texts as they are.
impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(v) => v.fmt(f),
            Self::Int(v) => v.fmt(f),
            Self::Double(v) => write!(f, "{v:?}"),
            Self::Text(v) => f.write_str(v),
        }
    }
}

impl fmt::Debug for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Multiple(_) => "Multiple",
        })
    }
}

/// A row with one counter.
pub(super) const fn counter(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&MetricInputs) -> Option<MetricValue>,
) -> Metric {
    Metric::new(MetricKind::Counter, name, Some(prometheus), about, Extract::Single(read))
}

/// A row with one gauge.
pub(super) const fn gauge(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&MetricInputs) -> Option<MetricValue>,
) -> Metric {
    Metric::new(MetricKind::Gauge, name, Some(prometheus), about, Extract::Single(read))
}

/// A row for alerts and files only: Prometheus computes rates and differences itself.
pub(super) const fn field(
    name: &'static str,
    about: &'static str,
    read: fn(&MetricInputs) -> Option<MetricValue>,
) -> Metric {
    Metric::new(MetricKind::Gauge, name, None, about, Extract::Single(read))
        .zero(ZeroPolicy::Always)
}

/// A row with many values.
pub(super) const fn family(
    kind: MetricKind,
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&MetricInputs) -> Vec<Sample>,
) -> Metric {
    Metric::new(kind, name, Some(prometheus), about, Extract::Multiple(read))
}

pub(super) fn count(value: impl Into<u64>) -> Option<MetricValue> {
    Some(MetricValue::Uint(value.into()))
}

pub(super) fn text(value: &str) -> Option<MetricValue> {
    Some(MetricValue::Text(value.to_owned()))
}

/// Rounds to one decimal, as Falco does.
pub(super) fn rounded(value: f64) -> MetricValue {
    MetricValue::Double((value * 10.0).round() / 10.0)
}

/// The increase from `previous` to `now` per second.
pub(super) fn rate(now: u64, previous: u64, seconds: f64) -> MetricValue {
    if seconds > 0.0 {
        rounded(now.saturating_sub(previous) as f64 / seconds)
    } else {
        MetricValue::Double(0.0)
    }
}

/// Replaces characters that a name may not have, as Falco does for rules and files.
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
