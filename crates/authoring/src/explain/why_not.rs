//! Why a rule did not match the events of a whole capture.

use std::collections::HashMap;

use peregrine_fields::{Fields, View};
use peregrine_rules::Rule;

use super::event::{EventFields, EventSummary};
use super::explanation::Explanation;
use super::misses::concerns;
use super::trace::{Flips, Trace};
use super::tree::ConditionTree;
use super::value::operand_text;

/// Counts over many events which part of a condition kept a rule from matching.
pub struct WhyNot<'t> {
    tree: &'t ConditionTree,
    fields: EventFields,
    /// Events of the types that the rule is about.
    pub concerned: u64,
    /// Events of other types.
    pub others: u64,
    /// Numbers of the first events that matched, and how many there were.
    pub matched: (Vec<u64>, u64),
    /// By node, how often it was the part that decided first.
    decided: HashMap<usize, u64>,
    /// The nearest events, the nearest first: distance, event, values.
    pub closest: Vec<Close>,
    limit: usize,
}

/// An event that nearly matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The fewest tests whose values would have to change.
    pub distance: usize,
    /// Number of tests that were true.
    true_tests: usize,
    /// The tests that kept the rule from matching, as they are written, with the values they read.
    pub failing: Vec<Failing>,
    /// The event.
    pub event: EventSummary,
    /// The whole condition.
    pub explanation: Explanation,
}

/// A test that kept a rule from matching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What would have to be true: the test as it is written, with `not` in front where the
    /// condition negates it.
    pub text: String,
    /// The value of its first operand, if it had one.
    pub read: Option<String>,
    /// Whether the test was evaluated.
    pub is_read: bool,
}

/// A part of the condition that decided first for some events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// As it is written.
    pub text: String,
    /// Number of events.
    pub events: u64,
    /// Whether it was true (below a `not`) or false.
    pub value: bool,
    /// The exception of the rule that it belongs to.
    pub exception: Option<String>,
}

impl<'t> WhyNot<'t> {
    /// Nothing is counted yet. At most `limit` of the closest events are kept.
    #[must_use]
    pub fn new(tree: &'t ConditionTree, fields: &Fields, limit: usize) -> Self {
        Self {
            tree,
            fields: EventFields::new(fields),
            concerned: 0,
            others: 0,
            matched: (Vec::new(), 0),
            decided: HashMap::new(),
            closest: Vec::new(),
            limit,
        }
    }

    /// The condition.
    pub(super) fn tree(&self) -> &'t ConditionTree {
        self.tree
    }

    /// Counts an event.
    pub fn add<F>(&mut self, rule: &Rule<F>, view: &View<'_>) {
        let event = view.event();
        if !concerns(rule, event) {
            self.others += 1;
            return;
        }
        self.concerned += 1;
        let trace = self.tree.evaluate(view);
        if trace.holds() {
            let (numbers, count) = &mut self.matched;
            *count += 1;
            if numbers.len() < self.limit {
                numbers.push(event.num);
            }
            return;
        }
        *self.decided.entry(trace.decisive(self.tree)).or_default() += 1;
        let flips = trace.flips(self.tree);
        let rank = (flips.count, usize::MAX - trace.count_true());
        let rank_of = |close: &Close| (close.distance, usize::MAX - close.true_tests);
        // Of equally near events the earliest is kept.
        let at = self.closest.partition_point(|close| rank_of(close) <= rank);
        if at >= self.limit {
            return;
        }
        let explanation = Explanation::new(self.tree, &trace, view);
        let failing = failing(self.tree, &trace, &flips, view);
        let (distance, true_tests) = (flips.count, trace.count_true());
        let event = self.fields.summary(view);
        let close = Close { distance, true_tests, failing, event, explanation };
        self.closest.insert(at, close);
        self.closest.truncate(self.limit);
    }

    /// The parts that decided first, the most frequent ones first.
    #[must_use]
    pub fn blockers(&self) -> Vec<Blocker> {
        let mut counts: Vec<_> = self.decided.iter().collect();
        counts.sort_by_key(|(node, events)| (std::cmp::Reverse(**events), **node));
        let blocker = |(index, events): (&usize, &u64)| {
            let node = self.tree.node(*index)?;
            Some(Blocker {
                text: node.text(),
                events: *events,
                value: self.tree.is_negated(*index),
                exception: node.exception().map(str::to_owned),
            })
        };
        counts.into_iter().filter_map(blocker).collect()
    }
}

/// The tests that keep a condition from holding, with what they read.
pub(crate) fn failing(
    tree: &ConditionTree,
    trace: &Trace,
    flips: &Flips,
    view: &View<'_>,
) -> Vec<Failing> {
    let failing = |index: &usize| {
        let node = tree.node(*index)?;
        let test = node.test().filter(|test| test.is_pure(view));
        let read = test.and_then(|test| operand_text(test.check.left(), view));
        let not = if tree.is_negated(*index) { "not " } else { "" };
        let is_read = test.is_some() && trace.value(*index).is_some();
        Some(Failing { text: format!("{not}{}", node.text()), read, is_read })
    };
    flips.nodes.iter().filter_map(failing).collect()
}
