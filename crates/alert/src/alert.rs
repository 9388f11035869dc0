//! Alerts, and how they are put together.

use std::net::IpAddr;
use std::sync::Arc;

use crate::value::{Stored, Value, Values};
use crate::{AlertId, Priority, RuleInfo};

/// Something that was detected. It owns everything that a channel needs to deliver it.
#[derive(Clone, Debug)]
pub struct Alert {
    id: AlertId,
    rule: Arc<RuleInfo>,
    time: u64,
    number: u64,
    /// The text of the alert, then the texts of its values.
    bytes: Vec<u8>,
    text_len: usize,
    values: Vec<Stored>,
}

impl Alert {
    /// Identifies the alert, in every channel and across restarts.
    #[must_use]
    pub fn id(&self) -> AlertId {
        self.id
    }

    /// What all alerts of its rule have in common.
    #[must_use]
    pub fn rule(&self) -> &RuleInfo {
        &self.rule
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.rule.priority()
    }

    /// When it happened: nanoseconds since the epoch.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Number of the event; for alerts of the engine itself, how many of the kind there were.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The rendered output of the rule, without time and priority. Not escaped, not always UTF-8.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.bytes.get(..self.text_len).unwrap_or_default()
    }

    /// Fields with their values, in the order of [`RuleInfo::fields`].
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let names = self.rule.fields().iter().map(String::as_str);
        names.zip(Values::new(&self.values, &self.bytes))
    }
}

/// Puts an alert together: first its text, then one value for each of [`RuleInfo::fields`].
#[derive(Debug)]
pub struct AlertBuilder {
    alert: Alert,
}

/// Room for the texts of most alerts, so that it is allocated once.
const BYTES: usize = 256;

impl AlertBuilder {
    /// An alert about event `number` at `time`, whose text `text` appends.
    pub fn new(
        rule: Arc<RuleInfo>,
        time: u64,
        number: u64,
        text: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let mut bytes = Vec::with_capacity(BYTES);
        text(&mut bytes);
        let values = Vec::with_capacity(rule.fields().len());
        let id = rule.alert_id(time, number);
        Self { alert: Alert { id, rule, time, number, text_len: bytes.len(), bytes, values } }
    }

    /// The next field has no value.
    pub fn null(&mut self) {
        self.push(Stored::Null);
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.push(Stored::Bool(value));
    }

    /// A number.
    pub fn int(&mut self, value: i64) {
        self.push(Stored::Int(value));
    }

    /// A number that is never negative.
    pub fn uint(&mut self, value: u64) {
        self.push(Stored::Uint(value));
    }

    /// A number with a fraction. What is not finite is no value.
    pub fn double(&mut self, value: f64) {
        self.push(if value.is_finite() { Stored::Double(value) } else { Stored::Null });
    }

    /// A network address.
    pub fn ip(&mut self, value: IpAddr) {
        self.push(Stored::Ip(value));
    }

    /// A text, which `write` appends.
    pub fn text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.alert.bytes.len() as u32;
        write(&mut self.alert.bytes);
        self.push(Stored::Text { start, end: self.alert.bytes.len() as u32 });
    }

    /// A list of the values that `items` adds.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) {
        let at = self.alert.values.len();
        self.push(Stored::List { entries: 0 });
        items(self);
        let entries = (self.alert.values.len() - at - 1) as u32;
        if let Some(list) = self.alert.values.get_mut(at) {
            *list = Stored::List { entries };
        }
    }

    /// The alert.
    #[must_use]
    pub fn finish(self) -> Alert {
        let alert = self.alert;
        debug_assert_eq!(
            Values::new(&alert.values, &alert.bytes).count(),
            alert.rule.fields().len(),
            "one value for each field"
        );
        alert
    }

    fn push(&mut self, value: Stored) {
        self.alert.values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlertOrigin, RuleRegistry};

    #[test]
    fn values_come_back_with_their_names() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let names = ["a", "b", "c", "d", "e"].map(String::from).to_vec();
        let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], names);
        let mut alert =
            AlertBuilder::new(Arc::new(rule), 1, 2, |out| out.extend_from_slice(b"text"));
        alert.text(|out| out.extend_from_slice(b"x\xff"));
        alert.list(|list| {
            list.list(|inner| inner.int(-1));
            list.text(|out| out.extend_from_slice(b"y"));
        });
        alert.list(|_| {});
        alert.double(f64::NAN);
        alert.uint(3);
        let alert = alert.finish();
        assert_eq!(alert.text(), b"text");
        let shown: Vec<_> = alert.fields().map(|(name, value)| (name, flat(value))).collect();
        let expected = [("a", "x\u{fffd}"), ("b", "[[-1]y]"), ("c", "[]"), ("d", "-"), ("e", "3")];
        assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())));
    }

    fn flat(value: Value<'_>) -> String {
        match value {
            Value::Null => "-".to_owned(),
            Value::Int(value) => value.to_string(),
            Value::Uint(value) => value.to_string(),
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Value::List(items) => format!("[{}]", items.map(flat).collect::<String>()),
            other => unreachable!("{other:?}"),
        }
    }
}
