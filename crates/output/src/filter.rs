//! Which alerts a channel gets.

use std::sync::{PoisonError, RwLock};

use peregrine_alert::{Alert, Priority, RuleInfo, RuleKind, name_matches};

/// Conditions of a channel: it gets the alerts that meet all of them. A digest meets those that the
/// alerts meet that it reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFilter {
    /// Lowest priority.
    pub priority: Priority,
    /// One of these tags, unless there are none here.
    pub tags: Vec<String>,
    /// One of these names of rules, in which `*` matches any text, unless there are none here.
    pub rules: Vec<String>,
}

impl Default for AlertFilter {
    /// All alerts.
    fn default() -> Self {
        Self { priority: Priority::Debug, tags: Vec::new(), rules: Vec::new() }
    }
}

impl AlertFilter {
    /// Whether alerts of this rule meet the conditions.
    #[must_use]
    pub fn accepts(&self, rule: &RuleInfo) -> bool {
        let Self { priority, tags, rules } = self;
        let named = || rules.iter().any(|pattern| name_matches(pattern, rule.name()));
        let tagged = || tags.iter().any(|tag| rule.tags().contains(tag));
        rule.priority() <= *priority
            && (rules.is_empty() || named())
            && (tags.is_empty() || tagged())
    }
}

/// A filter that remembers its decisions. Threads that submit alerts share it.
#[derive(Debug)]
pub(crate) struct CachedFilter {
    filter: AlertFilter,
    /// By [`RuleId::index`](peregrine_alert::RuleId::index): what the decision is for, and the
    /// decision.
    decisions: RwLock<Vec<Option<(u64, bool)>>>,
}

impl CachedFilter {
    /// `None` for a filter that accepts everything.
    pub(crate) fn new(filter: &AlertFilter) -> Option<Self> {
        let (filter, decisions) = (filter.clone(), RwLock::default());
        (filter != AlertFilter::default()).then_some(Self { filter, decisions })
    }

    /// Whether an alert meets the conditions. Allocates only for rules that it has not seen yet.
    pub(crate) fn accepts(&self, alert: &Alert) -> bool {
        let rule = alert.subject();
        if rule.kind() == RuleKind::Internal {
            // Each alert has a rule of its own.
            return self.filter.accepts(rule);
        }
        let (index, revision) = (rule.id().index(), rule.revision());
        let decisions = self.decisions.read().unwrap_or_else(PoisonError::into_inner);
        let known = decisions.get(index).copied().flatten();
        drop(decisions);
        match known {
            Some((of, accepts)) if of == revision => accepts,
            _ => self.decide(rule, index, revision),
        }
    }

    #[cold]
    fn decide(&self, rule: &RuleInfo, index: usize, revision: u64) -> bool {
        let accepts = self.filter.accepts(rule);
        let mut decisions = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() <= index {
            decisions.resize(index + 1, None);
        }
        if let Some(decision) = decisions.get_mut(index) {
            *decision = Some((revision, accepts));
        }
        accepts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use peregrine_alert::{AlertBuilder, AlertOrigin, Digest, InternalRule, RuleRegistry};

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn all_conditions_must_be_met() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let rule = |name, priority, tags: &[&str]| {
            RuleInfo::new(&origin, "syscall", name, priority, texts(tags), vec![])
        };
        let filter = AlertFilter {
            priority: Priority::Warning,
            tags: texts(&["shell", "mitre_execution"]),
            rules: texts(&["Shell*", "Other"]),
        };
        assert!(filter.accepts(&rule("Shell in container", Priority::Warning, &["x", "shell"])));
        assert!(filter.accepts(&rule("Other", Priority::Emergency, &["mitre_execution"])));
        assert!(!filter.accepts(&rule("Shell in container", Priority::Notice, &["shell"])));
        assert!(!filter.accepts(&rule("Shell in container", Priority::Warning, &["x"])));
        assert!(!filter.accepts(&rule("Others", Priority::Warning, &["shell"])));
        assert!(AlertFilter::default().accepts(&rule("", Priority::Debug, &[])));
    }

    #[test]
    fn a_reload_that_changes_a_rule_changes_the_decision() {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let alert = |priority| {
            let rule = Arc::new(RuleInfo::new(&origin, "syscall", "R", priority, vec![], vec![]));
            AlertBuilder::new(rule, 1, 1, |_| ()).finish()
        };
        let filter = AlertFilter { priority: Priority::Error, ..AlertFilter::default() };
        let filter = CachedFilter::new(&filter).unwrap();
        let (error, notice) = (alert(Priority::Error), alert(Priority::Notice));
        for _ in 0..2 {
            assert!(filter.accepts(&error));
            assert!(!filter.accepts(&notice));
        }
        let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], vec![]);
        let digest = Digest { rule: Arc::new(rule), count: 3, first: 1, last: 2 };
        let internal = InternalRule::new(&origin, "digest", Priority::Debug);
        assert!(filter.accepts(&internal.digest(5, "", BTreeMap::new(), digest)));
        assert!(!filter.accepts(&internal.alert(5, "", BTreeMap::new())));
        assert!(CachedFilter::new(&AlertFilter::default()).is_none());
    }
}
