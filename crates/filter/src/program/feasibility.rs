//! What one field alone tells of conditions.

use std::iter::repeat_n;

use super::table::{QueryId, TextClass, TextTable};
use super::{IndexId, NodeId, Program, Term};

/// With which classes of one table conditions can hold, when nothing is known but the class, or else that texts end in no way
/// that anybody asks for.
#[derive(Debug)]
pub(super) struct Feasibility {
    index: IndexId,
    /// The index of which it is supposed that its class is that of all others.
    ends: Option<IndexId>,
    /// How many classes the table has.
    pub(super) classes: usize,
    words: usize,
    // For each node, its place among the chances, and one more; 0 for one of which the table says nothing.
    places: Vec<u32>,
    // For each place a bitmap of the classes with which the condition can hold, and one of those with which it can fail.
    chances: Vec<u64>,
}

/// Which sub-conditions others are made of, the other way round.
#[derive(Debug)]
pub(super) struct Parents {
    // For each node, where its parents start.
    starts: Vec<u32>,
    parents: Vec<NodeId>,
}

/// Some nodes, which are found in their order.
struct Nodes(Vec<u64>);

impl Parents {
    pub(super) fn of<F>(program: &Program<F>) -> Self {
        let mut starts = vec![0; program.terms.len() + 1];
        let each = |visit: &mut dyn FnMut(NodeId, NodeId)| {
            for (parent, term) in (0..).map(NodeId).zip(&program.terms) {
                match term {
                    Term::All(nodes) | Term::Any(nodes) => {
                        nodes.iter().for_each(|node| visit(*node, parent));
                    }
                    Term::Not(node) => visit(*node, parent),
                    Term::Test(_) => {}
                }
            }
        };
        each(&mut |node, _| starts.iter_mut().skip(node.index()).take(1).for_each(|n| *n += 1));
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut parents = vec![NodeId(0); end as usize];
        each(&mut |node, parent| {
            let Some(start) = starts.get_mut(node.index()) else { return };
            *start -= 1;
            if let Some(place) = parents.get_mut(*start as usize) {
                *place = parent;
            }
        });
        Self { starts, parents }
    }

    fn parents(&self, node: NodeId) -> &[NodeId] {
        let start = |index: usize| self.starts.get(index).map_or(0, |start| *start as usize);
        self.parents.get(start(node.index())..start(node.index() + 1)).unwrap_or_default()
    }
}

impl Nodes {
    fn add(&mut self, node: NodeId) {
        if let Some(word) = self.0.get_mut(node.index() / 64) {
            *word |= 1 << (node.index() % 64);
        }
    }

    /// The first one that is not before this index.
    fn next(&self, from: usize) -> Option<NodeId> {
        let mut at = from / 64;
        let mut word = self.0.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.0.get(at)?;
        }
        Some(NodeId((at * 64) as u32 + word.trailing_zeros()))
    }
}

impl Feasibility {
    /// For all conditions of a program. `answered` are those that tables answer, or a part of them, for each index.
    pub(super) fn new<F>(
        program: &Program<F>,
        parents: &Parents,
        answered: &[Vec<NodeId>],
        index: IndexId,
        ends: Option<IndexId>,
    ) -> Self {
        let classes = program.table(index).map_or(0, TextTable::len);
        let (places, words) = (vec![0; program.nodes.len()], classes.div_ceil(64));
        let mut feasibility = Self { index, ends, classes, words, places, chances: Vec::new() };
        let indexes = [Some(index), ends].into_iter().flatten();
        let answered = indexes.filter_map(|index| answered.get(usize::from(index.0)));
        let mut open = Nodes(vec![0; program.nodes.len().div_ceil(64)]);
        answered.flatten().for_each(|node| open.add(*node));
        let mut from = 0;
        // Parts come before what is made of them.
        while let Some(node) = open.next(from) {
            from = node.index() + 1;
            if feasibility.add(program, node) {
                parents.parents(node).iter().for_each(|parent| open.add(*parent));
            }
        }
        feasibility
    }

    /// Whether it says nothing of any condition.
    pub(super) fn is_empty(&self) -> bool {
        self.chances.is_empty()
    }

    /// A bitmap of the classes with which a condition can hold; `None` where that is all.
    pub(super) fn of(&self, node: NodeId) -> Option<&[u64]> {
        self.chances.get(self.place(node)?..)?.get(..self.words)
    }

    /// Where the chances of a node start.
    fn place(&self, node: NodeId) -> Option<usize> {
        let place = self.places.get(node.index())?.checked_sub(1)?;
        Some(place as usize * 2 * self.words)
    }

    /// What is known of a table's answer, as bitmaps of the classes with which it is yes, and no.
    fn known<F>(&mut self, program: &Program<F>, (index, bit): (IndexId, QueryId)) -> bool {
        let Some(table) = program.table(index) else { return false };
        if index == self.index {
            self.chances.extend_from_slice(table.classes(bit));
            self.chances.extend(table.classes(bit).iter().map(|classes| !classes));
        } else if Some(index) == self.ends {
            let yes = table.has(TextClass::OTHER, bit);
            self.chances.extend(repeat_n(if yes { u64::MAX } else { 0 }, self.words));
            self.chances.extend(repeat_n(if yes { 0 } else { u64::MAX }, self.words));
        } else {
            return false;
        }
        true
    }

    /// Finds out about a node. False when nothing can be said of it.
    fn add<F>(&mut self, program: &Program<F>, node: NodeId) -> bool {
        let (start, words) = (self.chances.len(), self.words);
        let guard = program.nodes.get(node.index()).and_then(|node| program.guarded(node.op));
        let answered = program.answer(node).is_some_and(|answer| self.known(program, answer));
        let guarded = !answered && guard.is_some_and(|guard| self.known(program, guard.guard));
        if guarded {
            // It may fail whatever is known.
            self.chances.truncate(start + words);
            self.chances.resize(start + 2 * words, u64::MAX);
        }
        match program.terms.get(node.index()) {
            _ if answered || guarded => {}
            Some(Term::All(all)) => self.several(all, false),
            Some(Term::Any(any)) => self.several(any, true),
            Some(Term::Not(node)) => {
                if let Some(place) = self.place(*node) {
                    self.chances.extend_from_within(place + words..place + 2 * words);
                    self.chances.extend_from_within(place..place + words);
                }
            }
            _ => {}
        }
        let new = self.chances.get(start..).unwrap_or_default();
        if new.iter().all(|classes| *classes == u64::MAX) {
            self.chances.truncate(start);
            return false;
        }
        if let Some(place) = self.places.get_mut(node.index()) {
            *place = (start / (2 * words)) as u32 + 1;
        }
        true
    }

    /// All of several, or any.
    fn several(&mut self, nodes: &[NodeId], any: bool) {
        let (start, words) = (self.chances.len(), self.words);
        self.chances.resize(start + 2 * words, 0);
        let (known, new) = self.chances.split_at_mut(start);
        let (yes, no) = new.split_at_mut(words);
        // What all of them must have, and what one of them must.
        let (all, one) = if any { (no, yes) } else { (yes, no) };
        all.fill(u64::MAX);
        for node in nodes {
            let place = self.places.get(node.index()).and_then(|place| place.checked_sub(1));
            let Some(place) = place else {
                one.fill(u64::MAX);
                continue;
            };
            let chances = known.get(place as usize * 2 * words..).unwrap_or_default();
            let (yes, no) = chances.split_at_checked(words).unwrap_or_default();
            let (all_of, one_of) = if any { (no, yes) } else { (yes, no) };
            all.iter_mut().zip(all_of).for_each(|(all, of)| *all &= of);
            one.iter_mut().zip(one_of).for_each(|(one, of)| *one |= of);
        }
    }
}
