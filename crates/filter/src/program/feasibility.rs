//! Which conditions can hold given the text of one field, whatever the rest of the event is.

use std::iter::repeat_n;

use super::graph::{IndexId, NodeId, Program, Term};
use super::table::{QueryId, TextClass, TextTable};

/// For each node, the classes of one text table with which it can be true, and those with which it
/// can be false.
///
/// Computed bottom-up. A lookup in this table is exactly one of the two per class; any test of
/// something else can be both; junctions combine their operands. With `ends`, the class in the
/// table for the ends of the same texts is assumed to be [`TextClass::OTHER`], which most texts
/// have.
#[derive(Debug)]
pub(super) struct Feasibility {
    index: IndexId,
    /// The index whose class is assumed to be [`TextClass::OTHER`].
    ends: Option<IndexId>,
    /// Number of classes of the table.
    pub(super) classes: usize,
    /// Words of a bitmap of classes.
    words: usize,
    /// For each node, its position in `bitmaps` plus 1; 0 for one that can be both with every
    /// class.
    positions: Vec<u32>,
    /// For each position, the bitmap of classes with which the node can be true, then the one of
    /// those with which it can be false.
    bitmaps: Vec<u64>,
}

/// For each node, the nodes that it is an operand of.
#[derive(Debug)]
pub(super) struct Parents {
    /// For each node, where its parents start.
    starts: Vec<u32>,
    parents: Vec<NodeId>,
}

/// A set of nodes, iterated in ascending order.
struct NodeSet(Vec<u64>);

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
            if let Some(position) = parents.get_mut(*start as usize) {
                *position = parent;
            }
        });
        Self { starts, parents }
    }

    fn parents(&self, node: NodeId) -> &[NodeId] {
        let start = |index: usize| self.starts.get(index).map_or(0, |start| *start as usize);
        self.parents.get(start(node.index())..start(node.index() + 1)).unwrap_or_default()
    }
}

impl NodeSet {
    fn add(&mut self, node: NodeId) {
        if let Some(word) = self.0.get_mut(node.index() / 64) {
            *word |= 1 << (node.index() % 64);
        }
    }

    /// The first node at or after this index.
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
    /// For all nodes of a program. `lookups` are, for each index, the nodes that read its table,
    /// also as a guard.
    pub(super) fn new<F>(
        program: &Program<F>,
        parents: &Parents,
        lookups: &[Vec<NodeId>],
        index: IndexId,
        ends: Option<IndexId>,
    ) -> Self {
        let classes = program.table(index).map_or(0, TextTable::len);
        let (positions, words) = (vec![0; program.nodes.len()], classes.div_ceil(64));
        let mut feasibility = Self { index, ends, classes, words, positions, bitmaps: Vec::new() };
        let indexes = [Some(index), ends].into_iter().flatten();
        let lookups = indexes.filter_map(|index| lookups.get(usize::from(index.0)));
        let mut open = NodeSet(vec![0; program.nodes.len().div_ceil(64)]);
        lookups.flatten().for_each(|node| open.add(*node));
        let mut from = 0;
        // Operands come before what is made of them.
        while let Some(node) = open.next(from) {
            from = node.index() + 1;
            if feasibility.add(program, node) {
                parents.parents(node).iter().for_each(|parent| open.add(*parent));
            }
        }
        feasibility
    }

    /// Whether every node can be both with every class.
    pub(super) fn is_empty(&self) -> bool {
        self.bitmaps.is_empty()
    }

    /// A bitmap of the classes with which a node can be true; `None` where that is all of them.
    pub(super) fn can_hold(&self, node: NodeId) -> Option<&[u64]> {
        self.bitmaps.get(self.start_of(node)?..)?.get(..self.words)
    }

    /// Where the bitmaps of a node start.
    fn start_of(&self, node: NodeId) -> Option<usize> {
        let position = self.positions.get(node.index())?.checked_sub(1)?;
        Some(position as usize * 2 * self.words)
    }

    /// Appends the bitmaps of a bit of a text table. False for a table that says nothing here.
    fn push_lookup<F>(&mut self, program: &Program<F>, (index, query): (IndexId, QueryId)) -> bool {
        let Some(table) = program.table(index) else { return false };
        if index == self.index {
            self.bitmaps.extend_from_slice(table.classes(query));
            self.bitmaps.extend(table.classes(query).iter().map(|classes| !classes));
        } else if Some(index) == self.ends {
            let yes = table.has(TextClass::OTHER, query);
            self.bitmaps.extend(repeat_n(if yes { u64::MAX } else { 0 }, self.words));
            self.bitmaps.extend(repeat_n(if yes { 0 } else { u64::MAX }, self.words));
        } else {
            return false;
        }
        true
    }

    /// Computes the bitmaps of a node. False when it can be both with every class.
    fn add<F>(&mut self, program: &Program<F>, node: NodeId) -> bool {
        let (start, words) = (self.bitmaps.len(), self.words);
        let guard = program.nodes.get(node.index()).and_then(|node| program.guarded(node.op));
        let exact = program.answer(node).is_some_and(|bit| self.push_lookup(program, bit));
        let guarded = !exact && guard.is_some_and(|guard| self.push_lookup(program, guard.guard));
        if guarded {
            // The test can fail also where its guard holds.
            self.bitmaps.truncate(start + words);
            self.bitmaps.resize(start + 2 * words, u64::MAX);
        }
        match program.terms.get(node.index()) {
            _ if exact || guarded => {}
            Some(Term::All(all)) => self.push_junction(all, false),
            Some(Term::Any(any)) => self.push_junction(any, true),
            Some(Term::Not(node)) => {
                if let Some(position) = self.start_of(*node) {
                    self.bitmaps.extend_from_within(position + words..position + 2 * words);
                    self.bitmaps.extend_from_within(position..position + words);
                }
            }
            _ => {}
        }
        let new = self.bitmaps.get(start..).unwrap_or_default();
        if new.iter().all(|classes| *classes == u64::MAX) {
            self.bitmaps.truncate(start);
            return false;
        }
        if let Some(position) = self.positions.get_mut(node.index()) {
            *position = (start / (2 * words)) as u32 + 1;
        }
        true
    }

    /// Appends the bitmaps of a junction.
    fn push_junction(&mut self, nodes: &[NodeId], any: bool) {
        let (start, words) = (self.bitmaps.len(), self.words);
        self.bitmaps.resize(start + 2 * words, 0);
        let (known, new) = self.bitmaps.split_at_mut(start);
        let (yes, no) = new.split_at_mut(words);
        // A conjunction can be true where all operands can, and false where one can.
        let (all, one) = if any { (no, yes) } else { (yes, no) };
        all.fill(u64::MAX);
        for node in nodes {
            let position =
                self.positions.get(node.index()).and_then(|position| position.checked_sub(1));
            let Some(position) = position else {
                one.fill(u64::MAX);
                continue;
            };
            let start = position as usize * 2 * words;
            let bitmaps = known.get(start..start + 2 * words);
            debug_assert!(bitmaps.is_some(), "operands come before what is made of them");
            let (yes, no) = bitmaps.unwrap_or_default().split_at_checked(words).unwrap_or_default();
            let (all_of, one_of) = if any { (no, yes) } else { (yes, no) };
            all.iter_mut().zip(all_of).for_each(|(all, of)| *all &= of);
            one.iter_mut().zip(one_of).for_each(|(one, of)| *one |= of);
        }
    }
}
