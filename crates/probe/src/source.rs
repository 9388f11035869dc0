//! The running kernel as a source of events.

use std::io;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use peregrine_event::source::{Due, Next, Record, Source, TimedSource};
use peregrine_telemetry::{Heartbeat, Phase};
use thiserror::Error;

use crate::bpf::{HookPlan, Probe, ProbeConfig, ProbeError, Selection};
use crate::clock::Clock;
use crate::counters::{Counters, ReaderCounters};
use crate::losses::{KernelLosses, LossReader, Losses};
use crate::merge::Merge;
use crate::record::event_of;
use crate::repair::Repairer;
use crate::resolver::{Answers, ProcLookup};
use crate::ring::Ring;
use crate::scan::{Scan, ScanError, Scanner};
use crate::waiter::Waiter;

/// Shortest and longest time between two looks at the rings.
const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(10);
/// Nanoseconds between two looks at the wall clock.
const CLOCK_CHECK: u64 = 1_000_000_000;
/// Bytes per second of the fastest producer.
const FASTEST: u64 = 700_000_000;
/// Events of one look that are few, and those that are many.
const FEW: u32 = 32;
const MANY: u32 = 512;

/// Why this machine cannot be monitored.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The kernel does not take the probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The system has no thread left for the reader of the loss counters.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A ring can't be read.
    #[error("cannot map a ring buffer: {0}")]
    Ring(io::Error),
    /// What runs already can't be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

/// Events of this machine: a snapshot first, then events as they occur.
///
/// The hooks are attached before the scan, so that no change is missed: events during the scan
/// follow the snapshot, which may already contain their effects.
pub struct Live {
    probe: Probe,
    merge: Merge,
    waiter: Waiter,
    /// Why per-syscall hooks are not used.
    given_up: Option<String>,
    scan: Option<Peekable<Scan>>,
    pace: Pace,
    clock: Clock,
    /// When the wall clock is read next.
    clock_check: u64,
    repairer: Repairer,
    answers: Answers,
    host_root: PathBuf,
    scoped: bool,
    heartbeat: Arc<Heartbeat>,
    /// The merge has moved to an event that is not delivered yet, because something else was due
    /// first.
    held: bool,
    num: u64,
    reader: Arc<ReaderCounters>,
    losses: LossReader,
}

impl Live {
    /// Starts monitoring. `host_root` is the path of the host's root directory.
    ///
    /// # Errors
    /// When the kernel refuses, or the machine cannot be scanned.
    pub fn start(config: &ProbeConfig, host_root: &Path) -> Result<Self, LiveError> {
        let heartbeat = &config.heartbeat;
        let scanner = Scanner::open(host_root)?.with_heartbeat(heartbeat);
        let loading = heartbeat.enter(Phase::LoadingPrograms);
        let (mut probe, mut merge, mut waiter) = attach(config)?;
        let unhooked = probe.blind_spot().filter(|_| config.plan.is_none());
        let given_up = unhooked.map(|(function, why)| format!("{function}: {why}"));
        if given_up.is_some() {
            // One hook for all calls is better than a call without a hook.
            drop((probe, merge, waiter));
            let whole = ProbeConfig { plan: Some(HookPlan::SysExit), ..config.clone() };
            (probe, merge, waiter) = attach(&whole)?;
        }
        drop(loading);
        let reading = heartbeat.enter(Phase::ReadingMachine);
        let scan = scanner.scan(config.scope.as_deref())?;
        drop(reading);
        let clock = Clock::with_boot_epoch(probe.boot_epoch());
        let counters = Counters::new(Arc::clone(probe.counters()));
        let reader = Arc::clone(&counters.reader);
        let losses = LossReader::start(KernelLosses::new(counters, host_root));
        let losses = losses.map_err(LiveError::Thread)?;
        let for_repair = losses.losses().subscribe();
        Ok(Self {
            repairer: Repairer::new(
                for_repair,
                clock,
                host_root,
                config.scope.as_deref(),
                heartbeat,
            ),
            reader,
            losses,
            probe,
            merge,
            waiter,
            given_up,
            scan: Some(scan.peekable()),
            pace: Pace::new(config.ring_bytes),
            clock,
            clock_check: clock.now(),
            answers: Answers::new(),
            host_root: host_root.to_owned(),
            scoped: config.scope.is_some(),
            heartbeat: Arc::clone(heartbeat),
            held: false,
            num: 0,
        })
    }

    /// Changes the selection, without a gap for what stays selected.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn select(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        self.probe.select(selection)
    }

    /// Answers questions about this machine. The answers that take time come from this source, if
    /// this was the last call.
    ///
    /// # Errors
    /// When there is no `/proc`, or no thread can be started.
    pub fn resolver(&mut self) -> Result<ProcLookup, ScanError> {
        let counters = Arc::clone(&self.reader);
        let (root, scoped) = (&self.host_root, self.scoped);
        let (lookup, answers) = ProcLookup::start(root, scoped, counters, &self.heartbeat)?;
        self.answers.listen(answers);
        Ok(lookup)
    }

    /// The kernel side.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Which function could not be hooked, and why. Then one hook serves all syscalls, although the
    /// kernel supports per-syscall hooks.
    pub fn given_up(&self) -> Option<&str> {
        self.given_up.as_deref()
    }

    /// Events delivered so far.
    pub fn given(&self) -> u64 {
        self.num
    }

    /// The counters of events and losses, for any thread.
    pub fn losses(&self) -> &Losses {
        self.losses.losses()
    }

    /// Behaves from now on as if the wall clock had been set by this many nanoseconds: for tests.
    #[doc(hidden)]
    pub fn shift_wall_clock(&mut self, by: i64) {
        self.clock.shift_wall(by);
    }

    /// Moves the timestamps of all later events when the wall clock was set.
    #[cold]
    fn follow_clock(&mut self) {
        let mut clock = self.clock;
        if let Some(step) = clock.follow()
            // Kernel and reader agree on the time: where the kernel refuses, both keep the old one.
            && self.probe.set_boot_epoch(clock.boot_epoch()).is_ok()
        {
            self.clock = clock;
            self.merge.clock_set(step);
            self.repairer.clock_set(clock, step);
            self.answers.clock_set(step);
        }
    }

    /// Whether there is an event that is due.
    fn advance(&mut self) -> bool {
        self.merge.advance() || {
            let mut now = self.clock.now();
            if now >= self.clock_check {
                self.follow_clock();
                now = self.clock.now();
                self.clock_check = now.saturating_add(CLOCK_CHECK);
            }
            self.repairer.tick(now);
            self.answers.tick(now);
            self.merge.refresh(now);
            self.reader.late.store(self.merge.late(), Relaxed);
            self.merge.advance()
        }
    }
}

/// Loads and attaches the kernel side.
fn attach(config: &ProbeConfig) -> Result<(Probe, Merge, Waiter), LiveError> {
    let mut probe = Probe::load(config)?;
    let (mut rings, mut records) = (Vec::new(), Vec::new());
    for ring in probe.take_rings() {
        rings.push((ring.kind, Ring::map(&ring.records, ring.bytes).map_err(LiveError::Ring)?));
        records.push(ring.records);
    }
    let waiter = Waiter::new(records).map_err(LiveError::Ring)?;
    probe.attach()?;
    Ok((probe, Merge::new(rings), waiter))
}

impl Source for Live {
    type Error = LiveError;

    fn next(&mut self) -> Result<Next<'_>, LiveError> {
        if let Some(scan) = &mut self.scan {
            if let Some(item) = scan.next() {
                return Ok(Next::Record(Record::Snapshot(item)));
            }
            self.scan = None;
        }
        let event = std::mem::take(&mut self.held) || self.advance();
        let due = if event { self.merge.ts() } else { self.merge.horizon() };
        if self.answers.due() <= due.min(self.repairer.due())
            && let Some(answer) = self.answers.take()
        {
            self.held = event;
            return Ok(Next::Observation(answer));
        }
        if self.repairer.due() <= due
            && let Some(repair) = self.repairer.take()
        {
            self.held = event;
            return Ok(Next::Repair(repair));
        }
        if !event {
            self.merge.release();
            if !self.repairer.work() {
                self.waiter.wait(self.pace.next());
            }
            return Ok(Next::Idle);
        }
        self.pace.count();
        let event = self.merge.current().and_then(|record| event_of(record).ok());
        Ok(match event {
            Some(mut event) => {
                self.num += 1;
                event.num = self.num;
                Next::Record(Record::Event { event, state_only: false })
            }
            None => {
                self.reader.malformed.fetch_add(1, Relaxed);
                Next::Idle
            }
        })
    }
}

impl TimedSource for Live {
    fn due(&mut self) -> Result<Due, LiveError> {
        if self.scan.as_mut().is_some_and(|scan| scan.peek().is_some()) {
            return Ok(Due::Now);
        }
        self.held = self.held || self.advance();
        let event = self.held.then(|| self.merge.ts());
        let found = self.answers.due().min(self.repairer.due());
        if found <= event.unwrap_or_else(|| self.merge.horizon()) {
            return Ok(Due::At(found));
        }
        if event.is_none() {
            // While other sources have events, `next` is not called.
            self.merge.release();
        }
        Ok(event.map_or(Due::Idle, Due::At))
    }
}

/// How long to wait between two looks at the rings: the less comes, the longer, as far as the rings
/// have room.
#[derive(Debug)]
struct Pace {
    wait: Duration,
    longest: Duration,
    events: u32,
}

impl Pace {
    fn new(ring_bytes: u32) -> Self {
        let full = Duration::from_nanos(u64::from(ring_bytes) * 1_000_000_000 / FASTEST);
        Self { wait: SHORTEST, longest: full.clamp(SHORTEST, LONGEST), events: 0 }
    }

    /// An event has come.
    fn count(&mut self) {
        self.events = self.events.saturating_add(1);
    }

    /// There are no more just now: for how long to wait.
    fn next(&mut self) -> Duration {
        match std::mem::take(&mut self.events) {
            ..FEW => self.wait = (self.wait * 2).min(self.longest),
            MANY.. => self.wait = (self.wait / 2).max(SHORTEST),
            _ => {}
        }
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_idleness_and_shrink_with_work() {
        let mut pace = Pace::new(8 << 20);
        for _ in 0..10 {
            pace.next();
        }
        assert_eq!(pace.wait, LONGEST);
        (0..100).for_each(|_| pace.count());
        assert_eq!(pace.next(), LONGEST);
        for _ in 0..10 {
            (0..MANY).for_each(|_| pace.count());
            pace.next();
        }
        assert_eq!(pace.wait, SHORTEST);
    }

    #[test]
    fn small_rings_are_looked_at_more_often() {
        let mut pace = Pace::new(1 << 20);
        for _ in 0..10 {
            pace.next();
        }
        assert!(pace.wait < Duration::from_millis(2), "{:?}", pace.wait);
        assert_eq!(Pace::new(4096).longest, SHORTEST);
    }
}
