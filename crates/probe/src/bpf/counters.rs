//! Counters of the programs: events, and the processes that lost some.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{HashMap, MapData, PerCpuArray};
use peregrine_event::{EventCounters, LossClass};

use super::abi::{self, CounterWords, LossWords, OffenderWords};
use super::error::ProbeError;
use super::maps::take;
use super::programs::missed;

/// Maximum age of the counters of hooks: there can be hundreds of hooks.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The kernel's counters. They can be read at any time, from any thread.
pub struct KernelCounters {
    events: PerCpuArray<MapData, CounterWords>,
    offenders: HashMap<MapData, OffenderWords, LossWords>,
    hooks: Mutex<Hooks>,
}

/// Attached programs, by name.
#[derive(Default)]
struct Hooks {
    programs: BTreeMap<String, Hooked>,
    read: Option<Instant>,
    missed: [u64; LossClass::ALL.len()],
}

/// A program. Its descriptor is kept as long as it runs: opening it by its id would take
/// CAP_SYS_ADMIN.
struct Hooked {
    class: LossClass,
    program: Option<OwnedFd>,
    /// Misses of earlier programs with this name.
    before: u64,
    /// Its own misses at the last reading.
    missed: u64,
}

impl Hooked {
    fn missed(&mut self) -> u64 {
        if let Some(program) = &self.program {
            self.missed = missed(program);
        }
        self.before + self.missed
    }
}

/// A process that lost events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffenderRow {
    /// Id of its cgroup v2 when it lost them.
    pub cgroup: u64,
    /// Its id.
    pub pid: i64,
    /// Events it lost since the kernel last evicted it: `lost[class]`.
    pub lost: [u64; LossClass::ALL.len()],
}

impl KernelCounters {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            events: PerCpuArray::try_from(take(ebpf, abi::COUNTERS)?)?,
            offenders: HashMap::try_from(take(ebpf, abi::OFFENDERS)?)?,
            hooks: Mutex::default(),
        })
    }

    /// The counters of each possible CPU, by CPU number.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn by_cpu(&self) -> Result<Vec<EventCounters>, ProbeError> {
        let words = self.events.get(&0, 0)?;
        Ok(words.iter().map(abi::event_counters).collect())
    }

    /// Also counts events lost because the kernel skipped this program, which was already running.
    pub(super) fn watch(&self, name: &str, class: LossClass, program: OwnedFd) {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hooks.programs.get_mut(name).map_or(0, Hooked::missed);
        let program = Some(program);
        hooks.programs.insert(name.to_owned(), Hooked { class, program, before, missed: 0 });
    }

    /// A program runs no longer: its count stays, and the kernel can free it.
    pub(super) fn release(&self, name: &str) {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hooked) = hooks.programs.get_mut(name) {
            hooked.missed();
            hooked.program = None;
        }
    }

    /// Events of each class lost because a hook was already running.
    pub fn missed(&self) -> [u64; LossClass::ALL.len()] {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        if hooks.read.is_none_or(|read| read.elapsed() >= MAX_AGE) {
            let mut all = [0; LossClass::ALL.len()];
            for hook in hooks.programs.values_mut() {
                all[hook.class as usize] += hook.missed();
            }
            (hooks.read, hooks.missed) = (Some(Instant::now()), all);
        }
        hooks.missed
    }

    /// Processes that lost events most recently. The kernel side keeps about a thousand and evicts
    /// the least recently updated ones.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn offenders(&self) -> Result<Vec<OffenderRow>, ProbeError> {
        let offenders = self.offenders.iter().map(|entry| {
            let ([cgroup, pid], lost) = entry?;
            Ok(OffenderRow { cgroup, pid: pid as i64, lost })
        });
        offenders.collect()
    }
}
