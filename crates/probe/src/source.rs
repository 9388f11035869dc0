//! The running kernel as a source of events.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use peregrine_event::EventType;
use peregrine_event::inbox::{Inbox, Initial, Told, ToldEvent};
use peregrine_event::snapshot::Item;
use peregrine_event::source::{Due, FilesRequest, Next, Observation, Record, Source, TimedSource};
use peregrine_telemetry::Phase;
use thiserror::Error;

use crate::bpf::{HookPlan, KernelTypes, Probe, ProbeConfig, ProbeError, Selection};
use crate::clock::Clock;
use crate::counters::{Counters, ReaderCounters};
use crate::event_readers::{EventReaders, ScanStep, SharedReaders, StartScan};
use crate::losses::{KernelLosses, LossReader, Losses};
use crate::merge::Merge;
use crate::reader::{OwnPids, Pool};
use crate::record::{event_of, tid_of};
use crate::repair::Repairer;
use crate::resolver::{Answers, ProcLookup};
use crate::ring::Ring;
use crate::scan::dir::Dir;
use crate::scan::{Depth, ScanError, Scanner};
use crate::waiter::Waiter;

/// Shortest and longest time between two looks at the rings.
const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(10);
/// How long a call waits for the start scan.
const SCAN_WAIT: Duration = Duration::from_millis(50);
/// How long events wait for the start of a reader, whose own events are not reported, and between
/// two looks at it.
const READER_START: Duration = Duration::from_millis(50);
const READER_CHECK: Duration = Duration::from_micros(100);
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
    /// No process can be started that reads about other processes.
    #[error("cannot start a reader of /proc: {0}")]
    Reader(io::Error),
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
    scan: Option<StartScan>,
    /// The reader that the kernel excludes during the start scan.
    excluded: Option<u32>,
    scan_threads: ScanThreads,
    pool: Arc<Pool>,
    readers: SharedReaders,
    own: Option<Arc<OwnPids>>,
    /// Since when events wait for the start of a reader.
    gate: Option<Instant>,
    pace: Pace,
    clock: Clock,
    /// When the wall clock is read next.
    clock_check: u64,
    repairer: Repairer,
    answers: Answers,
    /// Whether what other threads tell about the start is still awaited, and for how long.
    initial: Option<Duration>,
    /// Time before the hooks were attached: that of events about the start.
    began: u64,
    /// The event of another thread that is being delivered.
    told: Option<ToldEvent>,
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
        let began = Clock::new().now();
        let mut scanner = Scanner::open(host_root)?;
        let reader = Arc::<ReaderCounters>::default();
        let pool = Pool::start(config.readers.clone(), host_root, Arc::clone(&reader));
        let pool = pool.map_err(LiveError::Reader)?;
        let (boot, scoped) = (Clock::new().boot_epoch(), config.scope.is_some());
        let readers = EventReaders::start(&pool, boot, scoped, Arc::clone(&reader), heartbeat);
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
        // They have started meanwhile.
        readers.lock().check().map_err(LiveError::Reader)?;
        let reading = heartbeat.enter(Phase::ReadingMachine);
        let (mut items, mut processes) = scanner.plan(config.scope.as_deref())?;
        drop(reading);
        let own = config.exclude_self.then(|| Arc::clone(pool.own()));
        processes.retain(|&(pid, _)| own.as_ref().is_none_or(|own| !own.contains(pid)));
        // Events that depend on a directory come only once it is known. All changes from before
        // come, and tell the directory afterwards.
        let whole = processes.iter().filter(|(_, depth)| *depth == Depth::Whole);
        let whole: Vec<i64> = whole.map(|(pid, _)| *pid).collect();
        let directories = scanner.working_directories(&whole);
        probe.release()?;
        let clock = Clock::with_boot_epoch(probe.boot_epoch());
        for item in &mut items {
            // The kernel tells it in seconds, which is too coarse for starts of pid namespaces.
            if let Item::Machine(machine) = item {
                machine.boot_ts = clock.boot_epoch();
            }
        }
        let counters = Counters::new(Arc::clone(probe.counters()), Arc::clone(&reader));
        readers.lock().set_boot(clock.boot_epoch());
        let losses = LossReader::start(KernelLosses::new(counters, host_root));
        let losses = losses.map_err(LiveError::Thread)?;
        let for_repair = losses.losses().subscribe();
        Ok(Self {
            repairer: Repairer::new(for_repair, clock, host_root, config.scope.as_deref()),
            reader,
            losses,
            probe,
            merge,
            waiter,
            given_up,
            scan: Some(StartScan::new((items, processes), directories)),
            excluded: None,
            scan_threads: ScanThreads::default(),
            pool,
            readers,
            own,
            gate: None,
            pace: Pace::new(config.ring_bytes),
            clock,
            clock_check: clock.now(),
            initial: None,
            answers: Answers::new(),
            began,
            told: None,
            held: false,
            num: 0,
        })
    }

    /// Hands over the types of the kernel for the next selection.
    pub fn lend_types(&mut self, types: KernelTypes) {
        self.probe.lend_types(types);
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
    /// When no thread can be started.
    pub fn resolver(&mut self) -> Result<ProcLookup, LiveError> {
        let started = ProcLookup::start(self.readers.clone(), &self.pool);
        let (lookup, answers) = started.map_err(LiveError::Thread)?;
        self.answers.listen(answers);
        Ok(lookup)
    }

    /// Delivers what other threads put into this inbox. What they tell about the start comes before
    /// the first event, if all of it is there within this time after the snapshot.
    pub fn listen(&mut self, inbox: Inbox, initial_wait: Duration) {
        self.answers.listen_to(inbox);
        self.initial = Some(initial_wait);
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
            self.readers.lock().set_boot(self.repairer.earliest_boot());
            self.answers.clock_set(step);
        }
    }

    /// Whether there is an event that is due.
    fn advance(&mut self) -> bool {
        while self.merge.advance() || self.refresh() {
            if !self.is_own() {
                return true;
            }
        }
        false
    }

    /// Whether the event is one of a reader. The kernel excludes one process only.
    #[inline]
    fn is_own(&mut self) -> bool {
        let Some(own) = &self.own else { return false };
        let Some(tid) = self.merge.current().and_then(tid_of) else { return false };
        own.contains(tid) || self.scan_threads.contains(self.merge.ts(), tid)
    }

    /// Does what is due beside the events, and looks for new ones.
    fn refresh(&mut self) -> bool {
        let mut now = self.clock.now();
        if now >= self.clock_check {
            self.follow_clock();
            now = self.clock.now();
            self.clock_check = now.saturating_add(CLOCK_CHECK);
        }
        let mut readers = self.readers.lock();
        readers.receive();
        self.repairer.tick(now, &mut readers);
        while let Some(items) = readers.take_late() {
            self.answers.add(now, Observation::Threads(items));
        }
        while let Some((FilesRequest { tid, fds: asked }, fds)) = readers.take_files() {
            self.answers.add(now, Observation::Files { tid, asked, fds });
        }
        drop(readers);
        self.answers.tick(now);
        self.merge.refresh(now);
        self.reader.late.store(self.merge.late(), Relaxed);
        self.merge.advance()
    }

    /// During the start scan, the kernel excludes the reader that scans, which opens very many
    /// files. This process has no events of interest then; they are left out here.
    fn exclude_scanner(&mut self) {
        let pid = self.readers.lock().scanner();
        if pid != self.excluded
            && let Some(pid) = pid
            && self.probe.exclude(pid).is_ok()
        {
            self.excluded = Some(pid);
        }
    }

    /// Delivers what another thread has told.
    fn deliver(&mut self, told: Told) -> Next<'_> {
        let event = match told {
            Told::Observation(observation) => return Next::Observation(observation),
            Told::Event(event) => self.told.insert(event),
        };
        let state_only = event.is_state_only();
        match event.parse() {
            Ok(mut event) => {
                self.num += 1;
                event.num = self.num;
                Next::Record(Record::Event { event, state_only })
            }
            Err(_) => {
                self.reader.malformed.fetch_add(1, Relaxed);
                Next::Idle
            }
        }
    }

    /// Reports the reader again, and not this process.
    fn scan_is_complete(&mut self) {
        self.scan = None;
        if self.excluded.take().is_some() {
            // On failure, this process would report itself from here on.
            let _ = self.probe.exclude(std::process::id());
            self.scan_threads = ScanThreads::until(self.clock.now());
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
    probe.hold_back()?;
    probe.attach()?;
    Ok((probe, Merge::new(rings), waiter))
}

impl Source for Live {
    type Error = LiveError;

    fn next(&mut self) -> Result<Next<'_>, LiveError> {
        if self.own.is_some() && self.scan.is_some() {
            self.exclude_scanner();
        }
        if let Some(scan) = &mut self.scan {
            let step = scan.next(&mut self.readers.lock(), SCAN_WAIT);
            match step {
                ScanStep::Item(item) => return Ok(Next::Record(Record::Snapshot(item))),
                ScanStep::Waiting => return Ok(Next::Loading),
                ScanStep::Complete => {
                    self.scan_is_complete();
                    // As it was due: events and results come with the next call.
                    return Ok(Next::Loading);
                }
            }
        }
        if let Some(wait) = self.initial {
            match self.answers.initial(wait) {
                Initial::Complete => self.initial = None,
                Initial::Waiting => return Ok(Next::Loading),
                Initial::Told(mut told) => {
                    if let Told::Event(event) = &mut told {
                        event.set_time(self.began);
                    }
                    return Ok(self.deliver(told));
                }
            }
        }
        let event = std::mem::take(&mut self.held) || self.advance();
        let due = if event { self.merge.ts() } else { self.merge.horizon() };
        if self.answers.due() <= due.min(self.repairer.due())
            && let Some(answer) = self.answers.take()
        {
            self.held = event;
            return Ok(self.deliver(answer));
        }
        if self.repairer.due() <= due
            && let Some(repair) = self.repairer.take()
        {
            self.held = event;
            return Ok(Next::Repair(repair));
        }
        if !event {
            self.merge.release();
            if !self.repairer.work(&mut self.readers.lock()) {
                self.waiter.wait(self.pace.next());
            }
            return Ok(Next::Idle);
        }
        if let Some(own) = &self.own
            && own.is_starting()
            && self.gate.get_or_insert_with(Instant::now).elapsed() < READER_START
        {
            self.held = true;
            std::thread::sleep(READER_CHECK);
            return Ok(Next::Idle);
        }
        self.gate = None;
        self.pace.count();
        let event = self.merge.current().and_then(|record| event_of(record).ok());
        Ok(match event {
            Some(mut event) => {
                self.num += 1;
                event.num = self.num;
                // These are about processes that were moved to other control groups.
                let state_only = event.ty == EventType::AsynceventE;
                Next::Record(Record::Event { event, state_only })
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
        if self.scan.is_some() || self.initial.is_some() {
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

/// The threads of this process, whose events of the time of the start scan are not reported.
#[derive(Debug, Default)]
struct ScanThreads {
    until: u64,
    tids: Vec<i64>,
}

impl ScanThreads {
    /// Those that there are now, up to this time.
    fn until(until: u64) -> Self {
        let mut tids = Vec::new();
        // Without them, some events of this process are reported.
        if let Ok(tasks) = Dir::open(Path::new("/proc/self")) {
            let _ = tasks.numbers("task", &mut tids);
        }
        Self { until, tids }
    }

    #[inline]
    fn contains(&self, ts: u64, tid: i64) -> bool {
        ts <= self.until && self.tids.contains(&tid)
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
