//! Which rules are asked about an event, and how.

use peregrine_event::{EventSet, EventType};
use peregrine_fields::{Field, OfType, View};
use peregrine_filter::{Program, ProgramBuilder, Sieve, Verdicts, Whole};
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
/// Rules are asked in their order, with the answers that their conditions give one by one. But what they
/// have in common is decided once, what excludes many comes first, and each is first asked for what it lacked last
/// time.
#[derive(Debug)]
pub struct Dispatch {
    program: Program<Field>,
    by_type: Box<[Candidates]>,
}

/// The rules that events of one type can match, in the order in which they are tried.
#[derive(Debug)]
struct Candidates {
    rules: Box<[Candidate]>,
    sieve: Sieve,
}

/// What a run of events needs beside the rules.
#[derive(Debug)]
pub(crate) struct Working {
    matching: Matching,
    verdicts: Verdicts,
    // The candidates that may still match, as a bitmap.
    live: Vec<u64>,
}

#[derive(Debug)]
struct Candidate {
    rule: u32,
    condition: Whole,
}

impl Dispatch {
    /// Compiles the active rules of the source `syscall` for the event types that their conditions allow.
    pub fn new(rules: &RuleSet<Field>) -> Self {
        let active: Vec<_> = (0..)
            .zip(&rules.rules)
            .filter(|(_, rule)| rule.active && rule.source == "syscall")
            .map(|(index, rule)| {
                let types = rule.event_types.as_ref();
                let mut types = types.map_or_else(EventSet::all, |types| types.events);
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
        let node = |candidate: &Candidate| match candidate.condition {
            Whole::Node(node) => Some(node),
            _ => None,
        };
        let with_sieve = |rules: Box<[Candidate]>| Candidates {
            sieve: program.sieve(&rules.iter().map(node).collect::<Vec<_>>()),
            rules,
        };
        let by_type = by_type.into_iter().map(with_sieve).collect();
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
        let mut asked = self.program.ask(view, verdicts, meter);
        live.clear();
        live.resize(here.rules.len().div_ceil(64), u64::MAX);
        asked.sift(&here.sieve, live);
        for (batch, left) in here.rules.chunks(64).zip(&*live) {
            for Candidate { rule, condition } in Bits(*left).map_while(|bit| batch.get(bit)) {
                let rule = *rule as usize;
                let mark = asked.meter.enter(Stage::Rule(rule));
                let matched = match condition {
                    Whole::Never => false,
                    Whole::Always => true,
                    Whole::Node(node) => asked.holds(*node),
                    Whole::Plain => rules.rules.get(rule).is_some_and(|r| r.filter.matches(view)),
                };
                asked.meter.leave(Stage::Rule(rule), mark, matched);
                if matched {
                    let mark = asked.meter.enter(Stage::Alert(rule));
                    hit(rule);
                    asked.meter.leave(Stage::Alert(rule), mark, true);
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
