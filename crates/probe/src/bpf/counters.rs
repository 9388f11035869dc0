//! What the programs count: events, and who lost some.

use aya::Ebpf;
use aya::maps::{HashMap, MapData, PerCpuArray};
use peregrine_event::{EventCounters, LossClass};

use super::ProbeError;
use super::abi::{self, CounterWords, LoserWords, LossWords};
use super::load::take;

/// The kernel's counters. They can be read at any time, from any thread.
pub struct KernelCounters {
    events: PerCpuArray<MapData, CounterWords>,
    losers: HashMap<MapData, LoserWords, LossWords>,
}

/// A process that lost events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loser {
    /// Id of its cgroup v2 when it lost them.
    pub cgroup: u64,
    /// Its id.
    pub pid: i64,
    /// Events it lost since the kernel last forgot it: `lost[class]`.
    pub lost: [u64; LossClass::ALL.len()],
}

impl KernelCounters {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            events: PerCpuArray::try_from(take(ebpf, abi::COUNTERS)?)?,
            losers: HashMap::try_from(take(ebpf, abi::LOSERS)?)?,
        })
    }

    /// What each possible CPU counted, by CPU number.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn by_cpu(&self) -> Result<Vec<EventCounters>, ProbeError> {
        let words = self.events.get(&0, 0)?;
        Ok(words.iter().map(abi::event_counters).collect())
    }

    /// Who lost events most recently. The kernel remembers about a thousand processes, and forgets them in the
    /// order in which they lost something last.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn losers(&self) -> Result<Vec<Loser>, ProbeError> {
        let losers = self.losers.iter().map(|entry| {
            let ([cgroup, pid], lost) = entry?;
            Ok(Loser { cgroup, pid: pid as i64, lost })
        });
        losers.collect()
    }
}
