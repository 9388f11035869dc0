//! Alerts that the engine raises about itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Alert, AlertBuilder, AlertOrigin, Digest, Priority, RuleInfo};

/// A rule of the engine itself: losses, timeouts, metrics. No rules file has it and no selection
/// switches it off.
#[derive(Debug)]
pub struct InternalRule {
    origin: AlertOrigin,
    name: &'static str,
    priority: Priority,
    raised: AtomicU64,
}

/// A value in an internal alert.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Scalar {
    Bool(bool),
    Double(f64),
    Int(i64),
    Text(String),
    Uint(u64),
}

impl InternalRule {
    /// A rule that has raised nothing yet.
    #[must_use]
    pub fn new(origin: &AlertOrigin, name: &'static str, priority: Priority) -> Self {
        Self { origin: origin.clone(), name, priority, raised: AtomicU64::new(0) }
    }

    /// Its name, which alerts show in the place of a rule.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The next alert, which happened at `time` (nanoseconds since the epoch). The first has number
    /// 1.
    #[must_use]
    pub fn alert(&self, time: u64, text: &str, fields: BTreeMap<String, Scalar>) -> Alert {
        self.raise(time, text, fields, |origin, fields| {
            RuleInfo::internal(origin, self.name, self.priority, fields)
        })
    }

    /// The next alert, which reports other alerts and has the priority of their rule.
    #[must_use]
    pub fn digest(
        &self,
        time: u64,
        text: &str,
        fields: BTreeMap<String, Scalar>,
        digest: Digest,
    ) -> Alert {
        self.raise(time, text, fields, |origin, fields| {
            RuleInfo::of_digest(origin, self.name, fields, digest)
        })
    }

    fn raise(
        &self,
        time: u64,
        text: &str,
        fields: BTreeMap<String, Scalar>,
        rule: impl FnOnce(&AlertOrigin, Vec<String>) -> RuleInfo,
    ) -> Alert {
        let number = self.raised.fetch_add(1, Relaxed) + 1;
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let rule = rule(&self.origin, names);
        let mut alert = AlertBuilder::new(Arc::new(rule), time, number, |out| {
            out.extend_from_slice(text.as_bytes());
        });
        for value in values {
            match value {
                Scalar::Bool(value) => alert.bool(value),
                Scalar::Double(value) => alert.double(value),
                Scalar::Int(value) => alert.int(value),
                Scalar::Text(value) => alert.text(|out| out.extend_from_slice(value.as_bytes())),
                Scalar::Uint(value) => alert.uint(value),
            }
        }
        alert.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuleKind, RuleRegistry, Value};

    #[test]
    fn alerts_are_numbered_and_have_ids_of_their_own() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let rule = InternalRule::new(&origin, "Falco internal: test", Priority::Debug);
        let fields = || BTreeMap::from([("n".to_owned(), Scalar::Uint(7))]);
        let alerts = [rule.alert(5, "one", fields()), rule.alert(5, "two", fields())];
        assert_eq!(alerts.each_ref().map(Alert::number), [1, 2]);
        assert_ne!(alerts[0].id(), alerts[1].id());
        let [first, second] = alerts.each_ref().map(Alert::rule);
        assert_eq!((first.id(), first.kind()), (second.id(), RuleKind::Internal));
        assert_eq!((first.name(), first.source()), ("Falco internal: test", "internal"));
        assert_eq!(alerts[1].text(), b"two");
        assert_eq!(alerts[1].fields().collect::<Vec<_>>(), [("n", Value::Uint(7))]);
    }

    #[test]
    fn a_digest_is_about_the_rule_of_its_alerts() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], vec![]);
        let again = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], vec![]);
        assert_eq!(rule.id(), again.id());
        assert_ne!(rule.revision(), again.revision());
        let digest = Digest { rule: Arc::new(rule), count: 3, first: 1, last: 2 };
        let alert = InternalRule::new(&origin, "digest", Priority::Debug);
        let alert = alert.digest(5, "3 alerts", BTreeMap::new(), digest);
        assert_eq!((alert.rule().name(), alert.priority()), ("digest", Priority::Error));
        assert_eq!((alert.subject().name(), alert.subject().id()), ("R", again.id()));
        assert_eq!(alert.rule().digest().map(|digest| digest.count), Some(3));
    }
}
