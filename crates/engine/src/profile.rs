//! What rules cost: a profile of a run.
//!
//! Every evaluation is counted. A random sample of the events is timed: nearly all of the first
//! events of each type, later about one in 128. A [`Profile`] scales the sample to all events.
//! Reading the clock takes longer than most conditions do. So half of the sampled events are timed
//! as a whole, the others part by part; the difference is the cost of the clock readings, which is
//! subtracted.
//!
//! A condition that several rules share is evaluated once per event, and its time is split evenly
//! among these rules. Removing a rule saves at least its [own](Cost::own_ns) time.
//!
//! The first test that reads a value pays for its extraction; later tests of the same event reuse
//! it.

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
    /// How many of them were timed.
    pub timed: u64,
    /// All rules that events could match, the most expensive first.
    pub rules: Vec<RuleProfile>,
    /// The types of these events, the most expensive first.
    pub types: Vec<TypeProfile>,
    /// Time to select the rules to evaluate, in nanoseconds.
    pub dispatch_ns: f64,
}

/// What one rule cost.
#[derive(Clone, Debug)]
pub struct RuleProfile {
    /// Its id.
    pub rule: RuleId,
    /// Events of the types that it can match.
    pub events: u64,
    /// Events for which it was evaluated, because no shared condition had excluded it.
    pub asked: u64,
    /// Events that it matched.
    pub matches: u64,
    /// Where the time went.
    pub cost: Cost,
    /// Its condition, for each group of event types for which it specialises to the same residual.
    pub roots: Vec<Root>,
}

/// Time of a rule, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Conditions that only this rule has.
    pub own_ns: f64,
    /// Its share of conditions that other rules have too.
    pub shared_ns: f64,
    /// Alerts of its matches.
    pub alerts_ns: f64,
}

impl Cost {
    /// The sum.
    pub fn total_ns(&self) -> f64 {
        self.own_ns + self.shared_ns + self.alerts_ns
    }
}

/// What events of one type cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TypeProfile {
    /// The type.
    pub ty: EventType,
    /// Number of events.
    pub events: u64,
    /// Rules that they can match.
    pub rules: usize,
    /// Time of all of them, in nanoseconds.
    pub ns: f64,
}

impl Profile {
    /// The measurements of a profiler of this generation.
    pub fn new(generation: &Generation, profiler: &Profiler) -> Self {
        let compiled = generation.compiled();
        let reading = profiler.reading_ns();
        let types: Vec<TypeProfile> = (profiler.types())
            .filter(|(_, measured)| measured.events > 0)
            .map(|(ty, TypeCosts { events, whole, parts, .. })| {
                let mean = if whole.count > 0 { whole.mean(0.0) } else { parts.mean(reading) };
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

    /// Time of all rules, alerts included, in nanoseconds.
    pub fn total_ns(&self) -> f64 {
        self.types.iter().map(|ty| ty.ns).sum()
    }

    fn rules_ns(&self) -> f64 {
        self.rules.iter().map(|rule| rule.cost.total_ns()).sum()
    }
}

#[cfg(test)]
mod tests;
