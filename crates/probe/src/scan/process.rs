//! One process: its threads and what it runs.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_event::snapshot::{Fd, Item, Thread};
use peregrine_telemetry::{Heartbeat, Phase};
use rustix::fs::Statx;

use super::budget::Deadline;
use super::cgroups::Cgroups;
use super::dir::{self, Dir, number};
use super::fds::Fds;
use super::foreign::ForeignRoot;
use super::mounts::{self, FileSystem, Layer, MountTable, Mounts};
use super::status::{Stat, Status, max_open_files, word};

/// Longest path the format holds, with the NUL at its end.
const MAX_PATH: usize = 1024;
/// Longest arguments or environment the format holds.
const MAX_TEXTS: usize = 4096;
/// The end of an environment that is longer.
const MORE: [u8; 4] = *b"...\0";
/// Bytes of a small file.
const SMALL: usize = 64 << 10;

const CLONE_FILES: u32 = 1 << 0;
const CLONE_THREAD: u32 = 1 << 13;

/// Threads of a process that has not many.
const FEW: usize = 64;
/// Most processes between a process and the first one of its pid namespace.
const MAX_ANCESTORS: usize = 256;
/// Pid namespaces that are remembered before memory is given back.
const MAX_NAMESPACES: usize = 4096;

/// A working directory that can't be read.
const UNKNOWN: &[u8] = b"<UNKNOWN>";

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
    pub(crate) mounts: Mounts,
    cgroups: Cgroups,
    /// The first process of pid namespaces, by the inode of the namespace, and when it began.
    firsts: HashMap<u64, (i64, u64)>,
    /// Nanoseconds from the epoch to boot.
    pub(crate) boot: u64,
    /// Up to when threads and open files are read.
    pub(crate) deadline: Deadline,
    /// Reads only what the process can't delay: neither its memory nor its files are touched.
    pub(crate) safe: bool,
    /// The thread that is read before the others of its process.
    pub(crate) first: Option<i64>,
    /// Leaves the others out where there are many, and whether it has.
    pub(crate) few: bool,
    pub(crate) left_out: bool,
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
            mounts: Mounts::default(),
            firsts: HashMap::new(),
            boot: boot_ts(),
            deadline: Deadline::default(),
            safe: false,
            first: None,
            few: false,
            left_out: false,
            heartbeat: Arc::default(),
            tick: 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1),
            text: Vec::new(),
            tids: Vec::new(),
        }
    }

    /// Reads a process: its leader first, then its other threads, then what it has open, in one or
    /// more parts. Nothing for kernel threads, and for processes that are over.
    pub(crate) fn read(&mut self, pid: i64, depth: Depth, mut give: impl FnMut(Item)) {
        let _reading = self.heartbeat.enter(Phase::ReadingProcess(pid as u32));
        let Ok(proc) = self.proc.dir(rustix::path::DecInt::new(pid).as_c_str()) else { return };
        let Some((leader, threads, mounts)) = self.leader(&proc, pid, depth) else { return };
        give(Item::Thread(Box::new(leader.clone())));
        if depth == Depth::Ancestor {
            return;
        }
        let deadline = self.deadline;
        if threads > 1 {
            let mut tids = std::mem::take(&mut self.tids);
            if let (Ok(()), Ok(tasks)) = (proc.numbers("task", &mut tids), proc.dir("task")) {
                let first = self.first.filter(|first| *first != pid && tids.contains(first));
                self.left_out |= self.few && tids.len() > FEW;
                let most = if self.left_out { 0 } else { usize::MAX };
                let others = tids.iter().filter(|&&tid| tid != pid && Some(tid) != first);
                let others = others.take(most).take_while(|_| !deadline.is_over());
                let tids = first.iter().chain(others);
                let threads = tids.filter_map(|&tid| self.follower(&tasks, tid, &leader));
                threads.for_each(|thread| give(Item::Thread(Box::new(thread))));
            }
            self.tids = tids;
        }
        self.fds.read(&proc, &mounts, deadline, self.safe, |fds| give(Item::Fds(pid, fds)));
    }

    /// Gives what some open files of a thread are.
    pub(crate) fn read_files(&mut self, tid: i64, numbers: &[i64], give: impl FnMut(Vec<Fd>)) {
        let _reading = self.heartbeat.enter(Phase::ReadingProcess(tid as u32));
        let Ok(proc) = self.proc.dir(rustix::path::DecInt::new(tid).as_c_str()) else { return };
        let mounts = self.mounts.of(&proc);
        self.fds.read_some(&proc, &mounts, self.deadline, self.safe, numbers, give);
    }

    /// The id of the process that a thread belongs to, and that of its parent.
    pub(crate) fn process_of(&mut self, tid: i64) -> Option<(i64, i64)> {
        let _reading = self.heartbeat.enter(Phase::ReadingProcess(tid as u32));
        let proc = self.proc.dir(rustix::path::DecInt::new(tid).as_c_str()).ok()?;
        proc.read_small("status", SMALL, &mut self.text).ok()?;
        Status::parse(&self.text).map(|status| (status.pid, status.ppid))
    }

    /// The numbers of all open files of a process. `None` when it is gone.
    pub(crate) fn open_numbers(&self, pid: i64, into: &mut Vec<i64>) -> Option<()> {
        self.proc.numbers(format!("{pid}/fd").as_str(), into).ok()
    }

    /// The leader of a group, how many threads that has, and the mounts that it sees.
    fn leader(
        &mut self,
        proc: &Dir,
        pid: i64,
        depth: Depth,
    ) -> Option<(Thread, u64, Arc<MountTable>)> {
        let mut thread = Thread { tid: pid, ..Thread::default() };
        self.text.clear();
        if !self.safe {
            proc.read_small("cmdline", MAX_TEXTS, &mut self.text).ok()?;
        }
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
        let mounts = self.mounts.of(proc);
        self.executable(proc, &mounts, &mut thread);
        if depth == Depth::Whole && !self.safe {
            // The environment may be unreadable, as only its owner has access.
            let _ = proc.read_small("environ", MAX_TEXTS, &mut self.text);
            if let (MAX_TEXTS.., Some(last)) = (self.text.len(), self.text.last_chunk_mut()) {
                *last = MORE;
            }
            thread.env = texts(&self.text);
        }
        (thread.root, thread.cwd) = self.directories(proc);
        thread.fdlimit = match proc.read_small("limits", SMALL, &mut self.text) {
            Ok(()) => max_open_files(&self.text),
            Err(_) => -1,
        };
        thread.pidns_init_start_ts = self.namespace_start(proc, &status, thread.clone_ts);
        Some((thread, status.threads, mounts))
    }

    /// Root and working directory of a process; empty and [`UNKNOWN`] where they can't be read, as
    /// with few rights.
    pub(crate) fn directories(&mut self, proc: &Dir) -> (Arc<[u8]>, Arc<[u8]>) {
        let root: Arc<[u8]> = match proc.link("root", &mut self.text) {
            Ok(()) => self.text.get(..MAX_PATH - 1).unwrap_or(&self.text).into(),
            Err(_) => Arc::default(),
        };
        let cwd = match proc.link("cwd", &mut self.text) {
            Ok(()) => below(&self.text, &root),
            Err(_) => UNKNOWN,
        };
        (root, cwd.get(..MAX_PATH - 1).unwrap_or(cwd).into())
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
    fn executable(&mut self, proc: &Dir, mounts: &MountTable, thread: &mut Thread) {
        thread.exe_from_memfd = thread.exepath.starts_with(b"/memfd:");
        if self.safe {
            return;
        }
        // Behind the link is the file itself, whatever its path leads to by now.
        let Ok(stat) = proc.stat("exe") else { return };
        thread.exe_ino = stat.stx_ino;
        thread.exe_ino_ctime = nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
        thread.exe_ino_mtime = nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
        let mount = dir::mount_id(&stat);
        let known = mount.and_then(|id| Some((mounts.file_system(id)?, mounts.is_read_only(id)?)));
        // The mounts of programs that no path leads to are in no table, as those of a memfd.
        let (file_system, read_only) = known.unwrap_or_else(|| match proc.file_system("exe") {
            Ok(stat) => (FileSystem::of(&stat), mounts::is_read_only(&stat)),
            Err(_) => (FileSystem::Other, false),
        });
        thread.exe_writable = writable(&stat, read_only, thread.uid, thread.gid);
        if file_system == FileSystem::Overlay
            && let Ok(first) = self.proc.dir("1")
            && let Ok(host) = ForeignRoot::of(&first, self.mounts.of(&first))
        {
            // Files of some layers have another device than the file system.
            let device = mount.and_then(|id| mounts.device(id));
            let device = device.unwrap_or_else(|| dir::device(&stat));
            let layer = mounts.layer(&host, device, &thread.exepath);
            thread.exe_upper_layer = layer == Some(Layer::Upper);
            thread.exe_lower_layer = layer == Some(Layer::Lower);
        }
    }

    /// When the first process of the pid namespace of a process started; 0 when unknown. `began` is
    /// when this process did. Only the kernel is asked, and nothing below the root directory of the
    /// process, which is in its own hands.
    fn namespace_start(&mut self, proc: &Dir, status: &Status, began: u64) -> u64 {
        if !status.nested {
            return self.proc.dir("1").ok().and_then(|first| self.start(&first)).unwrap_or(0);
        }
        let Some(namespace) = proc.namespace("ns/pid", &mut self.text) else { return 0 };
        if status.vpid == 1 {
            self.remember(namespace, status.pid, began);
            return began;
        }
        if let Some(&(first, start)) = self.firsts.get(&namespace)
            // The number of a namespace that is gone is used again.
            && self.member(namespace, first).is_some()
        {
            return start;
        }
        let mut pid = status.ppid;
        for _ in 0..MAX_ANCESTORS {
            let Some((dir, status)) = self.member(namespace, pid) else { break };
            if status.vpid == 1 {
                let start = self.start(&dir).unwrap_or(0);
                self.remember(namespace, pid, start);
                return start;
            }
            pid = status.ppid;
        }
        0
    }

    /// A process, if it is in this pid namespace.
    fn member(&mut self, namespace: u64, pid: i64) -> Option<(Dir, Status)> {
        let dir = self.proc.dir(rustix::path::DecInt::new(pid).as_c_str()).ok()?;
        if dir.namespace("ns/pid", &mut self.text)? != namespace {
            return None;
        }
        dir.read_small("status", SMALL, &mut self.text).ok()?;
        Some((dir, Status::parse(&self.text)?))
    }

    /// When a process began.
    fn start(&mut self, proc: &Dir) -> Option<u64> {
        proc.read_small("stat", SMALL, &mut self.text).ok()?;
        let stat = Stat::parse(&self.text)?;
        Some(self.boot.saturating_add(stat.start.saturating_mul(self.tick)))
    }

    fn remember(&mut self, namespace: u64, first: i64, start: u64) {
        if self.firsts.len() >= MAX_NAMESPACES {
            self.firsts.clear();
        }
        self.firsts.insert(namespace, (first, start));
    }
}

/// A path as a process sees it that has this root directory.
fn below<'p>(path: &'p [u8], root: &[u8]) -> &'p [u8] {
    match path.strip_prefix(root) {
        _ if root == b"/" => path,
        Some([]) => b"/",
        Some(rest @ [b'/', ..]) => rest,
        _ => path,
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
fn writable(file: &Statx, read_only: bool, uid: u32, gid: u32) -> bool {
    const BY_GROUP: u16 = 0o020;
    const BY_OTHERS: u16 = 0o002;
    let allowed = uid == 0
        || if file.stx_gid == gid {
            file.stx_mode & BY_GROUP != 0
        } else {
            file.stx_mode & BY_OTHERS != 0
        };
    file.stx_uid == uid || (allowed && !read_only)
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
