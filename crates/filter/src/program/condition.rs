//! Partial evaluation of a condition: the tests that the type of an event decides.

use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::facts::{Residual, StaticFacts};
use crate::filter::Test;
use crate::{Filter, Supplier, Value};

/// A condition that is added for one type of events after the other.
#[derive(Debug)]
pub struct Condition<'f, F> {
    pub(super) filter: &'f Filter<F>,
    /// Each test once, sorted by address.
    tests: Vec<Leaf<'f, F>>,
    /// Results for types of events that decide the same tests alike: most types do.
    pub(super) residuals: HashMap<Box<[PartialEval]>, Residual>,
}

#[derive(Debug)]
struct Leaf<'f, F> {
    test: &'f Arc<Test<F>>,
    fields: Vec<&'f F>,
}

/// What the type of an event says about a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PartialEval {
    /// It has this result for every event.
    Known(bool),
    /// The result depends on the event.
    Unknown,
    /// It reads an impure field.
    Impure,
}

/// The tests of a condition as one type of events leaves them.
pub(super) struct PartialTests<'a, F, K> {
    tests: &'a [Leaf<'a, F>],
    partial: &'a [PartialEval],
    pub(super) facts: &'a K,
}

impl<'f, F> Condition<'f, F> {
    /// Finds the tests of a condition and the fields that they read.
    pub fn new(filter: &'f Filter<F>) -> Self {
        let mut tests = Vec::new();
        filter.root().each_test(&mut |test| {
            tests.push(Leaf { test, fields: test.fields().collect() });
        });
        tests.sort_by_key(Leaf::address);
        tests.dedup_by_key(|leaf| leaf.address());
        Self { filter, tests, residuals: HashMap::new() }
    }

    /// Evaluates its tests as far as the facts decide them, in the order of `tests`.
    pub(super) fn evaluate(
        &self,
        facts: &impl StaticFacts<F>,
        scratch: &mut Bump,
    ) -> Box<[PartialEval]> {
        self.tests.iter().map(|leaf| leaf.evaluate(facts, scratch)).collect()
    }

    /// Its tests with what [`evaluate`](Self::evaluate) found.
    pub(super) fn with<'a, K>(
        &'a self,
        partial: &'a [PartialEval],
        facts: &'a K,
    ) -> PartialTests<'a, F, K> {
        PartialTests { tests: &self.tests, partial, facts }
    }
}

impl<F> Leaf<'_, F> {
    /// Address of its test, which is shorter to compare than its text.
    fn address(&self) -> usize {
        Arc::as_ptr(self.test).addr()
    }

    fn evaluate(&self, facts: &impl StaticFacts<F>, scratch: &mut Bump) -> PartialEval {
        let Test { left, predicate, .. } = &**self.test;
        if !self.fields.iter().all(|field| facts.is_pure(field)) {
            return PartialEval::Impure;
        }
        if self.fields.iter().all(|field| facts.known(field).is_some()) {
            scratch.reset();
            return PartialEval::Known(self.test.holds(&StaticSupplier { facts, scratch }));
        }
        let Some(left) = left.as_field() else { return PartialEval::Unknown };
        // A test without a value on the left fails.
        let absent = facts.known(left) == Some(None);
        if absent || predicate.only_number().is_some_and(|number| facts.excludes(left, number)) {
            return PartialEval::Known(false);
        }
        PartialEval::Unknown
    }
}

impl<F, K> PartialTests<'_, F, K> {
    /// What is known of one of the tests.
    pub(super) fn partial(&self, test: &Arc<Test<F>>) -> PartialEval {
        let address = Arc::as_ptr(test).addr();
        let found = self.tests.binary_search_by_key(&address, Leaf::address);
        debug_assert!(found.is_ok(), "every test of the condition is a leaf");
        found.ok().and_then(|at| self.partial.get(at)).copied().unwrap_or(PartialEval::Unknown)
    }
}

/// Supplies the values that a type of events has for fields.
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
