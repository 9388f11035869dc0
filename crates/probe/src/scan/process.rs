//! One process: its threads and what it runs.

use std::sync::Arc;

use peregrine_event::snapshot::{Fd, Item, Thread};
use peregrine_telemetry::{Heartbeat, Phase};
use rustix::fs::{Stat as FileStat, StatFs};

use super::cgroups::Cgroups;
use super::deadline::Deadline;
use super::dir::{Dir, number};
use super::fds::Fds;
use super::mounts::Layer;
use super::status::{Stat, Status, max_open_files, word};

/// Longest path the format holds, with the NUL at its end.
const MAX_PATH: usize = 1024;
/// Longest arguments or environment the format holds.
const MAX_TEXTS: usize = 4096;
/// Bytes of a small file.
const SMALL: usize = 64 << 10;
/// Open files read per process.
const MAX_FDS: usize = 65_536;

const CLONE_FILES: u32 = 1 << 0;
const CLONE_THREAD: u32 = 1 << 13;

/// `f_type` of an overlay file system.
const OVERLAY: u64 = 0x794c_7630;
/// Flag of a mount that can't be written to.
const READ_ONLY: u64 = 1;

/// How much of a process is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every thread, the environment and what is open.
    Whole,
    /// Only what fields about ancestors need: the process is out of scope.
    Ancestor,
}

/// Reads processes; keeps memory and what several of them share.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) proc: Dir,
    pub(crate) fds: Fds,
    cgroups: Cgroups,
    /// Nanoseconds from the epoch to boot.
    pub(crate) boot: u64,
    /// Up to when threads and open files are read.
    pub(crate) deadline: Deadline,
    /// Names the process that is read.
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// Nanoseconds of a clock tick.
    tick: u64,
    text: Vec<u8>,
    tids: Vec<i64>,
}

impl Processes {
    pub(crate) fn new(proc: Dir) -> Self {
        Self {
            cgroups: Cgroups::new(&proc),
            proc,
            fds: Fds::default(),
            boot: boot_ts(),
            deadline: Deadline::default(),
            heartbeat: Arc::default(),
            tick: 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1),
            text: Vec::new(),
            tids: Vec::new(),
        }
    }

    /// Reads a process: its leader first, then its other threads, then what it has open. Nothing
    /// for kernel threads, and for processes that are over.
    pub(crate) fn read(&mut self, pid: i64, depth: Depth, mut give: impl FnMut(Item)) {
        let _reading = self.heartbeat.enter(Phase::ReadingProcess(pid as u32));
        let Ok(proc) = self.proc.dir(rustix::path::DecInt::new(pid).as_c_str()) else { return };
        let Some((leader, threads)) = self.leader(&proc, pid, depth) else { return };
        let mut others = Vec::new();
        if depth == Depth::Whole && threads > 1 {
            let mut tids = std::mem::take(&mut self.tids);
            if let (Ok(()), Ok(tasks)) = (proc.numbers("task", &mut tids), proc.dir("task")) {
                let deadline = self.deadline;
                let tids = tids.iter().filter(|&&tid| tid != pid);
                let tids = tids.take_while(|_| !deadline.is_over());
                others.extend(tids.filter_map(|&tid| self.follower(&tasks, tid, &leader)));
            }
            self.tids = tids;
        }
        give(Item::Thread(Box::new(leader)));
        others.into_iter().for_each(|thread| give(Item::Thread(Box::new(thread))));
        if depth == Depth::Whole {
            let fds: Vec<Fd> = self.fds.read(&proc, MAX_FDS, self.deadline);
            give(Item::Fds(pid, fds));
        }
    }

    /// The id of the process that a thread belongs to, and that of its parent.
    pub(crate) fn process_of(&mut self, tid: i64) -> Option<(i64, i64)> {
        let _reading = self.heartbeat.enter(Phase::ReadingProcess(tid as u32));
        let proc = self.proc.dir(rustix::path::DecInt::new(tid).as_c_str()).ok()?;
        proc.read_small("status", SMALL, &mut self.text).ok()?;
        Status::parse(&self.text).map(|status| (status.pid, status.ppid))
    }

    /// The leader of a group, and how many threads that has.
    fn leader(&mut self, proc: &Dir, pid: i64, depth: Depth) -> Option<(Thread, u64)> {
        let mut thread = Thread { tid: pid, ..Thread::default() };
        proc.read_small("cmdline", MAX_TEXTS, &mut self.text).ok()?;
        let no_arguments = self.text.is_empty();
        (thread.exe, thread.args) = exe_and_args(&self.text);
        if proc.link("exe", &mut self.text).is_ok() {
            self.text.truncate(MAX_PATH - 1);
            thread.exepath = self.text.as_slice().into();
        } else if no_arguments {
            // A thread of the kernel, or a process that is over but for its parent's asking.
            return None;
        }
        let status = self.own(proc, &mut thread)?;
        self.executable(proc, &mut thread);
        if depth == Depth::Whole {
            // The environment may be unreadable, as only its owner has access.
            let _ = proc.read_small("environ", MAX_TEXTS, &mut self.text);
            thread.env = texts(&self.text);
        }
        proc.link("cwd", &mut self.text).ok()?;
        self.text.truncate(MAX_PATH - 1);
        thread.cwd = self.text.as_slice().into();
        proc.link("root", &mut self.text).ok()?;
        self.text.truncate(MAX_PATH - 1);
        thread.root = self.text.as_slice().into();
        thread.fdlimit = match proc.read_small("limits", SMALL, &mut self.text) {
            Ok(()) => max_open_files(&self.text),
            Err(_) => -1,
        };
        thread.pidns_init_start_ts = self.namespace_start(proc, status.nested);
        Some((thread, status.threads))
    }

    /// A thread that is not a leader: what is not its own it has from the leader.
    fn follower(&mut self, tasks: &Dir, tid: i64, leader: &Thread) -> Option<Thread> {
        let task = tasks.dir(rustix::path::DecInt::new(tid).as_c_str()).ok()?;
        let mut thread = Thread { tid, flags: CLONE_THREAD | CLONE_FILES, ..leader.clone() };
        self.own(&task, &mut thread)?;
        Some(thread)
    }

    /// Fills in what every thread has of its own.
    fn own(&mut self, proc: &Dir, thread: &mut Thread) -> Option<Status> {
        proc.read_small("status", SMALL, &mut self.text).ok()?;
        let status = Status::parse(&self.text)?;
        thread.pid = status.pid;
        thread.ptid = status.ppid;
        (thread.uid, thread.gid) = (status.euid, status.egid);
        thread.vtid = if status.vtid > 0 { status.vtid } else { thread.tid };
        thread.vpid = if status.vpid > 0 { status.vpid } else { status.pid };
        thread.cap_inheritable = status.cap_inheritable;
        thread.cap_permitted = status.cap_permitted;
        thread.cap_effective = status.cap_effective;
        thread.vmsize_kb = status.vmsize_kb;
        thread.vmrss_kb = status.vmrss_kb;
        thread.vmswap_kb = status.vmswap_kb;

        proc.read_small("stat", SMALL, &mut self.text).ok()?;
        let stat = Stat::parse(&self.text)?;
        set(&mut thread.comm, stat.comm);
        (thread.pgid, thread.sid, thread.tty) = (stat.pgid, stat.sid, stat.tty);
        thread.vpgid = if status.vpgid > 0 { status.vpgid } else { stat.pgid };
        (thread.pfminor, thread.pfmajor) = (stat.pfminor, stat.pfmajor);
        thread.clone_ts = self.boot.saturating_add(stat.start.saturating_mul(self.tick));

        match proc.read_small("cgroup", SMALL, &mut self.text) {
            Ok(()) => set(&mut thread.cgroups, &self.cgroups.list(&self.text)),
            Err(_) => thread.cgroups = Arc::default(),
        }
        // A kernel without audit knows no login user.
        let loginuid = proc.read_small("loginuid", SMALL, &mut self.text).ok();
        let loginuid = loginuid.and_then(|()| number(word(&self.text, 0)?));
        thread.loginuid = loginuid.map_or(u32::MAX, |uid| uid as u32);
        Some(status)
    }

    /// Fills in what is known of the executable's file.
    fn executable(&mut self, proc: &Dir, thread: &mut Thread) {
        thread.exe_from_memfd = thread.exepath.starts_with(b"/memfd:");
        // Behind the link is the file itself, whatever its path leads to by now.
        let Ok(stat) = proc.stat("exe") else { return };
        thread.exe_ino = stat.st_ino;
        thread.exe_ino_ctime = nanoseconds(stat.st_ctime, stat.st_ctime_nsec);
        thread.exe_ino_mtime = nanoseconds(stat.st_mtime, stat.st_mtime_nsec);
        let file_system = proc.file_system("exe").ok();
        thread.exe_writable = writable(&stat, file_system.as_ref(), thread.uid, thread.gid);
        if file_system.is_some_and(|fs| fs.f_type as u64 == OVERLAY)
            && let Ok(host) = self.proc.dir("1")
        {
            let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            let device = super::mounts::device_code(major, minor);
            let layer = self.fds.mounts.layer(proc, &host, device, &thread.exepath);
            thread.exe_upper_layer = layer == Some(Layer::Upper);
            thread.exe_lower_layer = layer == Some(Layer::Lower);
        }
    }

    /// When the first process of the pid namespace of a process started; 0 when unknown.
    fn namespace_start(&mut self, proc: &Dir, nested: bool) -> u64 {
        let read = if nested {
            proc.read_small("root/proc/1/stat", SMALL, &mut self.text)
        } else {
            self.proc.read_small("1/stat", SMALL, &mut self.text)
        };
        let stat = read.ok().and_then(|()| Stat::parse(&self.text));
        stat.map_or(0, |stat| self.boot.saturating_add(stat.start.saturating_mul(self.tick)))
    }
}

/// Sets a text, unless it is that already: the threads of a process share what they have in common.
fn set(shared: &mut Arc<[u8]>, text: &[u8]) {
    if **shared != *text {
        *shared = text.into();
    }
}

/// First argument and the others of a command line, in which each is ended by NUL.
fn exe_and_args(text: &[u8]) -> (Arc<[u8]>, Arc<[u8]>) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let exe = text.get(..end.min(MAX_PATH - 1)).unwrap_or_default().into();
    (exe, texts(text.get(end + 1..).unwrap_or_default()))
}

/// Texts of which the last one is ended by NUL, even where it was cut off.
fn texts(text: &[u8]) -> Arc<[u8]> {
    match text {
        [] => Arc::default(),
        [rest @ .., _] => [rest, &[0]].concat().into(),
    }
}

/// Whether a user may write to a file, or may change its permissions.
fn writable(file: &FileStat, file_system: Option<&StatFs>, uid: u32, gid: u32) -> bool {
    const BY_GROUP: u32 = 0o020;
    const BY_OTHERS: u32 = 0o002;
    let allowed = uid == 0
        || if file.st_gid == gid {
            file.st_mode & BY_GROUP != 0
        } else {
            file.st_mode & BY_OTHERS != 0
        };
    let read_only = file_system.is_some_and(|fs| fs.f_flags as u64 & READ_ONLY != 0);
    file.st_uid == uid || (allowed && !read_only)
}

fn nanoseconds(seconds: impl TryInto<u64>, nanoseconds: impl TryInto<u64>) -> u64 {
    let seconds = seconds.try_into().unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds.try_into().unwrap_or(0))
}

/// When the machine booted, nanoseconds since the epoch, at the precision of the clocks.
fn boot_ts() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let ns = |clock| {
        let time = clock_gettime(clock);
        nanoseconds(time.tv_sec, time.tv_nsec)
    };
    ns(ClockId::Realtime).saturating_sub(ns(ClockId::Boottime))
}
