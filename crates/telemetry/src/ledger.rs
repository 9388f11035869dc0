//! The ledger of losses: how many events there were, and how many were lost by class, CPU, cause,
//! time and control group.

use std::collections::BTreeMap;

use peregrine_event::{EventCounters, LossCause, LossClass};
use peregrine_limits::LOSS_CGROUPS;

/// Accumulates readings of the counters. Its memory is bounded: it grows with the number of CPUs,
/// not with time.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Time of the last reading, nanoseconds since the epoch.
    last_read: u64,
    cpus: Vec<EventCounters>,
    total: EventCounters,
    intervals: BTreeMap<(usize, usize, usize), LossInterval>,
    groups: BTreeMap<String, [u64; LossClass::ALL.len()]>,
}

/// All losses of one class on one CPU for one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossInterval {
    /// Kind of events.
    pub class: LossClass,
    /// CPU number.
    pub cpu: usize,
    /// Cause of the loss.
    pub cause: LossCause,
    /// Lost events.
    pub lost: u64,
    /// Time of the last reading before the first of them, nanoseconds since the epoch.
    pub from: u64,
    /// Time of the reading that counted the last of them.
    pub to: u64,
}

/// Events and losses between two readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Time of the earlier reading, nanoseconds since the epoch.
    pub from: u64,
    /// Time of the later one.
    pub to: u64,
    /// Events of all CPUs.
    pub events: EventCounters,
    /// Lost events of each CPU that has some.
    pub by_cpu: Vec<(usize, u64)>,
    /// Lost events of each control group as far as it is known, the largest first.
    pub by_group: Vec<(String, u64)>,
}

/// Losses of a control group in a period: `lost[class]`.
pub type GroupLoss = (String, [u64; LossClass::ALL.len()]);

impl Ledger {
    /// An empty ledger whose first period starts at `ts`.
    pub fn new(ts: u64) -> Self {
        Self { last_read: ts, ..Self::default() }
    }

    /// Records the counters of all CPUs, and what each control group lost since the last reading.
    pub fn record(&mut self, ts: u64, cpus: &[EventCounters], groups: &[GroupLoss]) -> Period {
        let mut period = Period { from: self.last_read, to: ts, ..Period::default() };
        self.cpus.resize(cpus.len().max(self.cpus.len()), EventCounters::default());
        for (cpu, (now, before)) in cpus.iter().zip(&mut self.cpus).enumerate() {
            let new = now.since(before);
            *before = *now;
            period.events.add(&new);
            if new.lost() > 0 {
                period.by_cpu.push((cpu, new.lost()));
                record_intervals(&mut self.intervals, cpu, &new, (period.from, period.to));
            }
        }
        self.total.add(&period.events);
        self.last_read = ts;
        for (name, lost) in groups {
            if self.groups.len() < LOSS_CGROUPS.get() || self.groups.contains_key(name) {
                let sums = self.groups.entry(name.clone()).or_default();
                sums.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
            } else {
                LOSS_CGROUPS.reach();
            }
            period.by_group.push((name.clone(), lost.iter().sum()));
        }
        period.by_group.sort_by_key(|(_, lost)| std::cmp::Reverse(*lost));
        period
    }

    /// Events and losses of the run.
    pub fn total(&self) -> &EventCounters {
        &self.total
    }

    /// Lost events of each control group: `lost[class]`. Some losses have no known owner, so the
    /// sum can be less than the total.
    pub fn by_group(&self) -> impl Iterator<Item = (&str, &[u64; LossClass::ALL.len()])> {
        self.groups.iter().map(|(name, lost)| (name.as_str(), lost))
    }

    /// All losses, the largest first.
    pub fn intervals(&self) -> Vec<LossInterval> {
        let mut intervals: Vec<_> = self.intervals.values().copied().collect();
        intervals.sort_by_key(|interval| std::cmp::Reverse(interval.lost));
        intervals
    }
}

fn record_intervals(
    intervals: &mut BTreeMap<(usize, usize, usize), LossInterval>,
    cpu: usize,
    new: &EventCounters,
    (from, to): (u64, u64),
) {
    for class in LossClass::ALL {
        for cause in LossCause::ALL {
            let lost = new.lost_of(class, cause);
            if lost > 0 {
                let key = (class as usize, cpu, cause as usize);
                let none = LossInterval { class, cpu, cause, lost: 0, from, to };
                let interval = intervals.entry(key).or_insert(none);
                interval.lost += lost;
                interval.to = to;
            }
        }
    }
}

/// Delivered share of events in percent; 100 when there were no events.
pub fn coverage(events: &EventCounters) -> f64 {
    match (events.events(), events.lost()) {
        (_, 0) | (0, _) => 100.0,
        (events, lost) => 100.0 * events.saturating_sub(lost) as f64 / events as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(seen: u64, lost: u64) -> EventCounters {
        let mut counters = EventCounters::default();
        counters.seen[LossClass::Open as usize] = seen;
        counters.lost[LossClass::Open as usize][LossCause::RingFull as usize] = lost;
        counters
    }

    fn group(name: &str, lost: u64) -> GroupLoss {
        let mut classes = [0; LossClass::ALL.len()];
        classes[LossClass::Open as usize] = lost;
        (name.to_owned(), classes)
    }

    #[test]
    fn a_period_covers_the_time_since_the_last_reading() {
        let mut ledger = Ledger::new(100);
        let first = ledger.record(200, &[cpu(10, 0), cpu(20, 0)], &[]);
        assert_eq!((first.from, first.to, first.events), (100, 200, cpu(30, 0)));
        assert_eq!(ledger.intervals(), []);
        let groups = [group("/a", 1), group("/b", 3)];
        let second = ledger.record(300, &[cpu(10, 0), cpu(30, 5)], &groups);
        assert_eq!((second.from, second.events, &*second.by_cpu), (200, cpu(10, 5), &[(1, 5)][..]));
        assert_eq!(second.by_group, [("/b".to_owned(), 3), ("/a".to_owned(), 1)]);
        ledger.record(400, &[cpu(10, 0), cpu(40, 5)], &[]);
        ledger.record(500, &[cpu(11, 1), cpu(50, 7)], &groups);
        assert_eq!(ledger.total(), &cpu(61, 8));
        let groups: Vec<_> = ledger.by_group().map(|(name, lost)| (name, lost[3])).collect();
        assert_eq!(groups, [("/a", 2), ("/b", 6)]);
        let interval = |cpu, lost, from| LossInterval {
            class: LossClass::Open,
            cpu,
            cause: LossCause::RingFull,
            lost,
            from,
            to: 500,
        };
        assert_eq!(ledger.intervals(), [interval(1, 7, 200), interval(0, 1, 400)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut ledger = Ledger::new(0);
        for second in 1..2000 {
            ledger.record(second, &[cpu(second, second)], &[group(&format!("/{second}"), 1)]);
        }
        assert_eq!(ledger.by_group().count(), LOSS_CGROUPS.get());
        assert_eq!(ledger.total().lost(), 1999);
    }

    #[test]
    fn coverage_is_a_share() {
        assert_eq!(coverage(&cpu(0, 0)), 100.0);
        assert_eq!(coverage(&cpu(1000, 3)), 99.7);
        assert_eq!(coverage(&cpu(5, 5)), 0.0);
    }
}
