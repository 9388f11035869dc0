//! What system calls and rules cost, counted as events pass. All events are counted; one of many is timed, because a look
//! at the clock takes as long as many a rule does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use peregrine_alert::RuleId;
use peregrine_engine::Generation;
use peregrine_engine::profile::{Chance, RuleMeter, Stage, clock_overhead};
use peregrine_event::params::{generic_e, generic_x};
use peregrine_event::{Event, EventType, syscall_name};
use peregrine_filter::{Meter, NodeId};
use peregrine_telemetry::metrics::{CostStats, RuleCost, SyscallCost};

peregrine_event::same_params!(generic_e, generic_x: ID);

/// The counters of a run. The observer of events and the meter of rules share them.
#[derive(Debug)]
pub(crate) struct CostCounters {
    /// By type; then syscalls without a type of their own, by code.
    syscalls: Box<[Count]>,
    /// By [`RuleId::index`].
    rules: RefCell<Vec<Count>>,
    timing: Cell<Timing>,
    /// Events until the next one that is timed.
    wait: Cell<u32>,
    /// Whether the next one is timed as a whole, or each rule of it.
    whole: Cell<bool>,
    chance: Cell<Chance>,
    /// How long reading the clock takes.
    overhead: Duration,
}

/// Measures rules while they are asked.
pub(crate) struct CostMeter {
    counters: Rc<CostCounters>,
    /// Ids of the rules, by their position in the generation.
    ids: Box<[RuleId]>,
}

#[derive(Debug, Default)]
struct Count {
    events: Cell<u64>,
    time: Cell<u64>,
}

/// What is timed of the event at hand.
#[derive(Clone, Copy, Debug, Default)]
enum Timing {
    #[default]
    Nothing,
    Whole(Instant),
    Rules,
}

/// One event of so many is timed as a whole, and one rule by rule.
const SELDOM: u32 = 128;
/// Nothing takes that long: somebody else had the CPU.
const INTERRUPTED: Duration = Duration::from_millis(1);
/// Codes of syscalls that have no event of their own.
const CODES: usize = 1024;

impl CostCounters {
    /// Nothing has been counted yet.
    pub(super) fn new() -> Self {
        let counts = |count| std::iter::repeat_with(Count::default).take(count).collect();
        Self {
            syscalls: counts(EventType::COUNT + CODES),
            rules: RefCell::default(),
            timing: Cell::default(),
            wait: Cell::default(),
            whole: Cell::default(),
            chance: Cell::default(),
            overhead: clock_overhead(),
        }
    }

    /// An event has arrived.
    pub(crate) fn arrived(&self, event: &Event<'_>) {
        if let Some(count) = self.count(event) {
            count.events.set(count.events.get() + 1);
        }
        match self.wait.get() {
            0 => self.begin(),
            wait => self.wait.set(wait - 1),
        }
    }

    /// All that an event brings has been done.
    pub(crate) fn done(&self, event: &Event<'_>) {
        if let Timing::Whole(since) = self.timing.take()
            && let Some(count) = self.count(event)
        {
            count.add(since.elapsed(), self.overhead);
        }
    }

    /// Counts the rules of this generation.
    pub(super) fn meter(self: &Rc<Self>, generation: &Generation) -> CostMeter {
        let mut meter = CostMeter { counters: self.clone(), ids: Box::default() };
        meter.install(generation);
        meter
    }

    /// What was counted until now of system calls and of these rules.
    pub(super) fn stats(&self, rules: &[(RuleId, String)]) -> CostStats {
        let mut syscalls: BTreeMap<&str, SyscallCost> = BTreeMap::new();
        let names = EventType::all().map(EventType::name).map(Some);
        let names = names.chain((0..).map(syscall_name));
        for (name, count) in names.zip(&self.syscalls) {
            // Beginning and end of a syscall have one name.
            let Some(name) = name.filter(|_| count.events.get() > 0) else { continue };
            let figures = syscalls.entry(name).or_default();
            figures.name = name.to_owned();
            figures.events += count.events.get();
            figures.time += count.time.get();
        }
        let counts = self.rules.borrow();
        let rules = rules.iter().filter_map(|(rule, name)| {
            let count = counts.get(rule.index())?;
            let (evaluations, time) = (count.events.get(), count.time.get());
            Some(RuleCost { name: name.clone(), evaluations, time })
        });
        CostStats { syscalls: syscalls.into_values().collect(), rules: rules.collect() }
    }

    fn count(&self, event: &Event<'_>) -> Option<&Count> {
        let code = match event.ty {
            EventType::GenericE | EventType::GenericX => event.u64(generic_x::ID),
            _ => None,
        };
        let code = code.and_then(|code| usize::try_from(code).ok()).filter(|&code| code > 0);
        self.syscalls.get(code.map_or(event.ty as usize, |code| EventType::COUNT + code))
    }

    #[cold]
    fn begin(&self) {
        // Both kinds of timing take turns, so that each comes once in `SELDOM` events; by chance, because loads repeat
        // themselves.
        let mut chance = self.chance.get();
        self.wait.set(chance.below(u64::from(SELDOM - 1)) as u32);
        self.chance.set(chance);
        let whole = self.whole.replace(!self.whole.get());
        self.timing.set(if whole { Timing::Whole(Instant::now()) } else { Timing::Rules });
    }
}

impl Count {
    /// Stands for all that were not timed.
    fn add(&self, took: Duration, overhead: Duration) {
        if took < INTERRUPTED {
            let took = u64::try_from(took.saturating_sub(overhead).as_nanos()).unwrap_or(u64::MAX);
            self.time.set(self.time.get().saturating_add(took * u64::from(SELDOM)));
        }
    }
}

impl RuleMeter for CostMeter {
    fn install(&mut self, generation: &Generation) {
        self.ids = generation.iter().map(|(id, _)| id).collect();
        let rules = self.ids.iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut counts = self.counters.rules.borrow_mut();
        if counts.len() < rules {
            counts.resize_with(rules, Count::default);
        }
    }
}

impl Meter<Stage> for CostMeter {
    type Mark = Option<Instant>;

    fn enter(&mut self, stage: Stage) -> Option<Instant> {
        let timing = self.counters.timing.get();
        matches!((timing, stage), (Timing::Rules, Stage::Rule(_))).then(Instant::now)
    }

    fn leave(&mut self, stage: Stage, since: Option<Instant>, _: bool) {
        let Stage::Rule(index) = stage else { return };
        let counts = self.counters.rules.borrow();
        let count = self.ids.get(index).and_then(|rule| counts.get(rule.index()));
        let Some(count) = count else { return };
        count.events.set(count.events.get() + 1);
        if let Some(since) = since {
            count.add(since.elapsed(), self.counters.overhead);
        }
    }
}

/// Single conditions are not counted.
impl Meter<NodeId> for CostMeter {
    type Mark = ();

    fn enter(&mut self, _: NodeId) {}

    fn leave(&mut self, _: NodeId, (): (), _: bool) {}
}

#[cfg(test)]
mod tests {
    use peregrine_alert::RuleRegistry;
    use peregrine_event::Builder;
    use peregrine_fields::Fields;
    use peregrine_rules::{EventSource, Loader};

    use super::*;

    fn pass(costs: &CostCounters, ty: EventType, code: Option<u16>) {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(ty, 1, 7);
        match code {
            Some(code) => builder.u16(code).u16(0),
            None => builder.i64(0).i64(3),
        };
        builder.finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        costs.arrived(&event);
        costs.done(&event);
    }

    #[test]
    fn events_are_counted_by_the_name_of_their_syscall() {
        let costs = CostCounters::new();
        let (code, name) =
            peregrine_event::syscall_names().find(|(_, name)| *name == "sync").unwrap();
        for _ in 0..3 {
            pass(&costs, EventType::GenericX, Some(code));
        }
        pass(&costs, EventType::GenericX, Some(u16::MAX));
        pass(&costs, EventType::SyscallFchdirX, None);
        let figures = costs.stats(&[]);
        let counts = figures.syscalls.iter().map(|s| (s.name.as_str(), s.events));
        assert_eq!(counts.collect::<Vec<_>>(), [("fchdir", 1), (name, 3)]);
    }

    fn two_rules() -> (Generation, [(RuleId, String); 2]) {
        let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
        let result = loader.load(
            "rules.yaml",
            b"
- {rule: none, desc: d, condition: evt.type = close, output: o, priority: INFO}
- {rule: all, desc: d, condition: evt.type = fchdir, output: o, priority: INFO}
",
        );
        assert!(result.successful(), "{}", result.explanation());
        let registry = RuleRegistry::new();
        // Ids are not positions.
        registry.intern("syscall", "of an earlier generation");
        let generation = Generation::new(loader.into_rules(), &registry, Default::default());
        let id = |name: &str| (registry.id("syscall", name).unwrap(), name.to_owned());
        (generation, [id("none"), id("all")])
    }

    #[test]
    fn rules_are_counted_and_some_timed() {
        let costs = Rc::new(CostCounters::new());
        let (generation, names) = two_rules();
        let mut meter = costs.meter(&generation);
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallFchdirX, 1, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        let (mut whole, mut rules) = (0, 0);
        for _ in 0..128_000 {
            costs.arrived(&event);
            match costs.timing.get() {
                Timing::Nothing => {}
                Timing::Whole(_) => whole += 1,
                Timing::Rules => rules += 1,
            }
            let mark = meter.enter(Stage::Rule(1));
            meter.leave(Stage::Rule(1), mark, true);
            costs.done(&event);
        }
        let figures = costs.stats(&names);
        let evaluations: Vec<_> = figures.rules.iter().map(|rule| rule.evaluations).collect();
        assert_eq!(evaluations, [0, 128_000]);
        // A thousand of each are expected.
        assert!((800..1200).contains(&whole) && (800..1200).contains(&rules), "{whole} {rules}");
    }

    #[test]
    fn times_stand_for_those_that_were_not_taken() {
        let count = Count::default();
        let overhead = Duration::from_nanos(30);
        count.add(Duration::from_nanos(130), overhead);
        count.add(Duration::from_nanos(10), overhead);
        count.add(Duration::from_millis(5), overhead);
        assert_eq!(count.time.get(), 100 * u64::from(SELDOM));
    }
}
