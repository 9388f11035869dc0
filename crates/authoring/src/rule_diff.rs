//! What changes between two sets of rules, for reviews.
//!
//! Conditions are compared in a normal form, so that what is only written differently is no change:
//! macros and lists are expanded, and the order of tests and items does not count. [`compare`]
//! finds the differences of the definitions, and [`compare_alerts`] those of the alerts on a
//! capture.
//!
//! ```
//! use peregrine_authoring::rule_diff::compare;
//! use peregrine_fields::Fields;
//! use peregrine_rules::{EventSource, Loader};
//!
//! let load = |rules: &str| {
//!     let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
//!     assert!(loader.load("rules.yaml", rules.as_bytes()).successful());
//!     loader
//! };
//! let rule = "- {rule: R, desc: d, output: o, priority: INFO, condition: ";
//! let old = load(&format!("{rule} 'evt.type = open and fd.num > 3'}}"));
//! let new = load(&format!("- {{macro: m, condition: fd.num > 3}}\n{rule} 'm and evt.type in (open)'}}"));
//! let diff = compare(&old, &new, &Fields::syscall());
//! assert_eq!((diff.rules.len(), diff.rewritten), (0, 1));
//! ```

mod alerts;
mod changes;
mod normal;
mod print;

use std::collections::BTreeSet;

use peregrine_fields::{Field, Fields};
use peregrine_filter::Expr;
use peregrine_rules::{Loader, Rule, RuleSet, WrittenConditions};

use crate::explain::{ConditionTree, Place};
use normal::Normal;

pub use alerts::{AlertDiff, RuleAlerts, compare_alerts};
pub use changes::ConditionChange;
pub use print::print;

/// What changes between two sets of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleDiff {
    /// Rules, in the order of the new set; those that are gone come last.
    pub rules: Vec<Item<RuleChange>>,
    /// Macros that are not in both sets, or mean something else.
    pub macros: Vec<Item<Vec<ConditionChange>>>,
    /// Lists.
    pub lists: Vec<Item<ListChange>>,
    /// Number of rules whose condition is written differently and means the same.
    pub rewritten: usize,
    /// Whether rules of both sets are evaluated in another order.
    pub reordered: bool,
}

/// A definition that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<C> {
    /// Its name.
    pub name: String,
    /// Where it is defined, in the new set if it is there.
    pub place: Option<Place>,
    /// What differs.
    pub change: Change<C>,
}

/// How a definition differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<C> {
    /// It is in the new set only.
    Added,
    /// It is in the old set only.
    Removed,
    /// It is in both.
    Changed(C),
}

/// What differs in a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleChange {
    /// Parts of its condition.
    pub condition: Vec<ConditionChange>,
    /// Macros and lists that the rule uses and that differ.
    pub through: Vec<String>,
    /// Properties with their old and new values: `priority`, `output`, `description`, `enabled`,
    /// `source`, `capture`.
    pub properties: Vec<(&'static str, String, String)>,
    /// Tags that are gone, and new ones.
    pub tags: ListChange,
}

/// What differs in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChange {
    /// Items that are gone.
    pub removed: Vec<String>,
    /// New items.
    pub added: Vec<String>,
}

/// The condition in its normal form, as text: the same for conditions that differ in writing only.
#[must_use]
pub fn normalized(condition: &Expr, fields: &Fields) -> String {
    Normal::of(condition, fields).to_string()
}

/// The differences of two sets of rules.
#[must_use]
pub fn compare(old: &Loader<Fields>, new: &Loader<Fields>, fields: &Fields) -> RuleDiff {
    let (before, after) = (Side::new(old), Side::new(new));
    let lists = lists(&before, &after);
    let macros = macros(&before, &after, fields);
    let changed: BTreeSet<&str> =
        lists.iter().map(|item| &*item.name).chain(macros.iter().map(|item| &*item.name)).collect();
    let mut diff = RuleDiff { reordered: reordered(before.set, after.set), ..RuleDiff::default() };
    for rule in &after.set.rules {
        let place = || after.place(|written| &written.rules, &rule.name);
        let Some(earlier) = before.set.rule(&rule.name) else {
            diff.rules.push(Item {
                name: rule.name.clone(),
                place: place(),
                change: Change::Added,
            });
            continue;
        };
        let mut change = properties(earlier, rule);
        let conditions = [earlier, rule].map(|rule| Normal::of(&rule.condition, fields));
        if conditions[0] != conditions[1] {
            change.condition = changes::between(&conditions[0], &conditions[1]);
            change.through = through(&after, rule, fields, &changed);
        } else if earlier.condition_text != rule.condition_text {
            diff.rewritten += 1;
        }
        if change != RuleChange::default() {
            let change = Change::Changed(change);
            diff.rules.push(Item { name: rule.name.clone(), place: place(), change });
        }
    }
    for rule in before.set.rules.iter().filter(|rule| after.set.rule(&rule.name).is_none()) {
        let place = before.place(|written| &written.rules, &rule.name);
        diff.rules.push(Item { name: rule.name.clone(), place, change: Change::Removed });
    }
    (diff.lists, diff.macros) = (lists, macros);
    diff
}

impl RuleDiff {
    /// Whether the sets mean the same. Macros and lists that only one of them has do not count: the
    /// rules that use them are compared with their content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let changed = self.macros.iter().filter(|item| item.is_changed()).count()
            + self.lists.iter().filter(|item| item.is_changed()).count();
        self.rules.is_empty() && changed == 0 && !self.reordered
    }
}

impl<C> Item<C> {
    fn is_changed(&self) -> bool {
        matches!(self.change, Change::Changed(_))
    }
}

impl ListChange {
    fn between<'i>(
        old: impl IntoIterator<Item = &'i str>,
        new: impl IntoIterator<Item = &'i str>,
    ) -> Self {
        let (old, new): (BTreeSet<_>, BTreeSet<_>) =
            (old.into_iter().collect(), new.into_iter().collect());
        let only = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| {
            one.difference(other).map(|item| (*item).to_owned()).collect()
        };
        Self { removed: only(&old, &new), added: only(&new, &old) }
    }

    /// Whether there is no difference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// One of the two sets.
struct Side<'l> {
    set: &'l RuleSet<Field>,
    loader: &'l Loader<Fields>,
    written: WrittenConditions,
}

type Written = std::sync::Arc<peregrine_rules::WrittenCondition>;

impl<'l> Side<'l> {
    fn new(loader: &'l Loader<Fields>) -> Self {
        Self { set: loader.rules(), loader, written: loader.written_conditions() }
    }

    fn place(
        &self,
        kind: impl Fn(&WrittenConditions) -> &Vec<Written>,
        name: &str,
    ) -> Option<Place> {
        kind(&self.written).iter().find(|it| it.name == name)?.item().map(Place::of)
    }

    fn place_of_list(&self, name: &str) -> Option<Place> {
        let (_, label) = self.written.lists.iter().find(|(known, _)| known == name)?;
        Some(Place::of(label.first()?))
    }
}

fn properties(old: &Rule<Field>, new: &Rule<Field>) -> RuleChange {
    let text = |rule: &Rule<Field>| {
        [
            ("priority", rule.priority.to_string()),
            ("enabled", rule.enabled.to_string()),
            ("source", rule.source.clone()),
            ("output", rule.output_text.clone()),
            ("description", rule.description.trim_end().to_owned()),
            ("capture", rule.capture.to_string()),
        ]
    };
    let pairs = text(old).into_iter().zip(text(new));
    let different = pairs.filter(|((_, old), (_, new))| old != new);
    let tags = |rule: &'_ Rule<Field>| rule.tags.iter().cloned().collect::<Vec<_>>();
    let (old_tags, new_tags) = (tags(old), tags(new));
    RuleChange {
        properties: different.map(|((name, old), (_, new))| (name, old, new)).collect(),
        tags: ListChange::between(
            old_tags.iter().map(String::as_str),
            new_tags.iter().map(String::as_str),
        ),
        ..RuleChange::default()
    }
}

/// The differing macros and lists that a rule uses.
fn through(
    side: &Side<'_>,
    rule: &Rule<Field>,
    fields: &Fields,
    changed: &BTreeSet<&str>,
) -> Vec<String> {
    debug_assert!(side.loader.rules().rule(&rule.name).is_some());
    let Ok(tree) = ConditionTree::of_rule(&side.written, &rule.name, fields) else {
        return Vec::new();
    };
    let lists = tree.lists().map(|(name, _)| ("list", name));
    let used = tree.macros().map(|name| ("macro", name)).chain(lists);
    let used = used.filter(|(_, name)| changed.contains(name));
    used.map(|(kind, name)| format!("{kind} {name}")).collect()
}

fn macros(before: &Side<'_>, after: &Side<'_>, fields: &Fields) -> Vec<Item<Vec<ConditionChange>>> {
    let of = |side: &Side<'_>, name: &str| {
        side.set.macros.iter().find(|known| known.name == name).map(|it| it.condition.clone())
    };
    let mut items = Vec::new();
    for known in &after.set.macros {
        let change = match of(before, &known.name) {
            None => Change::Added,
            Some(earlier) => {
                let conditions = [&earlier, &known.condition].map(|it| Normal::of(it, fields));
                if conditions[0] == conditions[1] {
                    continue;
                }
                Change::Changed(changes::between(&conditions[0], &conditions[1]))
            }
        };
        let place = after.place(|written| &written.macros, &known.name);
        items.push(Item { name: known.name.clone(), place, change });
    }
    for known in before.set.macros.iter().filter(|known| of(after, &known.name).is_none()) {
        let place = before.place(|written| &written.macros, &known.name);
        items.push(Item { name: known.name.clone(), place, change: Change::Removed });
    }
    items
}

fn lists(before: &Side<'_>, after: &Side<'_>) -> Vec<Item<ListChange>> {
    let of = |side: &Side<'_>, name: &str| {
        let list = side.set.lists.iter().find(|known| known.name == name)?;
        Some(list.items.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut items = Vec::new();
    for known in &after.set.lists {
        let change = match of(before, &known.name) {
            None => Change::Added,
            Some(earlier) => {
                let now = known.items.iter().map(|item| &**item);
                let change = ListChange::between(earlier.iter().map(String::as_str), now);
                if change.is_empty() {
                    continue;
                }
                Change::Changed(change)
            }
        };
        let place = after.place_of_list(&known.name);
        items.push(Item { name: known.name.clone(), place, change });
    }
    for known in before.set.lists.iter().filter(|known| of(after, &known.name).is_none()) {
        let place = before.place_of_list(&known.name);
        items.push(Item { name: known.name.clone(), place, change: Change::Removed });
    }
    items
}

/// Whether the rules of both sets have another order.
fn reordered(old: &RuleSet<Field>, new: &RuleSet<Field>) -> bool {
    let names = |set: &RuleSet<Field>, other: &RuleSet<Field>| -> Vec<String> {
        let common = set.rules.iter().filter(|rule| other.rule(&rule.name).is_some());
        common.map(|rule| rule.name.clone()).collect()
    };
    names(old, new) != names(new, old)
}
