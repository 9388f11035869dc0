//! The ledger of losses: how many events there were, which of them were lost, when, on which CPU, by whom and why.

use std::collections::BTreeMap;

use peregrine_event::{EventCounters, LossCause, LossClass};

/// Control groups that are kept apart.
const MAX_GROUPS: usize = 1024;

/// Books what was counted, from look to look. Its memory has bounds: it grows with CPUs, and no further with time.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When the last look was, nanoseconds since the epoch.
    looked: u64,
    cpus: Vec<EventCounters>,
    total: EventCounters,
    stretches: BTreeMap<(usize, usize, usize), Stretch>,
    groups: BTreeMap<String, [u64; LossClass::ALL.len()]>,
}

/// The losses of one class on one CPU for one cause, all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Kind of events.
    pub class: LossClass,
    /// Where it was.
    pub cpu: usize,
    /// Why.
    pub cause: LossCause,
    /// Lost events.
    pub lost: u64,
    /// Time of the last look at which none of them was lost, nanoseconds since the epoch.
    pub from: u64,
    /// Time of the look that found the last of them.
    pub to: u64,
}

/// What was counted from one look to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Time of the earlier look, nanoseconds since the epoch.
    pub from: u64,
    /// Time of the later one.
    pub to: u64,
    /// Events of all CPUs.
    pub events: EventCounters,
    /// Lost events of each CPU that lost some.
    pub by_cpu: Vec<(usize, u64)>,
    /// Lost events of each control group of which that is known, the most first.
    pub by_group: Vec<(String, u64)>,
}

/// What a control group lost in a period: `lost[class]`.
pub type GroupLoss = (String, [u64; LossClass::ALL.len()]);

impl Ledger {
    /// Counting begins at this time.
    pub fn new(ts: u64) -> Self {
        Self { looked: ts, ..Self::default() }
    }

    /// A look at the counters of all CPUs, and at who lost what since the look before.
    pub fn book(&mut self, ts: u64, cpus: &[EventCounters], groups: &[GroupLoss]) -> Period {
        let mut period = Period { from: self.looked, to: ts, ..Period::default() };
        self.cpus.resize(cpus.len().max(self.cpus.len()), EventCounters::default());
        for (cpu, (now, before)) in cpus.iter().zip(&mut self.cpus).enumerate() {
            let new = now.since(before);
            *before = *now;
            period.events.add(&new);
            if new.lost() > 0 {
                period.by_cpu.push((cpu, new.lost()));
                note(&mut self.stretches, cpu, &new, (period.from, period.to));
            }
        }
        self.total.add(&period.events);
        self.looked = ts;
        for (name, lost) in groups {
            if self.groups.len() < MAX_GROUPS || self.groups.contains_key(name) {
                let sums = self.groups.entry(name.clone()).or_default();
                sums.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
            }
            period.by_group.push((name.clone(), lost.iter().sum()));
        }
        period.by_group.sort_by_key(|(_, lost)| std::cmp::Reverse(*lost));
        period
    }

    /// All events of the run.
    pub fn total(&self) -> &EventCounters {
        &self.total
    }

    /// Lost events of each control group: `lost[class]`. Of some losses nobody knows whose they were, so their sum may
    /// be less than all.
    pub fn by_group(&self) -> impl Iterator<Item = (&str, &[u64; LossClass::ALL.len()])> {
        self.groups.iter().map(|(name, lost)| (name.as_str(), lost))
    }

    /// All losses, the largest first.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<_> = self.stretches.values().copied().collect();
        stretches.sort_by_key(|stretch| std::cmp::Reverse(stretch.lost));
        stretches
    }
}

fn note(
    stretches: &mut BTreeMap<(usize, usize, usize), Stretch>,
    cpu: usize,
    new: &EventCounters,
    (from, to): (u64, u64),
) {
    for class in LossClass::ALL {
        for cause in LossCause::ALL {
            let lost = new.lost_of(class, cause);
            if lost > 0 {
                let key = (class as usize, cpu, cause as usize);
                let none = Stretch { class, cpu, cause, lost: 0, from, to };
                let stretch = stretches.entry(key).or_insert(none);
                stretch.lost += lost;
                stretch.to = to;
            }
        }
    }
}

/// Delivered share of events in percent: 100 where there were none.
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
    fn a_period_is_what_came_since_the_last_look() {
        let mut ledger = Ledger::new(100);
        let first = ledger.book(200, &[cpu(10, 0), cpu(20, 0)], &[]);
        assert_eq!((first.from, first.to, first.events), (100, 200, cpu(30, 0)));
        assert_eq!(ledger.stretches(), []);
        let groups = [group("/a", 1), group("/b", 3)];
        let second = ledger.book(300, &[cpu(10, 0), cpu(30, 5)], &groups);
        assert_eq!((second.from, second.events, &*second.by_cpu), (200, cpu(10, 5), &[(1, 5)][..]));
        assert_eq!(second.by_group, [("/b".to_owned(), 3), ("/a".to_owned(), 1)]);
        ledger.book(400, &[cpu(10, 0), cpu(40, 5)], &[]);
        ledger.book(500, &[cpu(11, 1), cpu(50, 7)], &groups);
        assert_eq!(ledger.total(), &cpu(61, 8));
        let groups: Vec<_> = ledger.by_group().map(|(name, lost)| (name, lost[3])).collect();
        assert_eq!(groups, [("/a", 2), ("/b", 6)]);
        let stretch = |cpu, lost, from| Stretch {
            class: LossClass::Open,
            cpu,
            cause: LossCause::RingFull,
            lost,
            from,
            to: 500,
        };
        assert_eq!(ledger.stretches(), [stretch(1, 7, 200), stretch(0, 1, 400)]);
    }

    #[test]
    fn memory_has_bounds() {
        let mut ledger = Ledger::new(0);
        for second in 1..2000 {
            ledger.book(second, &[cpu(second, second)], &[group(&format!("/{second}"), 1)]);
        }
        assert_eq!(ledger.by_group().count(), MAX_GROUPS);
        assert_eq!(ledger.total().lost(), 1999);
    }

    #[test]
    fn coverage_is_a_share() {
        assert_eq!(coverage(&cpu(0, 0)), 100.0);
        assert_eq!(coverage(&cpu(1000, 3)), 99.7);
        assert_eq!(coverage(&cpu(5, 5)), 0.0);
    }
}
