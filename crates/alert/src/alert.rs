//! Alerts, and how they are put together.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::value::{Stored, Value, Values};
use crate::{AlertId, Priority, RuleInfo, RuleKind};

/// Something that was detected. It owns everything that a channel needs to deliver it. Clones share
/// the content.
#[derive(Clone, Debug)]
pub struct Alert(Arc<Content>);

#[derive(Debug)]
struct Content {
    id: AlertId,
    rule: Arc<RuleInfo>,
    time: u64,
    number: u64,
    /// The text of the alert, then the texts of its values.
    bytes: SmallVec<[u8; BYTES]>,
    text_len: usize,
    values: Vec<Stored>,
}

/// Room for the texts of most alerts in the allocation of the alert itself.
const BYTES: usize = 256;

impl Alert {
    /// Identifies the alert, in every channel and across restarts.
    #[must_use]
    pub fn id(&self) -> AlertId {
        self.0.id
    }

    /// What all alerts of its rule have in common.
    #[must_use]
    pub fn rule(&self) -> &RuleInfo {
        &self.0.rule
    }

    /// The rule that it is about: its own, or that of the alerts that a digest reports.
    #[must_use]
    pub fn subject(&self) -> &RuleInfo {
        self.0.rule.digest().map_or(&self.0.rule, |digest| &digest.rule)
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.rule.priority()
    }

    /// When it happened: nanoseconds since the epoch.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.0.time
    }

    /// Number of the event; for alerts of the engine itself, how many of the kind there were.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// The rendered output of the rule, without time and priority. Not escaped, not always UTF-8.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.0.bytes.get(..self.0.text_len).unwrap_or_default()
    }

    /// Fields with their values, in the order of [`RuleInfo::fields`].
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let names = self.0.rule.fields().iter().map(String::as_str);
        names.zip(Values::new(&self.0.values, &self.0.bytes))
    }

    /// Values of [`RuleInfo::context`] with their names.
    pub fn context(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let (rule, values) = (&self.0.rule, Values::new(&self.0.values, &self.0.bytes));
        let names = rule.context().iter().map(String::as_str);
        names.zip(values.skip(rule.fields().len()))
    }

    /// Memory that the alert occupies, in bytes, whatever the number of its clones. Includes what
    /// it does not share with other alerts of its rule.
    #[must_use]
    pub fn memory(&self) -> usize {
        let Content { rule, bytes, values, .. } = &*self.0;
        let texts = if bytes.spilled() { bytes.capacity() } else { 0 };
        let names = match rule.kind() {
            RuleKind::User => 0,
            // Each alert of the engine has a `RuleInfo` of its own.
            RuleKind::Internal => {
                let names = rule.fields().iter().map(|name| size_of::<String>() + name.capacity());
                size_of::<RuleInfo>() + names.sum::<usize>()
            }
        };
        size_of::<Content>() + texts + values.capacity() * size_of::<Stored>() + names
    }
}

/// Puts an alert together: first its text, then one value for each of [`RuleInfo::fields`] and
/// [`RuleInfo::context`].
#[derive(Debug)]
pub struct AlertBuilder {
    rule: Arc<RuleInfo>,
    time: u64,
    number: u64,
    bytes: Vec<u8>,
    text_len: usize,
    values: Vec<Stored>,
}

thread_local! {
    /// Where texts are rendered before their length is known. One alert at a time uses it.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger scratch buffer is freed after use.
const MAX_SCRATCH: usize = 64 * 1024;

impl AlertBuilder {
    /// An alert about event `number` at `time`, whose text `text` appends.
    pub fn new(
        rule: Arc<RuleInfo>,
        time: u64,
        number: u64,
        text: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        // Thread locals are gone at the end of a thread.
        let mut bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
        bytes.clear();
        text(&mut bytes);
        let values = Vec::with_capacity(rule.fields().len() + rule.context().len());
        Self { rule, time, number, text_len: bytes.len(), bytes, values }
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
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        self.push(Stored::Text { start, end: self.bytes.len() as u32 });
    }

    /// A list of the values that `items` adds.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) {
        let at = self.values.len();
        self.push(Stored::List { entries: 0 });
        items(self);
        let entries = (self.values.len() - at - 1) as u32;
        if let Some(list) = self.values.get_mut(at) {
            *list = Stored::List { entries };
        }
    }

    /// The alert.
    #[must_use]
    pub fn finish(self) -> Alert {
        let Self { rule, time, number, bytes: scratch, text_len, values } = self;
        debug_assert_eq!(
            Values::new(&values, &scratch).count(),
            rule.fields().len() + rule.context().len(),
            "one value for each field"
        );
        let id = rule.alert_id(time, number);
        let bytes = SmallVec::from_slice(&scratch);
        if scratch.capacity() <= MAX_SCRATCH {
            // An error says that the thread ends.
            let _ = SCRATCH.try_with(|kept| kept.set(scratch));
        }
        Alert(Arc::new(Content { id, rule, time, number, bytes, text_len, values }))
    }

    fn push(&mut self, value: Stored) {
        self.values.push(value);
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
        let rule = rule.with_context(vec!["f".to_owned()]);
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
        alert.int(-4);
        let alert = alert.finish();
        assert_eq!(alert.text(), b"text");
        assert_eq!(alert.context().collect::<Vec<_>>(), [("f", Value::Int(-4))]);
        let shown: Vec<_> = alert.fields().map(|(name, value)| (name, flat(value))).collect();
        let expected = [("a", "x\u{fffd}"), ("b", "[[-1]y]"), ("c", "[]"), ("d", "-"), ("e", "3")];
        assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn long_texts_and_fields_count_as_memory() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let alert = |len: usize, fields: usize| {
            let names = (0..fields).map(|n| n.to_string()).collect();
            let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], names);
            let text = |out: &mut Vec<u8>| out.resize(len, b'x');
            let mut alert = AlertBuilder::new(Arc::new(rule), 1, 2, text);
            (0..fields).for_each(|_| alert.int(1));
            alert.finish()
        };
        let short = alert(BYTES, 0).memory();
        assert_eq!(alert(0, 0).memory(), short);
        assert!(short > BYTES);
        assert!(alert(10_000, 0).memory() >= short + 10_000);
        assert!(alert(0, 100).memory() >= short + 100 * size_of::<Stored>());
        // Clones share everything.
        let one = alert(MAX_SCRATCH + 1, 0);
        assert!(std::ptr::eq(one.clone().text(), one.text()));
        assert_eq!(one.text().len(), MAX_SCRATCH + 1);
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
