//! Which rules are asked about an event, and how.

use std::collections::HashMap;

use peregrine_event::{EventSet, EventType};
use peregrine_fields::{EventTypeFacts, Field, View};
use peregrine_filter::{
    Condition, EvalCache, LayerStats, PreFilter, PreFilterBuilder, Program, ProgramBuilder,
    Residual,
};
use peregrine_rules::{Rule, RuleSet};

use crate::profile::{RuleMeter, Stage};

/// Whether an event can match more than one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// The first rule that matches is the only one.
    #[default]
    First,
    /// Every rule is asked.
    All,
}

/// The active rules of a rule set as one program for each event type.
///
/// Rules are asked in their order, with the answers that their conditions give one by one. But what they
/// have in common is decided once, what excludes many comes first, and each is first asked for what it lacked last
/// time.
#[derive(Debug)]
pub struct Dispatch {
    program: Program<Field>,
    // For each type, the place of what its events can match.
    by_type: Box<[u16]>,
    groups: Box<[Candidates]>,
}

/// The rules that events of some types can match, in the order in which they are tried.
#[derive(Debug)]
struct Candidates {
    rules: Box<[Candidate]>,
    pre_filter: PreFilter,
    /// Index in `Working::layer_stats` of the first layer of its pre-filter.
    first_layer: usize,
}

/// What a run of events needs beside the rules.
#[derive(Debug)]
pub(crate) struct Working {
    matching: Matching,
    cache: EvalCache,
    // For each layer of all pre-filters.
    layer_stats: Box<[LayerStats]>,
    // The candidates that may still match, as a bitmap.
    live: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Candidate {
    rule: u32,
    condition: Residual,
}

impl Dispatch {
    /// Compiles the active rules of the source `syscall` for the event types that their conditions allow.
    pub fn new(rules: &RuleSet<Field>) -> Self {
        let active =
            (0..).zip(&rules.rules).filter(|(_, rule)| rule.active && rule.source == "syscall");
        let mut program = ProgramBuilder::default();
        let mut by_type: Vec<Vec<Candidate>> = EventType::all().map(|_| Vec::new()).collect();
        for (rule, Rule { event_types, filter, .. }) in active {
            let mut types = event_types.as_ref().map_or_else(EventSet::all, |types| types.events);
            // An asynchronous event has a name of its own, which no test of `evt.type` knows.
            types.insert(EventType::AsynceventE);
            let mut condition = Condition::new(filter);
            let here = EventType::all().zip(&mut by_type).filter(|(ty, _)| types.contains(*ty));
            for (ty, candidates) in here {
                match program.add(&mut condition, &EventTypeFacts(ty)) {
                    Residual::Never => {}
                    condition => candidates.push(Candidate { rule, condition }),
                }
            }
        }
        let program = program.finish();
        let pre_filters = PreFilterBuilder::new(&program);
        let (mut groups, mut layers) = (Vec::new(), 0);
        let mut known = HashMap::new();
        let group = |rules: Vec<Candidate>| {
            let place = *known.entry(rules).or_insert_with_key(|rules| {
                let node = |candidate: &Candidate| match candidate.condition {
                    Residual::Compiled(node) => Some(node),
                    _ => None,
                };
                let pre_filter = pre_filters.build(&rules.iter().map(node).collect::<Vec<_>>());
                let first_layer = layers;
                layers += pre_filter.len();
                groups.push(Candidates { rules: rules.as_slice().into(), pre_filter, first_layer });
                groups.len() - 1
            });
            place as u16
        };
        let by_type = by_type.into_iter().map(group).collect();
        Self { program, by_type, groups: groups.into() }
    }

    /// Whether events of this type can match any rule.
    pub fn concerns(&self, ty: EventType) -> bool {
        self.here(ty).is_some_and(|here| !here.rules.is_empty())
    }

    /// Rules that events of this type can match, in the order in which they are tried.
    pub fn rules(&self, ty: EventType) -> impl Iterator<Item = usize> {
        self.candidates(ty).map(|(rule, _)| rule)
    }

    /// What is left of the conditions of these rules.
    pub(crate) fn candidates(&self, ty: EventType) -> impl Iterator<Item = (usize, Residual)> {
        let candidates = self.here(ty).into_iter().flat_map(|here| &here.rules);
        candidates.map(|candidate| (candidate.rule as usize, candidate.condition))
    }

    #[inline]
    fn here(&self, ty: EventType) -> Option<&Candidates> {
        self.groups.get(usize::from(*self.by_type.get(ty as usize)?))
    }

    /// The conditions of all rules.
    pub(crate) fn program(&self) -> &Program<Field> {
        &self.program
    }

    pub(crate) fn working(&self, matching: Matching) -> Working {
        let layers = self.groups.iter().map(|group| group.pre_filter.len()).sum();
        let layer_stats = vec![LayerStats::default(); layers].into();
        Working { matching, cache: self.program.eval_cache(), layer_stats, live: Vec::new() }
    }

    /// Calls `hit` with the index of each rule that matches.
    pub(crate) fn matches<M: RuleMeter>(
        &self,
        rules: &RuleSet<Field>,
        ty: EventType,
        view: &View<'_>,
        Working { matching, cache, layer_stats, live }: &mut Working,
        meter: &mut M,
        mut hit: impl FnMut(usize),
    ) {
        let Some(here) = self.here(ty) else { return };
        let mut evaluator = self.program.evaluator(view, cache, meter);
        live.clear();
        live.resize(here.rules.len().div_ceil(64), u64::MAX);
        let layer_stats = layer_stats.get_mut(here.first_layer..).unwrap_or_default();
        evaluator.prune(&here.pre_filter, layer_stats, live);
        for (batch, left) in here.rules.chunks(64).zip(&*live) {
            for Candidate { rule, condition } in Bits(*left).map_while(|bit| batch.get(bit)) {
                let rule = *rule as usize;
                let mark = evaluator.meter.enter(Stage::Rule(rule));
                let matched = match condition {
                    Residual::Never => false,
                    Residual::Always => true,
                    Residual::Compiled(node) => evaluator.holds(*node),
                    Residual::Interpreted => {
                        rules.rules.get(rule).is_some_and(|r| r.filter.matches(view))
                    }
                };
                evaluator.meter.leave(Stage::Rule(rule), mark, matched);
                if matched {
                    let mark = evaluator.meter.enter(Stage::Alert(rule));
                    hit(rule);
                    evaluator.meter.leave(Stage::Alert(rule), mark, true);
                    if *matching == Matching::First {
                        return;
                    }
                }
            }
        }
    }
}

/// The places of the bits that are set, in ascending order.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0.checked_sub(1)?;
        Some(bit)
    }
}

#[cfg(test)]
mod tests;
