//! The value of each node of a condition for one event.

use peregrine_fields::{EventTypeFacts, View};
use peregrine_filter::StaticFacts;

use super::tree::{ConditionTree, NodeKind, Test};

/// The value of each node for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// By the index of the node.
    outcomes: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    value: Option<bool>,
    reached: bool,
}

/// Tests whose values would have to change for a condition to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flips {
    /// Their number: the distance of the event from a match.
    pub count: usize,
    /// Their nodes, at most [`Flips::SHOWN`], in the order of the text.
    pub nodes: Vec<usize>,
}

impl ConditionTree {
    /// Evaluates every node: first those that the engine evaluates, in its order, then the others.
    ///
    /// Fields that measure from the read before (`thread.cpu`) are read only where the engine reads
    /// them, so nodes that depend on them may have no value.
    #[must_use]
    pub fn evaluate(&self, view: &View<'_>) -> Trace {
        let mut run =
            Evaluation { tree: self, view, outcomes: vec![Outcome::default(); self.len()] };
        run.reach(0);
        run.complete();
        Trace { outcomes: run.outcomes }
    }

    /// Whether the condition holds; stops at the first part that decides.
    #[must_use]
    pub fn holds(&self, view: &View<'_>) -> bool {
        self.node_holds(0, view)
    }

    fn node_holds(&self, index: usize, view: &View<'_>) -> bool {
        let Some(node) = self.node(index) else { return false };
        let mut parts = node.children.iter();
        match &node.kind {
            NodeKind::All => parts.all(|part| self.node_holds(*part, view)),
            NodeKind::Any => parts.any(|part| self.node_holds(*part, view)),
            NodeKind::Not => !parts.any(|part| self.node_holds(*part, view)),
            NodeKind::Macro(_) => parts.any(|part| self.node_holds(*part, view)),
            NodeKind::Test(test) => test.holds(view),
        }
    }
}

impl Test {
    fn holds(&self, view: &View<'_>) -> bool {
        self.check.holds(self.check.left().value(view), view)
    }

    /// Whether reading its fields again gives the same values.
    pub(super) fn is_pure(&self, view: &View<'_>) -> bool {
        let facts = EventTypeFacts(view.event().ty);
        self.check.fields().all(|field| facts.is_pure(field))
    }
}

struct Evaluation<'e> {
    tree: &'e ConditionTree,
    view: &'e View<'e>,
    outcomes: Vec<Outcome>,
}

impl Evaluation<'_> {
    /// Evaluates a node as the engine does.
    fn reach(&mut self, index: usize) -> bool {
        let Some(node) = self.tree.node(index) else { return false };
        let mut parts = node.children.iter();
        let value = match &node.kind {
            NodeKind::All => parts.all(|part| self.reach(*part)),
            NodeKind::Any | NodeKind::Macro(_) => parts.any(|part| self.reach(*part)),
            NodeKind::Not => !parts.any(|part| self.reach(*part)),
            NodeKind::Test(test) => test.holds(self.view),
        };
        if let Some(outcome) = self.outcomes.get_mut(index) {
            *outcome = Outcome { value: Some(value), reached: true };
        }
        value
    }

    /// Evaluates the nodes that were not reached. Parts come after the node that they belong to.
    fn complete(&mut self) {
        for (index, node) in self.tree.nodes().enumerate().collect::<Vec<_>>().into_iter().rev() {
            if self.outcomes.get(index).is_none_or(|outcome| outcome.reached) {
                continue;
            }
            let mut parts = node.children.iter().map(|part| self.outcomes.get(*part)?.value);
            let value = match &node.kind {
                NodeKind::All => known(parts, false),
                NodeKind::Any => known(parts, true),
                NodeKind::Not => parts.next().flatten().map(|value| !value),
                NodeKind::Macro(_) => parts.next().flatten(),
                NodeKind::Test(test) => test.is_pure(self.view).then(|| test.holds(self.view)),
            };
            if let Some(outcome) = self.outcomes.get_mut(index) {
                outcome.value = value;
            }
        }
    }
}

/// The value of several parts of which one with the value `decisive` decides.
fn known(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decisive)
}

impl Trace {
    /// Whether the condition holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.value(0) == Some(true)
    }

    /// The value of a node; `None` where it was not read.
    #[must_use]
    pub fn value(&self, node: usize) -> Option<bool> {
        self.outcomes.get(node)?.value
    }

    /// Number of nodes that are true.
    pub(super) fn count_true(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.value == Some(true)).count()
    }

    /// Whether the engine evaluates the node. It skips those behind a part that decides.
    #[must_use]
    pub fn is_reached(&self, node: usize) -> bool {
        self.outcomes.get(node).is_some_and(|outcome| outcome.reached)
    }

    /// The smallest part that decided first: the test that made an `and` false or an `or` true, or
    /// a group whose parts decided together.
    #[must_use]
    pub fn decisive(&self, tree: &ConditionTree) -> usize {
        let mut at = 0;
        while let Some(node) = tree.node(at) {
            let value = self.value(at);
            let one = match node.kind {
                NodeKind::All if value == Some(false) => Some(false),
                NodeKind::Any if value == Some(true) => Some(true),
                NodeKind::Not | NodeKind::Macro(_) => {
                    node.children.first().and_then(|part| self.value(*part))
                }
                NodeKind::All | NodeKind::Any | NodeKind::Test(_) => None,
            };
            let deciding = |part: &&usize| one.is_some() && self.value(**part) == one;
            match node.children.iter().find(deciding) {
                Some(part) => at = *part,
                None => break,
            }
        }
        at
    }

    /// The fewest tests whose values would have to change for the condition to hold.
    #[must_use]
    pub fn flips(&self, tree: &ConditionTree) -> Flips {
        let mut costs = vec![(0_usize, 0_usize); tree.len()];
        for (index, node) in tree.nodes().enumerate().collect::<Vec<_>>().into_iter().rev() {
            let parts = || node.children.iter().filter_map(|part| costs.get(*part));
            let to_true = || parts().map(|cost| cost.0);
            let to_false = || parts().map(|cost| cost.1);
            let sum = |all: &mut dyn Iterator<Item = usize>| all.fold(0, usize::saturating_add);
            let cost = match node.kind {
                NodeKind::All => (sum(&mut to_true()), to_false().min().unwrap_or(0)),
                NodeKind::Any => (to_true().min().unwrap_or(0), sum(&mut to_false())),
                NodeKind::Not => (sum(&mut to_false()), sum(&mut to_true())),
                NodeKind::Macro(_) => (sum(&mut to_true()), sum(&mut to_false())),
                NodeKind::Test(_) => match self.value(index) {
                    Some(true) => (0, 1),
                    Some(false) | None => (1, 0),
                },
            };
            if let Some(slot) = costs.get_mut(index) {
                *slot = cost;
            }
        }
        let mut flips = Flips { count: costs.first().map_or(0, |cost| cost.0), nodes: Vec::new() };
        collect(tree, &costs, 0, true, &mut flips.nodes);
        flips.nodes.truncate(Flips::SHOWN);
        flips
    }
}

impl Flips {
    /// The most nodes that are named.
    pub const SHOWN: usize = 8;
}

/// Adds the tests of the cheapest way to give a node a value.
fn collect(
    tree: &ConditionTree,
    costs: &[(usize, usize)],
    index: usize,
    wanted: bool,
    nodes: &mut Vec<usize>,
) {
    let Some(node) = tree.node(index) else { return };
    let cost_of = |part: &usize, wanted: bool| {
        costs.get(*part).map_or(0, |cost| if wanted { cost.0 } else { cost.1 })
    };
    if cost_of(&index, wanted) == 0 || nodes.len() >= Flips::SHOWN {
        return;
    }
    let (wanted, all) = match (&node.kind, wanted) {
        (NodeKind::Test(_), _) => return nodes.push(index),
        (NodeKind::Not, wanted) => (!wanted, true),
        (NodeKind::Macro(_), wanted) => (wanted, true),
        (NodeKind::All, wanted) => (wanted, wanted),
        (NodeKind::Any, wanted) => (wanted, !wanted),
    };
    if all {
        node.children.iter().for_each(|part| collect(tree, costs, *part, wanted, nodes));
    } else if let Some(part) = node.children.iter().min_by_key(|part| cost_of(part, wanted)) {
        collect(tree, costs, *part, wanted, nodes);
    }
}
