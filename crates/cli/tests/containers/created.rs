//! The test's own record of what it created, and the comparison of alerts with it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::agent::{ANY, Alert};

/// A process that a container was started with or that was started in it, whose command line ends
/// in a text of its own.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    /// What created it, for the report.
    pub(crate) kind: &'static str,
    /// Last argument of the process.
    pub(crate) mark: String,
    /// Id of the container, whole.
    pub(crate) id: String,
    /// Rules that raise an alert about it.
    pub(crate) rules: Vec<&'static str>,
    /// Fields of each alert about it, but `container.id`.
    pub(crate) expected: Vec<(&'static str, Expected)>,
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expected {
    Is(Value),
    /// A text that is not empty, or a number that is not 0.
    Something,
    /// Neither a text nor a number.
    Nothing,
    /// The number of a process in a pid namespace that has few.
    Inner,
}

/// What the alerts of a kind say, by number of processes.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) created: usize,
    /// With all alerts and all their fields.
    pub(crate) complete: usize,
    /// One line for each that is not.
    pub(crate) faults: Vec<String>,
}

/// By kind.
#[derive(Debug, Default)]
pub(crate) struct Report(pub(crate) BTreeMap<&'static str, Count>);

impl Created {
    /// Another process of the same container.
    pub(crate) fn process(&self, kind: &'static str, mark: &str) -> Self {
        let process = Self { kind, mark: mark.to_owned(), ..self.clone() };
        process.with("proc.vpid", Expected::Inner)
    }

    /// A process that is in no container.
    pub(crate) fn of_host(mark: &str) -> Self {
        let fields = ["container.full_id", "container.name", "container.type"];
        Self {
            kind: "host",
            mark: mark.to_owned(),
            id: "host".to_owned(),
            rules: vec![ANY],
            expected: fields.map(|field| (field, "host".into())).to_vec(),
        }
    }

    /// Also this rule raises an alert about it.
    pub(crate) fn of_rule(mut self, rule: &'static str) -> Self {
        self.rules.push(rule);
        self
    }

    /// With this value for a field, in place of another one.
    pub(crate) fn with(mut self, field: &'static str, value: impl Into<Expected>) -> Self {
        self.expected.retain(|(name, _)| *name != field);
        self.expected.push((field, value.into()));
        self
    }

    /// What is wrong with the alerts about it.
    fn faults(&self, alerts: &[Alert]) -> Vec<String> {
        let mut faults = Vec::new();
        for rule in &self.rules {
            let own = alerts.iter().filter(|alert| alert.rule == *rule && alert.is_of(self));
            let own: Vec<_> = own.collect();
            if own.is_empty() {
                faults.push(format!("{}: no alert of {rule:?}", self.mark));
            }
            for alert in own {
                let fields = self.expected.iter().filter_map(|(field, expected)| {
                    let value = &alert.fields[*field];
                    let wrong = !expected.holds(value);
                    wrong.then(|| format!("{field} = {value}, not {expected}"))
                });
                let id = &alert.fields["container.id"];
                let short: String = self.id.chars().take(12).collect();
                let id = (*id != *short).then(|| format!("container.id = {id}, not {short}"));
                let wrong: Vec<_> = id.into_iter().chain(fields).collect();
                if !wrong.is_empty() {
                    faults.push(format!("{}: {rule:?}: {}", self.mark, wrong.join("; ")));
                }
            }
        }
        faults
    }
}

impl Expected {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Is(expected) => expected == value,
            Self::Something => match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty() && text != "<NA>",
                other => *other != 0,
            },
            Self::Inner => value.as_u64().is_some_and(|vpid| (2..1000).contains(&vpid)),
            Self::Nothing => value.is_null() || *value == "",
        }
    }
}

impl<T: Into<Value>> From<T> for Expected {
    fn from(value: T) -> Self {
        Self::Is(value.into())
    }
}

impl Report {
    /// Compares alerts with what was created.
    pub(crate) fn new(created: &[Created], alerts: &[Alert]) -> Self {
        let mut report = Self::default();
        for one in created {
            let count = report.0.entry(one.kind).or_default();
            let faults = one.faults(alerts);
            count.created += 1;
            count.complete += usize::from(faults.is_empty());
            count.faults.extend(faults);
        }
        report
    }

    /// How many have all alerts with all fields.
    pub(crate) fn complete(&self) -> usize {
        self.0.values().map(|count| count.complete).sum()
    }

    /// Whether that are all.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.values().all(|count| count.complete == count.created)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "{value}"),
            Self::Something => f.write_str("a value"),
            Self::Inner => f.write_str("a low number"),
            Self::Nothing => f.write_str("empty"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "alerts with all fields, of processes that were created:")?;
        for (kind, Count { created, complete, faults }) in &self.0 {
            writeln!(f, "  {kind:<28} {complete:>4} of {created:>4}")?;
            for fault in faults.iter().take(3) {
                writeln!(f, "    {fault}")?;
            }
        }
        Ok(())
    }
}
