//! Events counted: of each kind, and of each set of system calls that could be watched.

use std::collections::BTreeMap;

use peregrine_event::params::{generic_e, generic_x};
use peregrine_event::{Event, EventType, Syscall, native_syscalls, syscall_name};

use crate::sets::Candidate;

peregrine_event::same_params!(generic_e, generic_x: ID);

/// CPUs of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus {
    /// How many there are at least.
    pub count: usize,
    /// How many share a ring.
    pub per_ring: usize,
}

impl Default for Cpus {
    /// The machine of a capture is unknown: one CPU with a ring of its own.
    fn default() -> Self {
        Self { count: 1, per_ring: 1 }
    }
}

/// What was counted.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    by_type: Vec<Kind>,
    /// System calls that share the generic event, by their code.
    generic: BTreeMap<u16, Kind>,
    /// What each set would have brought.
    loads: Vec<Load>,
    per_ring: usize,
    first: Option<u64>,
    last: u64,
}

/// Events of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    /// How many there were.
    pub(crate) events: u64,
    /// Room they took in a ring.
    pub(crate) bytes: u64,
    /// How many each CPU had.
    pub(crate) by_cpu: Vec<u64>,
    /// The sets that they are of: a bit for each.
    pub(crate) sets: u16,
}

/// What a set of system calls brings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Events.
    pub(crate) events: u64,
    /// Room they take in rings.
    pub(crate) bytes: u64,
    /// Events of each CPU.
    pub(crate) by_cpu: Vec<u64>,
    /// Events of the busiest second of a CPU.
    seconds: Vec<Busiest>,
    /// Bytes for the busiest tenth of a second of a ring.
    tenths: Vec<Busiest>,
}

/// The largest sum of a stretch of time, of those that are over and the one at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Busiest {
    stretch: u64,
    sum: u64,
    most: u64,
}

/// Room that the kernel takes for a record beside its bytes, and what it rounds up to.
const RECORD: usize = 8;
const SECOND: u64 = 1_000_000_000;
/// More CPUs than that are none.
const MOST_CPUS: usize = 4096;

impl Counts {
    /// Nothing has been counted yet.
    pub(crate) fn new(candidates: &[Candidate], machine: Cpus) -> Self {
        let cpus = machine.count;
        let sets = |contains: &dyn Fn(&Candidate) -> bool| {
            let bits = candidates.iter().zip(0u16..).filter(|(candidate, _)| contains(candidate));
            bits.map(|(_, bit)| 1 << bit).sum()
        };
        let kind = |sets| Kind { by_cpu: vec![0; cpus], sets, ..Kind::default() };
        let by_type = EventType::all().map(|ty| kind(sets(&|c| c.set.contains(ty)))).collect();
        let native = native_syscalls();
        let shares = |syscall: &&Syscall| matches!(syscall.exit, EventType::GenericX);
        let has = |c: &Candidate, sc| c.set.syscalls(native).any(|syscall| syscall.sc == sc);
        let generic = native.iter().filter(shares);
        let generic = generic.map(|&Syscall { sc, .. }| (sc, kind(sets(&|c| has(c, sc)))));
        Self {
            by_type,
            generic: generic.collect(),
            loads: vec![Load { by_cpu: vec![0; cpus], ..Load::default() }; candidates.len()],
            per_ring: machine.per_ring.max(1),
            first: None,
            last: 0,
        }
    }

    /// One more event.
    pub(crate) fn count(&mut self, event: &Event<'_>) {
        let first = *self.first.get_or_insert(event.ts);
        self.last = self.last.max(event.ts);
        let time = event.ts.saturating_sub(first);
        let bytes = (event.bytes().len() + RECORD).next_multiple_of(RECORD) as u64;
        let cpu = usize::from(event.cpu).min(MOST_CPUS);
        let kind = match event.ty {
            EventType::GenericE | EventType::GenericX => {
                let code = event.u64(generic_x::ID).and_then(|code| u16::try_from(code).ok());
                self.generic.entry(code.unwrap_or_default()).or_default()
            }
            ty => match self.by_type.get_mut(ty as usize) {
                Some(kind) => kind,
                None => return,
            },
        };
        kind.events += 1;
        kind.bytes += bytes;
        *at(&mut kind.by_cpu, cpu) += 1;
        let mut sets = kind.sets;
        while let Some(load) = self.loads.get_mut(sets.trailing_zeros() as usize) {
            sets &= sets - 1;
            load.events += 1;
            load.bytes += bytes;
            *at(&mut load.by_cpu, cpu) += 1;
            at(&mut load.seconds, cpu).add(time / SECOND, 1);
            at(&mut load.tenths, cpu / self.per_ring).add(time * 10 / SECOND, bytes);
        }
    }

    /// All events.
    pub(crate) fn events(&self) -> u64 {
        self.kinds().map(|(_, _, kind)| kind.events).sum()
    }

    /// Seconds between the first event and the last.
    pub(crate) fn seconds(&self) -> f64 {
        let time = self.last.saturating_sub(self.first.unwrap_or(self.last));
        (time as f64 / SECOND as f64).max(1e-3)
    }

    /// Each kind of which there were events: its type, its name.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (EventType, &'static str, &Kind)> {
        let named = EventType::all().zip(&self.by_type).map(|(ty, kind)| (ty, ty.name(), kind));
        let generic = self.generic.iter().map(|(&code, kind)| {
            (EventType::GenericX, syscall_name(code).unwrap_or("unknown"), kind)
        });
        named.chain(generic).filter(|(_, _, kind)| kind.events > 0)
    }

    /// What the set at this place brings.
    pub(crate) fn load(&self, set: usize) -> Load {
        self.loads.get(set).cloned().unwrap_or_default()
    }

    /// CPUs that share a ring.
    pub(crate) fn per_ring(&self) -> usize {
        self.per_ring
    }

    /// CPUs that there are, or that had events.
    pub(crate) fn cpus(&self) -> usize {
        self.kinds().map(|(_, _, kind)| kind.by_cpu.len()).max().unwrap_or(1)
    }
}

impl Load {
    /// Events of the busiest second of a CPU.
    pub(crate) fn busiest_second(&self) -> u64 {
        self.seconds.iter().map(|busiest| busiest.most).max().unwrap_or(0)
    }

    /// Bytes for the busiest tenth of a second of a ring.
    pub(crate) fn busiest_tenth(&self) -> u64 {
        self.tenths.iter().map(|busiest| busiest.most).max().unwrap_or(0)
    }
}

impl Busiest {
    fn add(&mut self, stretch: u64, amount: u64) {
        if stretch != self.stretch {
            (self.stretch, self.sum) = (stretch, 0);
        }
        self.sum += amount;
        self.most = self.most.max(self.sum);
    }
}

/// The item at this place, which is made if it is not there.
fn at<T: Clone + Default>(items: &mut Vec<T>, index: usize) -> &mut T {
    if index >= items.len() {
        items.resize(index + 1, T::default());
    }
    &mut items[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_stretch_is_found() {
        let mut busiest = Busiest::default();
        for (stretch, amount) in [(0, 3), (1, 2), (1, 2), (2, 1), (5, 1)] {
            busiest.add(stretch, amount);
        }
        assert_eq!(busiest.most, 4);
    }
}
