//! What is known of fields before there is an event, and what a condition becomes by it.

use super::graph::NodeId;
use crate::Value;
use crate::matcher::{Anchor, Side};

/// What the type of an event says about fields. Conditions are specialised by it.
pub trait StaticFacts<F> {
    /// The value that the field has in every event of this type, `Some(None)` when it has none in
    /// any of them; `None` when it depends on the event.
    fn known(&self, field: &F) -> Option<Option<Value<'static>>>;

    /// Whether reading the field repeatedly within an event returns the same value and does not
    /// affect the values of other fields.
    fn is_pure(&self, field: &F) -> bool;

    /// Whether the field is a number and never this one. `false` states nothing.
    fn excludes(&self, _field: &F, _number: u64) -> bool {
        false
    }

    /// Another field, and how it starts or ends in every event in which the value of this field has
    /// the text at the anchor: `fd.filename = passwd` implies that `fd.name` ends with `/passwd`.
    /// `None` states nothing.
    fn implied(&self, _field: &F, _anchor: Anchor, _text: &[u8]) -> Option<(F, Side, Vec<u8>)> {
        None
    }

    /// What a read costs, in units of a comparison of two numbers. Only the order of tests depends
    /// on it.
    fn cost(&self, field: &F) -> u32;
}

/// What remains of a condition for one type of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Residual {
    /// It holds for none of them.
    Never,
    /// It holds for all of them.
    Always,
    /// It holds when this node of the program does.
    Compiled(NodeId),
    /// It reads impure fields, so that the order of reads matters: evaluate it as it is written,
    /// with [`Filter::matches`](crate::Filter::matches).
    Interpreted,
}
