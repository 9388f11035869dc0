//! The parts in which two conditions differ.

use super::ListChange;
use super::normal::{Normal, Test};

/// A part of a condition that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionChange {
    /// A part that is gone.
    Removed(String),
    /// A new part.
    Added(String),
    /// The items of a list in a test: `proc.name in`.
    Items(String, ListChange),
    /// Parts within an alternative that stays.
    Within(Vec<ConditionChange>),
}

/// The parts in which two conditions differ.
pub(super) fn between(old: &Normal, new: &Normal) -> Vec<ConditionChange> {
    match (old, new) {
        (Normal::Any(before), Normal::Any(after)) => parts(before, after),
        _ => parts(old.conjuncts(), new.conjuncts()),
    }
}

fn parts(old: &[Normal], new: &[Normal]) -> Vec<ConditionChange> {
    // Both are sorted.
    let mut removed: Vec<_> = old.iter().filter(|part| new.binary_search(part).is_err()).collect();
    let mut added: Vec<_> = new.iter().filter(|part| old.binary_search(part).is_err()).collect();
    let mut changes = Vec::new();
    removed.retain(|part| {
        let Normal::Test(test) = part else { return true };
        let same = |other: &&Normal| matches!(other, Normal::Test(it) if is_same_test(test, it));
        let Some(at) = added.iter().position(same) else { return true };
        if let Normal::Test(other) = added.remove(at) {
            let values = |test: &'_ Test| test.values.clone();
            let (before, after) = (values(test), values(other));
            let change = ListChange::between(
                before.iter().map(String::as_str),
                after.iter().map(String::as_str),
            );
            let not = if test.negated { "not " } else { "" };
            changes.push(ConditionChange::Items(format!("{not}{}", test.head), change));
        }
        false
    });
    if let ([one], [other]) = (removed.as_slice(), added.as_slice())
        && let (Normal::Any(_), Normal::Any(_)) | (Normal::All(_), Normal::All(_)) = (one, other)
    {
        let inner = between(one, other);
        // With nothing in common, the whole parts say more.
        let (Normal::Any(parts) | Normal::All(parts)) = one else { return changes };
        if inner.len() <= parts.len() {
            changes.push(ConditionChange::Within(inner));
            return changes;
        }
    }
    changes.extend(removed.iter().map(|part| ConditionChange::Removed(part.to_string())));
    changes.extend(added.iter().map(|part| ConditionChange::Added(part.to_string())));
    changes
}

fn is_same_test(one: &Test, other: &Test) -> bool {
    let has_list = |test: &Test| !test.values.is_empty();
    one.head == other.head && one.negated == other.negated && has_list(one) && has_list(other)
}
