//! Conditions made into a program.

use std::hash::Hash;
use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;

use super::condition::{Condition, Foretold, Tests};
use super::table::{Bit, Question, TextTable, answering};
use super::{
    Bounded, Column, ColumnId, Foresight, Node, NodeId, Op, Program, SLOTS, Side, Step, Whole,
};
use crate::filter::{self, Test, Verdict};
use crate::matcher::{Matcher, Stands};

/// Collects the conditions of a program.
#[derive(Debug)]
pub struct ProgramBuilder<F> {
    parts: Vec<Part<F>>,
    ids: HashMap<Key, NodeId>,
    /// Nodes of tests that were met before, by their place in memory: texts of tests can be long. They are held, so that
    /// no other comes to be at their place.
    tests: HashMap<usize, (Arc<Test<F>>, NodeId)>,
    columns: Vec<Draft<F>>,
    column_ids: HashMap<(F, Side), ColumnId>,
    bounds: HashMap<NodeId, (ColumnId, Bit)>,
    scratch: Bump,
}

#[derive(Debug)]
struct Part<F> {
    step: Step<F>,
    /// The field that it asks, if it is one alone, and its place in the table of that.
    column: Option<(ColumnId, Option<Bit>)>,
    /// Of a test, what it costs to get other values.
    cost: u32,
    users: u32,
}

/// A column being collected.
#[derive(Debug)]
struct Draft<F> {
    field: F,
    from: Side,
    cost: u32,
    /// How many tests ask for the value.
    users: u32,
    /// What its table answers.
    asked: Vec<Asked<F>>,
}

#[derive(Debug)]
enum Asked<F> {
    Test(Arc<Test<F>>),
    Begins(Vec<u8>),
    All(Vec<Bit>),
    Any(Vec<Bit>),
    Not(Bit),
}

/// What asking costs, and how often the answer is yes: guesses, which decide the order of questions only.
#[derive(Clone, Copy, Debug, Default)]
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
        Self {
            parts: Vec::new(),
            ids: HashMap::new(),
            tests: HashMap::new(),
            columns: Vec::new(),
            column_ids: HashMap::new(),
            bounds: HashMap::new(),
            scratch: Bump::new(),
        }
    }
}

impl<F: Clone + Eq + Hash> ProgramBuilder<F> {
    /// Adds a condition for one kind of events.
    pub fn add(&mut self, condition: &mut Condition<'_, F>, kind: &impl Foresight<F>) -> Whole {
        let foretold = condition.foretell(kind, &mut self.scratch);
        if foretold.contains(&Foretold::Impure) {
            return Whole::Plain;
        }
        if let Some(whole) = condition.known.get(&foretold) {
            return *whole;
        }
        let tests = condition.with(&foretold, kind);
        let whole = match self.fold(condition.filter.root(), &tests) {
            Folded::Known(false) => Whole::Never,
            Folded::Known(true) => Whole::Always,
            Folded::Node(node) => {
                used(&mut self.parts, node);
                Whole::Node(node)
            }
        };
        condition.known.insert(foretold, whole);
        whole
    }

    /// The program, in which each question comes the earlier, the less it costs and the likelier it decides.
    pub fn finish(self) -> Program<F> {
        let odds = self.odds();
        let sorted = |mut nodes: Box<[NodeId]>, decides: bool| {
            let rank = |node: &NodeId| odds.get(node.index()).map_or(0.0, |o| o.rank(decides));
            nodes.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            nodes
        };
        let (mut nodes, mut steps, mut children) = (Vec::new(), Vec::new(), Vec::new());
        let mut run = |of: &[NodeId]| {
            let start = children.len() as u32;
            children.extend_from_slice(of);
            (start, children.len() as u32)
        };
        let mut bounded = Vec::new();
        for (id, part) in (0..).map(NodeId).zip(self.parts) {
            let step = match part.step {
                Step::All(all) => Step::All(sorted(all, false)),
                Step::Any(any) => Step::Any(sorted(any, true)),
                step => step,
            };
            let op = match (&step, part.column) {
                (_, Some((column, Some(bit)))) => Op::Look(column, bit),
                (Step::All(several), _) | (Step::Any(several), _) => {
                    let (start, end) = run(several);
                    Op::Several { start, end, decides: matches!(step, Step::Any(_)) }
                }
                (Step::Not(node), _) => Op::Not(*node),
                (Step::Test(_), Some((column, None))) => Op::Test(column),
                (Step::Test(_), None) => Op::Other,
            };
            let op = self.bounds.get(&id).map_or(op, |bound| {
                bounded.push(Bounded { bound: *bound, op });
                Op::Bounded(bounded.len() as u32 - 1)
            });
            nodes.push(Node { op, shared: part.users > 1 });
            steps.push(step);
        }
        let columns = self.columns.into_iter().map(|draft| {
            let questions = draft.asked.iter().filter_map(|asked| {
                Some(match asked {
                    Asked::Test(test) => Question::Test(matcher(test)?),
                    Asked::Begins(text) => Question::Begins(text),
                    Asked::All(bits) => Question::All(bits.clone()),
                    Asked::Any(bits) => Question::Any(bits.clone()),
                    Asked::Not(bit) => Question::Not(*bit),
                })
            });
            let table = TextTable::new(draft.from, &questions.collect::<Vec<_>>());
            let (field, start) = (draft.field, draft.from == Side::Start);
            let ends = self.column_ids.get(&(field.clone(), Side::End)).copied();
            Column { field, table, ends: ends.filter(|_| start), slot: None }
        });
        let mut columns: Vec<_> = columns.collect();
        give_slots(&nodes, &bounded, &mut columns);
        Program { nodes, children, steps, columns, bounded }
    }

    /// What each node costs where it is asked for. What many ask for is paid for once.
    fn odds(&self) -> Vec<Odds> {
        let mut known: Vec<Odds> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let of = |node: &NodeId| known.get(node.index()).copied().unwrap_or_default();
            let share = |column: ColumnId| {
                let draft = self.columns.get(usize::from(column.0));
                draft.map_or(0.0, |draft| draft.cost as f32 / draft.users.max(1) as f32)
            };
            // Parts come after what they are made of.
            let odds = match &part.step {
                Step::All(_) | Step::Any(_) | Step::Not(_) if part.column.is_some() => {
                    Odds { cost: 1.0, yes: odds_of(&part.step, of).yes }
                }
                Step::Test(test) => {
                    let values = part.cost as f32 + part.column.map_or(0.0, |(id, _)| share(id));
                    let tabled = part.column.is_some_and(|(_, bit)| bit.is_some());
                    let verdict = if tabled { 1 } else { test.verdict.cost() };
                    Odds { cost: values + verdict as f32, yes: test.verdict.likelihood() }
                }
                step => odds_of(step, of),
            };
            known.push(Odds { cost: odds.cost / part.users.max(1) as f32, ..odds });
        }
        known
    }

    fn fold<K: Foresight<F>>(&mut self, node: &filter::Node<F>, tests: &Tests<'_, F, K>) -> Folded {
        match node {
            filter::Node::All(children) => match self.children(children, false, tests) {
                Some(all) => self.several(all, Step::All, Key::All, true),
                None => Folded::Known(false),
            },
            filter::Node::Any(children) => match self.children(children, true, tests) {
                Some(any) => self.several(any, Step::Any, Key::Any, false),
                None => Folded::Known(true),
            },
            filter::Node::Not(child) => match self.fold(child, tests) {
                Folded::Known(holds) => Folded::Known(!holds),
                Folded::Node(node) => {
                    Folded::Node(self.node(Key::Not(node), Step::Not(node), None, 0))
                }
            },
            filter::Node::Test(test) => match tests.foretold(test) {
                Foretold::Is(holds) => Folded::Known(holds),
                Foretold::Open | Foretold::Impure => Folded::Node(self.test(test, tests.kind)),
            },
        }
    }

    /// The children that are not decided; `None` when one of them is, and with it the whole.
    fn children<K: Foresight<F>>(
        &mut self,
        children: &[filter::Node<F>],
        decides: bool,
        tests: &Tests<'_, F, K>,
    ) -> Option<Vec<NodeId>> {
        let mut open = Vec::new();
        for child in children {
            match self.fold(child, tests) {
                Folded::Known(holds) if holds == decides => return None,
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
        step: fn(Box<[NodeId]>) -> Step<F>,
        key: fn(Box<[NodeId]>) -> Key,
        of_none: bool,
    ) -> Folded {
        let table = |parts: &[Part<F>], node: &NodeId| match parts.get(node.index())?.column {
            Some((column, Some(_))) => Some(column),
            _ => None,
        };
        let (mut open, mut left) = (Vec::new(), nodes);
        while let Some(first) = left.first().copied() {
            let column = table(&self.parts, &first);
            let (same, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|node| {
                *node == first || column.is_some() && table(&self.parts, node) == column
            });
            open.push(self.one(same, step, key));
            left = others;
        }
        open.sort();
        open.dedup();
        if open.is_empty() {
            return Folded::Known(of_none);
        }
        Folded::Node(self.one(open, step, key))
    }

    /// The node for some, which is the only one of them where they are not more.
    fn one(
        &mut self,
        nodes: Vec<NodeId>,
        step: fn(Box<[NodeId]>) -> Step<F>,
        key: fn(Box<[NodeId]>) -> Key,
    ) -> NodeId {
        match *nodes {
            [only] => only,
            _ => {
                let nodes: Box<[NodeId]> = nodes.into();
                self.node(key(nodes.clone()), step(nodes), None, 0)
            }
        }
    }

    fn test(&mut self, test: &Arc<Test<F>>, foresight: &impl Foresight<F>) -> NodeId {
        let place = Arc::as_ptr(test).addr();
        if let Some((_, known)) = self.tests.get(&place) {
            return *known;
        }
        let node = self.new_test(test, foresight);
        self.tests.insert(place, (Arc::clone(test), node));
        node
    }

    /// The node of a test, which another test with the same text may have made already.
    fn new_test(&mut self, test: &Arc<Test<F>>, foresight: &impl Foresight<F>) -> NodeId {
        let key = Key::Test(test.text.clone());
        if let Some(known) = self.ids.get(&key) {
            return *known;
        }
        let cost = test.fields().map(|field| foresight.cost(field)).sum();
        let step = Step::Test(Arc::clone(test));
        let Some(field) = test.left.as_field() else { return self.node(key, step, None, cost) };
        let own = foresight.cost(field);
        let single = !test.left.is_list() && test.left.each().is_none();
        let matcher = matcher(test).filter(|_| single);
        let tabled = matcher.and_then(answering);
        let Some(id) = self.column((field, tabled.unwrap_or_default()), own, 1) else {
            return self.node(key, step, None, cost);
        };
        let bit = tabled.and_then(|_| self.ask(id, Asked::Test(Arc::clone(test))));
        let bound = matcher.and_then(|matcher| self.bound(field, matcher, foresight));
        let node = self.node(key, step, Some((id, bit)), cost - own);
        self.bounds.extend(bound.map(|bound| (node, bound)));
        node
    }

    /// What the table of a column says of a test of a field that it does not answer: how the value must begin or end,
    /// or that of another field.
    fn bound(
        &mut self,
        field: &F,
        matcher: &Matcher,
        foresight: &impl Foresight<F>,
    ) -> Option<(ColumnId, Bit)> {
        let Matcher::Bytes(bytes) = matcher else { return None };
        let (stands, texts) = bytes.literals()?;
        if texts.iter().any(|text| text.is_empty()) {
            return None;
        }
        let implied: Option<Vec<_>> =
            texts.iter().map(|text| foresight.implied(field, stands, text)).collect();
        let (column, texts) = match implied {
            Some(implied) => {
                let (other, side, _) = implied.first()?;
                if implied.iter().any(|(field, at, _)| (field, at) != (other, side)) {
                    return None;
                }
                let column = self.column((other, *side), foresight.cost(other), 0)?;
                (column, implied.into_iter().map(|(_, _, text)| text).collect::<Vec<_>>())
            }
            None if answering(matcher).is_some() => return None,
            None => {
                let side = if stands == Stands::AtEnd { Side::End } else { Side::Start };
                let column = self.column((field, side), foresight.cost(field), 0)?;
                (column, texts.into_iter().map(<[u8]>::to_vec).collect())
            }
        };
        let mut bits = Vec::new();
        for text in texts {
            bits.push(self.ask(column, Asked::Begins(text))?);
        }
        match *bits {
            [] => None,
            [only] => Some((column, only)),
            _ => Some((column, self.ask(column, Asked::Any(bits))?)),
        }
    }

    fn column(&mut self, (field, from): (&F, Side), cost: u32, users: u32) -> Option<ColumnId> {
        let key = (field.clone(), from);
        if let Some(known) = self.column_ids.get(&key) {
            if let Some(column) = self.columns.get_mut(usize::from(known.0)) {
                column.users += users;
            }
            return Some(*known);
        }
        let id = ColumnId(u16::try_from(self.columns.len()).ok()?);
        self.column_ids.insert(key, id);
        self.columns.push(Draft { field: field.clone(), from, cost, users, asked: Vec::new() });
        Some(id)
    }

    /// One more question for the table of a column.
    fn ask(&mut self, id: ColumnId, asked: Asked<F>) -> Option<Bit> {
        let column = self.columns.get_mut(usize::from(id.0))?;
        let bit = Bit(u16::try_from(column.asked.len()).ok()?);
        column.asked.push(asked);
        Some(bit)
    }

    /// What the table of a column has to answer in place of this step, if it can.
    fn combined(&mut self, step: &Step<F>) -> Option<(ColumnId, Option<Bit>)> {
        let place = |node: &NodeId| match self.parts.get(node.index())?.column {
            Some((column, Some(bit))) => Some((column, bit)),
            _ => None,
        };
        let together = |nodes: &[NodeId]| {
            let places = nodes.iter().map(place).collect::<Option<Vec<_>>>()?;
            let (column, _) = *places.first()?;
            let same = places.iter().all(|(other, _)| *other == column);
            same.then(|| (column, places.into_iter().map(|(_, bit)| bit).collect()))
        };
        let (column, asked) = match step {
            Step::All(all) => together(all).map(|(column, bits)| (column, Asked::All(bits)))?,
            Step::Any(any) => together(any).map(|(column, bits)| (column, Asked::Any(bits)))?,
            Step::Not(node) => place(node).map(|(column, bit)| (column, Asked::Not(bit)))?,
            Step::Test(_) => return None,
        };
        Some((column, Some(self.ask(column, asked)?)))
    }

    /// The one node that is this step.
    fn node(
        &mut self,
        key: Key,
        step: Step<F>,
        column: Option<(ColumnId, Option<Bit>)>,
        cost: u32,
    ) -> NodeId {
        let next = NodeId(self.parts.len() as u32);
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            match &step {
                Step::All(children) | Step::Any(children) => {
                    children.iter().for_each(|child| used(&mut self.parts, *child));
                }
                Step::Not(child) => used(&mut self.parts, *child),
                Step::Test(_) => {}
            }
            let column = column.or_else(|| self.combined(&step));
            self.parts.push(Part { step, column, cost, users: 0 });
        }
        id
    }
}

/// Gives the slots to those fields whose values most ask for. A table asks once: what it says is kept anyway.
fn give_slots<F: Clone + Eq + Hash>(
    nodes: &[Node],
    bounded: &[Bounded],
    columns: &mut [Column<F>],
) {
    let op = |node: &Node| match node.op {
        Op::Bounded(place) => bounded.get(place as usize).map_or(node.op, |bounded| bounded.op),
        op => op,
    };
    let mut asked = vec![0; columns.len()];
    for node in nodes {
        if let Op::Test(column) = op(node)
            && let Some(asked) = asked.get_mut(usize::from(column.0))
        {
            *asked += 1;
        }
    }
    let mut fields: HashMap<F, (u32, Vec<usize>)> = HashMap::new();
    for (index, (column, tests)) in columns.iter().zip(asked).enumerate() {
        let (users, places) = fields.entry(column.field.clone()).or_default();
        *users += tests + u32::from(column.table.is_asked());
        places.push(index);
    }
    let mut order: Vec<_> = fields.into_values().filter(|(users, _)| *users > 1).collect();
    order.sort_by_key(|(users, places)| (std::cmp::Reverse(*users), places.first().copied()));
    for (slot, (_, places)) in (0..SLOTS as u8).zip(order) {
        for place in places {
            if let Some(column) = columns.get_mut(place) {
                column.slot = Some(slot);
            }
        }
    }
}

/// What several parts cost together, and how often they hold.
fn odds_of<F>(step: &Step<F>, of: impl Fn(&NodeId) -> Odds) -> Odds {
    match step {
        Step::All(all) => Odds::of(all.iter().map(of).collect(), false),
        Step::Any(any) => Odds::of(any.iter().map(of).collect(), true),
        Step::Not(node) => Odds { yes: 1.0 - of(node).yes, ..of(node) },
        Step::Test(_) => Odds::default(),
    }
}

fn used<F>(parts: &mut [Part<F>], node: NodeId) {
    if let Some(part) = parts.get_mut(node.index()) {
        part.users += 1;
    }
}

fn matcher<F>(test: &Test<F>) -> Option<&Matcher> {
    match &test.verdict {
        Verdict::Literals { matcher, .. } => Some(matcher),
        Verdict::Exists | Verdict::Field { .. } => None,
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
