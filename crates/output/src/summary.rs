//! What was detected, in numbers.

use std::fmt;

use peregrine_alert::Priority;

/// Counts alerts by rule and priority. Printed at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    total: u64,
    by_priority: [u64; Priority::ALL.len()],
    rules: Vec<(String, u64)>,
}

impl Summary {
    /// Starts with no alert of any of these rules, in the order in which they were loaded.
    pub fn new(rules: impl IntoIterator<Item = String>) -> Self {
        let rules = rules.into_iter().map(|name| (name, 0)).collect();
        Self { rules, ..Self::default() }
    }

    /// Counts one alert of the rule at this place in the order of loading.
    pub fn count(&mut self, rule: usize, priority: Priority) {
        self.total += 1;
        if let Some(count) = self.by_priority.get_mut(priority as usize) {
            *count += 1;
        }
        if let Some((_, count)) = self.rules.get_mut(rule) {
            *count += 1;
        }
    }

    /// Alerts in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Rules with their alerts, in the order of loading.
    pub fn rules(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|(name, count)| (name.as_str(), *count))
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_severities() {
        let mut summary = Summary::new(["Zed", "Never", "Ant"].map(String::from));
        for (rule, priority) in [
            (2, Priority::Debug),
            (0, Priority::Informational),
            (2, Priority::Debug),
            (2, Priority::Emergency),
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
    fn nothing_detected() {
        insta::assert_snapshot!(Summary::default().to_string(), @r"
        Events detected: 0
        Rule counts by severity:
        Triggered rules by rule name:
        ");
    }
}
