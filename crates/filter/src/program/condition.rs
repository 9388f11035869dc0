//! What is known of conditions before there is an event.

use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::{Foresight, Whole};
use crate::filter::Test;
use crate::{Filter, Supplier, Value};

/// A condition that is added for several kinds of events.
#[derive(Debug)]
pub struct Condition<'f, F> {
    pub(super) filter: &'f Filter<F>,
    /// By their places in memory, each once, in the order of these.
    tests: Vec<Leaf<'f, F>>,
    /// What became of it for kinds of events that decide the same tests.
    pub(super) known: HashMap<Box<[Foretold]>, Whole>,
}

#[derive(Debug)]
struct Leaf<'f, F> {
    test: &'f Arc<Test<F>>,
    fields: Vec<&'f F>,
}

/// What is known of a test before there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Foretold {
    Is(bool),
    Open,
    /// To ask changes later answers.
    Impure,
}

/// The tests of a condition for one kind of events.
pub(super) struct Tests<'a, F, K> {
    tests: &'a [Leaf<'a, F>],
    foretold: &'a [Foretold],
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
    pub(super) fn foretell(&self, kind: &impl Foresight<F>, scratch: &mut Bump) -> Box<[Foretold]> {
        self.tests.iter().map(|leaf| leaf.foretell(kind, scratch)).collect()
    }

    /// Its tests with what is known of them.
    pub(super) fn with<'a, K>(&'a self, foretold: &'a [Foretold], kind: &'a K) -> Tests<'a, F, K> {
        Tests { tests: &self.tests, foretold, kind }
    }
}

impl<F> Leaf<'_, F> {
    /// Where its test is in memory: texts of tests can be long.
    fn place(&self) -> usize {
        Arc::as_ptr(self.test).addr()
    }

    fn foretell(&self, kind: &impl Foresight<F>, scratch: &mut Bump) -> Foretold {
        let Test { left, verdict, .. } = &**self.test;
        if !self.fields.iter().all(|field| kind.is_pure(field)) {
            return Foretold::Impure;
        }
        if self.fields.iter().all(|field| kind.known(field).is_some()) {
            scratch.reset();
            return Foretold::Is(self.test.holds(&Foreknown { foresight: kind, scratch }));
        }
        let Some(left) = left.as_field() else { return Foretold::Open };
        // Without a value on the left there is nothing to compare.
        let absent = kind.known(left) == Some(None);
        if absent || verdict.only_number().is_some_and(|number| kind.excludes(left, number)) {
            return Foretold::Is(false);
        }
        Foretold::Open
    }
}

impl<F, K> Tests<'_, F, K> {
    pub(super) fn foretold(&self, test: &Arc<Test<F>>) -> Foretold {
        let place = Arc::as_ptr(test).addr();
        let found = self.tests.binary_search_by_key(&place, Leaf::place);
        found.ok().and_then(|at| self.foretold.get(at)).copied().unwrap_or(Foretold::Open)
    }
}

/// Gives the values of fields that are known before there is an event.
struct Foreknown<'a, K> {
    foresight: &'a K,
    scratch: &'a Bump,
}

impl<F, K: Foresight<F>> Supplier<F> for Foreknown<'_, K> {
    fn value<'s>(&'s self, field: &F) -> Option<Value<'s>> {
        self.foresight.known(field).flatten()
    }

    fn scratch(&self) -> &Bump {
        self.scratch
    }
}
