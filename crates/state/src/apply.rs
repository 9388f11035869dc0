//! What each event does to the state: from the event to the family that knows.

mod attributes;
mod context;
mod files;
mod local;
mod moved;
mod process;
mod sockets;
mod tables;
mod update;
mod usage;

use peregrine_event::{Actor, Event, EventType as Ty, params};

use crate::activity::Usage;
use crate::state::{Context, State};
use crate::thread::Thread;
use crate::tree::ThreadRef;
use context::ApplyContext;
use local::is_enter_of;

impl State {
    /// Applies an event and returns what it is about. What it removes stays visible until the next
    /// one.
    pub fn apply(&mut self, event: &Event<'_>) -> Context {
        self.settle(event.ts);
        let prev_ts = self.partition.clock.advance(event);
        let traits = event.ty.traits();
        let at = self.actor(event, traits.actor);
        let mut cx = ApplyContext::new(event, traits, at);
        if self.partition.begin(&self.tree, &mut cx) {
            self.dispatch_with_enter(&mut cx);
        } else {
            self.dispatch(&mut cx, None);
        }
        self.context(&cx, prev_ts)
    }

    /// Does what the event before left to do.
    #[inline]
    fn settle(&mut self, ts: u64) {
        self.event_container = None;
        if let Some(tid) = self.exiting.take() {
            self.settle_exit(tid, ts);
        }
        self.partition.settle();
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
            Actor::Passive | Actor::Lifecycle => self.partition.find(&self.tree, event.tid),
            Actor::Thread => self.find_or_add(event.tid),
        }
    }

    /// Applies an exit event whose enter event is stored.
    #[inline(never)]
    fn dispatch_with_enter(&mut self, cx: &mut ApplyContext<'_>) {
        let stored = self.partition.take_stored(cx);
        let enter = Event::parse(&stored, 0).ok();
        self.dispatch(cx, enter.as_ref().filter(|enter| is_enter_of(enter.ty, cx.event.ty)));
        self.partition.keep_memory(cx.at, stored);
    }

    /// Only events that say so may change more than the partition of their thread.
    fn dispatch(&mut self, cx: &mut ApplyContext<'_>, enter: Option<&Event<'_>>) {
        if cx.traits.changes_tree {
            self.apply_to_tree(cx, enter);
        } else if cx.traits.actor == Actor::None {
            self.apply_description(cx);
        } else {
            self.partition.apply(&self.tree, cx, enter);
        }
    }

    /// Threads that begin and end, and what processes change of themselves.
    fn apply_to_tree(&mut self, cx: &mut ApplyContext<'_>, enter: Option<&Event<'_>>) {
        let updated = self.take_update(cx);
        if updated.covers(cx.event.ty) {
            return;
        }
        match cx.event.ty {
            Ty::SyscallClone_20X
            | Ty::SyscallFork_20X
            | Ty::SyscallVfork_20X
            | Ty::SyscallClone3X => self.clone_exit(cx),
            Ty::SyscallExecve_19X | Ty::SyscallExecveatX => self.exec(cx, enter),
            Ty::Procexit_1E => self.exit(cx),
            Ty::SyscallPrctlX => self.prctl(cx),
            Ty::SyscallSetsidX => self.setsid(cx),
            Ty::SyscallSetpgidX => self.setpgid(cx, updated),
            Ty::SyscallChdirX | Ty::SyscallGetcwdX => self.chdir(cx),
            Ty::SyscallFchdirX => self.fchdir(cx),
            Ty::SyscallChrootX => self.chroot(cx),
            Ty::SyscallUnshareX => self.unshare(cx),
            Ty::SyscallSetnsX => self.enter_namespace(cx, cx.u32(params::syscall_setns_x::NSTYPE)),
            Ty::SyscallGetrlimitX | Ty::SyscallSetrlimitX => self.rlimit(cx),
            Ty::SyscallPrlimitX => self.prlimit(cx),
            Ty::SyscallSetresuidX => self.set_uid(cx, params::syscall_setresuid_x::EUID),
            Ty::SyscallSetreuidX => self.set_uid(cx, params::syscall_setreuid_x::EUID),
            Ty::SyscallSetuidX => self.set_uid(cx, params::syscall_setuid_x::UID),
            Ty::SyscallSetresgidX => self.set_gid(cx, params::syscall_setresgid_x::EGID),
            Ty::SyscallSetregidX => self.set_gid(cx, params::syscall_setregid_x::EGID),
            Ty::SyscallSetgidX => self.set_gid(cx, params::syscall_setgid_x::GID),
            Ty::SyscallCapsetX => self.capset(cx),
            ty => debug_assert!(false, "{ty:?} does not change the tree"),
        }
    }

    /// Descriptions of users, groups and containers.
    fn apply_description(&mut self, cx: &ApplyContext<'_>) {
        match cx.event.ty {
            Ty::UserAddedE => self.user_added(cx),
            Ty::UserDeletedE => self.user_deleted(cx),
            Ty::GroupAddedE => self.group_added(cx),
            Ty::GroupDeletedE => self.group_deleted(cx),
            Ty::ContainerE => self.container_added(cx),
            Ty::ContainerJsonE | Ty::ContainerJson_2E => self.container_described(cx),
            Ty::AsynceventE => self.async_event(cx),
            _ => {}
        }
    }

    fn context(&self, cx: &ApplyContext<'_>, prev_ts: u64) -> Context {
        let thread = cx.at.or_else(|| self.tree.find(cx.event.tid));
        let activity = thread.and_then(|at| self.partition.activity(at));
        let fd = activity.map_or(-1, |activity| activity.fd);
        let known = cx.fd_at.or_else(|| self.partition.fd_place(&self.tree, thread?, fd));
        Context {
            fd,
            name_changed: cx.renamed,
            error: cx.error,
            prev_ts,
            first_ts: self.first_ts(),
            exec_time: cx.exec_time,
            thread,
            fd_at: known,
        }
    }

    /// The thread with this tid, or one of which nothing else is known.
    #[inline]
    pub(crate) fn find_or_add(&mut self, tid: i64) -> Option<ThreadRef> {
        self.partition.find(&self.tree, tid).or_else(|| self.add_unknown(tid))
    }

    #[cold]
    fn add_unknown(&mut self, tid: i64) -> Option<ThreadRef> {
        self.counters.unknown_threads += 1;
        self.add_thread(Thread::unknown(tid), Usage::default())
    }

    pub(crate) fn remove_thread(&mut self, tid: i64) {
        // The kernel knows the new parent of its children, even when that is not known here.
        let orphans = self.tree.by_tid(tid).filter(|thread| !thread.children.is_empty());
        if let Some(reaper) = orphans.map(|thread| thread.reaper_tid).filter(|&tid| tid > 0) {
            self.find_or_add(reaper);
        }
        for at in self.tree.remove(tid) {
            self.partition.remove_thread(at);
            self.counters.removed_threads += 1;
        }
        self.remove_emptied();
    }

    /// Removes what is known of containers that have lost their last thread.
    #[inline]
    pub(crate) fn remove_emptied(&mut self) {
        while let Some(container) = self.tree.next_emptied() {
            self.lookups.emptied(&container);
            // What captures tell of a container is not told again.
            if self.config.live {
                self.users.remove_container(&container);
            }
        }
    }
}

#[cfg(test)]
mod tests;
