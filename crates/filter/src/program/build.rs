//! Building a program: partial evaluation, hash-consing, indexes and guards.

use std::hash::Hash;
use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::condition::{Condition, PartialEval, PartialTests};
use super::estimate::Estimate;
use super::evaluator::SLOTS;
use super::facts::{Residual, StaticFacts};
use super::graph::{FieldIndex, GuardedTest, IndexId, Node, NodeId, Op, Program, Term};
use super::table::{Query, QueryId, TextTable, table_side};
use crate::filter::{self, Predicate, Test};
use crate::matcher::{Anchor, Matcher, Side};

/// Collects conditions and builds their program.
#[derive(Debug)]
pub struct ProgramBuilder<F> {
    nodes: Vec<DraftNode<F>>,
    /// Hash-consing: the node of each sub-condition.
    ids: HashMap<Key, NodeId>,
    /// Nodes of tests by address, which is shorter to hash than a text. The test is held, so that
    /// the address stays its own.
    tests: HashMap<usize, (Arc<Test<F>>, NodeId)>,
    indexes: Vec<DraftIndex<F>>,
    index_ids: HashMap<(F, Side), IndexId>,
    guards: HashMap<NodeId, (IndexId, QueryId)>,
    scratch: Bump,
}

#[derive(Debug)]
struct DraftNode<F> {
    term: Term<F>,
    /// The index of the only field that it reads, and its query if the table of that decides it.
    index: Option<(IndexId, Option<QueryId>)>,
    /// For a test, the cost of reading all fields but that one.
    cost: u32,
    /// Nodes and conditions that use it.
    users: u32,
}

/// An index whose table is not built yet.
#[derive(Debug)]
struct DraftIndex<F> {
    field: F,
    from: Side,
    /// Cost of reading the field.
    cost: u32,
    /// Number of tests that read the field.
    users: u32,
    /// What its table decides.
    queries: Vec<PendingQuery<F>>,
}

/// A [`Query`] that owns what it names.
#[derive(Debug)]
enum PendingQuery<F> {
    Test(Arc<Test<F>>),
    HasPrefix(Vec<u8>),
    All(Vec<QueryId>),
    Any(Vec<QueryId>),
    Not(QueryId),
}

/// The identity of a sub-condition: equal keys are one node.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Box<str>),
}

/// A sub-condition after constant folding.
#[derive(Clone, Copy)]
enum Folded {
    Known(bool),
    Node(NodeId),
}

impl<F> Default for ProgramBuilder<F> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            ids: HashMap::new(),
            tests: HashMap::new(),
            indexes: Vec::new(),
            index_ids: HashMap::new(),
            guards: HashMap::new(),
            scratch: Bump::new(),
        }
    }
}

impl<F: Clone + Eq + Hash> ProgramBuilder<F> {
    /// Adds a condition for one type of events.
    pub fn add(
        &mut self,
        condition: &mut Condition<'_, F>,
        facts: &impl StaticFacts<F>,
    ) -> Residual {
        let partial = condition.evaluate(facts, &mut self.scratch);
        if partial.contains(&PartialEval::Impure) {
            return Residual::Interpreted;
        }
        if let Some(residual) = condition.residuals.get(&partial) {
            return *residual;
        }
        let tests = condition.with(&partial, facts);
        let residual = match self.fold(condition.filter.root(), &tests) {
            Folded::Known(false) => Residual::Never,
            Folded::Known(true) => Residual::Always,
            Folded::Node(node) => {
                count_use(&mut self.nodes, node);
                Residual::Compiled(node)
            }
        };
        condition.residuals.insert(partial, residual);
        residual
    }

    /// What evaluating a residual is expected to cost for an event, in units of a comparison of two
    /// numbers (about a nanosecond): a guess, by the order in which operands are evaluated. What
    /// conditions of this builder share is divided among them. `None` for one that is interpreted.
    pub fn expected_cost(&self, residual: Residual) -> Option<f32> {
        match residual {
            Residual::Never | Residual::Always => Some(0.0),
            Residual::Compiled(node) => self.estimates().get(node.index()).map(|node| node.cost),
            Residual::Interpreted => None,
        }
    }

    /// The program. Operands of a junction are sorted by cost per chance of deciding it.
    pub fn finish(self) -> Program<F> {
        let estimates = self.estimates();
        let sorted = |mut nodes: Box<[NodeId]>, absorbing: bool| {
            let rank =
                |node: &NodeId| estimates.get(node.index()).map_or(0.0, |o| o.rank(absorbing));
            nodes.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            nodes
        };
        let (mut nodes, mut terms, mut operands) = (Vec::new(), Vec::new(), Vec::new());
        let mut push_operands = |nodes: &[NodeId]| {
            let start = operands.len() as u32;
            operands.extend_from_slice(nodes);
            (start, operands.len() as u32)
        };
        let mut guarded = Vec::new();
        for (id, draft) in (0..).map(NodeId).zip(self.nodes) {
            let term = match draft.term {
                Term::All(all) => Term::All(sorted(all, false)),
                Term::Any(any) => Term::Any(sorted(any, true)),
                term => term,
            };
            let op = match (&term, draft.index) {
                (_, Some((index, Some(query)))) => Op::Lookup(index, query),
                (Term::All(several), _) | (Term::Any(several), _) => {
                    let (start, end) = push_operands(several);
                    Op::Junction { start, end, absorbing: matches!(term, Term::Any(_)) }
                }
                (Term::Not(node), _) => Op::Not(*node),
                (Term::Test(_), Some((index, None))) => Op::FieldTest(index),
                (Term::Test(_), None) => Op::OpaqueTest,
            };
            let op = self.guards.get(&id).map_or(op, |guard| {
                guarded.push(GuardedTest { guard: *guard, op });
                Op::Guarded(guarded.len() as u32 - 1)
            });
            nodes.push(Node { op, shared: draft.users > 1 });
            terms.push(term);
        }
        let indexes = self.indexes.into_iter().map(|draft| {
            let queries = draft.queries.iter().filter_map(|query| {
                Some(match query {
                    PendingQuery::Test(test) => Query::Test(matcher(test)?),
                    PendingQuery::HasPrefix(text) => Query::HasPrefix(text),
                    PendingQuery::All(queries) => Query::All(queries.clone()),
                    PendingQuery::Any(queries) => Query::Any(queries.clone()),
                    PendingQuery::Not(query) => Query::Not(*query),
                })
            });
            let table = TextTable::new(draft.from, &queries.collect::<Vec<_>>());
            let (field, start) = (draft.field, draft.from == Side::Start);
            let ends = self.index_ids.get(&(field.clone(), Side::End)).copied();
            FieldIndex { field, table, ends: ends.filter(|_| start), slot: None }
        });
        let mut indexes: Vec<_> = indexes.collect();
        give_slots(&nodes, &guarded, &mut indexes);
        Program { nodes, operands, terms, indexes, guarded }
    }

    /// For each node, the estimate for one of its users: the first one pays, the others read the
    /// cache.
    fn estimates(&self) -> Vec<Estimate> {
        let mut known: Vec<Estimate> = Vec::with_capacity(self.nodes.len());
        for draft in &self.nodes {
            let of = |node: &NodeId| {
                debug_assert!(node.index() < known.len(), "operands come first");
                known.get(node.index()).copied().unwrap_or_default()
            };
            let share = |index: IndexId| {
                let index = self.indexes.get(usize::from(index.0));
                index.map_or(0.0, |index| index.cost as f32 / index.users.max(1) as f32)
            };
            // Operands come before what is made of them.
            let estimate = match &draft.term {
                Term::All(_) | Term::Any(_) | Term::Not(_) if draft.index.is_some() => {
                    Estimate { cost: 1.0, probability: estimate_of(&draft.term, of).probability }
                }
                Term::Test(test) => {
                    let values = draft.cost as f32 + draft.index.map_or(0.0, |(id, _)| share(id));
                    let in_table = draft.index.is_some_and(|(_, query)| query.is_some());
                    let comparison = if in_table { 1 } else { test.predicate.cost() };
                    Estimate {
                        cost: values + comparison as f32,
                        probability: test.predicate.likelihood(),
                    }
                }
                term => estimate_of(term, of),
            };
            known.push(Estimate { cost: estimate.cost / draft.users.max(1) as f32, ..estimate });
        }
        known
    }

    /// The node of a sub-condition, or its result where the type of the event decides it.
    fn fold<K: StaticFacts<F>>(
        &mut self,
        node: &filter::Node<F>,
        tests: &PartialTests<'_, F, K>,
    ) -> Folded {
        match node {
            filter::Node::All(children) => match self.operands(children, false, tests) {
                Some(all) => self.junction(all, Term::All, Key::All, true),
                None => Folded::Known(false),
            },
            filter::Node::Any(children) => match self.operands(children, true, tests) {
                Some(any) => self.junction(any, Term::Any, Key::Any, false),
                None => Folded::Known(true),
            },
            filter::Node::Not(child) => match self.fold(child, tests) {
                Folded::Known(holds) => Folded::Known(!holds),
                Folded::Node(node) => {
                    Folded::Node(self.node(Key::Not(node), Term::Not(node), None, 0))
                }
            },
            filter::Node::Test(test) => match tests.partial(test) {
                PartialEval::Known(holds) => Folded::Known(holds),
                PartialEval::Unknown | PartialEval::Impure => {
                    Folded::Node(self.test(test, tests.facts))
                }
            },
        }
    }

    /// The nodes of the operands of a junction; `None` when one of them decides it.
    fn operands<K: StaticFacts<F>>(
        &mut self,
        children: &[filter::Node<F>],
        absorbing: bool,
        tests: &PartialTests<'_, F, K>,
    ) -> Option<Vec<NodeId>> {
        let mut open = Vec::new();
        for child in children {
            match self.fold(child, tests) {
                Folded::Known(holds) if holds == absorbing => return None,
                Folded::Known(_) => {}
                Folded::Node(node) => open.push(node),
            }
        }
        open.sort();
        open.dedup();
        Some(open)
    }

    /// The node of a junction. Operands that one text table decides become a junction of their own,
    /// which that table decides by one bit.
    fn junction(
        &mut self,
        nodes: Vec<NodeId>,
        term: fn(Box<[NodeId]>) -> Term<F>,
        key: fn(Box<[NodeId]>) -> Key,
        of_no_operands: bool,
    ) -> Folded {
        let table = |nodes: &[DraftNode<F>], node: &NodeId| match nodes.get(node.index())?.index {
            Some((index, Some(_))) => Some(index),
            _ => None,
        };
        let (mut open, mut left) = (Vec::new(), nodes);
        while let Some(first) = left.first().copied() {
            let index = table(&self.nodes, &first);
            let (same, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|node| {
                *node == first || index.is_some() && table(&self.nodes, node) == index
            });
            open.push(self.join(same, term, key));
            left = others;
        }
        open.sort();
        open.dedup();
        if open.is_empty() {
            return Folded::Known(of_no_operands);
        }
        Folded::Node(self.join(open, term, key))
    }

    /// The node of a junction of at least one operand; a junction of one is that operand.
    fn join(
        &mut self,
        nodes: Vec<NodeId>,
        term: fn(Box<[NodeId]>) -> Term<F>,
        key: fn(Box<[NodeId]>) -> Key,
    ) -> NodeId {
        match *nodes {
            [only] => only,
            _ => {
                let nodes: Box<[NodeId]> = nodes.into();
                self.node(key(nodes.clone()), term(nodes), None, 0)
            }
        }
    }

    /// The node of a test.
    fn test(&mut self, test: &Arc<Test<F>>, facts: &impl StaticFacts<F>) -> NodeId {
        let address = Arc::as_ptr(test).addr();
        if let Some((_, known)) = self.tests.get(&address) {
            return *known;
        }
        let node = self.new_test(test, facts);
        self.tests.insert(address, (Arc::clone(test), node));
        node
    }

    /// The node of a test that was not met before, though maybe one of the same text was.
    fn new_test(&mut self, test: &Arc<Test<F>>, facts: &impl StaticFacts<F>) -> NodeId {
        let key = Key::Test(test.text.clone());
        if let Some(known) = self.ids.get(&key) {
            return *known;
        }
        let cost = test.fields().map(|field| facts.cost(field)).sum();
        let term = Term::Test(Arc::clone(test));
        let Some(field) = test.left.as_field() else { return self.node(key, term, None, cost) };
        let own = facts.cost(field);
        let single = !test.left.is_list() && test.left.each().is_none();
        let matcher = matcher(test).filter(|_| single);
        let side = matcher.and_then(table_side);
        let Some(id) = self.index((field, side.unwrap_or_default()), own, 1) else {
            return self.node(key, term, None, cost);
        };
        let query = side.and_then(|_| self.query(id, PendingQuery::Test(Arc::clone(test))));
        let guard = matcher.and_then(|matcher| self.guard(field, matcher, facts));
        let node = self.node(key, term, Some((id, query)), cost - own);
        self.guards.extend(guard.map(|guard| (node, guard)));
        node
    }

    /// A query of a text table that holds wherever this test does: the value, or that of another
    /// field, has a prefix or suffix. `None` for a test that a table decides by itself.
    fn guard(
        &mut self,
        field: &F,
        matcher: &Matcher,
        facts: &impl StaticFacts<F>,
    ) -> Option<(IndexId, QueryId)> {
        let Matcher::Bytes(bytes) = matcher else { return None };
        let (anchor, texts) = bytes.literals()?;
        if texts.iter().any(|text| text.is_empty()) {
            return None;
        }
        let implied: Option<Vec<_>> =
            texts.iter().map(|text| facts.implied(field, anchor, text)).collect();
        let (index, texts) = match implied {
            Some(implied) => {
                let (other, side, _) = implied.first()?;
                if implied.iter().any(|(field, at, _)| (field, at) != (other, side)) {
                    return None;
                }
                let index = self.index((other, *side), facts.cost(other), 0)?;
                (index, implied.into_iter().map(|(_, _, text)| text).collect::<Vec<_>>())
            }
            None if table_side(matcher).is_some() => return None,
            None => {
                let side = if anchor == Anchor::Suffix { Side::End } else { Side::Start };
                let index = self.index((field, side), facts.cost(field), 0)?;
                (index, texts.into_iter().map(<[u8]>::to_vec).collect())
            }
        };
        let mut queries = Vec::new();
        for text in texts {
            queries.push(self.query(index, PendingQuery::HasPrefix(text))?);
        }
        match *queries {
            [] => None,
            [only] => Some((index, only)),
            _ => Some((index, self.query(index, PendingQuery::Any(queries))?)),
        }
    }

    /// The index of a field for one side of its texts, with `users` more tests that read the field.
    fn index(&mut self, (field, from): (&F, Side), cost: u32, users: u32) -> Option<IndexId> {
        let key = (field.clone(), from);
        if let Some(known) = self.index_ids.get(&key) {
            if let Some(index) = self.indexes.get_mut(usize::from(known.0)) {
                index.users += users;
            }
            return Some(*known);
        }
        let id = IndexId(u16::try_from(self.indexes.len()).ok()?);
        self.index_ids.insert(key, id);
        self.indexes.push(DraftIndex {
            field: field.clone(),
            from,
            cost,
            users,
            queries: Vec::new(),
        });
        Some(id)
    }

    /// Adds a query to the table of an index; `None` when it is full.
    fn query(&mut self, id: IndexId, query: PendingQuery<F>) -> Option<QueryId> {
        let index = self.indexes.get_mut(usize::from(id.0))?;
        let id = QueryId(u16::try_from(index.queries.len()).ok()?);
        index.queries.push(query);
        Some(id)
    }

    /// A query for a junction or negation of what one text table decides.
    fn combined_query(&mut self, term: &Term<F>) -> Option<(IndexId, Option<QueryId>)> {
        let lookup = |node: &NodeId| match self.nodes.get(node.index())?.index {
            Some((index, Some(query))) => Some((index, query)),
            _ => None,
        };
        let together = |nodes: &[NodeId]| {
            let lookups = nodes.iter().map(lookup).collect::<Option<Vec<_>>>()?;
            let (index, _) = *lookups.first()?;
            let same = lookups.iter().all(|(other, _)| *other == index);
            same.then(|| (index, lookups.into_iter().map(|(_, query)| query).collect()))
        };
        let (index, query) = match term {
            Term::All(all) => {
                together(all).map(|(index, queries)| (index, PendingQuery::All(queries)))?
            }
            Term::Any(any) => {
                together(any).map(|(index, queries)| (index, PendingQuery::Any(queries)))?
            }
            Term::Not(node) => {
                lookup(node).map(|(index, query)| (index, PendingQuery::Not(query)))?
            }
            Term::Test(_) => return None,
        };
        Some((index, Some(self.query(index, query)?)))
    }

    /// The node of a term: the known one for a known key, else a new one.
    fn node(
        &mut self,
        key: Key,
        term: Term<F>,
        index: Option<(IndexId, Option<QueryId>)>,
        cost: u32,
    ) -> NodeId {
        let next = NodeId(self.nodes.len() as u32);
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            match &term {
                Term::All(nodes) | Term::Any(nodes) => {
                    nodes.iter().for_each(|node| count_use(&mut self.nodes, *node));
                }
                Term::Not(node) => count_use(&mut self.nodes, *node),
                Term::Test(_) => {}
            }
            let index = index.or_else(|| self.combined_query(&term));
            self.nodes.push(DraftNode { term, index, cost, users: 0 });
        }
        id
    }
}

/// Gives the slots for values to the fields that most tests read. A table reads a value once per
/// event.
fn give_slots<F: Clone + Eq + Hash>(
    nodes: &[Node],
    guarded: &[GuardedTest],
    indexes: &mut [FieldIndex<F>],
) {
    let op = |node: &Node| match node.op {
        Op::Guarded(place) => guarded.get(place as usize).map_or(node.op, |guarded| guarded.op),
        op => op,
    };
    let mut tests = vec![0; indexes.len()];
    for node in nodes {
        if let Op::FieldTest(index) = op(node)
            && let Some(tests) = tests.get_mut(usize::from(index.0))
        {
            *tests += 1;
        }
    }
    let mut fields: HashMap<F, (u32, Vec<usize>)> = HashMap::new();
    for (place, (index, tests)) in indexes.iter().zip(tests).enumerate() {
        let (users, places) = fields.entry(index.field.clone()).or_default();
        *users += tests + u32::from(index.table.has_queries());
        places.push(place);
    }
    let mut order: Vec<_> = fields.into_values().filter(|(users, _)| *users > 1).collect();
    order.sort_by_key(|(users, places)| (std::cmp::Reverse(*users), places.first().copied()));
    for (slot, (_, places)) in (0..SLOTS as u8).zip(order) {
        for place in places {
            if let Some(index) = indexes.get_mut(place) {
                index.slot = Some(slot);
            }
        }
    }
}

/// The estimate of a term from those of its operands.
fn estimate_of<F>(term: &Term<F>, of: impl Fn(&NodeId) -> Estimate) -> Estimate {
    match term {
        Term::All(all) => Estimate::of(all.iter().map(of).collect(), false),
        Term::Any(any) => Estimate::of(any.iter().map(of).collect(), true),
        Term::Not(node) => Estimate { probability: 1.0 - of(node).probability, ..of(node) },
        Term::Test(_) => Estimate::default(),
    }
}

fn count_use<F>(nodes: &mut [DraftNode<F>], node: NodeId) {
    if let Some(node) = nodes.get_mut(node.index()) {
        node.users += 1;
    }
}

fn matcher<F>(test: &Test<F>) -> Option<&Matcher> {
    match &test.predicate {
        Predicate::Literals { matcher, .. } => Some(matcher),
        Predicate::Exists | Predicate::Field { .. } => None,
    }
}
