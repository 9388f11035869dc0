//! Many conditions as one program: what they have in common is decided once per event.
//!
//! Conditions are added for one kind of events at a time, of which some fields are [known](Foresight)
//! beforehand: tests of these are decided then and there. What remains is a graph in which every
//! sub-condition stands once, however many conditions of however many kinds of events have it. Its
//! verdicts are kept for the duration of one event.
//!
//! Conditions have no effects, so that the order in which their parts are asked cannot be told from
//! outside; a program asks the cheap parts first. The few fields whose answers change with every question
//! are [told apart](Foresight::is_pure): conditions that have them are left to [`Filter::matches`].

mod build;

use std::sync::Arc;

pub use build::ProgramBuilder;

use crate::filter::Test;
use crate::{Filter, Meter, Supplier, Value};

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

    /// How much work it is to get the value, in units of a comparison of numbers.
    fn cost(&self, field: &F) -> u32;
}

/// What became of a condition for one kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// It holds for none of them.
    Never,
    /// It holds for all of them.
    Always,
    /// The program decides.
    Node(NodeId),
    /// The order of its questions matters: ask [`Filter::matches`].
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
    nodes: Vec<Node<F>>,
}

#[derive(Debug)]
struct Node<F> {
    step: Step<F>,
    /// Several others have it, so that its verdict is worth keeping.
    shared: bool,
    /// How much asking it is worth where it is needed: how often it does not hold, for its cost.
    cut: f32,
}

#[derive(Debug)]
enum Step<F> {
    All(Box<[NodeId]>),
    Any(Box<[NodeId]>),
    Not(NodeId),
    Test(Arc<Test<F>>),
}

/// The verdicts on one event; the memory is used again for the next.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    // Of each node: the event that it was decided for, times two, and one more if it held.
    known: Vec<u32>,
    event: u32,
}

impl Verdicts {
    /// Forgets all: the next event.
    pub fn reset(&mut self) {
        self.event = match self.event.checked_add(2) {
            Some(event) => event,
            None => {
                self.known.fill(0);
                2
            }
        };
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
        Verdicts { known: vec![0; self.nodes.len()], event: 2 }
    }

    /// Whether a sub-condition holds for the event of the supplier, which must be of the kind that it was added for.
    /// The meter follows what is decided for that, but not what is known already.
    pub fn holds<S, M>(
        &self,
        node: NodeId,
        supplier: &S,
        verdicts: &mut Verdicts,
        meter: &mut M,
    ) -> bool
    where
        S: Supplier<F> + ?Sized,
        M: Meter<NodeId>,
    {
        let Some(Node { step, shared, .. }) = self.nodes.get(node.index()) else { return false };
        if *shared && let Some(holds) = verdicts.get(node) {
            return holds;
        }
        let mark = meter.enter(node);
        let holds = match step {
            Step::All(all) => all.iter().all(|node| self.holds(*node, supplier, verdicts, meter)),
            Step::Any(any) => any.iter().any(|node| self.holds(*node, supplier, verdicts, meter)),
            Step::Not(node) => !self.holds(*node, supplier, verdicts, meter),
            Step::Test(test) => test.holds(supplier),
        };
        meter.leave(node, mark, holds);
        if *shared {
            verdicts.set(node, holds);
        }
        holds
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
        Some(match &self.nodes.get(node.index())?.step {
            Step::All(all) => Part::All(all),
            Step::Any(any) => Part::Any(any),
            Step::Not(node) => Part::Not(*node),
            Step::Test(test) => Part::Test(&test.text),
        })
    }

    /// The sub-conditions without which this one does not hold.
    pub fn needs(&self, node: NodeId) -> &[NodeId] {
        match self.nodes.get(node.index()).map(|node| &node.step) {
            Some(Step::All(all)) => all,
            _ => &[],
        }
    }

    /// How much is won by asking for a sub-condition before others that need it: the more, the less it costs and the
    /// less often it holds.
    pub fn cut(&self, node: NodeId) -> f32 {
        self.nodes.get(node.index()).map_or(0.0, |node| node.cut)
    }
}

#[cfg(test)]
mod tests;
