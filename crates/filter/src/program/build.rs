//! Conditions made into a program.

use std::collections::HashMap;
use std::sync::Arc;

use bumpalo::Bump;

use super::{Filter, Foresight, Node, NodeId, Program, Step, Whole};
use crate::filter::{self, Test};
use crate::{Supplier, Value};

/// Collects the conditions of a program.
#[derive(Debug)]
pub struct ProgramBuilder<F> {
    parts: Vec<Part<F>>,
    ids: HashMap<Key, NodeId>,
    scratch: Bump,
}

#[derive(Debug)]
struct Part<F> {
    step: Step<F>,
    odds: Odds,
    users: u32,
}

/// What asking costs, and how often the answer is yes: guesses, which decide the order of questions only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odds {
    pub(super) cost: f32,
    pub(super) yes: f32,
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
        Self { parts: Vec::new(), ids: HashMap::new(), scratch: Bump::new() }
    }
}

impl<F> ProgramBuilder<F> {
    /// Adds a condition for the kind of events that `foresight` knows of.
    pub fn add(&mut self, filter: &Filter<F>, foresight: &impl Foresight<F>) -> Whole {
        if !is_pure(filter.root(), foresight) {
            return Whole::Plain;
        }
        match self.fold(filter.root(), foresight) {
            Folded::Known(false) => Whole::Never,
            Folded::Known(true) => Whole::Always,
            Folded::Node(node) => {
                self.used(node);
                Whole::Node(node)
            }
        }
    }

    /// The program, in which each question comes the earlier, the less it costs and the likelier it decides.
    pub fn finish(self) -> Program<F> {
        // A verdict that many ask for is paid for once.
        let odds = |part: &Part<F>| Odds { cost: part.odds.cost / part.users as f32, ..part.odds };
        let odds: Vec<Odds> = self.parts.iter().map(odds).collect();
        let sorted = |mut nodes: Box<[NodeId]>, decides: bool| {
            let rank = |node: &NodeId| odds.get(node.index()).map_or(0.0, |o| o.rank(decides));
            nodes.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            nodes
        };
        let nodes = self.parts.into_iter().map(|part| Node {
            shared: part.users > 1,
            cut: part.odds.rank(false).recip(),
            step: match part.step {
                Step::All(all) => Step::All(sorted(all, false)),
                Step::Any(any) => Step::Any(sorted(any, true)),
                step => step,
            },
        });
        Program { nodes: nodes.collect() }
    }

    fn fold(&mut self, node: &filter::Node<F>, foresight: &impl Foresight<F>) -> Folded {
        match node {
            filter::Node::All(children) => match self.children(children, false, foresight) {
                Some(all) => self.several(all, Step::All, Key::All, true),
                None => Folded::Known(false),
            },
            filter::Node::Any(children) => match self.children(children, true, foresight) {
                Some(any) => self.several(any, Step::Any, Key::Any, false),
                None => Folded::Known(true),
            },
            filter::Node::Not(child) => match self.fold(child, foresight) {
                Folded::Known(holds) => Folded::Known(!holds),
                Folded::Node(node) => {
                    let odds = self.odds(node);
                    let odds = Odds { yes: 1.0 - odds.yes, ..odds };
                    Folded::Node(self.node(Key::Not(node), Step::Not(node), odds))
                }
            },
            filter::Node::Test(test) => self.test(test, foresight),
        }
    }

    /// The children that are not decided; `None` when one of them is, and with it the whole.
    fn children(
        &mut self,
        children: &[filter::Node<F>],
        decides: bool,
        foresight: &impl Foresight<F>,
    ) -> Option<Vec<NodeId>> {
        let mut open = Vec::new();
        for child in children {
            match self.fold(child, foresight) {
                Folded::Known(holds) if holds == decides => return None,
                Folded::Known(_) => {}
                Folded::Node(node) => open.push(node),
            }
        }
        open.sort();
        open.dedup();
        Some(open)
    }

    fn several(
        &mut self,
        nodes: Vec<NodeId>,
        step: impl FnOnce(Box<[NodeId]>) -> Step<F>,
        key: impl FnOnce(Box<[NodeId]>) -> Key,
        of_none: bool,
    ) -> Folded {
        match *nodes {
            [] => Folded::Known(of_none),
            [only] => Folded::Node(only),
            _ => {
                let odds = Odds::of(nodes.iter().map(|node| self.odds(*node)).collect(), !of_none);
                let nodes: Box<[NodeId]> = nodes.into();
                Folded::Node(self.node(key(nodes.clone()), step(nodes), odds))
            }
        }
    }

    fn test(&mut self, test: &Arc<Test<F>>, foresight: &impl Foresight<F>) -> Folded {
        if test.fields().all(|field| foresight.known(field).is_some()) {
            self.scratch.reset();
            let supplier = Foreknown { foresight, scratch: &self.scratch };
            return Folded::Known(test.holds(&supplier));
        }
        // Without a value on the left there is nothing to compare.
        if test.left.as_field().is_some_and(|left| foresight.known(left) == Some(None)) {
            return Folded::Known(false);
        }
        if let (Some(left), Some(number)) = (test.left.as_field(), test.verdict.only_number())
            && foresight.excludes(left, number)
        {
            return Folded::Known(false);
        }
        let fields: u32 = test.fields().map(|field| foresight.cost(field)).sum();
        let cost = fields.saturating_add(test.verdict.cost()) as f32;
        let odds = Odds { cost, yes: test.verdict.likelihood() };
        Folded::Node(self.node(Key::Test(test.text.clone()), Step::Test(Arc::clone(test)), odds))
    }

    /// The one node that is this step.
    fn node(&mut self, key: Key, step: Step<F>, odds: Odds) -> NodeId {
        let next = NodeId(self.parts.len() as u32);
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            let children = match &step {
                Step::All(children) | Step::Any(children) => children.to_vec(),
                Step::Not(child) => vec![*child],
                Step::Test(_) => Vec::new(),
            };
            children.into_iter().for_each(|child| self.used(child));
            self.parts.push(Part { step, odds, users: 0 });
        }
        id
    }

    fn odds(&self, node: NodeId) -> Odds {
        self.parts.get(node.index()).map_or(Odds { cost: 0.0, yes: 0.5 }, |part| part.odds)
    }

    fn used(&mut self, node: NodeId) {
        if let Some(part) = self.parts.get_mut(node.index()) {
            part.users += 1;
        }
    }
}

impl Odds {
    /// Of several, which are asked until one answers so as to decide.
    pub(super) fn of(mut several: Vec<Self>, decides: bool) -> Self {
        several.sort_by(|a, b| a.rank(decides).total_cmp(&b.rank(decides)));
        let mut cost = 0.0;
        let mut asked = 1.0;
        for odds in several {
            cost += asked * odds.cost;
            asked *= 1.0 - odds.chance(decides);
        }
        Self { cost, yes: if decides { 1.0 - asked } else { asked } }
    }

    /// What is paid until the answer is this one.
    fn rank(self, answer: bool) -> f32 {
        self.cost / self.chance(answer)
    }

    fn chance(self, answer: bool) -> f32 {
        let chance = if answer { self.yes } else { 1.0 - self.yes };
        chance.clamp(0.01, 1.0)
    }
}

fn is_pure<F>(node: &filter::Node<F>, foresight: &impl Foresight<F>) -> bool {
    match node {
        filter::Node::All(children) | filter::Node::Any(children) => {
            children.iter().all(|child| is_pure(child, foresight))
        }
        filter::Node::Not(child) => is_pure(child, foresight),
        filter::Node::Test(test) => test.fields().all(|field| foresight.is_pure(field)),
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
