//! What each event does to the state: from the event to the family that knows.

mod context;
mod creds;
mod files;
mod process;
mod sockets;
mod tables;

use std::mem;

use peregrine_event::{Actor, Class, Event, EventType as Ty};

use crate::fd::FdKind;
use crate::state::{Context, State};
use crate::thread::{Thread, ThreadFlags};
use crate::tree::ThreadRef;
use context::ApplyContext;

/// Longest start of a syscall that is kept.
const MAX_STORED: usize = 4096;
/// Memory for it that a thread keeps while it has none.
const KEPT_CAPACITY: usize = 256;

impl State {
    /// Takes in an event and says what it is about. What it removes stays visible until the next one.
    pub fn apply(&mut self, event: &Event<'_>) -> Context {
        self.settle(event.ts);
        let prev_ts = mem::replace(&mut self.clock.last, event.ts);
        if self.clock.first == 0 && !event.ty.info().classes.contains(&Class::Metaevent) {
            self.clock.first = event.ts;
        }
        let traits = event.ty.traits();
        let at = self.actor(event, traits.actor);
        let mut act = ApplyContext::new(event, traits, at);
        let mut stored = false;
        if matches!(traits.actor, Actor::Lifecycle | Actor::Thread)
            && let Some(at) = at
        {
            if traits.is_exit {
                stored = self.begin_exit(&mut act, at);
            } else {
                self.begin_enter(&mut act, at);
            }
        }
        let exec_time =
            if stored { self.dispatch_with_start(&mut act) } else { self.dispatch(&mut act) };
        let ApplyContext { at, fd_at, renamed, error, .. } = act;
        self.context(
            event,
            at,
            fd_at,
            Context { prev_ts, exec_time, error, name_changed: renamed, ..Context::default() },
        )
    }

    /// Does what the event before left to do.
    #[inline]
    fn settle(&mut self, ts: u64) {
        self.told = None;
        if let Some(tid) = self.pending.thread.take() {
            self.settle_exit(tid, ts);
        }
        if let Some((owner, fd)) = self.pending.fd.take() {
            self.fds.remove(owner, fd);
            self.counters.removed_fds += 1;
        }
    }

    #[cold]
    fn settle_exit(&mut self, tid: i64, ts: u64) {
        let ptid = self.tree.by_tid(tid).map_or(-1, |thread| thread.ptid);
        self.tree.note_exit(tid, ptid, ts);
        self.remove_thread(tid);
    }

    /// The thread that acts.
    #[inline]
    fn actor(&mut self, event: &Event<'_>, actor: Actor) -> Option<ThreadRef> {
        match actor {
            Actor::None => None,
            Actor::Passive | Actor::Lifecycle => self.find(event.tid),
            Actor::Thread => self.find_or_add(event.tid),
        }
    }

    #[inline]
    fn begin_enter(&mut self, act: &mut ApplyContext<'_>, at: ThreadRef) {
        let Some(thread) = self.tree.get_mut(at) else { return };
        if act.traits.actor == Actor::Thread {
            thread.flags.insert(ThreadFlags::ACTIVE);
        }
        thread.last.enter = Some(act.event.ty);
        thread.last.fd = -1;
        if act.traits.uses_fd
            && let Some(fd) = act.fd()
        {
            thread.last.fd = fd;
            act.fd_at = self.fd_place(at, fd);
            self.counters.found_fds += u64::from(act.fd_at.is_some());
        }
    }

    /// Tells whether bytes of the syscall's start were kept.
    #[inline]
    fn begin_exit(&mut self, act: &mut ApplyContext<'_>, at: ThreadRef) -> bool {
        let Some(thread) = self.tree.get_mut(at) else { return false };
        if act.traits.actor == Actor::Thread {
            thread.flags.insert(ThreadFlags::ACTIVE);
        }
        if !thread.last.enter.is_some_and(|enter| starts(enter, act.event.ty)) {
            thread.last.fd = -1;
            thread.last.stored.clear();
        }
        if act.ret.is_some_and(|ret| ret < 0) {
            act.error = act.ret.unwrap_or_default().unsigned_abs() as u32;
        }
        let stored = !thread.last.stored.is_empty();
        if act.traits.uses_fd {
            if thread.last.fd == -1
                && let Some(fd) = act.fd()
            {
                thread.last.fd = fd;
            }
            let fd = thread.last.fd;
            act.fd_at = self.fd_place(at, fd);
            self.counters.found_fds += u64::from(act.fd_at.is_some());
            self.counters.unknown_fds += u64::from(act.fd_at.is_none() && fd >= 0);
        }
        stored
    }

    /// Does what the end of a syscall does of which the start was kept.
    #[inline(never)]
    fn dispatch_with_start(&mut self, act: &mut ApplyContext<'_>) -> u64 {
        let thread = act.at.and_then(|at| self.tree.get_mut(at));
        let stored = thread.map(|thread| mem::take(&mut thread.last.stored)).unwrap_or_default();
        let enter = Event::parse(&stored, 0).ok();
        let enter = enter.as_ref().filter(|enter| starts(enter.ty, act.event.ty));
        let mut with_start = ApplyContext { enter, ..*act };
        let exec_time = self.dispatch(&mut with_start);
        let ApplyContext { at, fd_at, renamed, error, .. } = with_start;
        *act = ApplyContext { at, fd_at, renamed, error, ..*act };
        self.keep_memory(at, stored);
        exec_time
    }

    fn dispatch(&mut self, act: &mut ApplyContext<'_>) -> u64 {
        match act.event.ty {
            Ty::SyscallOpenE
            | Ty::SyscallCreatE
            | Ty::SyscallOpenat_2E
            | Ty::SyscallOpenat2E
            | Ty::SyscallExecve_19E
                if act.event.param(0).is_none_or(<[u8]>::is_empty) => {}
            Ty::SyscallOpenE
            | Ty::SyscallCreatE
            | Ty::SyscallOpenat_2E
            | Ty::SyscallOpenat2E
            | Ty::SyscallExecve_19E
            | Ty::SyscallExecveatE
            | Ty::SocketConnectE => self.store(act),
            Ty::SyscallReadX
            | Ty::SyscallReadvX
            | Ty::SyscallPreadX
            | Ty::SyscallPreadvX
            | Ty::SocketRecvX
            | Ty::SocketRecvfromX
            | Ty::SocketRecvmsgX
            | Ty::SocketRecvmmsgX => self.read(act),
            Ty::SyscallWriteX
            | Ty::SyscallWritevX
            | Ty::SyscallPwriteX
            | Ty::SyscallPwritevX
            | Ty::SocketSendX
            | Ty::SocketSendtoX
            | Ty::SocketSendmsgX
            | Ty::SocketSendmmsgX => self.write(act),
            Ty::SyscallOpenX => self.open(act),
            Ty::SyscallCreatX => self.creat(act),
            Ty::SyscallOpenat_2X => self.openat(act),
            Ty::SyscallOpenat2X => self.openat2(act),
            Ty::SyscallOpenByHandleAtX => self.open_by_handle(act),
            Ty::SyscallUnshareX => self.enter_namespace(act, 1),
            Ty::SyscallSetnsX => self.enter_namespace(act, 2),
            Ty::SyscallMemfdCreateX => self.memfd_create(act),
            Ty::SyscallClone_20X
            | Ty::SyscallFork_20X
            | Ty::SyscallVfork_20X
            | Ty::SyscallClone3X => self.clone_exit(act),
            Ty::SyscallExecve_19X | Ty::SyscallExecveatX => self.exec(act),
            Ty::Procexit_1E => self.exit(act),
            Ty::SyscallPrctlX => self.prctl(act),
            Ty::SyscallSetsidX => self.setsid(act),
            Ty::SyscallPidfdOpenX => self.pidfd_open(act),
            Ty::SyscallPidfdGetfdX => self.pidfd_getfd(act),
            Ty::SyscallPipeX => self.pipe(act, 0),
            Ty::SyscallPipe2X => self.pipe(act, act.u32(4)),
            Ty::SocketSocketX => self.socket(act),
            Ty::SocketSocketpairX => self.socketpair(act),
            Ty::SocketBindX => self.bind(act),
            Ty::SocketConnectX => self.connect(act),
            Ty::SocketAccept_5X => self.accept(act, 0),
            Ty::SocketAccept4_6X => self.accept(act, act.u32(5)),
            Ty::SyscallCloseX => self.close(act),
            Ty::SyscallCloseRangeX => self.close_range(act),
            Ty::SyscallFcntlX => self.fcntl(act),
            Ty::SyscallDup_1X | Ty::SyscallDup2X => self.dup(act, false),
            Ty::SyscallDup3X => self.dup(act, act.has_cloexec(3)),
            Ty::SyscallChdirX => self.chdir(act),
            Ty::SyscallGetcwdX => self.chdir(act),
            Ty::SyscallFchdirX => self.fchdir(act),
            Ty::SyscallChrootX => self.chroot(act),
            Ty::SyscallEventfdX => self.new_fd(act, FdKind::Event, 0),
            Ty::SyscallEventfd2X => self.new_fd(act, FdKind::Event, act.u32(1)),
            Ty::SyscallSignalfdX => self.new_fd(act, FdKind::Signal, 0),
            Ty::SyscallSignalfd4X => self.new_fd(act, FdKind::Signal, act.u32(1)),
            Ty::SyscallTimerfdCreateX => self.new_fd(act, FdKind::Timer, act.u32(2)),
            Ty::SyscallInotifyInitX => self.new_fd(act, FdKind::Inotify, 0),
            Ty::SyscallInotifyInit1X => self.new_fd(act, FdKind::Inotify, act.u32(1)),
            Ty::SyscallBpf_2X => self.new_fd(act, FdKind::Bpf, 0),
            Ty::SyscallUserfaultfdX => self.new_fd(act, FdKind::Userfaultfd, 0),
            Ty::SyscallIoUringSetupX => self.new_fd(act, FdKind::IoUring, 0),
            Ty::SyscallEpollCreateX => self.new_fd(act, FdKind::Eventpoll, 0),
            Ty::SyscallEpollCreate1X => self.new_fd(act, FdKind::Eventpoll, act.u32(1)),
            Ty::SyscallGetrlimitX | Ty::SyscallSetrlimitX => self.rlimit(act),
            Ty::SyscallPrlimitX => self.prlimit(act),
            Ty::Schedswitch_6E => return self.switch(act),
            Ty::SyscallBrk_4X | Ty::SyscallMmapX | Ty::SyscallMmap2X | Ty::SyscallMunmapX => {
                self.memory(act);
            }
            Ty::SyscallSetresuidX | Ty::SyscallSetreuidX => self.set_uid(act, 2),
            Ty::SyscallSetresgidX | Ty::SyscallSetregidX => self.set_gid(act, 2),
            Ty::SyscallSetuidX => self.set_uid(act, 1),
            Ty::SyscallSetgidX => self.set_gid(act, 1),
            Ty::SyscallCapsetX => self.capset(act),
            Ty::UserAddedE => self.user_added(act),
            Ty::UserDeletedE => self.user_deleted(act),
            Ty::GroupAddedE => self.group_added(act),
            Ty::GroupDeletedE => self.group_deleted(act),
            Ty::ContainerE => self.container_added(act),
            Ty::ContainerJsonE | Ty::ContainerJson_2E => self.container_described(act),
            Ty::AsynceventE => self.async_event(act),
            _ => {}
        }
        0
    }

    fn store(&mut self, act: &ApplyContext<'_>) {
        let bytes = act.event.bytes();
        match act.at.and_then(|at| self.tree.get_mut(at)) {
            Some(thread) if bytes.len() <= MAX_STORED => {
                thread.last.stored.clear();
                thread.last.stored.extend_from_slice(bytes);
                self.counters.stored_events += 1;
            }
            _ => self.counters.dropped_events += 1,
        }
    }

    fn keep_memory(&mut self, at: Option<ThreadRef>, mut stored: Vec<u8>) {
        if stored.capacity() <= KEPT_CAPACITY
            && let Some(thread) = at.and_then(|at| self.tree.get_mut(at))
        {
            stored.clear();
            thread.last.stored = stored;
        }
    }

    fn context(
        &self,
        event: &Event<'_>,
        at: Option<ThreadRef>,
        fd_at: Option<(ThreadRef, i64)>,
        context: Context,
    ) -> Context {
        let at = at.or_else(|| self.tree.find(event.tid));
        let fd = at.and_then(|at| self.tree.get(at)).map_or(-1, |thread| thread.last.fd);
        let fd_at = if fd < 0 { fd_at } else { fd_at.or_else(|| self.fd_place(at?, fd)) };
        Context { thread: at, fd, fd_at, ..context }
    }

    /// Where in the tables an open file of this thread is.
    #[inline]
    fn fd_place(&self, at: ThreadRef, fd: i64) -> Option<(ThreadRef, i64)> {
        if fd < 0 {
            return None;
        }
        let owner = self.fd_owner(at)?;
        self.fds.get(owner, fd).map(|_| (owner, fd))
    }

    /// The thread of an event.
    fn find(&mut self, tid: i64) -> Option<ThreadRef> {
        let at = self.tree.find_actor(tid);
        self.counters.found_threads += u64::from(at.is_some());
        at
    }

    /// The thread with this tid, or one of which nothing else is known.
    fn find_or_add(&mut self, tid: i64) -> Option<ThreadRef> {
        self.find(tid).or_else(|| {
            self.counters.unknown_threads += 1;
            self.add_thread(Thread::unknown(tid))
        })
    }

    pub(crate) fn remove_thread(&mut self, tid: i64) {
        // The kernel knows the new parent of its children, be it a stranger.
        let orphans = self.tree.by_tid(tid).filter(|thread| !thread.children.is_empty());
        if let Some(reaper) = orphans.map(|thread| thread.reaper_tid).filter(|&tid| tid > 0) {
            self.find_or_add(reaper);
        }
        for at in self.tree.remove(tid) {
            self.fds.clear(at);
            self.counters.removed_threads += 1;
        }
    }
}

/// Whether one event is the start of the syscall that the other ends.
fn starts(enter: Ty, exit: Ty) -> bool {
    // An execveat that works ends as the execve it has become.
    enter.code() + 1 == exit.code()
        || (enter == Ty::SyscallExecveatE && exit == Ty::SyscallExecve_19X)
}

#[cfg(test)]
mod tests;
