//! Rules compiled for evaluation, with a dispatch by event source and type.

use std::collections::HashMap;
use std::ops::ControlFlow;

use peregrine_event::{EventSet, EventType, SourceId};
use peregrine_fields::table::Needs;
use peregrine_fields::{EventTypeFacts, Field, PartialView, View};
use peregrine_filter::{
    Condition, Dependents, EvalCache, LayerStats, PreFilter, PreFilterBuilder, Program,
    ProgramBuilder, Residual,
};
use peregrine_rules::{Rule, RuleSet};

use crate::meter::{RuleMeter, Stage};

/// Whether an event can match more than one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// The first rule that matches is the only one.
    #[default]
    First,
    /// Every rule is evaluated.
    All,
}

/// The active rules of a rule set as one program, with a dispatch for each event source.
///
/// The result is that of evaluating the conditions one by one in the order of the rules. Shared
/// conditions are evaluated once per event, tests that exclude many rules come first, and each
/// condition begins with the part that decided it last.
#[derive(Debug)]
pub struct CompiledRules {
    program: Program<Field>,
    dependents: NeedDependents,
    // By `SourceId::index`.
    dispatches: Box<[Dispatch]>,
    // Layers of all pre-filters.
    layers: usize,
}

/// The parts of the program that wait while something of a container is being found out.
#[derive(Debug)]
struct NeedDependents {
    container: Dependents,
    metadata: Dependents,
}

/// Which rules to evaluate for events of one source, by type.
#[derive(Debug)]
struct Dispatch {
    // For each type, the index of its group.
    by_type: Box<[u16]>,
    groups: Box<[Candidates]>,
}

/// The rules that events of some types can match, in the order of evaluation.
#[derive(Debug)]
pub(crate) struct Candidates {
    rules: Box<[Candidate]>,
    pre_filter: PreFilter,
    /// Index in `Working::layer_stats` of the first layer of its pre-filter.
    first_layer: usize,
    /// The most that one of the conditions needs.
    needs: Needs,
}

/// The mutable data of evaluation, rebuilt for each generation.
#[derive(Debug)]
pub(crate) struct Working {
    matching: Matching,
    /// Types of syscall events that some rule can match: most events are none of these, and are
    /// rejected without following pointers into the generation.
    syscall_types: EventSet,
    cache: EvalCache,
    // Of the layers of all pre-filters.
    layer_stats: Box<[LayerStats]>,
    // The candidates that may still match, as a bitmap.
    live: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Candidate {
    rule: u32,
    condition: Residual,
}

impl CompiledRules {
    /// Compiles the active rules for the event types that their conditions allow.
    pub fn new(rules: &RuleSet<Field>) -> Self {
        let mut program = ProgramBuilder::default();
        let sources = rules.rules.iter().map(|rule| rule.source_id.index() + 1).max();
        let mut by_source: Vec<_> = Vec::new();
        by_source.resize_with(sources.unwrap_or(0), || vec![Vec::new(); EventType::COUNT]);
        for (index, rule) in (0..).zip(&rules.rules).filter(|(_, rule)| rule.active) {
            if let Some(by_type) = by_source.get_mut(rule.source_id.index()) {
                compile(index, rule, &mut program, by_type);
            }
        }
        let program = program.finish();
        let dependents = NeedDependents::new(&program);
        let needs = |candidate: &Candidate| dependents.needs(*candidate, rules);
        let pre_filters = PreFilterBuilder::new(&program);
        let mut layers = 0;
        let dispatches = by_source
            .into_iter()
            .map(|by_type| Dispatch::new(by_type, &pre_filters, &needs, &mut layers));
        Self { dispatches: dispatches.collect(), program, dependents, layers }
    }

    /// Whether events of this source and type can match any rule.
    pub fn concerns(&self, source: SourceId, ty: EventType) -> bool {
        self.candidates(source, ty).is_some()
    }

    /// Positions of the rules that events of this source and type can match, in the order of
    /// evaluation.
    pub fn rules(&self, source: SourceId, ty: EventType) -> impl Iterator<Item = usize> {
        self.candidates(source, ty).into_iter().flat_map(Candidates::rules).map(|(rule, _)| rule)
    }

    /// The rules that events of this source and type can match; `None` if there are none.
    #[inline]
    pub(crate) fn candidates(&self, source: SourceId, ty: EventType) -> Option<&Candidates> {
        self.dispatches.get(source.index())?.candidates(ty)
    }

    /// The rules that events of this type from any source can match.
    pub(crate) fn residuals(&self, ty: EventType) -> impl Iterator<Item = (usize, Residual)> {
        let sources = self.dispatches.iter();
        sources.filter_map(move |source| source.candidates(ty)).flat_map(Candidates::rules)
    }

    /// The conditions of all rules.
    pub(crate) fn program(&self) -> &Program<Field> {
        &self.program
    }

    pub(crate) fn working(&self, matching: Matching) -> Working {
        let layer_stats = vec![LayerStats::default(); self.layers].into();
        let matched = |ty: &EventType| self.candidates(SourceId::SYSCALL, *ty).is_some();
        let syscall_types = EventType::all().filter(matched).collect();
        let cache = self.program.eval_cache();
        Working { matching, syscall_types, cache, layer_stats, live: Vec::new() }
    }

    /// Calls `matched` with the position of each rule that matches.
    #[inline]
    pub(crate) fn matches<M: RuleMeter>(
        &self,
        here: &Candidates,
        rules: &RuleSet<Field>,
        view: &View<'_>,
        Working { matching, cache, layer_stats, live, .. }: &mut Working,
        meter: &mut M,
        mut matched: impl FnMut(usize),
    ) {
        let mut evaluator = self.program.evaluator(view, cache, meter);
        live.clear();
        live.resize(here.rules.len().div_ceil(64), u64::MAX);
        let layer_stats = layer_stats.get_mut(here.first_layer..).unwrap_or_default();
        evaluator.prune(&here.pre_filter, layer_stats, live);
        for (batch, left) in here.rules.chunks(64).zip(&*live) {
            for Candidate { rule, condition } in Bits(*left).map_while(|bit| batch.get(bit)) {
                let rule = *rule as usize;
                let mark = evaluator.meter.enter(Stage::Rule(rule));
                let holds = match condition {
                    Residual::Never => false,
                    Residual::Always => true,
                    Residual::Compiled(node) => evaluator.holds(*node),
                    Residual::Interpreted => {
                        rules.rules.get(rule).is_some_and(|r| r.filter.matches(view))
                    }
                };
                evaluator.meter.leave(Stage::Rule(rule), mark, holds);
                if holds {
                    let mark = evaluator.meter.enter(Stage::Alert(rule));
                    matched(rule);
                    evaluator.meter.leave(Stage::Alert(rule), mark, true);
                    if *matching == Matching::First {
                        return;
                    }
                }
            }
        }
    }
}

impl CompiledRules {
    /// Calls `found` with the position of each rule that matches, or may match: its condition
    /// depends on fields that need `missing` or more, which are unknown. Rules are in the order of
    /// evaluation, until `found` breaks.
    pub(crate) fn decide<M: RuleMeter>(
        &self,
        here: &Candidates,
        rules: &RuleSet<Field>,
        (view, missing): (&View<'_>, Needs),
        Working { cache, layer_stats, live, .. }: &mut Working,
        meter: &mut M,
        mut found: impl FnMut(usize, Decision) -> ControlFlow<()>,
    ) {
        let view = PartialView::new(view, missing);
        let unknown = self.dependents.of(missing);
        let mut evaluator = self.program.evaluator(&view, cache, meter);
        live.clear();
        live.resize(here.rules.len().div_ceil(64), u64::MAX);
        let layer_stats = layer_stats.get_mut(here.first_layer..).unwrap_or_default();
        evaluator.prune_known(&here.pre_filter, layer_stats, live, unknown);
        for (batch, left) in here.rules.chunks(64).zip(&*live) {
            for Candidate { rule, condition } in Bits(*left).map_while(|bit| batch.get(bit)) {
                let rule = *rule as usize;
                let mark = evaluator.meter.enter(Stage::Rule(rule));
                let holds = match condition {
                    Residual::Never => Some(false),
                    Residual::Always => Some(true),
                    Residual::Compiled(node) => evaluator.decide(*node, unknown),
                    Residual::Interpreted => match rules.rules.get(rule) {
                        Some(rule) => rule.filter.decide(&view),
                        None => Some(false),
                    },
                };
                evaluator.meter.leave(Stage::Rule(rule), mark, holds == Some(true));
                let decision = match holds {
                    Some(false) => continue,
                    Some(true) => Decision::Matches,
                    None => Decision::Open,
                };
                let mark = evaluator.meter.enter(Stage::Alert(rule));
                let flow = found(rule, decision);
                evaluator.meter.leave(Stage::Alert(rule), mark, decision == Decision::Matches);
                if flow.is_break() {
                    return;
                }
            }
        }
    }
}

/// What is known of a rule that may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It matches, unless a rule before it does and only the first counts.
    Matches,
    /// Whether it matches depends on unknown values.
    Open,
}

/// Adds a rule to the program, specialised for each event type that it can match.
fn compile(
    index: u32,
    rule: &Rule<Field>,
    program: &mut ProgramBuilder<Field>,
    by_type: &mut [Vec<Candidate>],
) {
    let mut types = rule.event_types.as_ref().map_or_else(EventSet::all, |types| types.events);
    // An asynchronous event has a name of its own, which no test of `evt.type` knows.
    types.insert(EventType::AsynceventE);
    let mut condition = Condition::new(&rule.filter);
    for (ty, candidates) in EventType::all().zip(by_type) {
        if !types.contains(ty) {
            continue;
        }
        match program.add(&mut condition, &EventTypeFacts(ty)) {
            Residual::Never => {}
            condition => candidates.push(Candidate { rule: index, condition }),
        }
    }
}

impl Dispatch {
    /// Types with the same candidates share a pre-filter. `layers` counts the layers of all
    /// pre-filters.
    fn new(
        by_type: Vec<Vec<Candidate>>,
        pre_filters: &PreFilterBuilder<'_, Field>,
        needs: &impl Fn(&Candidate) -> Needs,
        layers: &mut usize,
    ) -> Self {
        let mut groups = Vec::new();
        let mut known = HashMap::new();
        let group = |rules: Vec<Candidate>| {
            let place = *known.entry(rules).or_insert_with_key(|rules| {
                let node = |candidate: &Candidate| match candidate.condition {
                    Residual::Compiled(node) => Some(node),
                    _ => None,
                };
                let pre_filter = pre_filters.build(&rules.iter().map(node).collect::<Vec<_>>());
                let first_layer = *layers;
                *layers += pre_filter.len();
                let needs = rules.iter().map(needs).max().unwrap_or(Needs::Nothing);
                let rules = rules.as_slice().into();
                groups.push(Candidates { rules, pre_filter, first_layer, needs });
                groups.len() - 1
            });
            place as u16
        };
        let by_type = by_type.into_iter().map(group).collect();
        Self { by_type, groups: groups.into() }
    }

    #[inline]
    fn candidates(&self, ty: EventType) -> Option<&Candidates> {
        let group = usize::from(*self.by_type.get(ty as usize)?);
        self.groups.get(group).filter(|candidates| !candidates.rules.is_empty())
    }
}

impl NeedDependents {
    fn new(program: &Program<Field>) -> Self {
        let from = |least| program.dependents(|field: &Field| field.needs() >= least);
        Self { container: from(Needs::Container), metadata: from(Needs::Metadata) }
    }

    /// What depends on fields that need this much or more.
    fn of(&self, least: Needs) -> &Dependents {
        if least == Needs::Metadata { &self.metadata } else { &self.container }
    }

    /// The most that a condition needs.
    fn needs(&self, Candidate { rule, condition }: Candidate, rules: &RuleSet<Field>) -> Needs {
        let reads = |least| match condition {
            Residual::Never | Residual::Always => false,
            Residual::Compiled(node) => self.of(least).has(node),
            Residual::Interpreted => (rules.rules.get(rule as usize))
                .is_some_and(|rule| rule.filter.reads(|field| field.needs() >= least)),
        };
        let most = [Needs::Metadata, Needs::Container].into_iter().find(|least| reads(*least));
        most.unwrap_or(Needs::Nothing)
    }
}

impl Working {
    pub(crate) fn matching(&self) -> Matching {
        self.matching
    }

    /// Whether rules may match events of this source and type.
    #[inline]
    pub(crate) fn may_match(&self, source: SourceId, ty: EventType) -> bool {
        source != SourceId::SYSCALL || self.syscall_types.contains(ty)
    }
}

impl Candidates {
    /// What must be known of a container so that all conditions are true or false.
    #[inline]
    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// Positions of the rules, and the residuals of their conditions.
    fn rules(&self) -> impl Iterator<Item = (usize, Residual)> {
        self.rules.iter().map(|candidate| (candidate.rule as usize, candidate.condition))
    }
}

/// The indices of set bits, in ascending order.
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
