//! What the event thread asks the readers: unknown threads, while their events wait, the processes
//! of the start scan, and processes to be read again after losses.
//!
//! The event thread waits for a bounded time per question and per second. A thread that could not
//! be described in time is described later, as far as it is still unknown then.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use peregrine_event::snapshot::{Fd, Item};
use peregrine_event::source::FilesRequest;
use peregrine_limits::{
    EVENT_WAIT_TIME, FILE_LOOKUPS, LATE_LOOKUPS, LOOKUP_TIME, PROCESS_READ_TIME, READER_SILENCE,
    START_SCAN_TIME,
};
use peregrine_telemetry::{Heartbeat, Phase};

use crate::counters::{QuestionKind, ReaderCounters};
use crate::reader::{Extent, Pool, ProcessQuestion, Question, Reader, Reply};
use crate::scan::budget::TimeBudget;
use crate::scan::{Depth, Plan};

/// An event thread that waits for a lookup gives a hanging reader up sooner than others.
const LOOKUP_SILENCE: Duration = Duration::from_millis(250);
/// How long the first answers may take. On a busy machine, a reader may take longer to start than
/// it may be silent later.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Pause between two such questions.
const CHECK_PAUSE: Duration = Duration::from_millis(200);
/// How long the event thread waits for a process that is read again after losses.
const REREAD_WAIT: Duration = Duration::from_millis(100);
/// Of all time, the event thread may wait for one part of so many.
const WAIT_SHARE: u32 = 5;
/// Questions of the start scan on their way.
const AHEAD: usize = 64;
/// Ancestors that are asked for of a thread that is described later.
const LATE_ANCESTORS: usize = 32;
/// Questions about open files on their way, and the time for each.
const FILES_AHEAD: usize = 16;
const FILES_TIME: Duration = Duration::from_millis(100);
/// After its time, the start scan has for a process one part of so many of the usual time.
const HURRY: u32 = 100;

/// The readers of the event thread, which the source of events and the resolver share.
#[derive(Clone)]
pub(crate) struct SharedReaders(Arc<Mutex<EventReaders>>);

impl SharedReaders {
    /// The readers. Only the event thread uses them, so this does not wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, EventReaders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The readers of the event thread.
pub(crate) struct EventReaders {
    lookups: Reader,
    processes: Reader,
    /// For how long the event thread may wait.
    waiting: TimeBudget,
    /// Threads to be described later, and what was found out about such threads.
    late: VecDeque<i64>,
    late_found: VecDeque<Vec<Item>>,
    /// Such threads whose ancestors are being asked for: how many of these are left, and what was
    /// found so far.
    late_below: VecDeque<(usize, Vec<Item>)>,
    /// Processes that were read again, after the event thread had stopped waiting for them.
    reread: VecDeque<(i64, Reply)>,
    /// Open files to be described, and what was found out about such files.
    files: VecDeque<FilesRequest>,
    files_found: VecDeque<(FilesRequest, Vec<Fd>)>,
    /// Nanoseconds from the epoch to boot.
    boot: u64,
    scoped: bool,
    counters: Arc<ReaderCounters>,
    heartbeat: Arc<Heartbeat>,
}

impl EventReaders {
    /// Takes readers from a pool. `boot` is nanoseconds from the epoch to boot. With a scope,
    /// ancestors of unknown threads are read only as far as fields about ancestors need.
    pub(crate) fn start(
        pool: &Arc<Pool>,
        boot: u64,
        scoped: bool,
        counters: Arc<ReaderCounters>,
        heartbeat: &Arc<Heartbeat>,
    ) -> SharedReaders {
        let now = Instant::now();
        SharedReaders(Arc::new(Mutex::new(Self {
            lookups: Reader::new(pool, QuestionKind::Lookup, LOOKUP_SILENCE),
            processes: Reader::new(pool, QuestionKind::Process, READER_SILENCE.duration()),
            waiting: TimeBudget::new(EVENT_WAIT_TIME.duration(), WAIT_SHARE, now),
            late: VecDeque::new(),
            late_found: VecDeque::new(),
            late_below: VecDeque::new(),
            reread: VecDeque::new(),
            files: VecDeque::new(),
            files_found: VecDeque::new(),
            boot,
            scoped,
            counters,
            heartbeat: Arc::clone(heartbeat),
        })))
    }

    /// Waits until readers answer.
    ///
    /// # Errors
    /// When they end, or do not answer for a long time: this machine does not let them read.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        let budget = PROCESS_READ_TIME.duration();
        let question = self.question(std::process::id().into(), Extent::Ancestor, budget);
        let until = Instant::now() + FIRST_ANSWER;
        for reader in [&mut self.lookups, &mut self.processes] {
            while !answers(reader, question.clone(), until) {
                if Instant::now() + CHECK_PAUSE >= until {
                    return Err(io::Error::other("it ends or does not answer"));
                }
                thread::sleep(CHECK_PAUSE);
            }
        }
        Ok(())
    }

    /// Tells starts of processes by this time of boot, nanoseconds since the epoch.
    pub(crate) fn set_boot(&mut self, boot: u64) {
        self.boot = boot;
    }

    /// Describes a thread with its process and those of its ancestors that are not `known`, the
    /// highest first. Empty when it is gone, and when there is no answer in time; then it comes
    /// [later](Self::take_late).
    pub(crate) fn lookup(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item> {
        self.counters.resolved.fetch_add(1, Relaxed);
        self.receive();
        let start = Instant::now();
        let left = self.waiting.left(start).min(LOOKUP_TIME.duration());
        // A reader that still has a question may hang.
        if left.is_zero() || self.lookups.pending() > 0 {
            if left.is_zero() {
                EVENT_WAIT_TIME.reach();
            }
            self.counters.refused.fetch_add(1, Relaxed);
            self.describe_later(tid);
            return Vec::new();
        }
        let heartbeat = Arc::clone(&self.heartbeat);
        let waiting = heartbeat.enter(Phase::AwaitingReader(tid as u32));
        let (items, cut) = self.lookup_until(tid, known, start + left);
        drop(waiting);
        self.counters.resolved_in_part.fetch_add(u64::from(cut), Relaxed);
        self.count_wait(start);
        items
    }

    fn lookup_until(
        &mut self,
        tid: i64,
        known: &dyn Fn(i64) -> bool,
        until: Instant,
    ) -> (Vec<Item>, bool) {
        // What takes longer is cut by the reader, so that a part is there in time.
        let budget = LOOKUP_TIME.duration() * 3 / 4;
        let time_left = || until.saturating_duration_since(Instant::now());
        self.lookups.ask(self.question(tid, Extent::Lookup, budget));
        let Some((_, reply)) = self.lookups.poll(time_left()) else {
            LOOKUP_TIME.reach();
            return (Vec::new(), true);
        };
        let above = if self.scoped { Extent::Ancestor } else { Extent::Whole };
        let ancestors = reply.ancestors.iter().skip(1).take_while(|&&pid| !known(pid));
        for &pid in ancestors {
            self.lookups.ask(self.question(pid, above, budget));
        }
        let mut cut = self.is_part(tid, &reply);
        let mut found = vec![marked(reply)];
        while self.lookups.pending() > 0 {
            // The answers that come too late are taken in later.
            let Some((question, reply)) = self.lookups.poll(time_left()) else {
                LOOKUP_TIME.reach();
                cut = true;
                break;
            };
            if let Question::Process(asked) = question {
                cut |= self.is_part(asked.tid, &reply);
            }
            found.push(marked(reply));
        }
        if cut && let Some(items) = found.first_mut() {
            // Without its ancestors it has no place.
            incomplete(items);
            self.describe_later(tid);
        }
        (found.into_iter().rev().flatten().collect(), cut)
    }

    /// Takes in what readers have found meanwhile, and asks them what can wait. Does not wait.
    pub(crate) fn receive(&mut self) {
        while self.lookups.pending() > 0
            && let Some((question, reply)) = self.lookups.poll(Duration::ZERO)
        {
            let mut items = marked(reply);
            // What it leaves out, and what is above it, is asked for as well.
            if let Question::Process(asked) = question
                && asked.extent == Extent::Lookup
            {
                incomplete(&mut items);
                self.add_late(items);
                self.describe_later(asked.tid);
            } else {
                self.add_late(items);
            }
        }
        while self.processes.pending() > 0
            && let Some((question, reply)) = self.processes.poll(Duration::ZERO)
        {
            self.sort(question, reply);
        }
        if self.processes.pending() == 0
            && let Some(tid) = self.late.pop_front()
        {
            let budget = PROCESS_READ_TIME.duration();
            self.processes.ask(self.question(tid, Extent::WithAncestors, budget));
        }
        while self.processes.pending() < FILES_AHEAD
            && let Some(request) = self.files.pop_front()
        {
            let question = self.process_question(request.tid, Extent::Whole, FILES_TIME);
            self.processes.ask(Question::Files(question, request.fds));
        }
    }

    /// Has open files described, if there is room.
    pub(crate) fn describe_files(&mut self, request: &FilesRequest) -> bool {
        let room = self.files.len() < FILE_LOOKUPS.get();
        if room {
            self.files.push_back(request.clone());
        } else {
            FILE_LOOKUPS.reach();
        }
        room
    }

    /// What was found out about open files.
    pub(crate) fn take_files(&mut self) -> Option<(FilesRequest, Vec<Fd>)> {
        self.files_found.pop_front()
    }

    /// What was found out about threads that could not be described in time.
    pub(crate) fn take_late(&mut self) -> Option<Vec<Item>> {
        self.late_found.pop_front()
    }

    /// Reads a process again. `None` when there is no answer in time, which may come
    /// [later](Self::take_reread).
    pub(crate) fn reread(&mut self, pid: i64) -> Option<Reply> {
        let start = Instant::now();
        let wait = self.waiting.left(start).min(REREAD_WAIT);
        let heartbeat = Arc::clone(&self.heartbeat);
        let _waiting = heartbeat.enter(Phase::AwaitingReader(pid as u32));
        let budget = PROCESS_READ_TIME.duration();
        self.processes.ask(self.question(pid, Extent::WithNumbers, budget));
        let mut found = None;
        while found.is_none() && self.processes.pending() > 0 {
            let left = (start + wait).saturating_duration_since(Instant::now());
            let Some((question, reply)) = self.processes.poll(left) else { break };
            match question {
                Question::Process(asked)
                    if asked.tid == pid && asked.extent == Extent::WithNumbers =>
                {
                    found = Some(reply);
                }
                question => self.sort(question, reply),
            }
        }
        self.count_wait(start);
        found
    }

    /// A process that was read again, after the event thread had stopped waiting for it.
    pub(crate) fn take_reread(&mut self) -> Option<(i64, Reply)> {
        self.reread.pop_front()
    }

    /// Whether processes are being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.processes.pending() > 0
    }

    /// The process that reads for the start scan, if it is one of its own.
    pub(crate) fn scanner(&self) -> Option<u32> {
        self.processes.pid()
    }

    fn count_wait(&mut self, start: Instant) {
        let took = start.elapsed();
        self.waiting.spend(took);
        self.counters.waits.fetch_add(1, Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counters.wait_ns.fetch_add(took, Relaxed);
    }

    /// Whether an answer is not the whole one, which is then asked for later.
    fn is_part(&mut self, tid: i64, reply: &Reply) -> bool {
        let part = reply.outcome.cut || reply.failed;
        if part {
            self.describe_later(tid);
        }
        part
    }

    fn describe_later(&mut self, tid: i64) {
        if self.late.contains(&tid) {
            return;
        }
        if self.late.len() < LATE_LOOKUPS.get() {
            self.late.push_back(tid);
        } else {
            LATE_LOOKUPS.reach();
        }
    }

    fn sort(&mut self, question: Question, reply: Reply) {
        match question {
            Question::Process(asked) if asked.extent == Extent::WithNumbers => {
                self.reread.push_back((asked.tid, reply));
            }
            Question::Files(asked, fds) => {
                let found = reply.items.into_iter().filter_map(fds_of).flatten().collect();
                self.files_found.push_back((FilesRequest { tid: asked.tid, fds }, found));
            }
            Question::Process(asked) if asked.extent == Extent::WithAncestors => {
                self.add_below(reply);
            }
            // They are asked in this order.
            _ => {
                if let Some((left, items)) = self.late_below.front_mut() {
                    *left = left.saturating_sub(1);
                    items.splice(..0, reply.items);
                }
                self.finish_late();
            }
        }
    }

    /// A thread was described later; its ancestors follow, without which it has no place.
    fn add_below(&mut self, reply: Reply) {
        let above = if self.scoped { Extent::Ancestor } else { Extent::Whole };
        let ancestors = reply.ancestors.iter().skip(1).take(LATE_ANCESTORS);
        let mut left = 0;
        for &pid in ancestors {
            self.processes.ask(self.question(pid, above, LOOKUP_TIME.duration()));
            left += 1;
        }
        self.late_below.push_back((left, reply.items));
        self.finish_late();
    }

    fn finish_late(&mut self) {
        while let Some((_, items)) = self.late_below.pop_front_if(|(left, _)| *left == 0) {
            self.add_late(items);
        }
    }

    fn add_late(&mut self, items: Vec<Item>) {
        if !items.is_empty() {
            // One answer describes all threads of a process.
            if !self.late.is_empty() {
                let described: HashSet<i64> = items.iter().filter_map(tid_of).collect();
                self.late.retain(|tid| !described.contains(tid));
            }
            self.late_found.push_back(items);
        }
    }

    fn question(&self, tid: i64, extent: Extent, budget: Duration) -> Question {
        Question::Process(self.process_question(tid, extent, budget))
    }

    fn process_question(&self, tid: i64, extent: Extent, budget: Duration) -> ProcessQuestion {
        ProcessQuestion {
            tid,
            boot: self.boot,
            budget: u32::try_from(budget.as_millis()).unwrap_or(u32::MAX),
            extent,
            safe: false,
            scan: false,
        }
    }
}

/// The items of an answer. Threads of an answer that was cut say that they are not complete.
fn marked(mut reply: Reply) -> Vec<Item> {
    if reply.outcome.cut {
        incomplete(&mut reply.items);
    }
    reply.items
}

fn incomplete(items: &mut [Item]) {
    for item in items {
        if let Item::Thread(thread) = item {
            thread.incomplete = true;
        }
    }
}

fn tid_of(item: &Item) -> Option<i64> {
    match item {
        Item::Thread(thread) => Some(thread.tid),
        _ => None,
    }
}

fn fds_of(item: Item) -> Option<Vec<Fd>> {
    match item {
        Item::Fds(_, fds) => Some(fds),
        _ => None,
    }
}

/// The snapshot of the machine, as readers find it.
pub(crate) struct StartScan {
    ready: VecDeque<Item>,
    processes: VecDeque<(i64, Depth)>,
    /// Working directories of processes at the time of the first events.
    directories: HashMap<i64, Arc<[u8]>>,
    start: Instant,
}

/// What the start scan has.
pub(crate) enum ScanStep {
    Item(Item),
    /// Nothing yet.
    Waiting,
    Complete,
}

impl StartScan {
    pub(crate) fn new((ready, processes): Plan, directories: HashMap<i64, Arc<[u8]>>) -> Self {
        Self { ready, processes: processes.into(), directories, start: Instant::now() }
    }

    /// The next item; waits for no longer than this.
    pub(crate) fn next(&mut self, readers: &mut EventReaders, wait: Duration) -> ScanStep {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return ScanStep::Item(item);
            }
            self.ask(readers);
            if readers.processes.pending() == 0 {
                return ScanStep::Complete;
            }
            let Some((_, reply)) = readers.processes.poll(wait) else { return ScanStep::Waiting };
            if reply.outcome.cut {
                PROCESS_READ_TIME.reach();
            }
            let mut items = reply.items;
            items.iter_mut().for_each(|item| self.set_directory(item));
            self.ready.extend(items);
        }
    }

    /// What a process had as its directory when its first events came, and not what it has now.
    fn set_directory(&self, item: &mut Item) {
        if let Item::Thread(thread) = item
            && let Some(cwd) = self.directories.get(&thread.pid)
        {
            thread.cwd = Arc::clone(cwd);
        }
    }

    fn ask(&mut self, readers: &mut EventReaders) {
        while readers.processes.pending() < AHEAD
            && let Some((pid, depth)) = self.processes.pop_front()
        {
            let mut budget = PROCESS_READ_TIME.duration();
            if self.start.elapsed() >= START_SCAN_TIME.duration() {
                START_SCAN_TIME.reach();
                budget /= HURRY;
            }
            let extent = match depth {
                Depth::Whole => Extent::Whole,
                Depth::Ancestor => Extent::Ancestor,
            };
            let mut question = readers.question(pid, extent, budget);
            if let Question::Process(process) = &mut question {
                process.scan = true;
            }
            readers.processes.ask(question);
        }
    }
}

/// Whether a reader answers this question in time. One that does not is replaced.
fn answers(reader: &mut Reader, question: Question, until: Instant) -> bool {
    reader.ask(question);
    let reply = reader.poll(until.saturating_duration_since(Instant::now()));
    reply.is_some_and(|(_, reply)| !reply.failed)
}
