//! The program: a graph of sub-conditions in which equal ones are one node.

use std::sync::Arc;

use super::table::{QueryId, TextTable};
use crate::filter::Test;

/// A sub-condition of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Its position among the nodes of its program. Operands come before what is made of them.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a sub-condition is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubCondition<'a> {
    /// All of these.
    All(&'a [NodeId]),
    /// Any of these.
    Any(&'a [NodeId]),
    /// Not this.
    Not(NodeId),
    /// A test, as it is written.
    Test(&'a str),
}

/// Conditions that share their sub-conditions. Immutable: what one thread learns while it evaluates
/// stands in an [`EvalCache`](super::EvalCache).
#[derive(Debug)]
pub struct Program<F> {
    pub(super) nodes: Vec<Node>,
    /// Operands of junctions, in the order in which they are evaluated.
    pub(super) operands: Vec<NodeId>,
    /// For each node, the logic that it stands for.
    pub(super) terms: Vec<Term<F>>,
    pub(super) indexes: Vec<FieldIndex<F>>,
    pub(super) guarded: Vec<GuardedTest>,
}

/// How a node is evaluated. Kept apart from [`Term`], as most evaluations need no more than this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) op: Op,
    /// Several nodes or conditions use it, so that its result is cached.
    pub(super) shared: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// The operands between these positions; the first that evaluates to `absorbing` decides. That
    /// is `false` for a conjunction, `true` for a disjunction.
    Junction {
        start: u32,
        end: u32,
        absorbing: bool,
    },
    Not(NodeId),
    /// One bit of a text table.
    Lookup(IndexId, QueryId),
    /// A test of one field.
    FieldTest(IndexId),
    /// A test of a value that transformers make of fields.
    OpaqueTest,
    /// An entry of [`Program::guarded`].
    Guarded(u32),
}

/// A test that fails wherever a bit of a text table is not set, so that the bit is read first.
///
/// `fd.name glob /etc/*.conf` is guarded by `fd.name startswith /etc/`, and `fd.filename = passwd`
/// by `fd.name endswith /passwd`.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardedTest {
    pub(super) guard: (IndexId, QueryId),
    /// The test itself: a lookup, a field test or an opaque test.
    pub(super) op: Op,
}

/// The logic of a node.
#[derive(Debug)]
pub(super) enum Term<F> {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Arc<Test<F>>),
}

/// A field that tests read, with a table of the tests of one side of its texts.
#[derive(Debug)]
pub(super) struct FieldIndex<F> {
    pub(super) field: F,
    pub(super) table: TextTable,
    /// The index of the same field for the ends of its texts, if this one is for how they start.
    pub(super) ends: Option<IndexId>,
    /// Where the value is cached during an event, if more than the table read it.
    pub(super) slot: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct IndexId(pub(super) u16);

impl<F> Program<F> {
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What a node is made of, in the order of evaluation. `None` for one of another program.
    pub fn sub_condition(&self, node: NodeId) -> Option<SubCondition<'_>> {
        Some(match self.terms.get(node.index())? {
            Term::All(all) => SubCondition::All(all),
            Term::Any(any) => SubCondition::Any(any),
            Term::Not(node) => SubCondition::Not(*node),
            Term::Test(test) => SubCondition::Test(&test.text),
        })
    }

    /// The bit of a text table that equals the result of a node.
    pub(super) fn answer(&self, node: NodeId) -> Option<(IndexId, QueryId)> {
        let op = self.nodes.get(node.index())?.op;
        match self.guarded(op).map_or(op, |guarded| guarded.op) {
            Op::Lookup(index, query) => Some((index, query)),
            _ => None,
        }
    }

    pub(super) fn table(&self, index: IndexId) -> Option<&TextTable> {
        self.indexes.get(usize::from(index.0)).map(|index| &index.table)
    }

    pub(super) fn guarded(&self, op: Op) -> Option<&GuardedTest> {
        match op {
            Op::Guarded(place) => self.guarded.get(place as usize),
            _ => None,
        }
    }
}
