//! Processes: clone, exec, exit and the relations between them.

use std::sync::Arc;

use peregrine_event::params::{
    procexit_1_e as exit, syscall_clone_20_x as clone, syscall_clone3_x as clone3,
    syscall_execve_19_e as execve_enter, syscall_execve_19_x as exec,
    syscall_execveat_e as execveat_enter, syscall_execveat_x as execveat,
    syscall_fork_20_x as fork, syscall_prctl_x as prctl, syscall_setpgid_x as setpgid,
    syscall_vfork_20_x as vfork,
};
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{Event, EventType as Ty, path};

use super::context::{ApplyContext, text};
use crate::activity::Usage;
use crate::state::State;
use crate::text_budget::TextBudget;
use crate::texts::Texts;
use crate::thread::{Exec, Thread, ThreadFlags, cgroups, cut_path, without_deleted};
use crate::tree::{ThreadRef, Tree};
use crate::update::Updated;

peregrine_event::same_params!(
    clone, clone3, fork, vfork, exec, execveat:
    EXE, ARGS, PID, PTID, FDLIMIT, PGFT_MAJ, PGFT_MIN, VM_SIZE, VM_RSS, VM_SWAP, COMM, CGROUPS
);
peregrine_event::same_params!(
    clone, clone3, fork, vfork: FLAGS, UID, GID, VTID, VPID, PIDNS_INIT_START_TS
);
peregrine_event::same_params!(
    exec, execveat:
    ENV, TTY, VPGID, LOGINUID, FLAGS, CAP_INHERITABLE, CAP_PERMITTED, CAP_EFFECTIVE, EXE_INO,
    EXE_INO_CTIME, EXE_INO_MTIME, UID, TRUSTED_EXEPATH, PGID, GID
);

/// A child made longer ago is not the one that returns from clone now.
const STALE_NS: u64 = 2_000_000_000;

const EXE_WRITABLE: u32 = 1 << 0;
const EXE_UPPER_LAYER: u32 = 1 << 1;
const EXE_FROM_MEMFD: u32 = 1 << 2;
const EXE_LOWER_LAYER: u32 = 1 << 3;

const EXECVEAT_EMPTY_PATH: u32 = 1 << 0;

const SET_CHILD_SUBREAPER: u32 = 36;
const GET_CHILD_SUBREAPER: u32 = 37;

impl State {
    pub(super) fn clone_exit(&mut self, cx: &mut ApplyContext<'_>) {
        match cx.ret {
            Some(0) => self.clone_in_child(cx),
            Some(child) if child > 0 => self.clone_in_parent(cx, child),
            _ => return,
        }
        if let Some(at) = self.tree.find(cx.event.tid) {
            self.find_container(at);
        }
    }

    /// The parent's side. It adds the child only where that is certain: the event of the child may
    /// have come first, and across pid namespaces the parent does not know the child's tid.
    fn clone_in_parent(&mut self, cx: &mut ApplyContext<'_>, child: i64) {
        let event = cx.event;
        cx.at = self.find_or_add(event.tid);
        let Some(at) = cx.at else { return };
        let known = self.tree.get(at).is_some_and(|thread| !thread.is_unknown());
        if !known {
            self.introduce_parent(at, event);
        }
        let flags = ThreadFlags(cx.u32(clone::FLAGS));
        let elsewhere = ThreadFlags::CHILD_IN_PIDNS
            .or(ThreadFlags::CLONE_NEWPID)
            .or(ThreadFlags::CLONE_PARENT)
            .or(ThreadFlags::CLONE_VFORK);
        let in_host_pidns = self.tree.get(at).is_some_and(|thread| thread.vtid == event.tid);
        if flags.any(elsewhere)
            || !in_host_pidns
            || event.ty == Ty::SyscallVfork_20X
            || self.tree.exited_recently(child, event.tid, event.ts)
        {
            return;
        }
        if let Some(existing) = self.tree.by_tid(child) {
            if existing.flags.any(ThreadFlags::CLONE_INVERTED) {
                return;
            }
            if existing.scanned
                && self.config.live
                && let Some(at) = self.tree.find(child)
            {
                self.begin_again(at, event);
                return;
            }
            // Its exit was lost.
            self.remove_thread(child);
        }
        self.make_child(at, known, child, flags, event);
        cx.at = self.tree.find(event.tid);
    }

    /// Sets the ids of an unknown parent from the event of its clone.
    fn introduce_parent(&mut self, at: ThreadRef, event: &Event<'_>) {
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.pid = event.i64(clone::PID).unwrap_or(-1);
        thread.ptid = event.i64(clone::PTID).unwrap_or(-1);
        (thread.vtid, thread.vpid) = virtual_ids(event);
        self.tree.link(at);
    }

    fn make_child(
        &mut self,
        at: ThreadRef,
        known: bool,
        tid: i64,
        flags: ThreadFlags,
        event: &Event<'_>,
    ) {
        let Some(parent) = self.tree.get(at) else { return };
        let mut child = Thread::new(tid);
        child.flags = flags;
        let leader = !flags.any(ThreadFlags::CLONE_THREAD);
        if leader {
            (child.pid, child.ptid) = (tid, parent.tid);
        } else {
            (child.pid, child.ptid) = (parent.pid, parent.ptid);
            child.flags.insert(ThreadFlags::CLONE_FILES);
            child.exec_ts = parent.exec_ts;
        }
        (child.vtid, child.vpid) = (tid, child.pid);
        child.pidns_init_start_ts = self.inherited_start(Some(parent));
        describe(&mut child, event);
        if known {
            inherit(&mut child, parent);
            child.exec = called_as(&parent.exec, event, &self.texts);
            if leader {
                inherit_process(&mut child, parent, &self.tree);
            }
        } else {
            let exec = called_as(&Arc::default(), event, &self.texts);
            child.exec = Arc::clone(&exec);
            if let Some(parent) = self.tree.get_mut(at) {
                parent.exec = called_as(&parent.exec, event, &self.texts);
            }
        }
        self.add_relative(child, usage(event), (leader && known).then_some(at));
    }

    /// The child's side, which contains the child's ids but not what it inherited.
    fn clone_in_child(&mut self, cx: &mut ApplyContext<'_>) {
        let event = cx.event;
        let known = cx.at.and_then(|at| self.tree.get(at));
        let (made, scanned) = known.map_or((0, false), |known| (known.clone_ts, known.scanned));
        if scanned
            && self.config.live
            && let Some(at) = cx.at
        {
            self.begin_again(at, event);
            return;
        }
        if made != 0 {
            if event.ts.wrapping_sub(made) < STALE_NS {
                return;
            }
            self.remove_thread(event.tid);
            cx.at = None;
        }
        let mut child = Thread::new(event.tid);
        child.pid = event.i64(clone::PID).unwrap_or(-1);
        child.ptid = event.i64(clone::PTID).unwrap_or(-1);
        (child.vtid, child.vpid) = virtual_ids(event);
        child.flags = ThreadFlags(cx.u32(clone::FLAGS)).or(ThreadFlags::CLONE_INVERTED);
        let leader = !child.flags.any(ThreadFlags::CLONE_THREAD);
        if !leader {
            child.flags.insert(ThreadFlags::CLONE_FILES);
        }
        describe(&mut child, event);
        let other_pidns = ThreadFlags::CHILD_IN_PIDNS.or(ThreadFlags::CLONE_NEWPID);
        if child.flags.any(other_pidns) || child.tid != child.vtid {
            if let Some(start) = event.u64(clone::PIDNS_INIT_START_TS) {
                child.pidns_init_start_ts = start.wrapping_add(self.boot_ts());
            }
        } else {
            let parent = self.tree.by_tid(child.ptid);
            child.pidns_init_start_ts = self.inherited_start(parent);
        }
        let Some(from) = self.find_or_add(if leader { child.ptid } else { child.pid }) else {
            cx.at = None;
            return;
        };
        let known = self.tree.get(from).is_some_and(|thread| !thread.is_unknown());
        if let Some(from) = self.tree.get(from).filter(|_| known) {
            inherit(&mut child, from);
            child.exec = called_as(&from.exec, event, &self.texts);
            if leader {
                inherit_process(&mut child, from, &self.tree);
            } else {
                child.exec_ts = from.exec_ts;
            }
        } else {
            child.exec = called_as(&Arc::default(), event, &self.texts);
            if !leader {
                self.introduce_leader(from, &child);
            }
        }
        cx.at = self.add_relative(child, usage(event), (leader && known).then_some(from));
    }

    /// A thread was read after it had begun, and its events come from its begin on: it is what its
    /// parent is, and not yet what it had become when it was read.
    fn begin_again(&mut self, at: ThreadRef, event: &Event<'_>) {
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.scanned = false;
        thread.flags.insert(ThreadFlags::CLONE_INVERTED);
        let Some(thread) = self.tree.get(at) else { return };
        let from = if thread.is_leader() { thread.ptid } else { thread.pid };
        let Some(from) = self.tree.find(from) else { return };
        if !self.inherit_again(at, from) {
            return;
        }
        if let Some(thread) = self.tree.get_mut(at) {
            describe(thread, event);
            thread.exec = called_as(&thread.exec, event, &self.texts);
        }
        self.find_container(at);
    }

    /// A thread has what `from` has now, which made it. False if that is not known.
    pub(super) fn inherit_again(&mut self, at: ThreadRef, from: ThreadRef) -> bool {
        let Some(maker) = self.tree.get(from).filter(|maker| !maker.is_unknown()) else {
            return false;
        };
        let Some(thread) = self.tree.get(at) else { return false };
        let mut child = thread.clone();
        let leader = child.is_leader();
        inherit(&mut child, maker);
        child.exec = Arc::clone(&maker.exec);
        if leader {
            inherit_process(&mut child, maker, &self.tree);
        }
        if let Some(thread) = self.tree.get_mut(at) {
            *thread = child;
        }
        if leader && let Some(owner) = self.tree.fd_owner(from) {
            self.partition.fork_fds(owner, at);
        }
        true
    }

    /// When the pid namespace of the host began, as it is known of a parent there.
    fn inherited_start(&self, parent: Option<&Thread>) -> u64 {
        let parent = parent.filter(|parent| self.knows_starts() && !parent.in_pid_namespace());
        let start = parent.map(|parent| parent.pidns_init_start_ts).filter(|&start| start != 0);
        start.unwrap_or_else(|| self.boot_ts())
    }

    /// Sets the ids of an unknown leader from those of its new thread.
    fn introduce_leader(&mut self, at: ThreadRef, child: &Thread) {
        let Some(leader) = self.tree.get_mut(at) else { return };
        (leader.pid, leader.ptid) = (child.pid, child.ptid);
        (leader.vpid, leader.vtid) = (child.vpid, child.vpid);
        leader.exec = Arc::clone(&child.exec);
        self.tree.link(at);
    }

    /// Adds a new thread; a new process gets a copy of the fd table of `from`.
    fn add_relative(
        &mut self,
        child: Thread,
        usage: Option<Usage>,
        from: Option<ThreadRef>,
    ) -> Option<ThreadRef> {
        let (uid, gid) = (child.uid, child.gid);
        self.note_user(b"", uid, gid);
        let owner = from.and_then(|at| self.tree.fd_owner(at));
        let at = self.add_thread(child, usage.unwrap_or_default())?;
        self.tree.link(at);
        if let Some(owner) = owner {
            self.partition.fork_fds(owner, at);
        }
        Some(at)
    }

    pub(super) fn exec(&mut self, cx: &mut ApplyContext<'_>, enter: Option<&Event<'_>>) {
        let Some((at, _)) = cx.done_by() else { return };
        self.tree.resurrect(at);
        let exepath = self.exepath(cx, enter, at);
        let event = cx.event;
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.exec_ts = event.ts;
        thread.pid = event.i64(exec::PID).unwrap_or(-1);
        if thread.is_unknown() {
            thread.ptid = event.i64(exec::PTID).unwrap_or(-1);
            if !thread.flags.any(ThreadFlags::CHILD_IN_PIDNS) {
                (thread.vtid, thread.vpid) = (thread.tid, thread.pid);
            }
            self.tree.link(at);
        }
        let Some(thread) = self.tree.get_mut(at) else { return };
        update_from_exec(thread, event, exepath, &self.texts);
        let (container, uid, gid) = (Arc::clone(&thread.container), thread.uid, thread.gid);
        self.note_user(&container, uid, gid);
        if let (Some(new), Some(usage)) = (usage(event), self.partition.usage_mut(at)) {
            *usage = Usage { exec_time_total: usage.exec_time_total, ..new };
        }
        if let Some(owner) = self.tree.fd_owner(at) {
            self.partition.retain_fds(owner, |_, fd| !fd.closes_on_exec());
            self.partition.fds_gone(owner);
        }
        if let Some(thread) = self.tree.get_mut(at) {
            let kept = ThreadFlags::PIPE_SRC
                .or(ThreadFlags::PIPE_DST)
                .or(ThreadFlags::IS_MAIN_THREAD)
                .or(ThreadFlags::CLONE_INVERTED);
            thread.flags = thread.flags.and(kept).or(ThreadFlags::NAME_CHANGED);
        }
        for tid in self.tree.others(at) {
            self.remove_thread(tid);
        }
        self.find_container(at);
        // A program that the runtime starts before that of the container may still see the
        // files of the host.
        let first = self.tree.get(at).is_some_and(|thread| thread.vpid == 1);
        self.request_accounts(at, first);
    }

    /// Path of the new program. Old captures only have what the caller asked for; `None` where that
    /// is not known either.
    fn exepath(
        &mut self,
        cx: &ApplyContext<'_>,
        enter: Option<&Event<'_>>,
        at: ThreadRef,
    ) -> Option<Vec<u8>> {
        if cx.event.param(exec::TRUSTED_EXEPATH).is_some_and(|path| !path.is_empty()) {
            return Some(without_deleted(cx.text(exec::TRUSTED_EXEPATH)).to_vec());
        }
        self.partition.count_enter(enter);
        let enter = enter?;
        let thread = self.tree.get(at)?;
        let mut joined = Vec::new();
        if enter.ty == Ty::SyscallExecve_19E {
            match text(enter, execve_enter::FILENAME) {
                b"<NA>" => joined.extend_from_slice(b"<NA>"),
                name => path::join(self.tree.cwd(thread), name, &mut joined),
            }
        } else {
            let name = text(enter, execveat_enter::PATHNAME);
            let flags = enter.u32(execveat_enter::FLAGS).unwrap_or_default();
            let empty = flags & EXECVEAT_EMPTY_PATH != 0;
            let dirfd = enter.i64(execveat_enter::DIRFD).unwrap_or(AT_FDCWD);
            let mut dir = Vec::new();
            let known = self.partition.directory(&self.tree, thread, dirfd, name, &mut dir);
            if !known || (!empty && name == b"<NA>") {
                joined.extend_from_slice(b"<NA>");
            } else if empty {
                path::normalize(&dir, &mut joined);
            } else {
                path::join(&dir, name, &mut joined);
            }
        }
        Some(without_deleted(&joined).to_vec())
    }

    pub(super) fn exit(&mut self, cx: &mut ApplyContext<'_>) {
        let Some(at) = cx.at else { return };
        self.tree.set_dead(at);
        self.exiting = Some(cx.event.tid);
        let Some(thread) = self.tree.get_mut(at) else { return };
        if thread.children.is_empty() {
            return;
        }
        if cx.event.nparams() <= exit::REAPER_TID {
            thread.reaper_tid = -1;
        } else if let Some(reaper) = cx.event.i64(exit::REAPER_TID) {
            thread.reaper_tid = reaper;
        }
    }

    pub(super) fn prctl(&mut self, cx: &mut ApplyContext<'_>) {
        let Some((at, _)) = cx.done_by() else { return };
        if !matches!(cx.u32(prctl::OPTION), SET_CHILD_SUBREAPER | GET_CHILD_SUBREAPER) {
            return;
        }
        let reaper = cx.u64(prctl::ARG2_INT) != 0;
        if self.tree.get(at).is_some_and(|thread| !thread.is_unknown())
            && let Some(group) = self.tree.group_mut(at)
        {
            group.reaper = reaper;
        }
    }

    /// A process that starts a session leads its only group.
    pub(super) fn setsid(&mut self, cx: &ApplyContext<'_>) {
        let Some((at, sid)) = cx.done_by() else { return };
        let Some(thread) = self.tree.get(at) else { return };
        let host = if thread.has_own_ids() && thread.pid > 0 { thread.pid } else { sid };
        self.set_group_ids(at, host, sid, Some(host));
        if let Some(thread) = self.tree.get_mut(at) {
            thread.tty = 0;
        }
    }

    /// The ids of the call are those of the namespace of the caller. It may change a child of its
    /// own; what it changes of itself the kernel may have told.
    pub(super) fn setpgid(&mut self, cx: &ApplyContext<'_>, updated: Updated) {
        let (Some((at, 0)), Some(of), Some(to)) =
            (cx.done_by(), cx.event.i64(setpgid::PID), cx.event.i64(setpgid::PGID))
        else {
            return;
        };
        let Some(caller) = self.tree.get(at) else { return };
        let target = if of == 0 || of == caller.vpid { Some(at) } else { self.child(caller, of) };
        if target == Some(at) && updated.task {
            return;
        }
        let Some(process) = target.and_then(|target| self.tree.get(target)) else { return };
        let vpgid = if to == 0 { process.vpid } else { to };
        let pgid = if vpgid == process.vpid {
            process.pid
        } else if !caller.has_own_ids() {
            vpgid
        } else if vpgid == caller.vpgid {
            caller.pgid
        } else {
            let leader = self.child(caller, vpgid).and_then(|leader| self.tree.get(leader));
            leader.map_or(process.pgid, |leader| leader.pid)
        };
        if let Some(target) = target {
            self.set_group_ids(target, pgid, vpgid, None);
        }
    }

    /// The child of a process that has this id in its namespace.
    fn child(&self, parent: &Thread, vpid: i64) -> Option<ThreadRef> {
        if !parent.has_own_ids() {
            return self.tree.find(vpid);
        }
        let leader = self.tree.leader(parent).unwrap_or(parent);
        let is = |at: &ThreadRef| self.tree.get(*at).is_some_and(|child| child.vpid == vpid);
        parent.children.iter().chain(&leader.children).copied().find(is)
    }
}

/// Ids as the namespace of the thread sees them; without them it is taken to be in the host's.
fn virtual_ids(event: &Event<'_>) -> (i64, i64) {
    match (event.i64(clone::VTID), event.i64(clone::VPID)) {
        (vtid, Some(vpid)) => (vtid.unwrap_or(-1), vpid),
        (_, None) => (event.tid, -1),
    }
}

/// Sets what the exit event of a clone contains about the child.
fn describe(child: &mut Thread, event: &Event<'_>) {
    child.fdlimit = event.i64(clone::FDLIMIT).unwrap_or(-1);
    child.uid = event.u32(clone::UID).unwrap_or(u32::MAX);
    child.gid = event.u32(clone::GID).unwrap_or(u32::MAX);
    if let Some(groups) =
        event.param(clone::CGROUPS).filter(|bytes| !bytes.is_empty()).and_then(cgroups)
    {
        child.cgroups = groups;
    }
    child.clone_ts = event.ts;
}

/// Page faults and memory. Events have all of them or none.
fn usage(event: &Event<'_>) -> Option<Usage> {
    Some(Usage {
        vmswap_kb: event.u32(clone::VM_SWAP)?,
        pfmajor: event.u64(clone::PGFT_MAJ).unwrap_or_default(),
        pfminor: event.u64(clone::PGFT_MIN).unwrap_or_default(),
        vmsize_kb: event.u32(clone::VM_SIZE).unwrap_or_default(),
        vmrss_kb: event.u32(clone::VM_RSS).unwrap_or_default(),
        exec_time_total: 0,
    })
}

fn inherit(child: &mut Thread, from: &Thread) {
    child.root = Arc::clone(&from.root);
    if child.cgroups == from.cgroups {
        child.cgroups = from.cgroups.clone();
    }
    (child.sid, child.vpgid, child.pgid) = (from.sid, from.vpgid, from.pgid);
    (child.tty, child.loginuid) = (from.tty, from.loginuid);
    child.cap_inheritable = from.cap_inheritable;
    child.cap_permitted = from.cap_permitted;
    child.cap_effective = from.cap_effective;
    child.exe_ino_ctime_duration_clone_ts = from.exe_ino_ctime_duration_clone_ts;
}

/// Name the kernel keeps, and what the program was called as. Old captures only have the latter.
fn names<'e>(event: &Event<'e>) -> (&'e [u8], &'e [u8]) {
    let exe = cut_path(text(event, clone::EXE));
    let comm = event.param(clone::COMM).is_some_and(|comm| !comm.is_empty());
    (if comm { cut_path(text(event, clone::COMM)) } else { exe }, exe)
}

/// The same program under the name and arguments of the event: most often `exec` itself.
fn called_as(exec: &Arc<Exec>, event: &Event<'_>, texts: &TextBudget) -> Arc<Exec> {
    let (comm, exe) = names(event);
    let args = event.param(clone::ARGS).unwrap_or_default();
    let body = args.strip_suffix(&[0]).unwrap_or(args);
    if exec.comm() == comm && *exec.exe == *exe && exec.args.bytes() == body {
        return Arc::clone(exec);
    }
    exec.renamed(comm, exe, args).admit(exec, Texts::default(), texts).0
}

fn update_from_exec(
    thread: &mut Thread,
    event: &Event<'_>,
    exepath: Option<Vec<u8>>,
    texts: &TextBudget,
) {
    let (comm, exe) = names(event);
    let args = event.param(exec::ARGS).unwrap_or_default();
    let mut exec = thread.exec.renamed(comm, exe, args);
    if let Some(path) = exepath {
        exec.exepath = cut_path(&path).into();
    }
    if let Some(flags) = event.u32(exec::FLAGS) {
        exec.exe_writable = flags & EXE_WRITABLE != 0;
        exec.exe_upper_layer = flags & EXE_UPPER_LAYER != 0;
        exec.exe_lower_layer = flags & EXE_LOWER_LAYER != 0;
        exec.exe_from_memfd = flags & EXE_FROM_MEMFD != 0;
    }
    if let Some(mtime) = event.u64(exec::EXE_INO_MTIME) {
        exec.exe_ino = event.u64(exec::EXE_INO).unwrap_or_default();
        exec.exe_ino_ctime = event.u64(exec::EXE_INO_CTIME).unwrap_or_default();
        exec.exe_ino_mtime = mtime;
        let ctime = exec.exe_ino_ctime;
        if thread.clone_ts != 0 {
            thread.exe_ino_ctime_duration_clone_ts = thread.clone_ts.wrapping_sub(ctime);
        }
        if thread.pidns_init_start_ts != 0 && ctime > thread.pidns_init_start_ts {
            thread.exe_ino_ctime_duration_pidns_start = ctime - thread.pidns_init_start_ts;
        }
    }
    let given = |index| event.param(index).filter(|bytes| !bytes.is_empty());
    let env =
        given(exec::ENV).map_or_else(|| thread.env.clone(), |env| thread.env.same_or_new(env));
    (thread.exec, thread.env) = exec.admit(&thread.exec, env, texts);
    thread.fdlimit = event.i64(exec::FDLIMIT).unwrap_or(-1);
    if let Some(groups) =
        given(exec::CGROUPS).and_then(cgroups).filter(|groups| *groups != thread.cgroups)
    {
        thread.cgroups = groups;
    }
    thread.tty = event.u32(exec::TTY).unwrap_or(thread.tty);
    thread.vpgid = event.i64(exec::VPGID).unwrap_or(thread.vpgid);
    thread.loginuid = event.u32(exec::LOGINUID).unwrap_or(thread.loginuid);
    if let Some(effective) = event.u64(exec::CAP_EFFECTIVE) {
        thread.cap_inheritable = event.u64(exec::CAP_INHERITABLE).unwrap_or_default();
        thread.cap_permitted = event.u64(exec::CAP_PERMITTED).unwrap_or_default();
        thread.cap_effective = effective;
    }
    thread.uid = event.u32(exec::UID).unwrap_or(thread.uid);
    thread.pgid = event.i64(exec::PGID).unwrap_or(-1);
    thread.gid = event.u32(exec::GID).unwrap_or(thread.gid);
}

/// Gives a new process what it has of the process of the thread that made it.
#[inline]
fn inherit_process(child: &mut Thread, maker: &Thread, tree: &Tree) {
    child.cwd = tree.directory(maker).map_or_else(lost_cwd, Arc::clone);
    child.env = tree.leader(maker).unwrap_or(maker).env.clone();
}

/// Working directory of a process that has lost its leader.
fn lost_cwd() -> Arc<[u8]> {
    b"./"[..].into()
}
