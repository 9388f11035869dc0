//! Many conditions as one program: what they have in common is decided once per event.
//!
//! Conditions are added for one kind of events at a time, of which some fields are [known](Foresight)
//! beforehand: tests of these are decided then and there. What remains is a graph in which every
//! sub-condition stands once, however many conditions of however many kinds of events have it. Its
//! verdicts are kept for the duration of one event, and so are the values of fields. All that is asked
//! of a field with whole texts and their beginnings is answered by one look into a [table], and all that is asked with
//! ends by another. What such an answer [excludes](outlook), whatever else there is, is not asked at all.
//!
//! Conditions have no effects, so that the order in which their parts are asked cannot be told from
//! outside; a program asks the cheap parts first. The few fields whose answers change with every question
//! are [told apart](Foresight::is_pure): conditions that have them are left to [`Filter::matches`](crate::Filter::matches).

mod build;
mod condition;
mod outlook;
mod sieve;
mod table;
mod trie;

use std::sync::Arc;

pub use build::ProgramBuilder;
pub use condition::Condition;
pub use sieve::{Lately, Sieve, Sieves};

use crate::filter::Test;
use crate::matcher::Stands;
use crate::{Meter, Supplier, Value};
use table::{Bit, Row, TextTable};

/// What is known of fields before there is an event.
pub trait Foresight<F> {
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
    fn implied(&self, _field: &F, _stands: Stands, _text: &[u8]) -> Option<(F, Side, Vec<u8>)> {
        None
    }

    /// How much work it is to get the value, in units of a comparison of numbers.
    fn cost(&self, field: &F) -> u32;
}

/// An end of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first byte.
    #[default]
    Start,
    /// The last byte.
    End,
}

/// What became of a condition for one kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whole {
    /// It holds for none of them.
    Never,
    /// It holds for all of them.
    Always,
    /// The program decides.
    Node(NodeId),
    /// The order of its questions matters: ask [`Filter::matches`](crate::Filter::matches).
    Plain,
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
pub enum Part<'a> {
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
    steps: Vec<Step<F>>,
    columns: Vec<Column<F>>,
    bounded: Vec<Bounded>,
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
    Several {
        start: u32,
        end: u32,
        decides: bool,
    },
    Not(NodeId),
    /// A table answers it, along with others.
    Look(ColumnId, Bit),
    /// A test of a field that others ask for too.
    Test(ColumnId),
    /// Another test.
    Other,
    /// One of those that fail where a table says so.
    Bounded(u32),
}

/// A test of which a table answers a part, as does another column than its own.
#[derive(Clone, Copy, Debug)]
struct Bounded {
    /// It holds only if this is so.
    bound: (ColumnId, Bit),
    op: Op,
}

#[derive(Debug)]
enum Step<F> {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Arc<Test<F>>),
}

/// A field of which several things are asked, of which a table answers those about one end of its texts.
#[derive(Debug)]
struct Column<F> {
    field: F,
    table: TextTable,
    /// The column for the ends of the same texts, if this one is for how they begin.
    ends: Option<ColumnId>,
    /// Where the value is kept during an event, if others than the table ask for it.
    slot: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ColumnId(u16);

/// The verdicts on one event; the memory is used again for the next.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    // Of each node: the event that it was decided for, times two, and one more if it held.
    known: Vec<u32>,
    // Of each column: the same event, and the row of its table.
    rows: Vec<(u32, Row)>,
    // Of each column: the last text, and its row.
    last: Vec<Short>,
    // Of each node: which of its children decided it last. It likely does so again.
    decisive: Vec<u32>,
    event: u32,
}

/// A text and its row. Names of programs are as short as that, and events of one program come after each other.
#[derive(Clone, Copy, Debug, Default)]
struct Short {
    len: u8,
    bytes: [u8; 16],
    row: Row,
}

impl Short {
    fn new(text: &[u8], row: Row) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { len: text.len() as u8, bytes, row })
    }

    /// The row, if it is that of this text.
    #[inline]
    fn row(&self, text: &[u8]) -> Option<Row> {
        let same = self.row != Row::NONE && self.bytes.get(..self.len.into()) == Some(text);
        same.then_some(self.row)
    }
}

impl Verdicts {
    /// Forgets all: the next event.
    pub fn reset(&mut self) {
        self.event = match self.event.checked_add(2) {
            Some(event) => event,
            None => {
                self.known.fill(0);
                self.rows.fill((0, Row::NONE));
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
    pub fn verdicts(&self) -> Verdicts {
        let rows = vec![(0, Row::NONE); self.columns.len()];
        let last = vec![Short::default(); self.columns.len()];
        let nodes = self.nodes.len();
        Verdicts { known: vec![0; nodes], rows, last, decisive: vec![0; nodes], event: 2 }
    }

    /// Asks about the event of the supplier, of which nothing is known yet. The meter follows what is decided.
    pub fn ask<'e, S, M>(
        &'e self,
        supplier: &'e S,
        verdicts: &'e mut Verdicts,
        meter: M,
    ) -> Asked<'e, F, S, M>
    where
        S: Supplier<F> + ?Sized,
        M: Meter<NodeId>,
    {
        verdicts.reset();
        Asked { program: self, supplier, verdicts, meter, values: [None; SLOTS] }
    }

    /// Where a table answers a sub-condition.
    fn answer(&self, node: NodeId) -> Option<(ColumnId, Bit)> {
        let op = self.nodes.get(node.index())?.op;
        match self.bounded(op).map_or(op, |bounded| bounded.op) {
            Op::Look(column, bit) => Some((column, bit)),
            _ => None,
        }
    }

    fn table(&self, column: ColumnId) -> Option<&TextTable> {
        self.columns.get(usize::from(column.0)).map(|column| &column.table)
    }

    fn bounded(&self, op: Op) -> Option<&Bounded> {
        match op {
            Op::Bounded(place) => self.bounded.get(place as usize),
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
    pub fn part(&self, node: NodeId) -> Option<Part<'_>> {
        Some(match self.steps.get(node.index())? {
            Step::All(all) => Part::All(all),
            Step::Any(any) => Part::Any(any),
            Step::Not(node) => Part::Not(*node),
            Step::Test(test) => Part::Test(&test.text),
        })
    }
}

/// Values that are kept at a time: those of the fields that most tests ask for. To forget them is part of the price of
/// every event.
const SLOTS: usize = 12;

/// One event that a program is asked about.
pub struct Asked<'e, F, S: ?Sized, M> {
    program: &'e Program<F>,
    supplier: &'e S,
    verdicts: &'e mut Verdicts,
    /// Follows what is decided.
    pub meter: M,
    // Values of columns, by their slots.
    values: [Option<Option<Value<'e>>>; SLOTS],
}

impl<'e, F, S, M> Asked<'e, F, S, M>
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
        if let Op::Look(column, bit) = op {
            let mark = self.meter.enter(node);
            let holds = self.look(column, bit);
            self.meter.leave(node, mark, holds);
            return holds;
        }
        if shared && let Some(holds) = self.verdicts.get(node) {
            return holds;
        }
        self.decide(node, op, shared)
    }

    #[inline(never)]
    fn decide(&mut self, node: NodeId, op: Op, shared: bool) -> bool {
        let mark = self.meter.enter(node);
        let holds = match op {
            Op::Several { start, end, decides } => {
                self.any_is(decides, node, start, end) == decides
            }
            Op::Not(child) => !self.holds(child),
            Op::Look(column, bit) => self.look(column, bit),
            Op::Test(column) => self.test(node, Some(column)),
            Op::Other => self.test(node, None),
            Op::Bounded(place) => self.bounded(node, place),
        };
        self.meter.leave(node, mark, holds);
        if shared {
            self.verdicts.set(node, holds);
        }
        holds
    }

    /// Whether one of the children of a node holds, or does not.
    #[inline]
    fn any_is(&mut self, holds: bool, node: NodeId, start: u32, end: u32) -> bool {
        let children = self.program.children.get(start as usize..end as usize).unwrap_or_default();
        let last = self.verdicts.last(node);
        if let Some(child) = children.get(last as usize)
            && self.holds(*child) == holds
        {
            return true;
        }
        for (index, child) in (0..).zip(children) {
            if index != last && self.holds(*child) == holds {
                if let Some(decisive) = self.verdicts.decisive.get_mut(node.index()) {
                    *decisive = index;
                }
                return true;
            }
        }
        false
    }

    #[inline(never)]
    fn test(&mut self, node: NodeId, column: Option<ColumnId>) -> bool {
        let Some(Step::Test(test)) = self.program.steps.get(node.index()) else { return false };
        match column {
            Some(column) => test.holds_for(self.value(column), self.supplier),
            None => test.holds(self.supplier),
        }
    }

    #[inline]
    fn bounded(&mut self, node: NodeId, place: u32) -> bool {
        let Some(Bounded { bound: (column, bit), op }) = self.program.bounded.get(place as usize)
        else {
            return false;
        };
        self.look(*column, *bit)
            && match *op {
                Op::Look(column, bit) => self.look(column, bit),
                Op::Test(column) => self.test(node, Some(column)),
                _ => self.test(node, None),
            }
    }

    #[inline]
    fn look(&mut self, id: ColumnId, bit: Bit) -> bool {
        let program = self.program;
        let Some(column) = program.columns.get(usize::from(id.0)) else { return false };
        column.table.has(self.row(id, &column.table), bit)
    }

    #[inline]
    fn row(&mut self, id: ColumnId, table: &TextTable) -> Row {
        match self.verdicts.rows.get(usize::from(id.0)) {
            Some((event, row)) if *event == self.verdicts.event => *row,
            _ => self.find_row(id, table),
        }
    }

    #[inline]
    fn row_of(&mut self, id: ColumnId) -> Row {
        let program = self.program;
        program.table(id).map_or(Row::NONE, |table| self.row(id, table))
    }

    #[inline(never)]
    fn find_row(&mut self, id: ColumnId, table: &TextTable) -> Row {
        let row = match self.value(id) {
            Some(Value::Text(text) | Value::Bytes(text)) => {
                match self.verdicts.last.get_mut(usize::from(id.0)) {
                    Some(last) => last.row(text).unwrap_or_else(|| {
                        let row = table.row(text);
                        if let Some(short) = Short::new(text, row) {
                            *last = short;
                        }
                        row
                    }),
                    None => table.row(text),
                }
            }
            // Values of another kind than the literals match nothing.
            _ => Row::NONE,
        };
        let event = self.verdicts.event;
        if let Some(known) = self.verdicts.rows.get_mut(usize::from(id.0)) {
            *known = (event, row);
        }
        row
    }

    fn value(&mut self, id: ColumnId) -> Option<Value<'e>> {
        let Column { field, slot, .. } = self.program.columns.get(usize::from(id.0))?;
        let supplier = self.supplier;
        match slot.and_then(|slot| self.values.get_mut(usize::from(slot))) {
            Some(kept) => *kept.get_or_insert_with(|| supplier.value(field)),
            None => supplier.value(field),
        }
    }
}

#[cfg(test)]
mod tests;
