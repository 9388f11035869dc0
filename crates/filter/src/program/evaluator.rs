//! Evaluation of a program on one event after the other.

use super::graph::{FieldIndex, GuardedTest, IndexId, Node, NodeId, Op, Program, Term};
use super::table::{QueryId, TextClass, TextTable};
use crate::{Meter, Supplier, Value};

/// Values cached during an event: those of the fields that most tests read. Clearing them is part
/// of the cost of each event, so there are few.
pub(super) const SLOTS: usize = 12;

/// Results of one event, and hints for the next. The memory is reused from event to event.
#[derive(Clone, Debug, Default)]
pub struct EvalCache {
    /// For each node: the event in which it was evaluated last, plus 1 if it held.
    results: Vec<u32>,
    /// For each index: the event in which its text was looked up last, and the class of the text.
    classes: Vec<(u32, TextClass)>,
    /// For each index: the last short text that was looked up.
    recent: Vec<RecentText>,
    /// For each junction: the operand that decided it last, which likely decides it again.
    decisive: Vec<u32>,
    /// Number of the current event, in steps of two. Results of other events are stale, so that
    /// nothing is cleared between events.
    event: u32,
}

/// A text and its class. Names of programs are as short as that, and the events of one program come
/// in bursts.
#[derive(Clone, Copy, Debug, Default)]
struct RecentText {
    len: u8,
    bytes: [u8; 16],
    class: TextClass,
}

impl RecentText {
    /// `None` for a text that is too long to remember.
    fn new(text: &[u8], class: TextClass) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { len: text.len() as u8, bytes, class })
    }

    /// The class of this text, if it is the one remembered.
    #[inline]
    fn class_of(&self, text: &[u8]) -> Option<TextClass> {
        let same = self.class != TextClass::NONE && self.bytes.get(..self.len.into()) == Some(text);
        same.then_some(self.class)
    }
}

impl EvalCache {
    fn new(nodes: usize, indexes: usize) -> Self {
        Self {
            results: vec![0; nodes],
            classes: vec![(0, TextClass::NONE); indexes],
            recent: vec![RecentText::default(); indexes],
            decisive: vec![0; nodes],
            event: FIRST_EVENT,
        }
    }

    /// Drops the results of the event before.
    pub fn reset(&mut self) {
        self.event = match self.event.checked_add(2) {
            Some(event) => event,
            None => {
                self.results.fill(0);
                self.classes.fill((0, TextClass::NONE));
                FIRST_EVENT
            }
        };
    }

    /// The operand that decided a junction last. Every 128 events it is the first again, which is
    /// the cheapest.
    #[inline]
    fn decisive(&mut self, node: NodeId) -> u32 {
        let Some(decisive) = self.decisive.get_mut(node.index()) else { return 0 };
        if self.event.is_multiple_of(256) {
            *decisive = 0;
        }
        *decisive
    }

    fn result(&self, node: NodeId) -> Option<bool> {
        match self.results.get(node.index())?.wrapping_sub(self.event) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn set_result(&mut self, node: NodeId, holds: bool) {
        if let Some(result) = self.results.get_mut(node.index()) {
            *result = self.event + u32::from(holds);
        }
    }

    /// Moves to an event with this number.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, event: u32) {
        self.event = event;
    }
}

/// Zero marks what was never evaluated.
const FIRST_EVENT: u32 = 2;

impl<F> Program<F> {
    /// A cache for evaluating this program.
    pub fn eval_cache(&self) -> EvalCache {
        EvalCache::new(self.nodes.len(), self.indexes.len())
    }

    /// An evaluator for the event of the supplier, with a cache that
    /// [`eval_cache`](Self::eval_cache) made. The meter follows each node that is evaluated.
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
}

/// Evaluates a program on one event.
pub struct Evaluator<'e, F, S: ?Sized, M> {
    pub(super) program: &'e Program<F>,
    pub(super) supplier: &'e S,
    cache: &'e mut EvalCache,
    /// Follows each node that is evaluated.
    pub meter: M,
    /// Values by the slots of indexes: `Some(None)` for a value that was read and is absent.
    values: [Option<Option<Value<'e>>>; SLOTS],
}

impl<'e, F, S, M> Evaluator<'e, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Whether a node holds for the event, which must be of a type that its condition was added
    /// for.
    #[inline(always)]
    pub fn holds(&mut self, node: NodeId) -> bool {
        let Some(Node { op, shared }) = self.program.nodes.get(node.index()).copied() else {
            return false;
        };
        if let Op::Lookup(index, query) = op {
            let mark = self.meter.enter(node);
            let holds = self.lookup(index, query);
            self.meter.leave(node, mark, holds);
            return holds;
        }
        if shared && let Some(holds) = self.cache.result(node) {
            return holds;
        }
        self.evaluate(node, op, shared)
    }

    #[inline(never)]
    fn evaluate(&mut self, node: NodeId, op: Op, shared: bool) -> bool {
        let mark = self.meter.enter(node);
        let holds = match op {
            Op::Junction { start, end, absorbing } => {
                self.any_is(absorbing, node, start, end) == absorbing
            }
            Op::Not(operand) => !self.holds(operand),
            Op::Lookup(index, query) => self.lookup(index, query),
            Op::FieldTest(index) => self.test(node, Some(index)),
            Op::OpaqueTest => self.test(node, None),
            Op::Guarded(place) => self.guarded(node, place),
        };
        self.meter.leave(node, mark, holds);
        if shared {
            self.cache.set_result(node, holds);
        }
        holds
    }

    /// Whether one of the operands of a node evaluates to this.
    #[inline]
    fn any_is(&mut self, holds: bool, node: NodeId, start: u32, end: u32) -> bool {
        let operands = self.program.operands.get(start as usize..end as usize);
        debug_assert!(operands.is_some(), "operands of a node are in the program");
        let operands = operands.unwrap_or_default();
        let last = self.cache.decisive(node);
        if let Some(operand) = operands.get(last as usize)
            && self.holds(*operand) == holds
        {
            return true;
        }
        for (index, operand) in (0..).zip(operands) {
            if index != last && self.holds(*operand) == holds {
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
        let Some(GuardedTest { guard: (index, query), op }) =
            self.program.guarded.get(place as usize)
        else {
            return false;
        };
        self.lookup(*index, *query)
            && match *op {
                Op::Lookup(index, query) => self.lookup(index, query),
                Op::FieldTest(index) => self.test(node, Some(index)),
                _ => self.test(node, None),
            }
    }

    #[inline]
    fn lookup(&mut self, id: IndexId, query: QueryId) -> bool {
        let program = self.program;
        let Some(index) = program.indexes.get(usize::from(id.0)) else { return false };
        index.table.has(self.class_of(id, &index.table), query)
    }

    #[inline]
    fn class_of(&mut self, id: IndexId, table: &TextTable) -> TextClass {
        match self.cache.classes.get(usize::from(id.0)) {
            Some((event, class)) if *event == self.cache.event => *class,
            _ => self.find_class(id, table),
        }
    }

    /// The class of the value of an index.
    #[inline]
    pub(super) fn class_in(&mut self, id: IndexId) -> TextClass {
        let program = self.program;
        program.table(id).map_or(TextClass::NONE, |table| self.class_of(id, table))
    }

    #[inline(never)]
    fn find_class(&mut self, id: IndexId, table: &TextTable) -> TextClass {
        let class = match self.value(id) {
            Some(Value::Text(text) | Value::Bytes(text)) => {
                match self.cache.recent.get_mut(usize::from(id.0)) {
                    Some(last) => last.class_of(text).unwrap_or_else(|| {
                        let class = table.class_of(text);
                        if let Some(recent) = RecentText::new(text, class) {
                            *last = recent;
                        }
                        class
                    }),
                    None => table.class_of(text),
                }
            }
            // No value, or one of another type than the literals, which no test accepts.
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
            Some(cached) => *cached.get_or_insert_with(|| supplier.value(field)),
            None => supplier.value(field),
        }
    }
}
