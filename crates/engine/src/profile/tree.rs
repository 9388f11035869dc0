//! Conditions as a profile shows them, and their cost by rule.

use std::collections::BTreeMap;

use peregrine_alert::RuleId;
use peregrine_event::EventType;
use peregrine_fields::Field;
use peregrine_filter::{NodeId, Program, Residual, SubCondition};

use super::{Cost, RuleProfile, TypeProfile};
use crate::Generation;
use crate::meter::{Profiler, Slot};

/// A rule's condition for some event types.
#[derive(Clone, Debug)]
pub struct Root {
    /// The types.
    pub types: Vec<EventType>,
    /// The residual of the condition for them in pre-order. A part that occurs again is not
    /// repeated. Empty when the residual is constant.
    pub conditions: Vec<Condition>,
}

/// A part of a condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Depth in the residual.
    pub depth: usize,
    /// The source text of a test, or the operator: `and`, `or`, `not`.
    pub text: String,
    /// How often it was evaluated.
    pub asked: u64,
    /// How often it was true.
    pub held: u64,
    /// Time of its evaluations without those of its operands, in nanoseconds.
    pub ns: f64,
    /// How many rules have it.
    pub rules: usize,
}

impl Condition {
    /// The share of each rule that has it, in nanoseconds.
    pub fn share_ns(&self) -> f64 {
        self.ns / self.rules.max(1) as f64
    }
}

/// The residuals of a rule for the event types that occurred.
#[derive(Default)]
struct RuleResiduals {
    events: u64,
    roots: Vec<(Residual, Vec<EventType>)>,
}

/// The costs of all rules.
pub(super) fn rules(
    generation: &Generation,
    profiler: &Profiler,
    types: &[TypeProfile],
) -> Vec<RuleProfile> {
    let compiled = generation.compiled();
    let mut rules: BTreeMap<usize, RuleResiduals> = BTreeMap::new();
    for TypeProfile { ty, events, .. } in types {
        for (rule, residual) in compiled.residuals(*ty) {
            let RuleResiduals { events: all, roots } = rules.entry(rule).or_default();
            *all += events;
            match roots.iter_mut().find(|(known, _)| *known == residual) {
                Some((_, types)) => types.push(*ty),
                None => roots.push((residual, vec![*ty])),
            }
        }
    }
    let program = compiled.program();
    let mut users = vec![0; program.len()];
    for residuals in rules.values() {
        let mut seen = Visitor::new(program);
        for (residual, _) in &residuals.roots {
            seen.walk(*residual, &mut |node, _| {
                if let Some(users) = users.get_mut(node.index()) {
                    *users += 1;
                }
            });
        }
    }
    let costs = CostSplit { program, profiler, users, reading: profiler.reading_ns() };
    let ids =
        |(index, residuals)| generation.rule(index).map(|(id, _)| costs.rule(id, index, residuals));
    rules.into_iter().filter_map(ids).collect()
}

/// Computes the cost of a rule.
struct CostSplit<'a> {
    program: &'a Program<Field>,
    profiler: &'a Profiler,
    /// Number of rules that have each condition.
    users: Vec<usize>,
    reading: f64,
}

impl CostSplit<'_> {
    fn rule(&self, rule: RuleId, index: usize, residuals: RuleResiduals) -> RuleProfile {
        let mut seen = Visitor::new(self.program);
        let root = |(residual, types)| {
            let mut conditions = Vec::new();
            seen.walk(residual, &mut |node, depth| conditions.push(self.condition(node, depth)));
            Root { types, conditions }
        };
        let roots: Vec<Root> = residuals.roots.into_iter().map(root).collect();
        let slot = self.profiler.rule(index);
        let alerts_ns = self.profiler.alerts(index).total_ns(self.reading);
        let mut cost = Cost { own_ns: slot.total_ns(self.reading), shared_ns: 0.0, alerts_ns };
        for condition in roots.iter().flat_map(|root| &root.conditions) {
            match condition.rules {
                1 => cost.own_ns += condition.ns,
                _ => cost.shared_ns += condition.share_ns(),
            }
        }
        let (asked, matches) = (slot.asked, slot.held);
        RuleProfile { rule, events: residuals.events, asked, matches, cost, roots }
    }

    fn condition(&self, node: NodeId, depth: usize) -> Condition {
        let Slot { asked, held, .. } = self.profiler.node(node);
        let ns = self.profiler.node(node).total_ns(self.reading);
        let rules = self.users.get(node.index()).copied().unwrap_or(0);
        let text = match self.program.sub_condition(node) {
            Some(SubCondition::All(_)) => "and",
            Some(SubCondition::Any(_)) => "or",
            Some(SubCondition::Not(_)) => "not",
            Some(SubCondition::Test(text)) => text,
            None => "",
        };
        Condition { depth, text: text.to_owned(), asked, held, ns, rules }
    }
}

/// Walks conditions and skips those already visited.
struct Visitor<'p> {
    program: &'p Program<Field>,
    seen: Vec<bool>,
}

impl<'p> Visitor<'p> {
    fn new(program: &'p Program<Field>) -> Self {
        Self { program, seen: vec![false; program.len()] }
    }

    /// Visits all conditions of a residual with their depth.
    fn walk(&mut self, residual: Residual, visit: &mut impl FnMut(NodeId, usize)) {
        if let Residual::Compiled(node) = residual {
            self.descend(node, 0, visit);
        }
    }

    fn descend(&mut self, node: NodeId, depth: usize, visit: &mut impl FnMut(NodeId, usize)) {
        let Some(seen) = self.seen.get_mut(node.index()) else { return };
        if std::mem::replace(seen, true) {
            return;
        }
        visit(node, depth);
        match self.program.sub_condition(node) {
            Some(SubCondition::All(parts) | SubCondition::Any(parts)) => {
                parts.iter().for_each(|part| self.descend(*part, depth + 1, visit));
            }
            Some(SubCondition::Not(part)) => self.descend(part, depth + 1, visit),
            Some(SubCondition::Test(_)) | None => {}
        }
    }
}
