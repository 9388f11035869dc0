//! How many events there were and what was lost, summed as people ask for it.

use crate::bpf::abi::{CAUSES, CLASSES};
use crate::bpf::{Cause, Counters, LossClass};

/// The counters of all CPUs at one moment. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// By CPU number.
    pub cpus: Vec<Counters>,
    /// Events that were no events: nobody but a bug makes them.
    pub malformed: u64,
    /// Events given out after a later one.
    pub late: u64,
}

impl Statistics {
    /// Events there were, delivered or lost.
    pub fn events(&self) -> u64 {
        self.cpus.iter().map(|cpu| cpu.events).sum()
    }

    /// Events that were lost, for whatever cause.
    pub fn lost(&self) -> u64 {
        self.malformed + self.cpus.iter().map(Counters::lost_total).sum::<u64>()
    }

    /// Events of all classes lost for this cause.
    pub fn lost_for(&self, cause: Cause) -> u64 {
        let classes = self.classes().map(|row| row.get(cause as usize).copied().unwrap_or(0));
        let malformed = if cause == Cause::Bug { self.malformed } else { 0 };
        classes.sum::<u64>() + malformed
    }

    /// Events of one class lost for this cause.
    pub fn lost_of(&self, class: LossClass, cause: Cause) -> u64 {
        self.cpus.iter().map(|cpu| cpu.lost(class, cause)).sum()
    }

    /// What was counted since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let cpu = |(index, now): (usize, &Counters)| {
            let before = earlier.cpus.get(index).copied().unwrap_or_default();
            let mut lost = [[0; CAUSES]; CLASSES];
            for (row, (now, before)) in lost.iter_mut().zip(now.lost.iter().zip(before.lost)) {
                for (slot, (now, before)) in row.iter_mut().zip(now.iter().zip(before)) {
                    *slot = now.saturating_sub(before);
                }
            }
            Counters { events: now.events.saturating_sub(before.events), lost }
        };
        Self {
            cpus: self.cpus.iter().enumerate().map(cpu).collect(),
            malformed: self.malformed.saturating_sub(earlier.malformed),
            late: self.late.saturating_sub(earlier.late),
        }
    }

    fn classes(&self) -> impl Iterator<Item = &[u64; CAUSES]> {
        self.cpus.iter().flat_map(|cpu| &cpu.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(events: u64, class: LossClass, cause: Cause, lost: u64) -> Counters {
        let mut counters = Counters { events, ..Counters::default() };
        counters.lost[class as usize][cause as usize] = lost;
        counters
    }

    #[test]
    fn sums_over_cpus() {
        let cpus = vec![
            cpu(100, LossClass::Open, Cause::RingFull, 3),
            cpu(50, LossClass::Open, Cause::RingFull, 4),
            cpu(1, LossClass::Execve, Cause::Bug, 1),
        ];
        let all = Statistics { cpus, malformed: 2, late: 0 };
        assert_eq!((all.events(), all.lost()), (151, 10));
        assert_eq!((all.lost_for(Cause::RingFull), all.lost_for(Cause::Bug)), (7, 3));
        assert_eq!(all.lost_of(LossClass::Open, Cause::RingFull), 7);
        assert_eq!(all.lost_of(LossClass::Open, Cause::Bug), 0);
    }

    #[test]
    fn what_came_since() {
        let before = Statistics {
            cpus: vec![cpu(100, LossClass::Close, Cause::Scratch, 3)],
            ..Statistics::default()
        };
        let cpus = vec![
            cpu(110, LossClass::Close, Cause::Scratch, 5),
            cpu(7, LossClass::Other, Cause::PageFault, 1),
        ];
        let now = Statistics { cpus, malformed: 1, late: 2 };
        let since = now.since(&before);
        assert_eq!((since.events(), since.lost(), since.late), (17, 4, 2));
        assert_eq!(since.lost_of(LossClass::Close, Cause::Scratch), 2);
    }
}
