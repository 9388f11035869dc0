//! Many conditions as one program: what they have in common is decided once per event.
//!
//! Conditions are added for one kind of events at a time, of which some fields are [known](StaticFacts)
//! beforehand: tests of these are decided then and there. What remains is a graph in which every
//! sub-condition stands once, however many conditions of however many kinds of events have it. Its
//! verdicts are kept for the duration of one event, and so are the values of fields. All that is asked
//! of a field with whole texts and their beginnings is answered by one look into a [table], and all that is asked with
//! ends by another. What such an answer [excludes](feasibility), whatever else there is, is not asked at all.
//!
//! Conditions have no effects, so that the order in which their parts are asked cannot be told from
//! outside; a program asks the cheap parts first. The few fields whose answers change with every query
//! are [told apart](StaticFacts::is_pure): conditions that have them are left to [`Filter::matches`](crate::Filter::matches).

mod build;
mod condition;
mod feasibility;
mod pre_filter;
mod table;
mod trie;

use std::sync::Arc;

pub use build::ProgramBuilder;
pub use condition::Condition;
pub use pre_filter::{LayerStats, PreFilter, PreFilterBuilder};

use crate::filter::Test;
use crate::matcher::{Anchor, Side};
use crate::{Meter, Supplier, Value};
use table::{QueryId, TextClass, TextTable};

/// What is known of fields before there is an event.
pub trait StaticFacts<F> {
    /// The value that the field has in every event of this kind, `Some(None)` when it never has one; `None` when
    /// that depends on the event.
    fn known(&self, field: &F) -> Option<Option<Value<'static>>>;

    /// Whether asking for the field changes no later answer.
    fn is_pure(&self, field: &F) -> bool;

    /// Whether the field is a number and never this one.
    fn excludes(&self, _field: &F, _number: u64) -> bool {
        false
    }

    /// What another field begins or ends with wherever this text stands so in the value of the field.
    fn implied(&self, _field: &F, _anchor: Anchor, _text: &[u8]) -> Option<(F, Side, Vec<u8>)> {
        None
    }

    /// How much work it is to get the value, in units of a comparison of numbers.
    fn cost(&self, field: &F) -> u32;
}

/// What became of a condition for one kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Residual {
    /// It holds for none of them.
    Never,
    /// It holds for all of them.
    Always,
    /// The program decides.
    Compiled(NodeId),
    /// The order of its questions matters: ask [`Filter::matches`](crate::Filter::matches).
    Interpreted,
}

/// A sub-condition of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Its place among the sub-conditions of its program, from 0.
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

/// Conditions that share their sub-conditions. See the module page.
#[derive(Debug)]
pub struct Program<F> {
    nodes: Vec<Node>,
    // Of nodes, one after the other.
    children: Vec<NodeId>,
    // What nodes are, as the conditions have it.
    terms: Vec<Term<F>>,
    indexes: Vec<FieldIndex<F>>,
    guarded: Vec<GuardedTest>,
}

/// How a sub-condition is decided.
#[derive(Clone, Copy, Debug)]
struct Node {
    op: Op,
    /// Several others have it, so that its verdict is worth keeping.
    shared: bool,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Decided as soon as one of its children is this.
    Junction {
        start: u32,
        end: u32,
        absorbing: bool,
    },
    Not(NodeId),
    /// A table answers it, along with others.
    Lookup(IndexId, QueryId),
    /// A test of a field that others ask for too.
    FieldTest(IndexId),
    /// Another test.
    OpaqueTest,
    /// One of those that fail where a table says so.
    Guarded(u32),
}

/// A test of which a table answers a part, as does another index than its own.
#[derive(Clone, Copy, Debug)]
struct GuardedTest {
    /// It holds only if this is so.
    guard: (IndexId, QueryId),
    op: Op,
}

#[derive(Debug)]
enum Term<F> {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Arc<Test<F>>),
}

/// A field of which several things are asked, of which a table answers those about one end of its texts.
#[derive(Debug)]
struct FieldIndex<F> {
    field: F,
    table: TextTable,
    /// The index for the ends of the same texts, if this one is for how they begin.
    ends: Option<IndexId>,
    /// Where the value is kept during an event, if others than the table ask for it.
    slot: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct IndexId(u16);

/// The verdicts on one event; the memory is used again for the next.
#[derive(Clone, Debug, Default)]
pub struct EvalCache {
    // Of each node: the event that it was decided for, times two, and one more if it held.
    known: Vec<u32>,
    // Of each index: the same event, and the class of its table.
    classes: Vec<(u32, TextClass)>,
    // Of each index: the last text, and its class.
    last: Vec<RecentText>,
    // Of each node: which of its children decided it last. It likely does so again.
    decisive: Vec<u32>,
    event: u32,
}

/// A text and its class. Names of programs are as short as that, and events of one program come after each other.
#[derive(Clone, Copy, Debug, Default)]
struct RecentText {
    len: u8,
    bytes: [u8; 16],
    class: TextClass,
}

impl RecentText {
    fn new(text: &[u8], class: TextClass) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { len: text.len() as u8, bytes, class })
    }

    /// The class, if it is that of this text.
    #[inline]
    fn class_of(&self, text: &[u8]) -> Option<TextClass> {
        let same = self.class != TextClass::NONE && self.bytes.get(..self.len.into()) == Some(text);
        same.then_some(self.class)
    }
}

impl EvalCache {
    /// Forgets all: the next event.
    pub fn reset(&mut self) {
        self.event = match self.event.checked_add(2) {
            Some(event) => event,
            None => {
                self.known.fill(0);
                self.classes.fill((0, TextClass::NONE));
                2
            }
        };
    }

    /// Which child decided a node last. Now and then the first one, as what is in front costs least.
    #[inline]
    fn last(&mut self, node: NodeId) -> u32 {
        let Some(decisive) = self.decisive.get_mut(node.index()) else { return 0 };
        if self.event.is_multiple_of(256) {
            *decisive = 0;
        }
        *decisive
    }

    fn get(&self, node: NodeId) -> Option<bool> {
        match self.known.get(node.index())?.wrapping_sub(self.event) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn set(&mut self, node: NodeId, holds: bool) {
        if let Some(known) = self.known.get_mut(node.index()) {
            *known = self.event + u32::from(holds);
        }
    }
}

impl<F> Program<F> {
    /// Room for the verdicts of this program.
    pub fn eval_cache(&self) -> EvalCache {
        let classes = vec![(0, TextClass::NONE); self.indexes.len()];
        let last = vec![RecentText::default(); self.indexes.len()];
        let nodes = self.nodes.len();
        EvalCache { known: vec![0; nodes], classes, last, decisive: vec![0; nodes], event: 2 }
    }

    /// Asks about the event of the supplier, of which nothing is known yet. The meter follows what is decided.
    pub fn evaluator<'e, S, M>(
        &'e self,
        supplier: &'e S,
        cache: &'e mut EvalCache,
        meter: M,
    ) -> Evaluator<'e, F, S, M>
    where
        S: Supplier<F> + ?Sized,
        M: Meter<NodeId>,
    {
        cache.reset();
        Evaluator { program: self, supplier, cache, meter, values: [None; SLOTS] }
    }

    /// Where a table answers a sub-condition.
    fn answer(&self, node: NodeId) -> Option<(IndexId, QueryId)> {
        let op = self.nodes.get(node.index())?.op;
        match self.guarded(op).map_or(op, |guarded| guarded.op) {
            Op::Lookup(index, bit) => Some((index, bit)),
            _ => None,
        }
    }

    fn table(&self, index: IndexId) -> Option<&TextTable> {
        self.indexes.get(usize::from(index.0)).map(|index| &index.table)
    }

    fn guarded(&self, op: Op) -> Option<&GuardedTest> {
        match op {
            Op::Guarded(place) => self.guarded.get(place as usize),
            _ => None,
        }
    }

    /// How many sub-conditions there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What a sub-condition is made of, in the order in which it is asked. `None` for one of another program.
    pub fn sub_condition(&self, node: NodeId) -> Option<SubCondition<'_>> {
        Some(match self.terms.get(node.index())? {
            Term::All(all) => SubCondition::All(all),
            Term::Any(any) => SubCondition::Any(any),
            Term::Not(node) => SubCondition::Not(*node),
            Term::Test(test) => SubCondition::Test(&test.text),
        })
    }
}

/// Values that are kept at a time: those of the fields that most tests ask for. To forget them is part of the price of
/// every event.
const SLOTS: usize = 12;

/// One event that a program is asked about.
pub struct Evaluator<'e, F, S: ?Sized, M> {
    program: &'e Program<F>,
    supplier: &'e S,
    cache: &'e mut EvalCache,
    /// Follows what is decided.
    pub meter: M,
    // Values of indexes, by their slots.
    values: [Option<Option<Value<'e>>>; SLOTS],
}

impl<'e, F, S, M> Evaluator<'e, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Whether a sub-condition holds for the event, which must be of the kind that it was added for.
    #[inline(always)]
    pub fn holds(&mut self, node: NodeId) -> bool {
        let Some(Node { op, shared }) = self.program.nodes.get(node.index()).copied() else {
            return false;
        };
        if let Op::Lookup(index, bit) = op {
            let mark = self.meter.enter(node);
            let holds = self.lookup(index, bit);
            self.meter.leave(node, mark, holds);
            return holds;
        }
        if shared && let Some(holds) = self.cache.get(node) {
            return holds;
        }
        self.decide(node, op, shared)
    }

    #[inline(never)]
    fn decide(&mut self, node: NodeId, op: Op, shared: bool) -> bool {
        let mark = self.meter.enter(node);
        let holds = match op {
            Op::Junction { start, end, absorbing } => {
                self.any_is(absorbing, node, start, end) == absorbing
            }
            Op::Not(child) => !self.holds(child),
            Op::Lookup(index, bit) => self.lookup(index, bit),
            Op::FieldTest(index) => self.test(node, Some(index)),
            Op::OpaqueTest => self.test(node, None),
            Op::Guarded(place) => self.guarded(node, place),
        };
        self.meter.leave(node, mark, holds);
        if shared {
            self.cache.set(node, holds);
        }
        holds
    }

    /// Whether one of the children of a node holds, or does not.
    #[inline]
    fn any_is(&mut self, holds: bool, node: NodeId, start: u32, end: u32) -> bool {
        let children = self.program.children.get(start as usize..end as usize).unwrap_or_default();
        let last = self.cache.last(node);
        if let Some(child) = children.get(last as usize)
            && self.holds(*child) == holds
        {
            return true;
        }
        for (index, child) in (0..).zip(children) {
            if index != last && self.holds(*child) == holds {
                if let Some(decisive) = self.cache.decisive.get_mut(node.index()) {
                    *decisive = index;
                }
                return true;
            }
        }
        false
    }

    #[inline(never)]
    fn test(&mut self, node: NodeId, index: Option<IndexId>) -> bool {
        let Some(Term::Test(test)) = self.program.terms.get(node.index()) else { return false };
        match index {
            Some(index) => test.holds_for(self.value(index), self.supplier),
            None => test.holds(self.supplier),
        }
    }

    #[inline]
    fn guarded(&mut self, node: NodeId, place: u32) -> bool {
        let Some(GuardedTest { guard: (index, bit), op }) =
            self.program.guarded.get(place as usize)
        else {
            return false;
        };
        self.lookup(*index, *bit)
            && match *op {
                Op::Lookup(index, bit) => self.lookup(index, bit),
                Op::FieldTest(index) => self.test(node, Some(index)),
                _ => self.test(node, None),
            }
    }

    #[inline]
    fn lookup(&mut self, id: IndexId, bit: QueryId) -> bool {
        let program = self.program;
        let Some(index) = program.indexes.get(usize::from(id.0)) else { return false };
        index.table.has(self.class_of(id, &index.table), bit)
    }

    #[inline]
    fn class_of(&mut self, id: IndexId, table: &TextTable) -> TextClass {
        match self.cache.classes.get(usize::from(id.0)) {
            Some((event, class)) if *event == self.cache.event => *class,
            _ => self.find_class(id, table),
        }
    }

    #[inline]
    fn class_in(&mut self, id: IndexId) -> TextClass {
        let program = self.program;
        program.table(id).map_or(TextClass::NONE, |table| self.class_of(id, table))
    }

    #[inline(never)]
    fn find_class(&mut self, id: IndexId, table: &TextTable) -> TextClass {
        let class = match self.value(id) {
            Some(Value::Text(text) | Value::Bytes(text)) => {
                match self.cache.last.get_mut(usize::from(id.0)) {
                    Some(last) => last.class_of(text).unwrap_or_else(|| {
                        let class = table.class_of(text);
                        if let Some(short) = RecentText::new(text, class) {
                            *last = short;
                        }
                        class
                    }),
                    None => table.class_of(text),
                }
            }
            // Values of another kind than the literals match nothing.
            _ => TextClass::NONE,
        };
        let event = self.cache.event;
        if let Some(known) = self.cache.classes.get_mut(usize::from(id.0)) {
            *known = (event, class);
        }
        class
    }

    fn value(&mut self, id: IndexId) -> Option<Value<'e>> {
        let FieldIndex { field, slot, .. } = self.program.indexes.get(usize::from(id.0))?;
        let supplier = self.supplier;
        match slot.and_then(|slot| self.values.get_mut(usize::from(slot))) {
            Some(kept) => *kept.get_or_insert_with(|| supplier.value(field)),
            None => supplier.value(field),
        }
    }
}

#[cfg(test)]
mod tests;
