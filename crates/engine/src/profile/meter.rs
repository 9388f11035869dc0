//! Counting and timing while rules are asked.

use std::time::{Duration, Instant};

use peregrine_event::EventType;
use peregrine_filter::{Meter, NodeId};

use super::sampling::{Chance, clock_overhead};
use crate::{CompiledRules, Generation};

/// What the rules do beside deciding conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All rules are asked about an event of this type.
    Event(EventType),
    /// This rule is asked.
    Rule(usize),
    /// An alert of this rule is made.
    Alert(usize),
}

/// Follows the evaluation of rules and of their conditions. `()` follows nothing, and costs nothing.
pub trait RuleMeter: Meter<Stage> + Meter<NodeId> {
    /// The rules of another generation are evaluated from now on: positions and conditions are its.
    fn install(&mut self, _generation: &Generation) {}
}

impl RuleMeter for () {}

/// A profile is that of one generation: it begins anew.
impl RuleMeter for Profiler {
    fn install(&mut self, generation: &Generation) {
        *self = generation.profiler();
    }
}

/// Measures what [`Profile`](super::Profile) tells.
#[derive(Debug)]
pub struct Profiler {
    types: Box<[TypeCosts]>,
    /// Of conditions, then of rules, then of their alerts.
    slots: Box<[Slot]>,
    nodes: usize,
    rules: usize,
    timing: Timing,
    chance: Chance,
    /// What two looks at the clock with nothing between them are apart.
    look: Duration,
}

/// What was measured of events of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TypeCosts {
    /// How many there were.
    pub(super) events: u64,
    /// Those timed as a whole.
    pub(super) whole: Sum,
    /// Those timed part by part.
    pub(super) parts: Sum,
    /// Events until the next one that is timed.
    wait: u64,
}

/// What was measured of a condition, or of what else rules do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// How often it was asked.
    pub(super) asked: u64,
    /// How often it held.
    pub(super) held: u64,
    /// What was timed, without that of others asked for it.
    pub(super) timed: Sum,
}

/// A sum of times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// How many.
    pub(super) count: u64,
    /// Nanoseconds of all.
    pub(super) ns: u64,
    /// How often the clock was looked at for it.
    pub(super) looks: u64,
}

/// What is going on with the event at hand.
#[derive(Debug)]
enum Timing {
    Not,
    Whole(Instant),
    Parts { slot: usize, since: Instant, event: Sum },
}

/// In the long run one event of about this many is timed: a look at the clock costs more than most conditions do.
const SELDOM: u64 = 128;
/// How fast that comes: after so many events every second one is timed, after twice as many every third.
const SOON: u64 = 32;
/// Nothing takes that long: somebody else had the CPU.
const INTERRUPTED: Duration = Duration::from_micros(100);
/// Not a slot: finding out what to ask.
const NOTHING: usize = usize::MAX;

impl Slot {
    /// All its time, in nanoseconds, where each look at the clock has added `look`.
    pub(super) fn total_ns(&self, look: f64) -> f64 {
        self.timed.mean(look) * self.asked as f64
    }
}

impl Sum {
    /// Nanoseconds of each, without those that looks at the clock have added. 0 of none.
    pub(super) fn mean(&self, look: f64) -> f64 {
        (self.ns as f64 - look * self.looks as f64).max(0.0) / self.count.max(1) as f64
    }

    fn add(&mut self, time: Duration) {
        self.ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    }
}

impl Profiler {
    /// For compiled rules at positions below `rules`.
    pub(crate) fn new(compiled: &CompiledRules, rules: usize) -> Self {
        let nodes = compiled.program().len();
        Self {
            types: vec![TypeCosts::default(); EventType::COUNT].into(),
            slots: vec![Slot::default(); nodes + 2 * rules].into(),
            nodes,
            rules,
            timing: Timing::Not,
            chance: Chance::default(),
            look: clock_overhead(),
        }
    }

    pub(super) fn types(&self) -> impl Iterator<Item = (EventType, &TypeCosts)> {
        EventType::all().zip(&self.types)
    }

    pub(super) fn node(&self, node: NodeId) -> Slot {
        self.slot(node.index())
    }

    pub(super) fn rule(&self, rule: usize) -> Slot {
        self.slot(self.nodes + rule)
    }

    pub(super) fn alerts(&self, rule: usize) -> Slot {
        self.slot(self.nodes + self.rules + rule)
    }

    /// Nanoseconds that each look at the clock has added to an event that was timed part by part: what made it longer than
    /// events timed as a whole.
    pub(super) fn look_ns(&self) -> f64 {
        let (mut added, mut looks) = (0.0, 0);
        for TypeCosts { whole, parts, .. } in &self.types {
            if whole.count >= ENOUGH && parts.count >= ENOUGH {
                added += parts.ns as f64 - whole.mean(0.0) * parts.count as f64;
                looks += parts.looks;
            }
        }
        let look = self.look.as_nanos() as f64;
        // Where chance made the first ones shorter, a look costs what it does elsewhere.
        if looks == 0 { look } else { (added / looks as f64).max(look) }
    }

    fn slot(&self, slot: usize) -> Slot {
        self.slots.get(slot).copied().unwrap_or_default()
    }

    fn begin(&mut self, ty: EventType) {
        let Some(of_type) = self.types.get_mut(ty as usize) else { return };
        of_type.events += 1;
        if of_type.wait > 0 {
            of_type.wait -= 1;
            return;
        }
        of_type.wait = self.chance.below(2 * (of_type.events / SOON).min(SELDOM) + 1);
        let since = Instant::now();
        self.timing = if of_type.whole.count < of_type.parts.count {
            Timing::Whole(since)
        } else {
            Timing::Parts { slot: NOTHING, since, event: Sum::default() }
        };
    }

    fn end(&mut self, ty: EventType) {
        self.lap(NOTHING);
        let Some(of_type) = self.types.get_mut(ty as usize) else { return };
        match std::mem::replace(&mut self.timing, Timing::Not) {
            Timing::Not => {}
            Timing::Whole(since) => {
                let took = since.elapsed();
                of_type.whole.count += 1;
                if took < INTERRUPTED {
                    of_type.whole.add(took.saturating_sub(self.look));
                }
            }
            Timing::Parts { event, .. } => {
                of_type.parts.count += 1;
                of_type.parts.ns += event.ns;
                of_type.parts.looks += event.looks;
            }
        }
    }

    #[inline]
    fn ask(&mut self, slot: usize) -> usize {
        if matches!(self.timing, Timing::Parts { .. }) { self.lap(slot) } else { NOTHING }
    }

    #[inline]
    fn answer(&mut self, at: usize, before: usize, holds: bool) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        slot.asked += 1;
        slot.held += u64::from(holds);
        if matches!(self.timing, Timing::Parts { .. }) {
            slot.timed.count += 1;
            self.lap(before);
        }
    }

    /// Something else runs from now on. Gives what ran until now.
    #[cold]
    fn lap(&mut self, next: usize) -> usize {
        let Timing::Parts { slot, since, event } = &mut self.timing else { return NOTHING };
        let now = Instant::now();
        let took = now.duration_since(std::mem::replace(since, now));
        let slot = std::mem::replace(slot, next);
        let sum = self.slots.get_mut(slot).map(|slot| &mut slot.timed);
        for sum in sum.into_iter().chain([event]).filter(|_| took < INTERRUPTED) {
            sum.add(took);
            sum.looks += 1;
        }
        slot
    }
}

impl Meter<NodeId> for Profiler {
    type Mark = usize;

    fn enter(&mut self, node: NodeId) -> usize {
        self.ask(node.index())
    }

    fn leave(&mut self, node: NodeId, before: usize, holds: bool) {
        self.answer(node.index(), before, holds);
    }
}

impl Meter<Stage> for Profiler {
    type Mark = usize;

    fn enter(&mut self, stage: Stage) -> usize {
        match stage {
            Stage::Event(ty) => {
                self.begin(ty);
                NOTHING
            }
            Stage::Rule(rule) => self.ask(self.nodes + rule),
            Stage::Alert(rule) => self.ask(self.nodes + self.rules + rule),
        }
    }

    fn leave(&mut self, stage: Stage, before: usize, holds: bool) {
        match stage {
            Stage::Event(ty) => self.end(ty),
            Stage::Rule(rule) => self.answer(self.nodes + rule, before, holds),
            Stage::Alert(rule) => self.answer(self.nodes + self.rules + rule, before, holds),
        }
    }
}

/// Timed events of a type from which something can be learned about all.
const ENOUGH: u64 = 50;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_scaled_to_what_was_not_timed_and_without_the_looks() {
        let slot = Slot { asked: 100, held: 1, timed: Sum { count: 10, ns: 80, looks: 15 } };
        assert_eq!(slot.total_ns(2.0), 500.0);
        assert_eq!(slot.total_ns(9.0), 0.0);
        assert_eq!(Slot::default().total_ns(1.0), 0.0);
    }
}
