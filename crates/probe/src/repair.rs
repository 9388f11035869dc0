//! Reads the state of the machine again after events were lost.
//!
//! Processes that lost events are read again from `/proc`, one at a time, so that events never wait
//! for long. The result is delivered between the events at the time of the reading: earlier changes
//! are known by then as far as they have events, and later ones follow, as with the snapshot at the
//! start.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use peregrine_event::source::Repair;
use peregrine_event::{EventCounters, LossClass};
use peregrine_limits::PROCESS_READ_TIME;

use crate::clock::Clock;
use crate::event_readers::EventReaders;
use crate::losses::{LossSubscription, LossUpdate};
use crate::offenders::Offender;
use crate::reader::Reply;
use crate::scan::{Scanner, scope};

/// Nanoseconds between two processes that are read while events arrive without a pause.
const BUSY: u64 = 20_000_000;

pub(crate) struct Repairer {
    losses: LossSubscription,
    clock: Clock,
    /// The earliest boot time that the clock ever had. A process that began before the clock was
    /// set is still not taken for a later one with the same id.
    earliest_boot: u64,
    host_root: PathBuf,
    scope: Option<PathBuf>,
    seen: EventCounters,
    /// Processes to read.
    waiting: BTreeSet<i64>,
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
    ) -> Self {
        Self {
            losses,
            clock,
            earliest_boot: clock.boot_epoch(),
            host_root: host_root.to_owned(),
            scope: scope.map(Path::to_owned),
            seen: EventCounters::default(),
            waiting: BTreeSet::new(),
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

    /// The earliest boot time that the clock ever had, nanoseconds since the epoch.
    pub(crate) fn earliest_boot(&self) -> u64 {
        self.earliest_boot
    }

    /// Called repeatedly while events may be waiting: takes in new losses and what was read, and
    /// has a process read every [`BUSY`].
    pub(crate) fn tick(&mut self, now: u64, readers: &mut EventReaders) {
        if let Some(update) = self.losses.take() {
            self.plan(&update);
        }
        while let Some((pid, reply)) = readers.take_reread() {
            // Changes since it was read are reverted until the next loss: better than not to
            // correct large processes at all.
            self.add(pid, reply, now);
        }
        if !self.waiting.is_empty() && now >= self.worked.saturating_add(BUSY) {
            self.worked = now;
            self.work(readers);
        }
    }

    /// Has one process read; returns whether there was one.
    pub(crate) fn work(&mut self, readers: &mut EventReaders) -> bool {
        if self.waiting.is_empty() || readers.is_reading() {
            return false;
        }
        let Some(pid) = self.waiting.pop_first() else { return false };
        let before = self.clock.now();
        if let Some(reply) = readers.reread(pid) {
            self.add(pid, reply, before);
        }
        true
    }

    fn add(&mut self, pid: i64, reply: Reply, before: u64) {
        if reply.outcome.cut {
            PROCESS_READ_TIME.reach();
        }
        // What is known in part only would replace what is known in whole.
        if reply.failed || reply.safe || reply.outcome.cut {
            return;
        }
        // It may have ended while it was read.
        let Some(open) = reply.numbers.filter(|_| !reply.items.is_empty()) else {
            // A process that has ended had its last event before now.
            let process = Repair::Process { pid, items: Vec::new(), open: Vec::new() };
            self.found.push_back((self.clock.now(), process));
            return;
        };
        self.found.push_back((before, Repair::Process { pid, items: reply.items, open }));
    }

    /// Decides which processes have to be read again.
    fn plan(&mut self, update: &LossUpdate) {
        let now = update.reading.statistics.total();
        let new = now.since(&self.seen);
        self.seen = now;
        if new.lost() == 0 {
            return;
        }
        let offenders = &update.offenders;
        self.waiting.extend(offenders.iter().filter(|o| can_be_wrong(o)).map(|o| o.pid));
        // The set of processes in the state may be wrong.
        let mut lifecycle = LossClass::ALL.into_iter().filter(|class| class.is_lifecycle());
        let life = lifecycle.any(|class| new.lost_in(class) > 0);
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
