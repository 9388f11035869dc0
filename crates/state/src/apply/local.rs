//! High-rate events: what they change in the partition of their thread. They only read the tree.

use std::mem;

use peregrine_event::{Actor, Event, EventType as Ty, params};
use peregrine_limits::{STORED_ENTER_BYTES, STORED_TOTAL_BYTES};

use super::context::ApplyContext;
use crate::activity::{KEPT_CAPACITY, long};
use crate::fd::FdKind;
use crate::partition::Partition;
use crate::tree::{ThreadRef, Tree};

impl Partition {
    /// Begins the enter or exit event of a thread. Returns whether the enter event of that exit is
    /// stored.
    #[inline]
    pub(super) fn begin(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) -> bool {
        match (cx.traits.actor, cx.at) {
            (Actor::Lifecycle | Actor::Thread, Some(at)) if cx.traits.is_exit => {
                self.begin_exit(tree, cx, at)
            }
            (Actor::Lifecycle | Actor::Thread, Some(at)) => {
                self.begin_enter(tree, cx, at);
                false
            }
            _ => false,
        }
    }

    #[inline]
    fn begin_enter(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, at: ThreadRef) {
        let Some(activity) = self.activity_mut(at) else { return };
        activity.enter = Some(cx.event.ty);
        activity.fd = -1;
        if cx.traits.uses_fd
            && let Some(fd) = cx.fd()
        {
            activity.fd = fd;
            cx.fd_at = self.fd_place(tree, at, fd);
            self.counters.found_fds += u64::from(cx.fd_at.is_some());
        }
    }

    #[inline]
    fn begin_exit(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, at: ThreadRef) -> bool {
        let Some(activity) = self.activity_mut(at) else { return false };
        if !activity.enter.is_some_and(|enter| is_enter_of(enter, cx.event.ty)) {
            activity.fd = -1;
            activity.stored.clear();
        }
        if let Some(ret @ ..0) = cx.ret {
            cx.error = ret.unsigned_abs() as u32;
        }
        let stored = !activity.stored.is_empty();
        if cx.traits.uses_fd {
            if activity.fd == -1
                && let Some(fd) = cx.fd()
            {
                activity.fd = fd;
            }
            let fd = activity.fd;
            cx.fd_at = self.fd_place(tree, at, fd);
            self.counters.found_fds += u64::from(cx.fd_at.is_some());
            self.counters.unknown_fds += u64::from(cx.fd_at.is_none() && fd >= 0);
        }
        stored
    }

    /// The stored enter event of the thread that acts. To be given back with
    /// [`Partition::keep_memory`].
    pub(super) fn take_stored(&mut self, cx: &ApplyContext<'_>) -> Vec<u8> {
        let activity = cx.at.and_then(|at| self.activity_mut(at));
        let stored = activity.map(|activity| mem::take(&mut activity.stored)).unwrap_or_default();
        self.stored_bytes = self.stored_bytes.saturating_sub(long(&stored));
        stored
    }

    /// Keeps the memory of a stored event for the next one.
    pub(super) fn keep_memory(&mut self, at: Option<ThreadRef>, mut stored: Vec<u8>) {
        if stored.capacity() <= KEPT_CAPACITY
            && let Some(activity) = at.and_then(|at| self.activity_mut(at))
        {
            stored.clear();
            activity.stored = stored;
        }
    }

    /// Applies an event that changes neither the tree nor what is known of the machine.
    #[inline]
    pub(super) fn apply(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        enter: Option<&Event<'_>>,
    ) {
        match cx.event.ty {
            Ty::SyscallReadX | Ty::SyscallReadvX | Ty::SyscallPreadX | Ty::SyscallPreadvX => {
                self.moved_data(cx, None);
            }
            Ty::SyscallWriteX | Ty::SyscallWritevX | Ty::SyscallPwriteX | Ty::SyscallPwritevX => {
                self.moved_data(cx, None);
            }
            Ty::SocketRecvX => self.received(cx, params::socket_recv_x::TUPLE),
            Ty::SocketRecvfromX => self.received(cx, params::socket_recvfrom_x::TUPLE),
            Ty::SocketRecvmsgX => {
                use params::socket_recvmsg_x::{MSGCONTROL, TUPLE};
                self.received_message(tree, cx, [TUPLE, MSGCONTROL]);
            }
            Ty::SocketRecvmmsgX => {
                use params::socket_recvmmsg_x::{MSGCONTROL, TUPLE};
                self.received_message(tree, cx, [TUPLE, MSGCONTROL]);
            }
            Ty::SocketSendX => self.sent(tree, cx, params::socket_send_x::TUPLE),
            Ty::SocketSendtoX => self.sent(tree, cx, params::socket_sendto_x::TUPLE),
            Ty::SocketSendmsgX => self.sent(tree, cx, params::socket_sendmsg_x::TUPLE),
            Ty::SocketSendmmsgX => self.sent_many(cx, params::socket_sendmmsg_x::TUPLE),
            Ty::SyscallOpenX => self.open(tree, cx, enter),
            Ty::SyscallCreatX => self.creat(tree, cx, enter),
            Ty::SyscallOpenat_2X => self.openat(tree, cx, enter),
            Ty::SyscallOpenat2X => self.openat2(tree, cx, enter),
            Ty::SyscallOpenByHandleAtX => self.open_by_handle(tree, cx),
            Ty::SyscallMemfdCreateX => self.memfd_create(tree, cx),
            Ty::SyscallPidfdOpenX => self.pidfd_open(tree, cx),
            Ty::SyscallPidfdGetfdX => self.pidfd_getfd(tree, cx),
            Ty::SyscallPipeX => self.pipe(tree, cx, 0),
            Ty::SyscallPipe2X => self.pipe(tree, cx, cx.u32(params::syscall_pipe2_x::FLAGS)),
            Ty::SocketSocketX => self.socket(tree, cx),
            Ty::SocketSocketpairX => self.socketpair(tree, cx),
            Ty::SocketBindX => self.bind(cx),
            Ty::SocketConnectX => self.connect(cx, enter),
            Ty::SocketAccept_5X => self.accept(tree, cx, 0),
            Ty::SocketAccept4_6X => {
                self.accept(tree, cx, cx.u32(params::socket_accept4_6_x::FLAGS));
            }
            Ty::SyscallCloseX => self.close(tree, cx),
            Ty::SyscallIoctl_3X => self.ioctl(tree, cx),
            Ty::SyscallCloseRangeX => self.close_range(tree, cx),
            Ty::SyscallFcntlX => self.fcntl(tree, cx),
            Ty::SyscallDup_1X | Ty::SyscallDup2X => self.dup(tree, cx, false),
            Ty::SyscallDup3X => {
                self.dup(tree, cx, cx.has_cloexec(params::syscall_dup3_x::FLAGS));
            }
            Ty::SyscallEventfdX => self.new_fd(tree, cx, FdKind::Event, 0),
            Ty::SyscallEventfd2X => {
                self.new_fd(tree, cx, FdKind::Event, cx.u32(params::syscall_eventfd2_x::FLAGS));
            }
            Ty::SyscallSignalfdX => self.new_fd(tree, cx, FdKind::Signal, 0),
            Ty::SyscallSignalfd4X => {
                self.new_fd(tree, cx, FdKind::Signal, cx.u32(params::syscall_signalfd4_x::FLAGS));
            }
            Ty::SyscallTimerfdCreateX => {
                let flags = cx.u32(params::syscall_timerfd_create_x::FLAGS);
                self.new_fd(tree, cx, FdKind::Timer, flags);
            }
            Ty::SyscallInotifyInitX => self.new_fd(tree, cx, FdKind::Inotify, 0),
            Ty::SyscallInotifyInit1X => {
                let flags = cx.u32(params::syscall_inotify_init1_x::FLAGS);
                self.new_fd(tree, cx, FdKind::Inotify, flags);
            }
            Ty::SyscallBpf_2X => self.new_fd(tree, cx, FdKind::Bpf, 0),
            Ty::SyscallUserfaultfdX => self.new_fd(tree, cx, FdKind::Userfaultfd, 0),
            Ty::SyscallIoUringSetupX => self.new_fd(tree, cx, FdKind::IoUring, 0),
            Ty::SyscallEpollCreateX => self.new_fd(tree, cx, FdKind::Eventpoll, 0),
            Ty::SyscallEpollCreate1X => {
                let flags = cx.u32(params::syscall_epoll_create1_x::FLAGS);
                self.new_fd(tree, cx, FdKind::Eventpoll, flags);
            }
            Ty::Schedswitch_6E => self.switch(tree, cx),
            Ty::SyscallBrk_4X | Ty::SyscallMmapX | Ty::SyscallMmap2X | Ty::SyscallMunmapX => {
                self.memory(cx);
            }
            _ if cx.traits.stored_for_exit => self.store(cx),
            _ => {}
        }
    }

    /// Counts whether an exit event that needs its enter event has it.
    pub(super) fn count_enter(&mut self, enter: Option<&Event<'_>>) {
        match enter {
            Some(_) => self.counters.retrieved_events += 1,
            None => self.counters.missing_events += 1,
        }
    }

    /// Stores an enter event, unless its arguments are missing.
    fn store(&mut self, cx: &ApplyContext<'_>) {
        const FIRST: usize = 0;
        if cx.event.param(FIRST).is_none_or(<[u8]>::is_empty) {
            return;
        }
        let bytes = cx.event.bytes();
        let total = self.stored_bytes;
        let Some(activity) = cx.at.and_then(|at| self.activity_mut(at)) else {
            self.counters.dropped_events += 1;
            return;
        };
        let limit = if bytes.len() > STORED_ENTER_BYTES.get() {
            Some(&STORED_ENTER_BYTES)
        } else {
            let all = total + bytes.len();
            (bytes.len() > KEPT_CAPACITY && all > STORED_TOTAL_BYTES.get())
                .then_some(&STORED_TOTAL_BYTES)
        };
        if let Some(limit) = limit {
            limit.reach();
            self.counters.dropped_events += 1;
            return;
        }
        let before = long(&activity.stored);
        activity.stored.clear();
        activity.stored.extend_from_slice(bytes);
        self.stored_bytes = (total + long(&activity.stored)).saturating_sub(before);
        self.counters.stored_events += 1;
    }
}

/// Whether one event is the start of the syscall that the other ends.
pub(super) fn is_enter_of(enter: Ty, exit: Ty) -> bool {
    // An execveat that succeeds ends as the execve it has become.
    enter.code() + 1 == exit.code()
        || (enter == Ty::SyscallExecveatE && exit == Ty::SyscallExecve_19X)
}
