//! Conditions made into a program.

use std::hash::Hash;
use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::condition::{Condition, PartialEval, PartialTests};
use super::table::{Query, QueryId, TextTable, answering};
use super::{
    FieldIndex, GuardedTest, IndexId, Node, NodeId, Op, Program, Residual, SLOTS, StaticFacts, Term,
};
use crate::filter::{self, Predicate, Test};
use crate::matcher::{Anchor, Matcher, Side};

/// Collects the conditions of a program.
#[derive(Debug)]
pub struct ProgramBuilder<F> {
    parts: Vec<DraftNode<F>>,
    ids: HashMap<Key, NodeId>,
    /// Nodes of tests that were met before, by their place in memory: texts of tests can be long. They are held, so that
    /// no other comes to be at their place.
    tests: HashMap<usize, (Arc<Test<F>>, NodeId)>,
    indexes: Vec<DraftIndex<F>>,
    index_ids: HashMap<(F, Side), IndexId>,
    guards: HashMap<NodeId, (IndexId, QueryId)>,
    scratch: Bump,
}

#[derive(Debug)]
struct DraftNode<F> {
    term: Term<F>,
    /// The field that it asks, if it is one alone, and its place in the table of that.
    index: Option<(IndexId, Option<QueryId>)>,
    /// Of a test, what it costs to get other values.
    cost: u32,
    users: u32,
}

/// An index being collected.
#[derive(Debug)]
struct DraftIndex<F> {
    field: F,
    from: Side,
    cost: u32,
    /// How many tests ask for the value.
    users: u32,
    /// What its table answers.
    asked: Vec<PendingQuery<F>>,
}

#[derive(Debug)]
enum PendingQuery<F> {
    Test(Arc<Test<F>>),
    Begins(Vec<u8>),
    All(Vec<QueryId>),
    Any(Vec<QueryId>),
    Not(QueryId),
}

/// What asking costs, and how often the answer is yes: guesses, which decide the order of questions only.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    pub(super) cost: f32,
    pub(super) probability: f32,
}

/// What makes a sub-condition the same as another.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Box<str>),
}

/// A sub-condition that may be decided already.
#[derive(Clone, Copy)]
enum Folded {
    Known(bool),
    Node(NodeId),
}

impl<F> Default for ProgramBuilder<F> {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
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
    /// Adds a condition for one kind of events.
    pub fn add(
        &mut self,
        condition: &mut Condition<'_, F>,
        kind: &impl StaticFacts<F>,
    ) -> Residual {
        let partial = condition.evaluate(kind, &mut self.scratch);
        if partial.contains(&PartialEval::Impure) {
            return Residual::Interpreted;
        }
        if let Some(whole) = condition.known.get(&partial) {
            return *whole;
        }
        let tests = condition.with(&partial, kind);
        let whole = match self.fold(condition.filter.root(), &tests) {
            Folded::Known(false) => Residual::Never,
            Folded::Known(true) => Residual::Always,
            Folded::Node(node) => {
                used(&mut self.parts, node);
                Residual::Compiled(node)
            }
        };
        condition.known.insert(partial, whole);
        whole
    }

    /// The program, in which each query comes the earlier, the less it costs and the likelier it decides.
    pub fn finish(self) -> Program<F> {
        let estimates = self.estimates();
        let sorted = |mut nodes: Box<[NodeId]>, absorbing: bool| {
            let rank =
                |node: &NodeId| estimates.get(node.index()).map_or(0.0, |o| o.rank(absorbing));
            nodes.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            nodes
        };
        let (mut nodes, mut terms, mut children) = (Vec::new(), Vec::new(), Vec::new());
        let mut run = |of: &[NodeId]| {
            let start = children.len() as u32;
            children.extend_from_slice(of);
            (start, children.len() as u32)
        };
        let mut guarded = Vec::new();
        for (id, part) in (0..).map(NodeId).zip(self.parts) {
            let term = match part.term {
                Term::All(all) => Term::All(sorted(all, false)),
                Term::Any(any) => Term::Any(sorted(any, true)),
                term => term,
            };
            let op = match (&term, part.index) {
                (_, Some((index, Some(bit)))) => Op::Lookup(index, bit),
                (Term::All(several), _) | (Term::Any(several), _) => {
                    let (start, end) = run(several);
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
            nodes.push(Node { op, shared: part.users > 1 });
            terms.push(term);
        }
        let indexes = self.indexes.into_iter().map(|draft| {
            let queries = draft.asked.iter().filter_map(|asked| {
                Some(match asked {
                    PendingQuery::Test(test) => Query::Test(matcher(test)?),
                    PendingQuery::Begins(text) => Query::Begins(text),
                    PendingQuery::All(bits) => Query::All(bits.clone()),
                    PendingQuery::Any(bits) => Query::Any(bits.clone()),
                    PendingQuery::Not(bit) => Query::Not(*bit),
                })
            });
            let table = TextTable::new(draft.from, &queries.collect::<Vec<_>>());
            let (field, start) = (draft.field, draft.from == Side::Start);
            let ends = self.index_ids.get(&(field.clone(), Side::End)).copied();
            FieldIndex { field, table, ends: ends.filter(|_| start), slot: None }
        });
        let mut indexes: Vec<_> = indexes.collect();
        give_slots(&nodes, &guarded, &mut indexes);
        Program { nodes, children, terms, indexes, guarded }
    }

    /// What each node costs where it is asked for. What many ask for is paid for once.
    fn estimates(&self) -> Vec<Estimate> {
        let mut known: Vec<Estimate> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let of = |node: &NodeId| known.get(node.index()).copied().unwrap_or_default();
            let share = |index: IndexId| {
                let draft = self.indexes.get(usize::from(index.0));
                draft.map_or(0.0, |draft| draft.cost as f32 / draft.users.max(1) as f32)
            };
            // Parts come after what they are made of.
            let estimate = match &part.term {
                Term::All(_) | Term::Any(_) | Term::Not(_) if part.index.is_some() => {
                    Estimate { cost: 1.0, probability: estimate_of(&part.term, of).probability }
                }
                Term::Test(test) => {
                    let values = part.cost as f32 + part.index.map_or(0.0, |(id, _)| share(id));
                    let tabled = part.index.is_some_and(|(_, bit)| bit.is_some());
                    let predicate = if tabled { 1 } else { test.predicate.cost() };
                    Estimate {
                        cost: values + predicate as f32,
                        probability: test.predicate.likelihood(),
                    }
                }
                term => estimate_of(term, of),
            };
            known.push(Estimate { cost: estimate.cost / part.users.max(1) as f32, ..estimate });
        }
        known
    }

    fn fold<K: StaticFacts<F>>(
        &mut self,
        node: &filter::Node<F>,
        tests: &PartialTests<'_, F, K>,
    ) -> Folded {
        match node {
            filter::Node::All(children) => match self.children(children, false, tests) {
                Some(all) => self.several(all, Term::All, Key::All, true),
                None => Folded::Known(false),
            },
            filter::Node::Any(children) => match self.children(children, true, tests) {
                Some(any) => self.several(any, Term::Any, Key::Any, false),
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
                    Folded::Node(self.test(test, tests.kind))
                }
            },
        }
    }

    /// The children that are not decided; `None` when one of them is, and with it the whole.
    fn children<K: StaticFacts<F>>(
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

    /// Those that a table answers become one, as it answers all together as quickly as one of them.
    fn several(
        &mut self,
        nodes: Vec<NodeId>,
        term: fn(Box<[NodeId]>) -> Term<F>,
        key: fn(Box<[NodeId]>) -> Key,
        of_none: bool,
    ) -> Folded {
        let table = |parts: &[DraftNode<F>], node: &NodeId| match parts.get(node.index())?.index {
            Some((index, Some(_))) => Some(index),
            _ => None,
        };
        let (mut open, mut left) = (Vec::new(), nodes);
        while let Some(first) = left.first().copied() {
            let index = table(&self.parts, &first);
            let (same, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|node| {
                *node == first || index.is_some() && table(&self.parts, node) == index
            });
            open.push(self.one(same, term, key));
            left = others;
        }
        open.sort();
        open.dedup();
        if open.is_empty() {
            return Folded::Known(of_none);
        }
        Folded::Node(self.one(open, term, key))
    }

    /// The node for some, which is the only one of them where they are not more.
    fn one(
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

    fn test(&mut self, test: &Arc<Test<F>>, facts: &impl StaticFacts<F>) -> NodeId {
        let place = Arc::as_ptr(test).addr();
        if let Some((_, known)) = self.tests.get(&place) {
            return *known;
        }
        let node = self.new_test(test, facts);
        self.tests.insert(place, (Arc::clone(test), node));
        node
    }

    /// The node of a test, which another test with the same text may have made already.
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
        let tabled = matcher.and_then(answering);
        let Some(id) = self.index((field, tabled.unwrap_or_default()), own, 1) else {
            return self.node(key, term, None, cost);
        };
        let bit = tabled.and_then(|_| self.ask(id, PendingQuery::Test(Arc::clone(test))));
        let guard = matcher.and_then(|matcher| self.guard(field, matcher, facts));
        let node = self.node(key, term, Some((id, bit)), cost - own);
        self.guards.extend(guard.map(|guard| (node, guard)));
        node
    }

    /// What the table of an index says of a test of a field that it does not answer: how the value must begin or end,
    /// or that of another field.
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
            None if answering(matcher).is_some() => return None,
            None => {
                let side = if anchor == Anchor::Suffix { Side::End } else { Side::Start };
                let index = self.index((field, side), facts.cost(field), 0)?;
                (index, texts.into_iter().map(<[u8]>::to_vec).collect())
            }
        };
        let mut bits = Vec::new();
        for text in texts {
            bits.push(self.ask(index, PendingQuery::Begins(text))?);
        }
        match *bits {
            [] => None,
            [only] => Some((index, only)),
            _ => Some((index, self.ask(index, PendingQuery::Any(bits))?)),
        }
    }

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
            asked: Vec::new(),
        });
        Some(id)
    }

    /// One more query for the table of an index.
    fn ask(&mut self, id: IndexId, asked: PendingQuery<F>) -> Option<QueryId> {
        let index = self.indexes.get_mut(usize::from(id.0))?;
        let bit = QueryId(u16::try_from(index.asked.len()).ok()?);
        index.asked.push(asked);
        Some(bit)
    }

    /// What the table of an index has to answer in place of this term, if it can.
    fn combined(&mut self, term: &Term<F>) -> Option<(IndexId, Option<QueryId>)> {
        let place = |node: &NodeId| match self.parts.get(node.index())?.index {
            Some((index, Some(bit))) => Some((index, bit)),
            _ => None,
        };
        let together = |nodes: &[NodeId]| {
            let places = nodes.iter().map(place).collect::<Option<Vec<_>>>()?;
            let (index, _) = *places.first()?;
            let same = places.iter().all(|(other, _)| *other == index);
            same.then(|| (index, places.into_iter().map(|(_, bit)| bit).collect()))
        };
        let (index, asked) = match term {
            Term::All(all) => {
                together(all).map(|(index, bits)| (index, PendingQuery::All(bits)))?
            }
            Term::Any(any) => {
                together(any).map(|(index, bits)| (index, PendingQuery::Any(bits)))?
            }
            Term::Not(node) => place(node).map(|(index, bit)| (index, PendingQuery::Not(bit)))?,
            Term::Test(_) => return None,
        };
        Some((index, Some(self.ask(index, asked)?)))
    }

    /// The one node that is this term.
    fn node(
        &mut self,
        key: Key,
        term: Term<F>,
        index: Option<(IndexId, Option<QueryId>)>,
        cost: u32,
    ) -> NodeId {
        let next = NodeId(self.parts.len() as u32);
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            match &term {
                Term::All(children) | Term::Any(children) => {
                    children.iter().for_each(|child| used(&mut self.parts, *child));
                }
                Term::Not(child) => used(&mut self.parts, *child),
                Term::Test(_) => {}
            }
            let index = index.or_else(|| self.combined(&term));
            self.parts.push(DraftNode { term, index, cost, users: 0 });
        }
        id
    }
}

/// Gives the slots to those fields whose values most ask for. A table asks once: what it says is kept anyway.
fn give_slots<F: Clone + Eq + Hash>(
    nodes: &[Node],
    guarded: &[GuardedTest],
    indexes: &mut [FieldIndex<F>],
) {
    let op = |node: &Node| match node.op {
        Op::Guarded(place) => guarded.get(place as usize).map_or(node.op, |guarded| guarded.op),
        op => op,
    };
    let mut asked = vec![0; indexes.len()];
    for node in nodes {
        if let Op::FieldTest(index) = op(node)
            && let Some(asked) = asked.get_mut(usize::from(index.0))
        {
            *asked += 1;
        }
    }
    let mut fields: HashMap<F, (u32, Vec<usize>)> = HashMap::new();
    for (place, (index, tests)) in indexes.iter().zip(asked).enumerate() {
        let (users, places) = fields.entry(index.field.clone()).or_default();
        *users += tests + u32::from(index.table.is_asked());
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

/// What several parts cost together, and how often they hold.
fn estimate_of<F>(term: &Term<F>, of: impl Fn(&NodeId) -> Estimate) -> Estimate {
    match term {
        Term::All(all) => Estimate::of(all.iter().map(of).collect(), false),
        Term::Any(any) => Estimate::of(any.iter().map(of).collect(), true),
        Term::Not(node) => Estimate { probability: 1.0 - of(node).probability, ..of(node) },
        Term::Test(_) => Estimate::default(),
    }
}

fn used<F>(parts: &mut [DraftNode<F>], node: NodeId) {
    if let Some(part) = parts.get_mut(node.index()) {
        part.users += 1;
    }
}

fn matcher<F>(test: &Test<F>) -> Option<&Matcher> {
    match &test.predicate {
        Predicate::Literals { matcher, .. } => Some(matcher),
        Predicate::Exists | Predicate::Field { .. } => None,
    }
}

impl Estimate {
    /// Of several, which are asked until one answers so as to decide.
    pub(super) fn of(mut several: Vec<Self>, absorbing: bool) -> Self {
        several.sort_by(|a, b| a.rank(absorbing).total_cmp(&b.rank(absorbing)));
        let mut cost = 0.0;
        let mut asked = 1.0;
        for estimate in several {
            cost += asked * estimate.cost;
            asked *= 1.0 - estimate.chance(absorbing);
        }
        Self { cost, probability: if absorbing { 1.0 - asked } else { asked } }
    }

    /// What is paid until the answer is this one.
    fn rank(self, answer: bool) -> f32 {
        self.cost / self.chance(answer)
    }

    fn chance(self, answer: bool) -> f32 {
        let chance = if answer { self.probability } else { 1.0 - self.probability };
        chance.clamp(0.01, 1.0)
    }
}
