//! Counters of events and losses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peregrine_event::{EventCounters, LossCause, LossClass};
use peregrine_telemetry::metrics::ReaderStats;

use crate::bpf::{KernelCounters, OffenderRow, ProbeError};

/// The counters of a live source: a copy can be read while the source is in use.
#[derive(Clone)]
pub(crate) struct Counters {
    kernel: Arc<KernelCounters>,
    reader: Arc<ReaderCounters>,
}

/// Counters of the reader of the rings.
#[derive(Debug, Default)]
pub(crate) struct ReaderCounters {
    pub(crate) malformed: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) resolved_in_part: AtomicU64,
    pub(crate) account_reads: AtomicU64,
    /// Questions to readers, and those of them that were answered without what a process can delay.
    pub(crate) questions: AtomicU64,
    pub(crate) safe: AtomicU64,
    /// Questions that hung, by kind.
    pub(crate) hung: [AtomicU64; QuestionKind::COUNT],
    pub(crate) replaced: AtomicU64,
    /// Readers that hang in the kernel now.
    pub(crate) stuck: AtomicU64,
    /// Waits of the event thread, and their nanoseconds.
    pub(crate) waits: AtomicU64,
    pub(crate) wait_ns: AtomicU64,
    /// Lookups that did not wait, because there was no time left or the reader was busy.
    pub(crate) refused: AtomicU64,
}

/// What a question to a reader is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuestionKind {
    /// An event waits.
    Lookup,
    /// The start scan, a process after losses, an unknown thread later.
    Process,
    /// The accounts of a container.
    Accounts,
}

impl QuestionKind {
    const COUNT: usize = 3;
}

impl ReaderCounters {
    /// Questions of a kind that hung.
    pub(crate) fn hung(&self, kind: QuestionKind) -> &AtomicU64 {
        let [lookups, processes, accounts] = &self.hung;
        match kind {
            QuestionKind::Lookup => lookups,
            QuestionKind::Process => processes,
            QuestionKind::Accounts => accounts,
        }
    }

    fn readers(&self) -> ReaderStats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        ReaderStats {
            questions: get(&self.questions),
            safe: get(&self.safe),
            hung_lookups: get(self.hung(QuestionKind::Lookup)),
            hung_processes: get(self.hung(QuestionKind::Process)),
            hung_accounts: get(self.hung(QuestionKind::Accounts)),
            replaced: get(&self.replaced),
            stuck: get(&self.stuck),
            waits: get(&self.waits),
            wait_ns: get(&self.wait_ns),
            refused: get(&self.refused),
        }
    }
}

/// The counters at one moment. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// By CPU number. Malformed events, and those lost by recursion, count as lost on the first
    /// CPU, as their CPU is not known.
    pub cpus: Vec<EventCounters>,
    /// Malformed records, which only a bug can produce.
    pub malformed: u64,
    /// Events delivered after a later one.
    pub late: u64,
    /// Unknown threads that were looked up in `/proc` while their event waited.
    pub resolved: u64,
    /// Of these, lookups that were cut short because they took too long.
    pub resolved_in_part: u64,
    /// Reads of the account files of a container.
    pub account_reads: u64,
    /// The readers.
    pub readers: ReaderStats,
}

impl Counters {
    pub(crate) fn new(kernel: Arc<KernelCounters>, reader: Arc<ReaderCounters>) -> Self {
        Self { kernel, reader }
    }

    /// The current counters.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub(crate) fn read(&self) -> Result<Statistics, ProbeError> {
        let malformed = self.reader.malformed.load(Relaxed);
        let mut cpus = self.kernel.by_cpu()?;
        if let Some(first) = cpus.first_mut() {
            let missed = self.kernel.missed();
            for (class, missed) in LossClass::ALL.into_iter().zip(missed) {
                first.seen[class as usize] += missed;
                first.lost[class as usize][LossCause::Recursion as usize] += missed;
            }
            first.lost[LossClass::Other as usize][LossCause::Bug as usize] += malformed;
        }
        Ok(Statistics {
            cpus,
            malformed,
            late: self.reader.late.load(Relaxed),
            resolved: self.reader.resolved.load(Relaxed),
            resolved_in_part: self.reader.resolved_in_part.load(Relaxed),
            account_reads: self.reader.account_reads.load(Relaxed),
            readers: self.reader.readers(),
        })
    }

    /// Processes that lost events most recently.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub(crate) fn offenders(&self) -> Result<Vec<OffenderRow>, ProbeError> {
        self.kernel.offenders()
    }
}

impl Statistics {
    /// The sum over all CPUs.
    pub fn total(&self) -> EventCounters {
        let mut total = EventCounters::default();
        self.cpus.iter().for_each(|cpu| total.add(cpu));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_cpus() {
        let cpu = |seen, lost| {
            let mut cpu = EventCounters::default();
            cpu.seen[LossClass::Open as usize] = seen;
            cpu.lost[LossClass::Open as usize][LossCause::RingFull as usize] = lost;
            cpu
        };
        let cpus = vec![cpu(100, 3), cpu(50, 4)];
        let total = Statistics { cpus, ..Statistics::default() }.total();
        assert_eq!((total.events(), total.lost_in(LossClass::Open)), (150, 7));
    }
}
