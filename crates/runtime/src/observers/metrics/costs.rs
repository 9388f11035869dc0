//! What system calls cost. All events are counted; one of many is timed, because reading the clock
//! takes as long as evaluating many a rule does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use peregrine_engine::meter::{Chance, clock_overhead};
use peregrine_event::params::{generic_e, generic_x};
use peregrine_event::{Event, EventType, syscall_name};
use peregrine_telemetry::metrics::SyscallCost;

peregrine_event::same_params!(generic_e, generic_x: ID);

/// Counts events by their system call, and their time in state, rules and outputs.
#[derive(Debug)]
pub(crate) struct SyscallCosts {
    /// By event type, then by code of syscalls without a type of their own.
    counts: Box<[Count]>,
    /// Arrival of the current event if it is timed.
    since: Option<Instant>,
    /// Events until the next sample.
    wait: u64,
    chance: Chance,
    /// The time between two consecutive clock readings.
    overhead: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: u64,
    time: u64,
}

/// One of this many events is timed.
const SAMPLING: u64 = 128;
/// A longer time means that the thread was preempted.
const INTERRUPTED: Duration = Duration::from_millis(1);
/// Codes of syscalls that have no event of their own.
const CODES: usize = 1024;

impl SyscallCosts {
    /// Without counts.
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![Count::default(); EventType::COUNT + CODES].into(),
            since: None,
            wait: 0,
            chance: Chance::default(),
            overhead: clock_overhead(),
        }
    }

    /// An event has arrived.
    pub(crate) fn arrived(&mut self, event: &Event<'_>) {
        if let Some(count) = self.count(event) {
            count.events += 1;
        }
        match self.wait {
            0 => self.begin(),
            _ => self.wait -= 1,
        }
    }

    /// The event is applied and evaluated.
    pub(crate) fn done(&mut self, event: &Event<'_>) {
        let Some(since) = self.since.take() else { return };
        let (took, overhead) = (since.elapsed(), self.overhead);
        if let Some(count) = self.count(event) {
            count.add(took, overhead);
        }
    }

    /// The counts so far, by name.
    pub(super) fn stats(&self) -> Vec<SyscallCost> {
        let mut syscalls: BTreeMap<&str, SyscallCost> = BTreeMap::new();
        let names = EventType::all().map(EventType::name).map(Some);
        let names = names.chain((0..).map(syscall_name));
        for (name, count) in names.zip(&self.counts) {
            // Enter and exit events of a syscall share a name.
            let Some(name) = name.filter(|_| count.events > 0) else { continue };
            let cost = syscalls.entry(name).or_default();
            cost.name = name.to_owned();
            cost.events += count.events;
            cost.time += count.time;
        }
        syscalls.into_values().collect()
    }

    fn count(&mut self, event: &Event<'_>) -> Option<&mut Count> {
        let code = match event.ty {
            EventType::GenericE | EventType::GenericX => event.u64(generic_x::ID),
            _ => None,
        };
        let code = code.and_then(|code| usize::try_from(code).ok()).filter(|&code| code > 0);
        self.counts.get_mut(code.map_or(event.ty as usize, |code| EventType::COUNT + code))
    }

    #[cold]
    fn begin(&mut self) {
        // Random, because workloads are periodic.
        self.wait = self.chance.below(2 * SAMPLING - 1);
        self.since = Some(Instant::now());
    }
}

impl Count {
    /// Extrapolates a timed event to those that are not timed.
    fn add(&mut self, took: Duration, overhead: Duration) {
        if took < INTERRUPTED {
            let took = u64::try_from(took.saturating_sub(overhead).as_nanos()).unwrap_or(u64::MAX);
            self.time = self.time.saturating_add(took * SAMPLING);
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::Builder;

    use super::*;

    fn pass(costs: &mut SyscallCosts, ty: EventType, code: Option<u16>) {
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
        let mut costs = SyscallCosts::new();
        let (code, name) =
            peregrine_event::syscall_names().find(|(_, name)| *name == "sync").unwrap();
        for _ in 0..3 {
            pass(&mut costs, EventType::GenericX, Some(code));
        }
        pass(&mut costs, EventType::GenericX, Some(u16::MAX));
        pass(&mut costs, EventType::SyscallFchdirX, None);
        let stats = costs.stats();
        let counts = stats.iter().map(|cost| (cost.name.as_str(), cost.events));
        assert_eq!(counts.collect::<Vec<_>>(), [("fchdir", 1), (name, 3)]);
    }

    #[test]
    fn one_event_of_many_is_timed() {
        let mut costs = SyscallCosts::new();
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallFchdirX, 1, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        let mut timed = 0;
        for _ in 0..128_000 {
            costs.arrived(&event);
            timed += u32::from(costs.since.is_some());
            costs.done(&event);
        }
        // A thousand are expected.
        assert!((800..1200).contains(&timed), "{timed}");
    }

    #[test]
    fn times_stand_for_those_that_were_not_taken() {
        let mut count = Count::default();
        let overhead = Duration::from_nanos(30);
        count.add(Duration::from_nanos(130), overhead);
        count.add(Duration::from_nanos(10), overhead);
        count.add(Duration::from_millis(5), overhead);
        assert_eq!(count.time, 100 * SAMPLING);
    }
}
