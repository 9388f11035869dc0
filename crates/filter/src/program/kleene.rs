//! Three-valued evaluation: some values are unknown when an event is evaluated.

use super::evaluator::Evaluator;
use super::graph::{IndexId, NodeId, Program, Term};
use crate::filter::decide_junction;
use crate::{Meter, Supplier};

/// The parts of a program whose results depend on certain fields, such as those that a runtime
/// still has to report.
#[derive(Debug, Default)]
pub struct Dependents {
    /// For each node, whether it reads one of the fields.
    nodes: Box<[bool]>,
    /// For each index, whether it is of one of the fields.
    indexes: Box<[bool]>,
}

impl Dependents {
    /// Whether the result of a node depends on the fields.
    pub fn has(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).copied().unwrap_or(true)
    }

    pub(super) fn has_index(&self, index: IndexId) -> bool {
        self.indexes.get(usize::from(index.0)).copied().unwrap_or(true)
    }
}

impl<F> Program<F> {
    /// What depends on the fields for which `concerned` holds.
    pub fn dependents(&self, concerned: impl Fn(&F) -> bool) -> Dependents {
        let mut nodes: Vec<bool> = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            // Operands come before what is made of them.
            let has = |node: &NodeId| nodes.get(node.index()).copied().unwrap_or(true);
            let depends = match term {
                Term::All(operands) | Term::Any(operands) => operands.iter().any(has),
                Term::Not(operand) => has(operand),
                Term::Test(test) => test.fields().any(&concerned),
            };
            nodes.push(depends);
        }
        let indexes = self.indexes.iter().map(|index| concerned(&index.field)).collect();
        Dependents { nodes: nodes.into(), indexes }
    }
}

impl<F, S, M> Evaluator<'_, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Whether a node holds for the event, as far as it can be said while values are
    /// [unknown](Supplier::is_unknown); see [`Filter::decide`](crate::Filter::decide). `unknown`
    /// has every node that depends on them. Other nodes are evaluated as by
    /// [`holds`](Self::holds), which can't be used for these.
    pub fn decide(&mut self, node: NodeId, unknown: &Dependents) -> Option<bool> {
        if !unknown.has(node) {
            return Some(self.holds(node));
        }
        let program = self.program;
        let mark = self.meter.enter(node);
        let result = match program.terms.get(node.index())? {
            Term::All(all) => {
                decide_junction(all.iter().map(|node| self.decide(*node, unknown)), false)
            }
            Term::Any(any) => {
                decide_junction(any.iter().map(|node| self.decide(*node, unknown)), true)
            }
            Term::Not(operand) => self.decide(*operand, unknown).map(|holds| !holds),
            Term::Test(test) => test.decide(self.supplier),
        };
        self.meter.leave(node, mark, result == Some(true));
        result
    }
}

#[cfg(test)]
mod tests;
