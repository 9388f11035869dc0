//! What differs between two versions of the rules.

use std::collections::BTreeMap;

use crate::rule_set::{Rule, RuleSet};

/// Names of the rules that another version evaluates in another way. Rules that are not active
/// count as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleChanges {
    /// Rules that only the new version has.
    pub added: Vec<String>,
    /// Rules that only the old version has.
    pub removed: Vec<String>,
    /// Rules with another condition, output, priority or anything else that alerts show, also if
    /// only a list or macro has changed.
    pub changed: Vec<String>,
}

impl<F> RuleSet<F> {
    /// What is new since the `old` version.
    pub fn changes_since(&self, old: &Self) -> RuleChanges {
        let (mut old, mut changes) = (active(old), RuleChanges::default());
        for (key, rule) in active(self) {
            match old.remove(&key) {
                None => changes.added.push(rule.name.clone()),
                Some(old) if !is_same(old, rule) => changes.changed.push(rule.name.clone()),
                Some(_) => {}
            }
        }
        changes.removed.extend(old.into_values().map(|rule| rule.name.clone()));
        changes
    }
}

/// Rules by name and source, which identify them.
fn active<F>(rules: &RuleSet<F>) -> BTreeMap<(&str, &str), &Rule<F>> {
    let active = rules.rules.iter().filter(|rule| rule.active);
    active.map(|rule| ((rule.name.as_str(), rule.source.as_str()), rule)).collect()
}

/// Whether two versions of a rule match and report the same. What is compiled from texts is not
/// compared.
fn is_same<F>(one: &Rule<F>, other: &Rule<F>) -> bool {
    one.condition == other.condition
        && one.priority == other.priority
        && one.tags == other.tags
        && one.description == other.description
        && one.output == other.output
        && one.extra_fields.len() == other.extra_fields.len()
        && one.extra_fields.iter().zip(&other.extra_fields).all(|(one, other)| {
            (one.0, &one.1.format, one.1.raw) == (other.0, &other.1.format, other.1.raw)
        })
        && (one.capture, one.capture_duration) == (other.capture, other.capture_duration)
}
