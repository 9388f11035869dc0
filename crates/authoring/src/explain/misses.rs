//! Rules that an event nearly matched.

use std::cmp::Reverse;

use peregrine_event::{Event, EventType};
use peregrine_fields::View;
use peregrine_rules::Rule;

use super::trace::{Flips, Trace};
use super::tree::ConditionTree;

/// A rule that an event did not match.
#[derive(Clone, Debug)]
pub struct Miss {
    /// Index of the rule among those that were asked about.
    pub rule: usize,
    /// The tests that kept it from matching.
    pub flips: Flips,
    /// The value of each part of its condition.
    pub trace: Trace,
}

/// What an event means for a set of rules.
#[derive(Clone, Debug, Default)]
pub struct Nearest {
    /// Rules that it matches, by their index.
    pub matches: Vec<usize>,
    /// Rules that it does not match, the nearest first.
    pub misses: Vec<Miss>,
    /// Number of rules that are about events of other types.
    pub other_types: usize,
}

/// Evaluates the conditions of all rules that are about events of this type. At most `limit` misses
/// are kept, none further away than `distance` tests.
///
/// Among equally near rules the one comes first of whose condition more parts are true: a condition
/// whose only test fails says less than one that holds but for one of ten.
#[must_use]
pub fn nearest<'t, F: 't>(
    rules: impl IntoIterator<Item = (&'t Rule<F>, &'t ConditionTree)>,
    view: &View<'_>,
    limit: usize,
    distance: usize,
) -> Nearest {
    let mut found = Nearest::default();
    for (index, (rule, tree)) in rules.into_iter().enumerate() {
        if !concerns(rule, view.event()) {
            found.other_types += 1;
            continue;
        }
        let trace = tree.evaluate(view);
        if trace.holds() {
            found.matches.push(index);
            continue;
        }
        let flips = trace.flips(tree);
        if flips.count <= distance {
            found.misses.push(Miss { rule: index, flips, trace });
        }
        // What is far away is dropped now and then, so that memory stays small.
        if found.misses.len() > limit.saturating_mul(2).max(64) {
            keep_nearest(&mut found.misses, limit);
        }
    }
    keep_nearest(&mut found.misses, limit);
    found
}

/// Whether a rule is about events of this source and type; the engine evaluates it for no others.
#[must_use]
pub fn concerns<F>(rule: &Rule<F>, event: &Event<'_>) -> bool {
    // An asynchronous event has a name of its own, which no test of `evt.type` knows.
    let is_async = event.ty == EventType::AsynceventE;
    let types = rule.event_types.as_ref();
    rule.source_id == event.source
        && types.is_none_or(|types| is_async || types.events.contains(event.ty))
}

fn keep_nearest(misses: &mut Vec<Miss>, limit: usize) {
    misses.sort_by_key(|miss| (miss.flips.count, Reverse(miss.trace.count_true()), miss.rule));
    misses.truncate(limit);
}
