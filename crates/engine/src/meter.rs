//! Counting and timing while rules are evaluated.

mod sampling;

use std::time::{Duration, Instant};

use peregrine_alert::RuleId;
use peregrine_event::EventType;
use peregrine_filter::{Meter, NodeId};

pub use sampling::{Chance, clock_overhead};

/// The stages of rule evaluation other than conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All rules are evaluated for an event of this type.
    Event(EventType),
    /// This rule is evaluated.
    Rule(usize),
    /// An alert of this rule is rendered.
    Alert(usize),
}

/// Measures the evaluation of rules and conditions. `()` measures nothing and costs nothing.
pub trait RuleMeter: Meter<Stage> + Meter<NodeId> {
    /// Another generation is installed: positions and conditions refer to it from now on. `rules`
    /// has the rule at each position, `conditions` is the number of program nodes.
    fn install(&mut self, _rules: &[RuleId], _conditions: usize) {}

    /// Cost of each rule of the generation, in their order. `None` if it is not measured.
    fn rule_costs(&self) -> Option<Vec<RuleCost>> {
        None
    }
}

impl RuleMeter for () {}

/// Counts every evaluation of a rule and times a sample of them. With `CONDITIONS`, also those of
/// each program node.
#[derive(Debug)]
pub struct CostMeter<const CONDITIONS: bool> {
    types: Box<[TypeCosts]>,
    /// Of conditions, then of rules, then of their alerts.
    slots: Box<[Slot]>,
    nodes: usize,
    /// The rules, by their position in the generation.
    ids: Box<[RuleId]>,
    /// Evaluations and time of rules in earlier generations, by [`RuleId::index`].
    earlier: Vec<(u64, u64)>,
    timing: Timing,
    chance: Chance,
    /// The time between two consecutive clock readings.
    overhead: Duration,
}

/// Measures the conditions of one generation for a profile. Another generation starts from zero.
pub type Profiler = CostMeter<true>;

/// Measures [the cost of rules](RuleMeter::rule_costs) over all generations.
pub type CostCounters = CostMeter<false>;

/// The cost of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleCost {
    /// The rule.
    pub rule: RuleId,
    /// Events that it was evaluated for.
    pub evaluations: u64,
    /// Time of these evaluations, extrapolated from the sample, in nanoseconds. It never decreases.
    pub ns: u64,
}

/// Measurements of the events of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TypeCosts {
    /// Number of events.
    pub(crate) events: u64,
    /// Events timed as a whole.
    pub(crate) whole: Sum,
    /// Events timed part by part.
    pub(crate) parts: Sum,
    /// Events until the next sample.
    wait: u64,
    /// Whether the next sample is timed as a whole.
    whole_next: bool,
}

/// Measurements of a condition or a stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    /// Number of evaluations.
    pub(crate) asked: u64,
    /// How often it was true.
    pub(crate) held: u64,
    /// Timed evaluations, without nested ones.
    pub(crate) timed: Sum,
    /// Time of all evaluations in nanoseconds; each timed one stands for the untimed ones before
    /// it.
    extrapolated: u64,
    /// Number of evaluations up to the last timed one.
    covered: u64,
}

/// A sum of times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// Number of measurements.
    pub(crate) count: u64,
    /// Their sum in nanoseconds.
    pub(crate) ns: u64,
    /// Clock readings that the sum includes.
    pub(crate) readings: u64,
}

/// How the current event is timed.
#[derive(Debug)]
enum Timing {
    Not,
    Whole(Instant),
    Parts { slot: usize, since: Instant, event: Sum },
}

/// In the long run one of this many events is timed: reading the clock costs more than most
/// conditions do.
const SAMPLING: u64 = 128;
/// How fast the sampling rate falls: after this many events to every second event, after twice as
/// many to every third.
const WARM_UP: u64 = 32;
/// A longer time means that the thread was preempted.
const INTERRUPTED: Duration = Duration::from_micros(100);
/// A clock reading takes at most this many times the time between two consecutive ones.
const SLOWEST_READING: f64 = 4.0;
/// No slot: time to select the rules to evaluate.
const NO_SLOT: usize = usize::MAX;

impl Slot {
    /// Time of all evaluations in nanoseconds. `reading` is the cost of a clock reading.
    pub(crate) fn total_ns(&self, reading: f64) -> f64 {
        self.timed.mean(reading) * self.asked as f64
    }
}

impl Sum {
    /// Mean time in nanoseconds without the clock readings; 0 if there is no measurement.
    pub(crate) fn mean(&self, reading: f64) -> f64 {
        (self.ns as f64 - reading * self.readings as f64).max(0.0) / self.count.max(1) as f64
    }

    fn add(&mut self, time: Duration) {
        self.ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    }
}

impl<const CONDITIONS: bool> CostMeter<CONDITIONS> {
    /// Without measurements.
    pub(crate) fn new(rules: &[RuleId], conditions: usize) -> Self {
        let nodes = if CONDITIONS { conditions } else { 0 };
        let ids: Box<[RuleId]> = rules.into();
        Self {
            types: vec![TypeCosts::default(); EventType::COUNT].into(),
            slots: vec![Slot::default(); nodes + 2 * ids.len()].into(),
            nodes,
            ids,
            earlier: Vec::new(),
            timing: Timing::Not,
            chance: Chance::default(),
            overhead: clock_overhead(),
        }
    }

    pub(crate) fn types(&self) -> impl Iterator<Item = (EventType, &TypeCosts)> {
        EventType::all().zip(&self.types)
    }

    pub(crate) fn node(&self, node: NodeId) -> Slot {
        self.slot(node.index())
    }

    pub(crate) fn rule(&self, rule: usize) -> Slot {
        self.slot(self.nodes + rule)
    }

    pub(crate) fn alerts(&self, rule: usize) -> Slot {
        self.slot(self.nodes + self.ids.len() + rule)
    }

    /// Nanoseconds that each clock reading adds to an event timed part by part, compared with
    /// events timed as a whole.
    pub(crate) fn reading_ns(&self) -> f64 {
        let (mut added, mut readings) = (0.0, 0);
        for TypeCosts { whole, parts, .. } in &self.types {
            if whole.count >= ENOUGH && parts.count >= ENOUGH {
                added += parts.ns as f64 - whole.mean(0.0) * parts.count as f64;
                readings += parts.readings;
            }
        }
        let reading = self.overhead.as_nanos() as f64;
        // By chance events timed by parts may be shorter, or much longer.
        match readings {
            0 => reading,
            _ => (added / readings as f64).clamp(reading, SLOWEST_READING * reading),
        }
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
        of_type.wait = self.chance.below(2 * (of_type.events / WARM_UP).min(SAMPLING) + 1);
        let since = Instant::now();
        let next_whole = !of_type.whole_next;
        self.timing = match std::mem::replace(&mut of_type.whole_next, next_whole) {
            true => Timing::Whole(since),
            false => Timing::Parts { slot: NO_SLOT, since, event: Sum::default() },
        };
    }

    fn end(&mut self, ty: EventType) {
        self.lap(NO_SLOT);
        let Some(of_type) = self.types.get_mut(ty as usize) else { return };
        match std::mem::replace(&mut self.timing, Timing::Not) {
            Timing::Not => {}
            Timing::Whole(since) => {
                let took = since.elapsed();
                if took < INTERRUPTED {
                    of_type.whole.count += 1;
                    of_type.whole.add(took.saturating_sub(self.overhead));
                }
            }
            // The same limit as for events timed as a whole: both means are of the same events.
            Timing::Parts { event, .. } if event.ns < INTERRUPTED.as_nanos() as u64 => {
                of_type.parts.count += 1;
                of_type.parts.ns += event.ns;
                of_type.parts.readings += event.readings;
            }
            Timing::Parts { .. } => {}
        }
    }

    #[inline]
    fn ask(&mut self, slot: usize) -> usize {
        if matches!(self.timing, Timing::Parts { .. }) { self.lap(slot) } else { NO_SLOT }
    }

    #[inline]
    fn answer(&mut self, at: usize, before: usize, holds: bool) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        slot.asked += 1;
        slot.held += u64::from(holds);
        if matches!(self.timing, Timing::Parts { .. }) {
            slot.timed.count += 1;
            let timed = slot.timed.ns;
            self.lap(before);
            self.extrapolate(at, timed);
        }
    }

    /// Extrapolates the last timed evaluation to the untimed ones before it. `before` is the timed
    /// sum before it.
    #[cold]
    fn extrapolate(&mut self, at: usize, before: u64) {
        let overhead = u64::try_from(self.overhead.as_nanos()).unwrap_or(u64::MAX);
        let Some(slot) = self.slots.get_mut(at) else { return };
        let took = slot.timed.ns - before;
        // 0 if the thread was preempted.
        if took > 0 {
            let count = slot.asked - std::mem::replace(&mut slot.covered, slot.asked);
            slot.extrapolated += took.saturating_sub(overhead) * count;
        }
    }

    fn earlier(&self, rule: RuleId) -> (u64, u64) {
        self.earlier.get(rule.index()).copied().unwrap_or_default()
    }

    /// Attributes the time since the last reading to the current slot, and switches to `next`.
    /// Returns the current slot.
    #[cold]
    fn lap(&mut self, next: usize) -> usize {
        let Timing::Parts { slot, since, event } = &mut self.timing else { return NO_SLOT };
        let now = Instant::now();
        let took = now.duration_since(std::mem::replace(since, now));
        let slot = std::mem::replace(slot, next);
        let sum = self.slots.get_mut(slot).map(|slot| &mut slot.timed);
        event.add(took);
        event.readings += 1;
        if let Some(sum) = sum.filter(|_| took < INTERRUPTED) {
            sum.add(took);
            sum.readings += 1;
        }
        slot
    }
}

impl<const CONDITIONS: bool> RuleMeter for CostMeter<CONDITIONS> {
    fn install(&mut self, rules: &[RuleId], conditions: usize) {
        let mut next = Self::new(rules, conditions);
        if !CONDITIONS {
            next.earlier = std::mem::take(&mut self.earlier);
            for (index, rule) in self.ids.iter().enumerate() {
                let Slot { asked, extrapolated, .. } = self.rule(index);
                if next.earlier.len() <= rule.index() {
                    next.earlier.resize(rule.index() + 1, (0, 0));
                }
                if let Some((evaluations, ns)) = next.earlier.get_mut(rule.index()) {
                    *evaluations += asked;
                    *ns += extrapolated;
                }
            }
        }
        *self = next;
    }

    fn rule_costs(&self) -> Option<Vec<RuleCost>> {
        let rules = self.ids.iter().enumerate().map(|(index, &rule)| {
            let Slot { asked, extrapolated, .. } = self.rule(index);
            let (evaluations, ns) = self.earlier(rule);
            RuleCost { rule, evaluations: evaluations + asked, ns: ns + extrapolated }
        });
        Some(rules.collect())
    }
}

impl<const CONDITIONS: bool> Meter<NodeId> for CostMeter<CONDITIONS> {
    type Mark = usize;

    fn enter(&mut self, node: NodeId) -> usize {
        if CONDITIONS { self.ask(node.index()) } else { NO_SLOT }
    }

    fn leave(&mut self, node: NodeId, before: usize, holds: bool) {
        if CONDITIONS {
            self.answer(node.index(), before, holds);
        }
    }
}

impl<const CONDITIONS: bool> Meter<Stage> for CostMeter<CONDITIONS> {
    type Mark = usize;

    fn enter(&mut self, stage: Stage) -> usize {
        match stage {
            Stage::Event(ty) => {
                self.begin(ty);
                NO_SLOT
            }
            Stage::Rule(rule) => self.ask(self.nodes + rule),
            Stage::Alert(rule) => self.ask(self.nodes + self.ids.len() + rule),
        }
    }

    fn leave(&mut self, stage: Stage, before: usize, holds: bool) {
        match stage {
            Stage::Event(ty) => self.end(ty),
            Stage::Rule(rule) => self.answer(self.nodes + rule, before, holds),
            Stage::Alert(rule) => self.answer(self.nodes + self.ids.len() + rule, before, holds),
        }
    }
}

/// Fewest timed events of a type that its mean is computed from.
const ENOUGH: u64 = 50;
#[cfg(test)]
mod tests {
    use super::*;

    /// Measurements of one type of event, by parts and as a whole.
    fn meter(parts: Sum, whole: Sum) -> Profiler {
        let mut meter = Profiler::new(&[], 0);
        meter.overhead = Duration::from_nanos(25);
        let costs = TypeCosts { parts, whole, ..TypeCosts::default() };
        meter.types = Box::new([costs]);
        meter
    }

    #[test]
    fn the_cost_of_a_reading_is_bounded() {
        let whole = Sum { count: 100, ns: 100_000, readings: 0 };
        let parts = |ns| Sum { count: 100, ns, readings: 1000 };
        assert_eq!(meter(parts(140_000), whole).reading_ns(), 40.0);
        // Noise: some events timed by parts were slow, or the others were.
        assert_eq!(meter(parts(9_000_000), whole).reading_ns(), 100.0);
        assert_eq!(meter(parts(90_000), whole).reading_ns(), 25.0);
        let few = Sum { count: ENOUGH - 1, ..whole };
        assert_eq!(meter(parts(140_000), few).reading_ns(), 25.0);
    }

    /// Otherwise one mean is of more events than the other, and the difference is not the readings.
    #[test]
    fn interrupted_events_count_in_neither_form() {
        let mut meter = meter(Sum::default(), Sum::default());
        let ty = EventType::all().next().unwrap();
        let ago = |micros| Instant::now().checked_sub(Duration::from_micros(micros)).unwrap();
        let event = Sum { count: 0, ns: 90_000, readings: 10 };
        for since in [1000, 0].map(ago) {
            meter.timing = Timing::Parts { slot: NO_SLOT, since, event };
            meter.end(ty);
            meter.timing = Timing::Whole(since);
            meter.end(ty);
        }
        let counts = meter.types.first().map(|costs| (costs.parts.count, costs.whole.count));
        assert_eq!(counts, Some((1, 1)));
    }

    #[test]
    fn times_are_extrapolated_without_clock_readings() {
        let slot = Slot {
            asked: 100,
            held: 1,
            timed: Sum { count: 10, ns: 80, readings: 15 },
            ..Slot::default()
        };
        assert_eq!(slot.total_ns(2.0), 500.0);
        assert_eq!(slot.total_ns(9.0), 0.0);
        assert_eq!(Slot::default().total_ns(1.0), 0.0);
    }
}
