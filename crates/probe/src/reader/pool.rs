//! Starts readers and ends them.
//!
//! A thread of its own keeps one reader in reserve, so that one that hangs is replaced at once, and
//! waits for those that were killed. A process that hangs in the kernel does not die before the
//! kernel lets it go: such readers are counted, and their number is bounded by asking only for what
//! can't be delayed.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_limits::STUCK_READERS;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::own::OwnPids;
use super::serve::Service;
use super::suspects::Suspects;
use crate::counters::ReaderCounters;
use crate::scan::dir::Dir;

/// Readers in reserve before the first is taken: those that every source takes at once, and one.
const FIRST: usize = 4;
/// A killed reader that lives for longer than this hangs in the kernel.
const DYING: Duration = Duration::from_millis(200);
/// For how long the id of a dead reader is kept from other processes: until its last event is read.
const MOURNING: Duration = Duration::from_millis(300);
/// Time between two looks at readers that were killed.
const TICK: Duration = Duration::from_millis(50);
/// Time between two attempts to start a reader.
const RETRY: Duration = Duration::from_secs(1);
/// Most bytes of a list of control groups.
const MAX_GROUPS: usize = 4096;

/// How readers run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReaderMode {
    /// As threads of this process. One that hangs is left alone; nothing ends it.
    #[default]
    Thread,
    /// As processes of this program, which with this first argument calls
    /// [`reader::main`](super::main).
    Process {
        /// The program.
        program: PathBuf,
        /// Its first argument; the second one is the root directory of the host.
        argument: String,
    },
}

/// A reader to ask.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) socket: UnixStream,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Thread(JoinHandle<()>),
    Process(Child),
}

/// Readers, and what all that ask them share.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    mode: ReaderMode,
    host_root: PathBuf,
    proc: Dir,
    reserve: Mutex<Vec<Handle>>,
    suspects: Mutex<Suspects>,
    own: Arc<OwnPids>,
    counters: Arc<ReaderCounters>,
}

#[derive(Debug)]
enum Event {
    /// The reserve was taken.
    Taken,
    /// This reader was given up.
    Discarded(Task),
}

impl Pool {
    /// Starts readers, and the thread that keeps one in reserve.
    ///
    /// # Errors
    /// When no reader can be started.
    pub(crate) fn start(
        mode: ReaderMode,
        host_root: &Path,
        counters: Arc<ReaderCounters>,
    ) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            mode,
            host_root: host_root.to_owned(),
            proc: Dir::open(&host_root.join("proc"))?,
            reserve: Mutex::default(),
            suspects: Mutex::default(),
            own: Arc::default(),
            counters,
        });
        let (events, received) = channel();
        let (first, started) = channel();
        let keeper = Keeper { shared: Arc::clone(&shared), ending: Vec::new(), retry: None };
        // The kernel ends a reader with the thread that started it.
        let thread = thread::Builder::new()
            .name("readers".to_owned())
            .spawn(move || keeper.run(&received, &first))?;
        started.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Arc::new(Self { shared, events: Some(events), thread: Some(thread) }))
    }

    /// The ids of readers that are processes.
    pub(crate) fn own(&self) -> &Arc<OwnPids> {
        &self.shared.own
    }

    /// The counters.
    pub(crate) fn counters(&self) -> &ReaderCounters {
        &self.shared.counters
    }

    /// A reader, if there is one.
    pub(crate) fn take(&self) -> Option<Handle> {
        let handle = lock(&self.shared.reserve).pop();
        self.send(Event::Taken);
        handle
    }

    /// Ends a reader.
    pub(crate) fn discard(&self, mut handle: Handle) {
        // Errors mean that it has ended already.
        let _ = handle.socket.shutdown(std::net::Shutdown::Both);
        if let Task::Process(child) = &mut handle.task {
            let _ = child.kill();
        }
        self.send(Event::Discarded(handle.task));
    }

    /// A process has delayed a reader.
    pub(crate) fn suspect(&self, pid: i64) {
        let group = self.shared.group(pid);
        lock(&self.shared.suspects).add(pid, group, Instant::now());
    }

    /// Whether so many readers hang in the kernel that nothing may be asked that could hang.
    pub(crate) fn is_exhausted(&self) -> bool {
        let exhausted = self.shared.counters.stuck.load(Relaxed) as usize >= STUCK_READERS.get();
        if exhausted {
            STUCK_READERS.reach();
        }
        exhausted
    }

    /// Whether a process is to be asked only for what it can't delay.
    pub(crate) fn is_suspect(&self, pid: i64) -> bool {
        if self.is_exhausted() {
            return true;
        }
        lock(&self.shared.suspects).contains(pid, Instant::now(), || self.shared.group(pid))
    }

    fn send(&self, event: Event) {
        if let Some(events) = &self.events {
            let _ = events.send(event);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The list of control groups of a process, which it can't delay.
    fn group(&self, pid: i64) -> Vec<u8> {
        let mut text = Vec::new();
        // A process that is gone is in no group.
        let _ = self.proc.read_small(format!("{pid}/cgroup").as_str(), MAX_GROUPS, &mut text);
        text
    }

    fn start_reader(&self) -> io::Result<Handle> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let task = match &self.mode {
            ReaderMode::Thread => {
                let service = Service::open(&self.host_root).map_err(io::Error::other)?;
                let serve = move || {
                    // An error means that there are no more questions.
                    let _ = service.run(&theirs);
                };
                Task::Thread(thread::Builder::new().name("reader".to_owned()).spawn(serve)?)
            }
            ReaderMode::Process { program, argument } => {
                let mut command = Command::new(program);
                command.arg0("peregrine").arg(argument).arg(&self.host_root).env_clear();
                command.stdin(Stdio::from(OwnedFd::from(theirs)));
                command.stdout(Stdio::null()).stderr(Stdio::null());
                let mut error = None;
                let child = self.own.start(|| match command.spawn() {
                    Ok(child) => Some((child.id(), child)),
                    Err(why) => {
                        error = Some(why);
                        None
                    }
                });
                let failed = || error.unwrap_or_else(|| io::ErrorKind::Other.into());
                Task::Process(child.ok_or_else(failed)?)
            }
        };
        Ok(Handle { socket, task })
    }
}

impl Handle {
    /// The process, where it is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.task {
            Task::Process(child) => Some(child.id()),
            Task::Thread(_) => None,
        }
    }
}

/// The thread that starts readers and waits for their end.
struct Keeper {
    shared: Arc<Shared>,
    ending: Vec<Ending>,
    /// When a reader could not be started.
    retry: Option<Instant>,
}

struct Ending {
    task: Task,
    discarded: Instant,
    dead: Option<Instant>,
}

impl Keeper {
    fn run(mut self, events: &Receiver<Event>, first: &Sender<io::Result<()>>) {
        let started = (0..FIRST).try_for_each(|_| self.add_reader());
        let failed = started.is_err();
        if first.send(started).is_err() || failed {
            return;
        }
        loop {
            let idle = self.ending.is_empty() && self.retry.is_none();
            match events.recv_timeout(if idle { Duration::from_secs(3600) } else { TICK }) {
                Ok(Event::Taken) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Discarded(task)) => {
                    let discarded = Instant::now();
                    self.ending.push(Ending { task, discarded, dead: None });
                }
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
            if self.retry.is_none_or(|retry| Instant::now() >= retry) {
                self.retry = self.refill().err().map(|_| Instant::now() + RETRY);
            }
            self.bury();
        }
    }

    fn refill(&self) -> io::Result<()> {
        if lock(&self.shared.reserve).is_empty() { self.add_reader() } else { Ok(()) }
    }

    fn add_reader(&self) -> io::Result<()> {
        let handle = self.shared.start_reader()?;
        lock(&self.shared.reserve).push(handle);
        Ok(())
    }

    /// Waits for readers that have died, and counts those that have not.
    fn bury(&mut self) {
        let now = Instant::now();
        let own = &self.shared.own;
        self.ending.retain_mut(|ending| {
            if ending.dead.is_none() && ending.task.is_dead() {
                ending.dead = Some(now);
            }
            let over = ending.dead.is_some_and(|dead| now >= dead + MOURNING);
            if over {
                ending.task.reap(own);
            }
            !over
        });
        let stuck = |ending: &&Ending| ending.dead.is_none() && now >= ending.discarded + DYING;
        let stuck = self.ending.iter().filter(stuck).count();
        self.shared.counters.stuck.store(stuck as u64, Relaxed);
    }

    /// Ends the reserve. What hangs ends when the kernel lets it go.
    fn close(mut self) {
        for mut handle in lock(&self.shared.reserve).drain(..) {
            let _ = handle.socket.shutdown(std::net::Shutdown::Both);
            if let Task::Process(child) = &mut handle.task {
                let _ = child.kill();
            }
            self.ending.push(Ending { task: handle.task, discarded: Instant::now(), dead: None });
        }
        let deadline = Instant::now() + DYING;
        while !self.ending.is_empty() && Instant::now() < deadline {
            let own = &self.shared.own;
            self.ending.retain_mut(|ending| {
                let dead = ending.task.is_dead();
                if dead {
                    ending.task.reap(own);
                }
                !dead
            });
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Task {
    /// Whether it has ended. A process keeps its id until it is reaped.
    fn is_dead(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.is_finished(),
            Self::Process(child) => {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let status = pid.map(|pid| waitid(WaitId::Pid(pid), options));
                !matches!(status, Some(Ok(None)))
            }
        }
    }

    /// Gives the id of a dead process back.
    fn reap(&mut self, own: &OwnPids) {
        if let Self::Process(child) = self {
            own.remove(child.id());
            let _ = child.try_wait();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
