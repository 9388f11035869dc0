//! How many alerts each rule has raised.

use std::fmt;

use peregrine_alert::{Priority, RuleId};

/// Counts alerts by rule and priority, over all reloads. Printed at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    total: u64,
    by_priority: [u64; Priority::ALL.len()],
    /// In the order in which they were added.
    rules: Vec<(RuleId, String)>,
    /// By [`RuleId::index`]; `None` for rules that were not added.
    by_rule: Vec<Option<u64>>,
    /// Alerts that were not sent one by one, by [`RuleId::index`]. May be shorter.
    suppressed: Vec<u64>,
}

impl Summary {
    /// Starts with no alert of any of these rules, in the order in which they were loaded.
    pub fn new(rules: impl IntoIterator<Item = (RuleId, String)>) -> Self {
        let mut summary = Self::default();
        rules.into_iter().for_each(|(rule, name)| summary.add_rule(rule, name));
        summary
    }

    /// Adds a rule to those that are listed, unless it is one of them. What it has raised stays.
    pub fn add_rule(&mut self, rule: RuleId, name: String) {
        if self.by_rule.len() <= rule.index() {
            self.by_rule.resize(rule.index() + 1, None);
        }
        if let Some(count @ None) = self.by_rule.get_mut(rule.index()) {
            *count = Some(0);
            self.rules.push((rule, name));
        }
    }

    /// Counts one alert of a rule that was added.
    pub fn count(&mut self, rule: RuleId, priority: Priority) {
        self.total += 1;
        if let Some(count) = self.by_priority.get_mut(priority as usize) {
            *count += 1;
        }
        let count = self.by_rule.get_mut(rule.index()).and_then(Option::as_mut);
        debug_assert!(count.is_some(), "{rule:?} was not added");
        if let Some(count) = count {
            *count += 1;
        }
    }

    /// One of the alerts that were counted is not sent, but part of a digest.
    pub fn count_suppressed(&mut self, rule: RuleId) {
        if self.suppressed.len() <= rule.index() {
            self.suppressed.resize(rule.index() + 1, 0);
        }
        if let Some(count) = self.suppressed.get_mut(rule.index()) {
            *count += 1;
        }
    }

    /// Alerts of one rule that were not sent one by one.
    #[must_use]
    pub fn suppressed(&self, rule: RuleId) -> u64 {
        self.suppressed.get(rule.index()).copied().unwrap_or_default()
    }

    /// Alerts in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Alerts of one rule.
    #[must_use]
    pub fn matches(&self, rule: RuleId) -> u64 {
        self.by_rule.get(rule.index()).copied().flatten().unwrap_or_default()
    }

    /// Rules with their alerts, in the order in which they were added.
    pub fn rules(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|(rule, name)| (name.as_str(), self.matches(*rule)))
    }
}

impl Summary {
    /// Rules with their names, in the order in which they were added.
    pub(crate) fn names(&self) -> impl Iterator<Item = (RuleId, &str)> {
        self.rules.iter().map(|(rule, name)| (*rule, name.as_str()))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Events detected: {}", self.total)?;
        writeln!(f, "Rule counts by severity:")?;
        for (priority, count) in Priority::ALL.into_iter().zip(self.by_priority) {
            let name = match priority {
                Priority::Informational => "INFO".to_owned(),
                priority => priority.name().to_uppercase(),
            };
            if count > 0 {
                writeln!(f, "   {name}: {count}")?;
            }
        }
        writeln!(f, "Triggered rules by rule name:")?;
        for (name, count) in self.rules().filter(|&(_, count)| count > 0) {
            writeln!(f, "   {name}: {count}")?;
        }
        if !self.suppressed.is_empty() {
            writeln!(f, "Alerts suppressed by throttling, by rule name:")?;
        }
        let suppressed = self.names().map(|(rule, name)| (name, self.suppressed(rule)));
        for (name, count) in suppressed.filter(|&(_, count)| count > 0) {
            writeln!(f, "   {name}: {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use peregrine_alert::RuleRegistry;

    use super::*;

    #[test]
    fn several_severities() {
        let registry = RuleRegistry::new();
        let [ant, zed, never] = ["Ant", "Zed", "Never"].map(|name| registry.intern("s", name));
        let rules = [(zed, "Zed"), (never, "Never"), (ant, "Ant")];
        let mut summary = Summary::new(rules.map(|(rule, name)| (rule, name.to_owned())));
        for (rule, priority) in [
            (ant, Priority::Debug),
            (zed, Priority::Informational),
            (ant, Priority::Debug),
            (ant, Priority::Emergency),
        ] {
            summary.count(rule, priority);
        }
        assert_eq!(summary.total(), 4);
        insta::assert_snapshot!(summary.to_string(), @r"
        Events detected: 4
        Rule counts by severity:
           EMERGENCY: 1
           INFO: 1
           DEBUG: 2
        Triggered rules by rule name:
           Zed: 1
           Ant: 3
        ");
    }

    #[test]
    fn counts_survive_a_reload() {
        let registry = RuleRegistry::new();
        let [old, new] = ["Old", "New"].map(|name| registry.intern("s", name));
        let mut summary = Summary::new([(old, "Old".to_owned())]);
        summary.count(old, Priority::Error);
        for (rule, name) in [(new, "New"), (old, "Old")] {
            summary.add_rule(rule, name.to_owned());
        }
        summary.count(old, Priority::Error);
        assert_eq!(summary.rules().collect::<Vec<_>>(), [("Old", 2), ("New", 0)]);
    }

    #[test]
    fn suppressed_alerts_are_listed_too() {
        let registry = RuleRegistry::new();
        let [ant, zed] = ["Ant", "Zed"].map(|name| registry.intern("s", name));
        let mut summary = Summary::new([(zed, "Zed".to_owned()), (ant, "Ant".to_owned())]);
        for rule in [ant, ant, ant, zed] {
            summary.count(rule, Priority::Debug);
        }
        summary.count_suppressed(ant);
        summary.count_suppressed(ant);
        assert_eq!([ant, zed].map(|rule| summary.suppressed(rule)), [2, 0]);
        insta::assert_snapshot!(summary.to_string(), @r"
        Events detected: 4
        Rule counts by severity:
           DEBUG: 4
        Triggered rules by rule name:
           Zed: 1
           Ant: 3
        Alerts suppressed by throttling, by rule name:
           Ant: 2
        ");
    }

    #[test]
    fn nothing_detected() {
        insta::assert_snapshot!(Summary::default().to_string(), @r"
        Events detected: 0
        Rule counts by severity:
        Triggered rules by rule name:
        ");
    }
}
