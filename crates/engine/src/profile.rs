//! What rules cost: a profile of a run.
//!
//! Every evaluation is counted. Time is taken of some events only, chosen by chance: of the first ones of each type nearly
//! all, later one of a hundred or so; what a [`Profile`] tells is scaled to all. A look at the clock costs more than most
//! conditions do. So one half of these events is timed as a whole, the other part by part; by how much the latter take
//! longer tells what the looks have added, which is taken off again.
//!
//! A condition that several rules share is decided once per event, so that no single rule is to blame for it: its time is
//! split evenly among the rules that have it. What would be won without a rule is its [own](Cost::own_ns) time at least.
//!
//! A test that asks first for a value pays for getting it; those after it find it at hand.

mod tree;

use peregrine_alert::RuleId;
use peregrine_event::EventType;

use crate::Generation;
use crate::meter::{Profiler, TypeCosts};

pub use tree::{Condition, Root};

/// What was measured of a run.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Events that a rule could match.
    pub events: u64,
    /// Those of them that were timed.
    pub timed: u64,
    /// All rules that events could match, the dearest first.
    pub rules: Vec<RuleProfile>,
    /// The types of these events, the dearest first.
    pub types: Vec<TypeProfile>,
    /// Finding out which rules to ask, in nanoseconds.
    pub dispatch_ns: f64,
}

/// What one rule cost.
#[derive(Clone, Debug)]
pub struct RuleProfile {
    /// Its id.
    pub rule: RuleId,
    /// Events of the types that it can match.
    pub events: u64,
    /// Those for which it was asked, as nothing that it shares with others had excluded it.
    pub asked: u64,
    /// Those that it matched.
    pub matches: u64,
    /// Where the time went.
    pub cost: Cost,
    /// Its condition, for each group of event types for which it comes to the same.
    pub roots: Vec<Root>,
}

/// Nanoseconds that a rule took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Conditions that no other rule has.
    pub own_ns: f64,
    /// Its part of conditions that others have too.
    pub shared_ns: f64,
    /// Making alerts of its matches.
    pub alerts_ns: f64,
}

impl Cost {
    /// All of it.
    pub fn total_ns(&self) -> f64 {
        self.own_ns + self.shared_ns + self.alerts_ns
    }
}

/// What events of one type cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TypeProfile {
    /// The type.
    pub ty: EventType,
    /// Events of it.
    pub events: u64,
    /// Rules that they can match.
    pub rules: usize,
    /// All their time, in nanoseconds.
    pub ns: f64,
}

impl Profile {
    /// What a profiler of this generation has measured so far.
    pub fn new(generation: &Generation, profiler: &Profiler) -> Self {
        let compiled = generation.compiled();
        let look = profiler.look_ns();
        let types: Vec<TypeProfile> = (profiler.types())
            .filter(|(_, measured)| measured.events > 0)
            .map(|(ty, TypeCosts { events, whole, parts, .. })| {
                let mean = if whole.count > 0 { whole.mean(0.0) } else { parts.mean(look) };
                let rules = compiled.residuals(ty).count();
                TypeProfile { ty, events: *events, rules, ns: mean * *events as f64 }
            })
            .collect();
        let mut rules = tree::rules(generation, profiler, &types);
        rules.sort_by(|a, b| b.cost.total_ns().total_cmp(&a.cost.total_ns()));
        let mut profile = Self {
            events: types.iter().map(|ty| ty.events).sum(),
            timed: profiler.types().map(|(_, ty)| ty.whole.count + ty.parts.count).sum(),
            dispatch_ns: 0.0,
            rules,
            types,
        };
        profile.types.sort_by(|a, b| b.ns.total_cmp(&a.ns));
        profile.dispatch_ns = (profile.total_ns() - profile.rules_ns()).max(0.0);
        profile
    }

    /// All time that rules took, making alerts included, in nanoseconds.
    pub fn total_ns(&self) -> f64 {
        self.types.iter().map(|ty| ty.ns).sum()
    }

    fn rules_ns(&self) -> f64 {
        self.rules.iter().map(|rule| rule.cost.total_ns()).sum()
    }
}

#[cfg(test)]
mod tests;
