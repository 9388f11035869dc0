//! Which rules are asked about an event, and how.

use peregrine_event::{EventSet, EventType};
use peregrine_fields::{EventTypes, Field, OfType, View};
use peregrine_filter::{NodeId, Program, ProgramBuilder, Verdicts, Whole};
use peregrine_rules::RuleSet;

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
/// Rules are asked in their order, with the answers that their conditions give one by one. But what many
/// have in common is asked first, and rules that it excludes are not asked at all.
#[derive(Debug)]
pub struct Dispatch {
    program: Program<Field>,
    by_type: Box<[Candidates]>,
}

/// What a run of events needs beside the rules.
#[derive(Debug)]
pub(crate) struct Working {
    matching: Matching,
    verdicts: Verdicts,
    live: Vec<u64>,
}

/// The rules that events of one type can match, in the order in which they are tried.
#[derive(Debug, Default)]
struct Candidates {
    rules: Box<[Candidate]>,
    guards: Box<[Guard]>,
}

#[derive(Debug)]
struct Candidate {
    rule: u32,
    condition: Whole,
}

/// What several candidates need.
#[derive(Debug)]
struct Guard {
    needed: NodeId,
    /// The candidates that need it, as a bitmap.
    by: Box<[u64]>,
}

impl Dispatch {
    /// Compiles the active rules of the source `syscall` for the event types that their conditions allow.
    pub fn new(rules: &RuleSet<Field>) -> Self {
        let active: Vec<_> = (0..)
            .zip(&rules.rules)
            .filter(|(_, rule)| rule.active && rule.source == "syscall")
            .map(|(index, rule)| {
                // Loading refuses conditions whose event types can't be told.
                let types = EventTypes::of(&rule.condition);
                let mut types = types.map_or_else(|_| EventSet::all(), |types| types.events);
                // An asynchronous event has a name of its own, which no test of `evt.type` knows.
                types.insert(EventType::AsynceventE);
                (index, types, &rule.filter)
            })
            .collect();
        let mut program = ProgramBuilder::default();
        let mut conditions = |ty: EventType| -> Box<[Candidate]> {
            let here = active.iter().filter(|(_, types, _)| types.contains(ty));
            let compiled = here.map(|(rule, _, filter)| Candidate {
                rule: *rule,
                condition: program.add(filter, &OfType(ty)),
            });
            compiled.filter(|candidate| candidate.condition != Whole::Never).collect()
        };
        let by_type: Vec<_> = EventType::all().map(&mut conditions).collect();
        let program = program.finish();
        let by_type = by_type.into_iter().map(|rules| Candidates::new(rules, &program)).collect();
        Self { program, by_type }
    }

    /// Whether events of this type can match any rule.
    pub fn concerns(&self, ty: EventType) -> bool {
        self.by_type.get(ty as usize).is_some_and(|here| !here.rules.is_empty())
    }

    /// Rules that events of this type can match, in the order in which they are tried.
    pub fn rules(&self, ty: EventType) -> impl Iterator<Item = usize> {
        self.candidates(ty).map(|(rule, _)| rule)
    }

    /// What is left of the conditions of these rules.
    pub(crate) fn candidates(&self, ty: EventType) -> impl Iterator<Item = (usize, Whole)> {
        let candidates = self.by_type.get(ty as usize);
        let candidates = candidates.into_iter().flat_map(|here| &here.rules);
        candidates.map(|candidate| (candidate.rule as usize, candidate.condition))
    }

    /// The conditions of all rules.
    pub(crate) fn program(&self) -> &Program<Field> {
        &self.program
    }

    pub(crate) fn working(&self, matching: Matching) -> Working {
        Working { matching, verdicts: self.program.verdicts(), live: Vec::new() }
    }

    /// Calls `hit` with the index of each rule that matches.
    pub(crate) fn matches<M: RuleMeter>(
        &self,
        rules: &RuleSet<Field>,
        ty: EventType,
        view: &View<'_>,
        Working { matching, verdicts, live }: &mut Working,
        meter: &mut M,
        mut hit: impl FnMut(usize),
    ) {
        let Some(here) = self.by_type.get(ty as usize) else { return };
        verdicts.reset();
        live.clear();
        live.resize(here.rules.len().div_ceil(64), u64::MAX);
        for guard in &here.guards {
            if !self.program.holds(guard.needed, view, verdicts, meter) {
                live.iter_mut().zip(&guard.by).for_each(|(live, by)| *live &= !by);
            }
        }
        for (candidates, live) in here.rules.chunks(64).zip(&*live) {
            let mut live = *live;
            while let Some(Candidate { rule, condition }) =
                candidates.get(live.trailing_zeros() as usize)
            {
                live &= live - 1;
                let rule = *rule as usize;
                let mark = meter.enter(Stage::Rule(rule));
                let matched = match condition {
                    Whole::Never => false,
                    Whole::Always => true,
                    Whole::Node(node) => self.program.holds(*node, view, verdicts, meter),
                    Whole::Plain => rules.rules.get(rule).is_some_and(|r| r.filter.matches(view)),
                };
                meter.leave(Stage::Rule(rule), mark, matched);
                if matched {
                    let mark = meter.enter(Stage::Alert(rule));
                    hit(rule);
                    meter.leave(Stage::Alert(rule), mark, true);
                    if *matching == Matching::First {
                        return;
                    }
                }
            }
        }
    }
}

impl Candidates {
    /// Finds for each rule what it needs that the most others need too.
    fn new(rules: Box<[Candidate]>, program: &Program<Field>) -> Self {
        let needs = |candidate: &Candidate| match candidate.condition {
            Whole::Node(node) => program.needs(node),
            _ => &[],
        };
        let users = |wanted: &NodeId| rules.iter().filter(|r| needs(r).contains(wanted)).count();
        let mut guards: Vec<Guard> = Vec::new();
        for (index, candidate) in rules.iter().enumerate() {
            let shared = needs(candidate).iter().filter(|needed| users(needed) > 1);
            let worth = |needed: &NodeId| users(needed) as f32 * program.cut(*needed);
            let best = shared.max_by(|a, b| worth(a).total_cmp(&worth(b)));
            let Some(&needed) = best else { continue };
            let known = guards.iter().position(|guard| guard.needed == needed);
            let at = known.unwrap_or_else(|| {
                guards.push(Guard { needed, by: vec![0; rules.len().div_ceil(64)].into() });
                guards.len() - 1
            });
            let word = guards.get_mut(at).and_then(|guard| guard.by.get_mut(index / 64));
            if let Some(word) = word {
                *word |= 1 << (index % 64);
            }
        }
        Self { rules, guards: guards.into() }
    }
}

#[cfg(test)]
mod tests;
