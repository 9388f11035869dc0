//! Reads the state of the machine again after events were lost.
//!
//! Processes that lost events are read again from `/proc`, one at a time, so that events never wait
//! for long. The result is delivered between the events at the time of the reading: earlier changes
//! are known by then as far as they have events, and later ones follow, as with the snapshot at the
//! start.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peregrine_event::source::Repair;
use peregrine_event::{EventCounters, LossClass};
use peregrine_telemetry::Heartbeat;

use crate::clock::Clock;
use crate::losses::{LossSubscription, LossUpdate};
use crate::offenders::Offender;
use crate::scan::{Scanner, scope};

/// Nanoseconds between two processes that are read while events arrive without a pause.
const BUSY: u64 = 20_000_000;

/// Losses after which the set of processes in the state may be wrong.
const LIFE: [LossClass; 3] = [LossClass::CloneFork, LossClass::Execve, LossClass::ProcExit];

pub(crate) struct Repairer {
    losses: LossSubscription,
    clock: Clock,
    /// The earliest boot time that the clock ever had. A process that began before the clock was
    /// set is still not taken for a later one with the same id.
    earliest_boot: u64,
    host_root: PathBuf,
    scope: Option<PathBuf>,
    heartbeat: Arc<Heartbeat>,
    seen: EventCounters,
    /// Processes to read.
    waiting: BTreeSet<i64>,
    /// Open while there are some; it caches socket tables, which must not be old.
    scanner: Option<Scanner>,
    worked: u64,
    /// Results, with their times.
    found: VecDeque<(u64, Repair)>,
}

impl Repairer {
    pub(crate) fn new(
        losses: LossSubscription,
        clock: Clock,
        host_root: &Path,
        scope: Option<&Path>,
        heartbeat: &Arc<Heartbeat>,
    ) -> Self {
        Self {
            losses,
            clock,
            earliest_boot: clock.boot_epoch(),
            host_root: host_root.to_owned(),
            scope: scope.map(Path::to_owned),
            heartbeat: Arc::clone(heartbeat),
            seen: EventCounters::default(),
            waiting: BTreeSet::new(),
            scanner: None,
            worked: 0,
            found: VecDeque::new(),
        }
    }

    /// The event clock was shifted by this many nanoseconds.
    pub(crate) fn clock_set(&mut self, clock: Clock, by: i64) {
        self.clock = clock;
        self.earliest_boot = self.earliest_boot.min(clock.boot_epoch());
        let found = self.found.iter_mut().map(|(ts, _)| ts);
        for ts in found.chain([&mut self.worked]) {
            *ts = ts.saturating_add_signed(by);
        }
    }

    /// Time at which the next result is due; `u64::MAX` if there is none.
    pub(crate) fn due(&self) -> u64 {
        self.found.front().map_or(u64::MAX, |(ts, _)| *ts)
    }

    /// The first result.
    pub(crate) fn take(&mut self) -> Option<Repair> {
        self.found.pop_front().map(|(_, repair)| repair)
    }

    /// Called repeatedly while events may be waiting: takes in new losses, and reads a process
    /// every [`BUSY`].
    pub(crate) fn tick(&mut self, now: u64) {
        if let Some(update) = self.losses.take() {
            self.plan(&update);
        }
        if !self.waiting.is_empty() && now >= self.worked.saturating_add(BUSY) {
            self.worked = now;
            self.work();
        }
    }

    /// Reads one process; returns whether there was one.
    pub(crate) fn work(&mut self) -> bool {
        let Some(pid) = self.waiting.pop_first() else { return false };
        if self.scanner.is_none() {
            let scanner = Scanner::open(&self.host_root).ok();
            self.scanner = scanner.map(|scanner| {
                scanner.with_boot(self.earliest_boot).with_heartbeat(&self.heartbeat)
            });
        }
        if let Some(scanner) = &mut self.scanner {
            let before = self.clock.now();
            let (items, open) = scanner.process(pid);
            // A process that has ended had its last event before now.
            let ts = if items.is_empty() { self.clock.now() } else { before };
            self.found.push_back((ts, Repair::Process { pid, items, open }));
        }
        if self.waiting.is_empty() {
            self.scanner = None;
        }
        true
    }

    /// Decides which processes have to be read again.
    fn plan(&mut self, update: &LossUpdate) {
        let now = update.reading.statistics.total();
        let new = now.since(&self.seen);
        self.seen = now;
        if new.lost() == 0 {
            return;
        }
        self.scanner = None;
        let offenders = &update.offenders;
        self.waiting.extend(offenders.iter().filter(|o| can_be_wrong(o)).map(|o| o.pid));
        let life = LIFE.into_iter().any(|class| new.lost_in(class) > 0);
        let attributed: u64 = offenders.iter().flat_map(|offender| offender.lost).sum();
        if life {
            self.list_living();
        }
        if life || attributed < new.lost() {
            self.waiting.extend(self.watched());
        }
    }

    fn list_living(&mut self) {
        let since = self.clock.now();
        if let Some(pids) = self.all_processes() {
            self.found.push_back((self.clock.now(), Repair::Alive { since, pids }));
        }
    }

    /// The monitored processes.
    fn watched(&self) -> Vec<i64> {
        match &self.scope {
            Some(scope) => scope::members(scope).unwrap_or_default(),
            None => self.all_processes().unwrap_or_default(),
        }
    }

    fn all_processes(&self) -> Option<Vec<i64>> {
        Scanner::open(&self.host_root).ok()?.all_processes().ok()
    }
}

/// Whether a loss can make the state of a process wrong. Directory operations change no process.
fn can_be_wrong(offender: &Offender) -> bool {
    let other = offender.lost.iter().sum::<u64>() > offender.lost[LossClass::DirFile as usize];
    offender.pid > 0 && other
}
