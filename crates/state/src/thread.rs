//! What is known of one thread, except what its high-rate events change.

use std::sync::Arc;

use peregrine_event::snapshot;
use peregrine_limits::THREAD_PATH_BYTES;

use crate::cells::DynamicCells;
use crate::containers::ProbeKind;
use crate::text_budget::{Charge, TextBudget};
use crate::texts::Texts;
use crate::tree::ThreadRef;

/// A thread. A process is the thread whose tid is its pid, the leader of its group.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Id of the thread.
    pub tid: i64,
    /// Id of its process; negative when unknown.
    pub pid: i64,
    /// Id of the process that is its parent; 0 when there is none.
    pub ptid: i64,
    /// Session.
    pub sid: i64,
    /// Process group as its namespace sees it.
    pub vpgid: i64,
    /// Process group as the host sees it.
    pub pgid: i64,
    /// Id of the thread as its namespace sees it.
    pub vtid: i64,
    /// Id of the process as its namespace sees it.
    pub vpid: i64,
    /// The program it runs, shared with the threads that inherited it.
    pub exec: Arc<Exec>,
    /// Environment. Only leaders have it: ask [`State::env`](crate::State::env).
    pub env: Texts,
    /// Control groups, `subsystem=path`.
    pub cgroups: Texts,
    /// Working directory, ending in `/`. Only leaders have it, and threads that do not share that
    /// of their process: ask [`State::cwd`](crate::State::cwd).
    pub cwd: Arc<[u8]>,
    /// Time to which the directory applies that the kernel told; 0 where it did not.
    pub(crate) cwd_ts: u64,
    /// Root directory.
    pub root: Arc<[u8]>,
    /// Flags of its clone and of its state.
    pub flags: ThreadFlags,
    /// Limit of open files; only that of leaders is accurate.
    pub fdlimit: i64,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// User of the login session, all ones for none.
    pub loginuid: u32,
    /// Controlling terminal, 0 when there is none.
    pub tty: u32,
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// When the first process of its pid namespace started.
    pub pidns_init_start_ts: u64,
    /// When it was cloned, 0 when unknown.
    pub clone_ts: u64,
    /// When it last called exec, 0 for never.
    pub exec_ts: u64,
    /// From the last change of the executable's inode to the clone, 0 when unknown.
    pub exe_ino_ctime_duration_clone_ts: u64,
    /// From the start of the pid namespace to the last change of the executable's inode, 0 when
    /// unknown.
    pub exe_ino_ctime_duration_pidns_start: u64,
    /// Id of the container it runs in, empty on the host.
    pub container: Arc<[u8]>,
    /// Why it runs in its container.
    pub purpose: Purpose,
    /// Not all is known of it or its process; a description may follow.
    pub(crate) partial: bool,
    /// It was read, at a time when it had begun already: an event about its begin is older.
    pub(crate) scanned: bool,
    pub(crate) group: Option<i64>,
    /// The first thread of the group, as long as that is there.
    pub(crate) first_of_group: Option<ThreadRef>,
    pub(crate) reaper_tid: i64,
    pub(crate) children: Vec<ThreadRef>,
    pub(crate) live_children: usize,
    /// What plugins keep of it.
    pub(crate) dynamic: DynamicCells,
}

/// The program a thread runs: immutable, made by an exec and shared with the threads that inherit
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    cmdline: Box<[u8]>,
    comm_len: usize,
    /// First argument: what the program was called as.
    pub exe: Arc<[u8]>,
    /// Path of the executable.
    pub exepath: Arc<[u8]>,
    /// Arguments without the first.
    pub args: Texts,
    /// Its user may write to the executable.
    pub exe_writable: bool,
    /// The executable is in the upper layer of an overlay file system.
    pub exe_upper_layer: bool,
    /// The executable is in the lower layer of an overlay file system.
    pub exe_lower_layer: bool,
    /// The executable is in memory only.
    pub exe_from_memfd: bool,
    /// Inode of the executable.
    pub exe_ino: u64,
    /// Last change of the inode.
    pub exe_ino_ctime: u64,
    /// Last change of the content.
    pub exe_ino_mtime: u64,
    pub(crate) charge: Charge,
}

/// Why a process runs in its container. Children have the purpose of their parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Unknown, or it runs on the host.
    #[default]
    Unknown,
    /// It is the first process of the container, or comes from it.
    Container,
    /// It watches the health of the container.
    Probe(ProbeKind),
}

/// Flags of a thread: bits of the format, most of them those given to `clone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadFlags(pub u32);

#[allow(missing_docs, reason = "the names are the format's own")]
impl ThreadFlags {
    pub const CLONE_FILES: Self = Self(1 << 0);
    pub const CLONE_FS: Self = Self(1 << 1);
    pub const CLONE_NEWNS: Self = Self(1 << 5);
    pub const CLONE_NEWPID: Self = Self(1 << 6);
    pub const CLONE_PARENT: Self = Self(1 << 8);
    pub const CLONE_THREAD: Self = Self(1 << 13);
    pub const CLONE_INVERTED: Self = Self(1 << 16);
    pub const NAME_CHANGED: Self = Self(1 << 17);
    pub const CLOSED: Self = Self(1 << 18);
    pub const ACTIVE: Self = Self(1 << 19);
    pub const CLONE_NEWUSER: Self = Self(1 << 20);
    pub const PIPE_SRC: Self = Self(1 << 21);
    pub const PIPE_DST: Self = Self(1 << 22);
    pub const CLONE_VFORK: Self = Self(1 << 27);
    pub const CHILD_IN_PIDNS: Self = Self(1 << 29);
    pub const IS_MAIN_THREAD: Self = Self(1 << 30);
}

impl ThreadFlags {
    /// Whether any bit of `other` is set.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Thread {
    /// A thread of which only the id is known.
    pub(crate) fn new(tid: i64) -> Self {
        let nothing: Arc<[u8]> = Arc::default();
        Self {
            tid,
            pid: -1,
            ptid: -1,
            sid: -1,
            vpgid: -1,
            pgid: -1,
            vtid: -1,
            vpid: -1,
            exec: Arc::default(),
            env: Texts::default(),
            cgroups: Texts::default(),
            cwd: Arc::clone(&nothing),
            cwd_ts: 0,
            root: Arc::clone(&nothing),
            flags: ThreadFlags::NAME_CHANGED,
            fdlimit: -1,
            uid: u32::MAX,
            gid: u32::MAX,
            loginuid: u32::MAX,
            tty: 0,
            cap_inheritable: 0,
            cap_permitted: 0,
            cap_effective: 0,
            pidns_init_start_ts: 0,
            clone_ts: 0,
            exec_ts: 0,
            exe_ino_ctime_duration_clone_ts: 0,
            exe_ino_ctime_duration_pidns_start: 0,
            container: nothing,
            purpose: Purpose::Unknown,
            partial: false,
            scanned: false,
            group: None,
            first_of_group: None,
            reaper_tid: -1,
            children: Vec::new(),
            live_children: 0,
            dynamic: DynamicCells::default(),
        }
    }

    /// A placeholder for a thread that appears in events only: users see `<NA>`.
    pub(crate) fn unknown(tid: i64) -> Self {
        let exec = Exec { exe: b"<NA>"[..].into(), ..Exec::named(b"<NA>", Texts::default()) };
        Self { exec: Arc::new(exec), ..Self::new(tid) }
    }

    /// A thread of a snapshot. What it has in common with `relative`, another thread of its
    /// process, is shared with that.
    pub(crate) fn from_snapshot(
        item: &snapshot::Thread,
        relative: Option<&Self>,
        texts: &TextBudget,
    ) -> Self {
        let args = Texts::new(&item.args);
        let path = |path: &Arc<[u8]>, kept: &[u8]| match cut_path(kept) {
            whole if whole.len() == path.len() => Arc::clone(path),
            part => part.into(),
        };
        let exec = Exec {
            exe: path(&item.exe, &item.exe),
            exepath: path(&item.exepath, without_deleted(&item.exepath)),
            exe_writable: item.exe_writable,
            exe_upper_layer: item.exe_upper_layer,
            exe_lower_layer: item.exe_lower_layer,
            exe_from_memfd: item.exe_from_memfd,
            exe_ino: item.exe_ino,
            exe_ino_ctime: item.exe_ino_ctime,
            exe_ino_mtime: item.exe_ino_mtime,
            ..Exec::named(cut_path(&item.comm), args)
        };
        let flags = ThreadFlags::NAME_CHANGED.or(ThreadFlags(item.flags));
        // The tid alone decides who is a leader here: the flags of the item come too late for that.
        let leader = item.tid == item.pid;
        let cgroups = cgroups(&item.cgroups).map(|groups| match relative {
            Some(relative) if relative.cgroups == groups => relative.cgroups.clone(),
            _ => groups,
        });
        let env = if leader { Texts::new(&item.env) } else { Texts::default() };
        let (exec, env) = match relative {
            Some(relative) if *relative.exec == exec && env.is_empty() => {
                (Arc::clone(&relative.exec), env)
            }
            Some(relative) => exec.sharing(&relative.exec).admit(&relative.exec, env, texts),
            None => exec.admit(&Exec::default(), env, texts),
        };
        Self {
            pid: item.pid,
            ptid: item.ptid,
            sid: item.sid,
            vpgid: item.vpgid,
            pgid: item.pgid,
            vtid: item.vtid,
            vpid: item.vpid,
            exec,
            env,
            cgroups: cgroups.unwrap_or_default(),
            cwd: if leader { directory(cut_path(&item.cwd)).into() } else { Arc::default() },
            root: match relative {
                Some(relative) if relative.root == item.root => Arc::clone(&relative.root),
                _ => path(&item.root, &item.root),
            },
            flags,
            fdlimit: item.fdlimit,
            uid: item.uid,
            gid: item.gid,
            loginuid: item.loginuid,
            tty: item.tty,
            cap_inheritable: item.cap_inheritable,
            cap_permitted: item.cap_permitted,
            cap_effective: item.cap_effective,
            pidns_init_start_ts: item.pidns_init_start_ts,
            clone_ts: item.clone_ts,
            partial: item.incomplete,
            scanned: true,
            ..Self::new(item.tid)
        }
    }

    /// Name of the thread (`comm`), which an exec sets to the start of the program's name.
    pub fn comm(&self) -> &[u8] {
        self.exec.comm()
    }

    /// Whether this is the leader of its group.
    pub fn is_leader(&self) -> bool {
        self.tid == self.pid || self.flags.any(ThreadFlags::IS_MAIN_THREAD)
    }

    /// Whether it runs in a pid namespace of its own.
    pub fn in_pid_namespace(&self) -> bool {
        self.flags.any(ThreadFlags::CHILD_IN_PIDNS) || self.has_own_ids()
    }

    /// Whether its pid namespace, which is not the host's, has ids of its own for it.
    pub(crate) fn has_own_ids(&self) -> bool {
        self.vtid >= 0 && self.vtid != self.tid
    }

    /// Whether it is a placeholder: only its id is known.
    pub fn is_unknown(&self) -> bool {
        self.tid < 0 || self.pid < 0 || self.ptid < 0
    }

    /// Whether it has exited.
    pub fn is_dead(&self) -> bool {
        self.flags.any(ThreadFlags::CLOSED)
    }

    /// Whether its open files are those of its leader.
    pub(crate) fn shares_fds(&self) -> bool {
        self.flags.any(ThreadFlags::CLONE_FILES)
    }

    /// Path of its control group in this subsystem.
    pub fn cgroup(&self, subsystem: &[u8]) -> Option<&[u8]> {
        self.cgroups.iter().find_map(|c| c.strip_prefix(subsystem)?.strip_prefix(b"="))
    }
}

impl Exec {
    /// A program of which only name and arguments are known.
    pub fn named(comm: &[u8], args: Texts) -> Self {
        let mut cmdline = comm.to_vec();
        for arg in args.iter() {
            cmdline.push(b' ');
            cmdline.extend_from_slice(arg);
        }
        Self { cmdline: cmdline.into(), comm_len: comm.len(), args, ..Self::default() }
    }

    /// The same executable under another name and with other arguments.
    pub(crate) fn renamed(&self, comm: &[u8], exe: &[u8], args: &[u8]) -> Self {
        Self {
            exe: if *self.exe == *exe { Arc::clone(&self.exe) } else { exe.into() },
            exepath: Arc::clone(&self.exepath),
            exe_writable: self.exe_writable,
            exe_upper_layer: self.exe_upper_layer,
            exe_lower_layer: self.exe_lower_layer,
            exe_from_memfd: self.exe_from_memfd,
            exe_ino: self.exe_ino,
            exe_ino_ctime: self.exe_ino_ctime,
            exe_ino_mtime: self.exe_ino_mtime,
            ..Self::named(comm, self.args.same_or_new(args))
        }
    }

    /// The same program, sharing with `other` the texts that are equal.
    fn sharing(self, other: &Self) -> Self {
        let share = |own: Arc<[u8]>, other: &Arc<[u8]>| {
            if own == *other { Arc::clone(other) } else { own }
        };
        Self {
            exe: share(self.exe, &other.exe),
            exepath: share(self.exepath, &other.exepath),
            args: if self.args == other.args { other.args.clone() } else { self.args },
            ..self
        }
    }

    /// Bytes of the texts that it does not share with another.
    fn own_bytes(&self, other: &Self) -> usize {
        let own = |text: &Arc<[u8]>, other| if Arc::ptr_eq(text, other) { 0 } else { text.len() };
        let args = if self.args.is_shared(&other.args) { 0 } else { self.args.bytes().len() };
        self.cmdline.len() + own(&self.exe, &other.exe) + own(&self.exepath, &other.exepath) + args
    }

    /// The program to be shared, and the environment that it was started with. Without room for
    /// them they are cut. Texts that `relative` has too cost nothing.
    pub(crate) fn admit(
        self,
        relative: &Self,
        env: Texts,
        budget: &TextBudget,
    ) -> (Arc<Self>, Texts) {
        match budget.charge(self.own_bytes(relative) + env.bytes().len()) {
            Some(charge) => (Arc::new(Self { charge, ..self }), env),
            None => (Arc::new(self.cut(CUT)), Texts::default()),
        }
    }

    /// The same program with shorter texts.
    fn cut(&self, len: usize) -> Self {
        let cut = |text| <[u8]>::get(text, ..len).unwrap_or(text);
        let renamed = self.renamed(cut(self.comm()), cut(&self.exe), cut(self.args.bytes()));
        Self { exepath: cut(&self.exepath).into(), ..renamed }
    }

    /// Name of the program as the kernel keeps it.
    pub fn comm(&self) -> &[u8] {
        self.cmdline.get(..self.comm_len).unwrap_or_default()
    }

    /// Name and arguments with a space between each.
    pub fn cmdline(&self) -> &[u8] {
        &self.cmdline
    }

    /// The arguments with a space between each.
    pub fn args_text(&self) -> &[u8] {
        self.cmdline.get(self.comm_len + 1..).unwrap_or_default()
    }
}

/// Path of an executable without the mark the kernel puts on deleted ones.
pub(crate) fn without_deleted(path: &[u8]) -> &[u8] {
    match path.strip_suffix(b" (deleted)") {
        Some(rest) if !rest.is_empty() => rest,
        _ => path,
    }
}

/// Bytes of each text of a program that has no room.
const CUT: usize = 128;

/// A path as far as it is kept.
pub(crate) fn cut_path(path: &[u8]) -> &[u8] {
    match path.get(..THREAD_PATH_BYTES.get()) {
        Some(start) if start.len() < path.len() => {
            THREAD_PATH_BYTES.reach();
            start
        }
        _ => path,
    }
}

/// Control groups with the names of subsystems that users know; `None` when one has no name.
pub(crate) fn cgroups(bytes: &[u8]) -> Option<Texts> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for (index, item) in Texts::new(bytes).iter().enumerate() {
        let equals = item.iter().position(|&b| b == b'=')?;
        let (name, path) = item.split_at(equals);
        let name = name.strip_suffix(b"_cgroup").unwrap_or(name);
        let name: &[u8] = match name {
            b"perf" => b"perf_event",
            b"mem" => b"memory",
            b"io" => b"blkio",
            other => other,
        };
        if index > 0 {
            out.push(0);
        }
        out.extend_from_slice(name);
        out.extend_from_slice(path);
    }
    Some(Texts::new(&out))
}

/// Stands for a directory that is not known, before the names of what is in it.
pub(crate) const UNKNOWN_DIRECTORY: &[u8] = b"<UNKNOWN>";

/// A directory's path with `/` at its end.
pub(crate) fn directory(path: &[u8]) -> Vec<u8> {
    let mut path = path.to_vec();
    if path.last() != Some(&b'/') && path != UNKNOWN_DIRECTORY {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use peregrine_limits::PROGRAM_TEXT_BYTES;

    use super::*;

    #[test]
    fn cmdline_is_name_and_arguments() {
        let exec = Exec::named(b"ls", Texts::new(b"-l\0/tmp\0"));
        assert_eq!(exec.comm(), b"ls");
        assert_eq!(exec.cmdline(), b"ls -l /tmp");
        assert_eq!(exec.args_text(), b"-l /tmp");
        assert_eq!(Exec::named(b"ls", Texts::default()).args_text(), b"");
    }

    #[test]
    fn cgroups_get_their_usual_names() {
        let texts = cgroups(b"cpuset=/a\0mem_cgroup=/b\0io=/c\0perf=/\0").unwrap();
        let texts: Vec<_> = texts.iter().collect();
        assert_eq!(texts, [&b"cpuset=/a"[..], b"memory=/b", b"blkio=/c", b"perf_event=/"]);
        assert_eq!(cgroups(b"cpuset=/a\0broken\0"), None);
    }

    #[test]
    fn deleted_executables_keep_their_path() {
        assert_eq!(without_deleted(b"/bin/x (deleted)"), b"/bin/x");
        assert_eq!(without_deleted(b" (deleted)"), b" (deleted)");
    }

    fn program(args: usize) -> Exec {
        Exec::named(b"cat", Texts::new(&vec![b'x'; args]))
    }

    #[test]
    fn programs_count_while_they_exist_and_shared_texts_once() {
        let budget = TextBudget::default();
        let (first, env) = program(1000).admit(&Exec::default(), Texts::new(b"A=1"), &budget);
        assert_eq!((budget.used(), env.bytes()), (2007, &b"A=1"[..]));
        let renamed = first.renamed(b"dog", b"", &[b'x'; 1000]);
        let (second, _) = renamed.admit(&first, Texts::default(), &budget);
        assert_eq!(budget.used(), 2007 + 1004);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn programs_without_room_are_cut() {
        let budget = TextBudget::default();
        let _full = budget.charge(PROGRAM_TEXT_BYTES.get()).unwrap();
        let before = PROGRAM_TEXT_BYTES.reached();
        let (cut, env) = program(1000).admit(&Exec::default(), Texts::new(b"A=1"), &budget);
        assert_eq!((cut.comm(), cut.args_text().len()), (&b"cat"[..], CUT));
        assert!(env.is_empty());
        assert!(PROGRAM_TEXT_BYTES.reached() > before);
    }
}
