//! What is known of conditions before there is an event.

use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::{Residual, StaticFacts};
use crate::filter::Test;
use crate::{Filter, Supplier, Value};

/// A condition that is added for several kinds of events.
#[derive(Debug)]
pub struct Condition<'f, F> {
    pub(super) filter: &'f Filter<F>,
    /// By their places in memory, each once, in the order of these.
    tests: Vec<Leaf<'f, F>>,
    /// What became of it for kinds of events that decide the same tests.
    pub(super) known: HashMap<Box<[PartialEval]>, Residual>,
}

#[derive(Debug)]
struct Leaf<'f, F> {
    test: &'f Arc<Test<F>>,
    fields: Vec<&'f F>,
}

/// What is known of a test before there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PartialEval {
    Known(bool),
    Unknown,
    /// To ask changes later answers.
    Impure,
}

/// The tests of a condition for one kind of events.
pub(super) struct PartialTests<'a, F, K> {
    tests: &'a [Leaf<'a, F>],
    partial: &'a [PartialEval],
    pub(super) kind: &'a K,
}

impl<'f, F> Condition<'f, F> {
    /// A condition that is not added yet.
    pub fn new(filter: &'f Filter<F>) -> Self {
        let mut tests = Vec::new();
        filter.root().each_test(&mut |test| {
            tests.push(Leaf { test, fields: test.fields().collect() });
        });
        tests.sort_by_key(Leaf::place);
        tests.dedup_by_key(|leaf| leaf.place());
        Self { filter, tests, known: HashMap::new() }
    }

    /// What is known of its tests, in their order.
    pub(super) fn evaluate(
        &self,
        kind: &impl StaticFacts<F>,
        scratch: &mut Bump,
    ) -> Box<[PartialEval]> {
        self.tests.iter().map(|leaf| leaf.evaluate(kind, scratch)).collect()
    }

    /// Its tests with what is known of them.
    pub(super) fn with<'a, K>(
        &'a self,
        partial: &'a [PartialEval],
        kind: &'a K,
    ) -> PartialTests<'a, F, K> {
        PartialTests { tests: &self.tests, partial, kind }
    }
}

impl<F> Leaf<'_, F> {
    /// Where its test is in memory: texts of tests can be long.
    fn place(&self) -> usize {
        Arc::as_ptr(self.test).addr()
    }

    fn evaluate(&self, kind: &impl StaticFacts<F>, scratch: &mut Bump) -> PartialEval {
        let Test { left, predicate, .. } = &**self.test;
        if !self.fields.iter().all(|field| kind.is_pure(field)) {
            return PartialEval::Impure;
        }
        if self.fields.iter().all(|field| kind.known(field).is_some()) {
            scratch.reset();
            return PartialEval::Known(self.test.holds(&StaticSupplier { facts: kind, scratch }));
        }
        let Some(left) = left.as_field() else { return PartialEval::Unknown };
        // Without a value on the left there is nothing to compare.
        let absent = kind.known(left) == Some(None);
        if absent || predicate.only_number().is_some_and(|number| kind.excludes(left, number)) {
            return PartialEval::Known(false);
        }
        PartialEval::Unknown
    }
}

impl<F, K> PartialTests<'_, F, K> {
    pub(super) fn partial(&self, test: &Arc<Test<F>>) -> PartialEval {
        let place = Arc::as_ptr(test).addr();
        let found = self.tests.binary_search_by_key(&place, Leaf::place);
        found.ok().and_then(|at| self.partial.get(at)).copied().unwrap_or(PartialEval::Unknown)
    }
}

/// Gives the values of fields that are known before there is an event.
struct StaticSupplier<'a, K> {
    facts: &'a K,
    scratch: &'a Bump,
}

impl<F, K: StaticFacts<F>> Supplier<F> for StaticSupplier<'_, K> {
    fn value<'s>(&'s self, field: &F) -> Option<Value<'s>> {
        self.facts.known(field).flatten()
    }

    fn scratch(&self) -> &Bump {
        self.scratch
    }
}
