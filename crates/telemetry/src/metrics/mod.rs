//! Metrics: what was counted ([`Figures`]), one table of what is told of it ([`Metric`]), and the forms in which that is
//! told: fields of an alert or of a line in a file, and text for Prometheus.
//!
//! A part of the figures that is not wanted is `None`, and nothing is told of it.
//!
//! ```
//! use peregrine_telemetry::metrics::{Figures, Form, Snapshot};
//!
//! let figures = Figures { ts: 1_000_000_000, events: 7, ..Figures::default() };
//! let snapshot = Snapshot::take(&figures);
//! let fields = snapshot.fields(Form::default());
//! assert_eq!(fields["falco.num_evts"].to_string(), "7");
//! ```

mod costs;
mod fields;
mod kernel;
mod prometheus;
mod resources;
mod rules;
mod run;
mod state;

use std::collections::BTreeMap;
use std::fmt;

pub use costs::{CostFigures, RuleCostFigures, SyscallFigures};
pub use fields::Form;
pub use kernel::{ProgramFigures, ScanFigures};
use peregrine_event::EventCounters;
pub use resources::ResourceFigures;
pub use rules::RuleFigures;
pub use run::{FileDigest, RunFigures};
pub use state::StateFigures;

/// What was counted up to a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The moment, nanoseconds since the epoch.
    pub ts: u64,
    /// What stays the same.
    pub run: RunFigures,
    /// Events that rules were asked about.
    pub events: u64,
    /// Alerts that found the queue before the outputs full.
    pub queue_drops: u64,
    /// Rules, in the order of loading.
    pub rules: Option<Vec<RuleFigures>>,
    /// CPU and memory.
    pub resources: Option<ResourceFigures>,
    /// The picture of the machine.
    pub state: Option<StateFigures>,
    /// Events and losses in the kernel.
    pub kernel: Option<EventCounters>,
    /// Events and losses of each CPU, by its number.
    pub cpus: Option<Vec<EventCounters>>,
    /// Events given out after a later one.
    pub late: Option<u64>,
    /// Events lost by control group.
    pub lost_by_group: Option<Vec<(String, u64)>>,
    /// BPF programs.
    pub programs: Option<Vec<ProgramFigures>>,
    /// What was read of `/proc`.
    pub scan: Option<ScanFigures>,
    /// What system calls and rules cost.
    pub costs: Option<CostFigures>,
    /// The snapshot before this one.
    pub before: Option<Before>,
}

/// What rates are reckoned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// When that was, nanoseconds since the epoch.
    pub ts: u64,
    /// [`Figures::events`] then.
    pub events: u64,
    /// Events in the kernel then.
    pub kernel_events: u64,
    /// Losses in the kernel then.
    pub kernel_drops: u64,
}

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
    read: Read,
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
enum Read {
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
struct Sample {
    /// What stands for `<…>` in names.
    part: String,
    /// By name.
    labels: BTreeMap<String, String>,
    value: Value,
}

/// All that is told of some figures, in the order of the table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    metrics: Vec<(&'static Metric, Vec<Sample>)>,
}

/// The table.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    [
        run::METRICS,
        rules::METRICS,
        resources::METRICS,
        state::METRICS,
        kernel::METRICS,
        costs::METRICS,
    ]
    .into_iter()
    .flatten()
}

impl Snapshot {
    /// Looks up every row of the table.
    #[must_use]
    pub fn take(figures: &Figures) -> Self {
        let samples = |metric: &Metric| match metric.read {
            Read::One(read) => {
                let labels = BTreeMap::new();
                let value = read(figures);
                value
                    .map(|value| Sample { part: String::new(), labels, value })
                    .into_iter()
                    .collect()
            }
            Read::Each(read) => read(figures),
        };
        Self { metrics: metrics().map(|metric| (metric, samples(metric))).collect() }
    }
}

impl Metric {
    const fn new(
        kind: Kind,
        name: &'static str,
        prometheus: Option<&'static str>,
        about: &'static str,
        read: Read,
    ) -> Self {
        Self { name, prometheus, kind, unit: Unit::Plain, zero: Zero::InPrometheus, about, read }
    }

    const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    const fn zero(self, zero: Zero) -> Self {
        Self { zero, ..self }
    }
}

impl Sample {
    fn new<const N: usize>(part: &str, labels: [(&str, &str); N], value: Value) -> Self {
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { part: part.to_owned(), labels: labels.into(), value }
    }
}

impl Value {
    fn is_zero(&self) -> bool {
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
const fn counter(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Counter, name, Some(prometheus), about, Read::One(read))
}

/// A row with one value that goes up and down.
const fn gauge(
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Gauge, name, Some(prometheus), about, Read::One(read))
}

/// A row that Prometheus does not get: it reckons such things itself.
const fn field(
    name: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Option<Value>,
) -> Metric {
    Metric::new(Kind::Gauge, name, None, about, Read::One(read)).zero(Zero::Told)
}

/// A row with many values.
const fn family(
    kind: Kind,
    name: &'static str,
    prometheus: &'static str,
    about: &'static str,
    read: fn(&Figures) -> Vec<Sample>,
) -> Metric {
    Metric::new(kind, name, Some(prometheus), about, Read::Each(read))
}

fn count(value: impl Into<u64>) -> Option<Value> {
    Some(Value::Uint(value.into()))
}

fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

/// To one decimal, as the reference engine has it.
fn rounded(value: f64) -> Value {
    Value::Double((value * 10.0).round() / 10.0)
}

/// What `now` is more than `before`, for a second.
fn rate(now: u64, before: u64, seconds: f64) -> Value {
    if seconds > 0.0 {
        rounded(now.saturating_sub(before) as f64 / seconds)
    } else {
        Value::Double(0.0)
    }
}

impl Figures {
    /// Time since the snapshot before, 0 for the first.
    fn seconds(&self) -> f64 {
        self.before.map_or(0.0, |before| self.ts.saturating_sub(before.ts) as f64 / 1e9)
    }

    fn before(&self) -> Before {
        self.before.unwrap_or_default()
    }
}

/// What may stand in a name, as the reference engine makes names of rules and files fit.
fn sanitized(name: &str) -> String {
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

#[cfg(test)]
mod tests;
