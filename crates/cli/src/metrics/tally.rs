//! What system calls and rules cost, counted as events pass. All events are counted; one of many is timed, because a look
//! at the clock takes as long as many a rule does.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use peregrine_engine::profile::{Chance, Stage, time_of_a_look};
use peregrine_event::params::{generic_e, generic_x};
use peregrine_event::{Event, EventType, syscall_name};
use peregrine_filter::{Meter, NodeId};
use peregrine_telemetry::metrics::{CostStats, RuleCost, SyscallCost};

peregrine_event::same_params!(generic_e, generic_x: ID);

/// The counters of a run. The observer of events and the meter of rules share them.
#[derive(Debug)]
pub(crate) struct Tally {
    /// By type; then syscalls without a type of their own, by code.
    syscalls: Box<[Count]>,
    rules: Box<[Count]>,
    timing: Cell<Timing>,
    /// Events until the next one that is timed.
    wait: Cell<u32>,
    /// Whether the next one is timed as a whole, or each rule of it.
    whole: Cell<bool>,
    chance: Cell<Chance>,
    /// How long a look at the clock takes.
    look: Duration,
}

/// Measures rules while they are asked.
pub(crate) struct RuleMeter(Rc<Tally>);

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

impl Tally {
    /// For so many rules.
    pub(super) fn new(rules: usize) -> Self {
        let counts = |count| std::iter::repeat_with(Count::default).take(count).collect();
        Self {
            syscalls: counts(EventType::COUNT + CODES),
            rules: counts(rules),
            timing: Cell::default(),
            wait: Cell::default(),
            whole: Cell::default(),
            chance: Cell::default(),
            look: time_of_a_look(),
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
            count.add(since.elapsed(), self.look);
        }
    }

    /// To be told of rules that are asked.
    pub(super) fn meter(self: &Rc<Self>) -> RuleMeter {
        RuleMeter(self.clone())
    }

    /// What was counted until now; `rules` are the names of the rules.
    pub(super) fn figures<'a>(&self, rules: impl Iterator<Item = &'a str>) -> CostStats {
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
        let rules = rules.zip(&self.rules).map(|(name, count)| RuleCost {
            name: name.to_owned(),
            evaluations: count.events.get(),
            time: count.time.get(),
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
    fn add(&self, took: Duration, look: Duration) {
        if took < INTERRUPTED {
            let took = u64::try_from(took.saturating_sub(look).as_nanos()).unwrap_or(u64::MAX);
            self.time.set(self.time.get().saturating_add(took * u64::from(SELDOM)));
        }
    }
}

impl Meter<Stage> for RuleMeter {
    type Mark = Option<Instant>;

    fn enter(&mut self, stage: Stage) -> Option<Instant> {
        let timed = matches!((self.0.timing.get(), stage), (Timing::Rules, Stage::Rule(_)));
        timed.then(Instant::now)
    }

    fn leave(&mut self, stage: Stage, since: Option<Instant>, _: bool) {
        let Stage::Rule(rule) = stage else { return };
        let Some(count) = self.0.rules.get(rule) else { return };
        count.events.set(count.events.get() + 1);
        if let Some(since) = since {
            count.add(since.elapsed(), self.0.look);
        }
    }
}

/// Conditions are no concern of it.
impl Meter<NodeId> for RuleMeter {
    type Mark = ();

    fn enter(&mut self, _: NodeId) {}

    fn leave(&mut self, _: NodeId, (): (), _: bool) {}
}

#[cfg(test)]
mod tests {
    use peregrine_event::Builder;

    use super::*;

    fn pass(tally: &Tally, ty: EventType, code: Option<u16>) {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(ty, 1, 7);
        match code {
            Some(code) => builder.u16(code).u16(0),
            None => builder.i64(0).i64(3),
        };
        builder.finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        tally.arrived(&event);
        tally.done(&event);
    }

    #[test]
    fn events_are_counted_by_the_name_of_their_syscall() {
        let tally = Tally::new(0);
        let (code, name) =
            peregrine_event::syscall_names().find(|(_, name)| *name == "sync").unwrap();
        for _ in 0..3 {
            pass(&tally, EventType::GenericX, Some(code));
        }
        pass(&tally, EventType::GenericX, Some(u16::MAX));
        pass(&tally, EventType::SyscallFchdirX, None);
        let figures = tally.figures(std::iter::empty());
        let counts = figures.syscalls.iter().map(|s| (s.name.as_str(), s.events));
        assert_eq!(counts.collect::<Vec<_>>(), [("fchdir", 1), (name, 3)]);
    }

    #[test]
    fn rules_are_counted_and_some_timed() {
        let tally = Rc::new(Tally::new(2));
        let mut meter = tally.meter();
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallFchdirX, 1, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        let (mut whole, mut rules) = (0, 0);
        for _ in 0..128_000 {
            tally.arrived(&event);
            match tally.timing.get() {
                Timing::Nothing => {}
                Timing::Whole(_) => whole += 1,
                Timing::Rules => rules += 1,
            }
            let mark = meter.enter(Stage::Rule(1));
            meter.leave(Stage::Rule(1), mark, true);
            tally.done(&event);
        }
        let figures = tally.figures(["none", "all"].into_iter());
        let evaluations: Vec<_> = figures.rules.iter().map(|rule| rule.evaluations).collect();
        assert_eq!(evaluations, [0, 128_000]);
        // A thousand of each are expected.
        assert!((800..1200).contains(&whole) && (800..1200).contains(&rules), "{whole} {rules}");
    }

    #[test]
    fn times_stand_for_those_that_were_not_taken() {
        let count = Count::default();
        let look = Duration::from_nanos(30);
        count.add(Duration::from_nanos(130), look);
        count.add(Duration::from_nanos(10), look);
        count.add(Duration::from_millis(5), look);
        assert_eq!(count.time.get(), 100 * u64::from(SELDOM));
    }
}
