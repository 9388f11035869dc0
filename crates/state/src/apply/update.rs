//! What the kernel tells of a task after a change.

use std::sync::Arc;

use peregrine_event::params::asyncevent_e as asyncevent;

use super::context::ApplyContext;
use crate::activity::Usage;
use crate::fds::FdTable;
use crate::state::State;
use crate::texts::Texts;
use crate::thread::{Exec, Thread, ThreadFlags, UNKNOWN_DIRECTORY, cut_path, directory};
use crate::tree::ThreadRef;
use crate::update::{Update, Updated};

impl State {
    pub(super) fn task_updated(&mut self, cx: &ApplyContext<'_>) {
        let data = cx.event.param(asyncevent::DATA);
        let Some(update) = data.and_then(Update::parse) else { return };
        let known = self.partition.find(&self.tree, cx.event.tid);
        let known = known.filter(|at| self.tree.get(*at).is_some_and(|known| !known.is_unknown()));
        let Some(at) = known.or_else(|| self.add_updated(cx.event.tid, &update)) else { return };
        if let Some(maker) = self.tree.find(update.maker).filter(|maker| *maker != at) {
            self.inherit_again(at, maker);
        }
        let own = self.partition.activity_mut(at).map(|activity| &mut activity.updated_ts);
        // One from elsewhere that took long to arrive is older than what is known.
        if let Some(last) = own.filter(|last| update.by_call || **last <= cx.event.ts) {
            *last = cx.event.ts;
            self.set_credentials(at, &update);
        }
        if update.own_files {
            self.unshare_files(at);
        }
        if update.joins {
            self.forget_directory(at);
        } else if !update.cwd.is_empty() {
            self.set_directory(at, &update, cx.event.ts);
        }
        for tid in update.threads() {
            if self.tree.by_tid(tid).is_none_or(Thread::is_unknown) {
                self.add_updated(tid, &update);
            }
        }
        if let Some(activity) = self.partition.activity_mut(at) {
            let directory = update.by_call && !update.cwd.is_empty();
            activity.updated = Updated { task: update.by_call, directory };
        }
    }

    fn set_credentials(&mut self, at: ThreadRef, update: &Update<'_>) {
        let Some(thread) = self.tree.get_mut(at) else { return };
        (thread.uid, thread.gid) = (update.uid, update.gid);
        thread.cap_inheritable = update.cap_inheritable;
        thread.cap_permitted = update.cap_permitted;
        thread.cap_effective = update.cap_effective;
        if thread.comm() != update.comm {
            let exec = &thread.exec;
            let renamed = exec.renamed(update.comm, &exec.exe, exec.args.bytes());
            (thread.exec, _) = renamed.admit(exec, Default::default(), &self.texts);
        }
        let container = Arc::clone(&thread.container);
        self.note_user(&container, update.uid, update.gid);
        self.set_group_ids(at, update.pgid, update.vpgid, Some(update.sid));
    }

    /// Adds a thread of a process of which the kernel tells, in place of a placeholder.
    fn add_updated(&mut self, tid: i64, update: &Update<'_>) -> Option<ThreadRef> {
        let before = self.tree.find(tid);
        let fds = before.and_then(|at| self.partition.fds.table(at)).cloned();
        let mut thread = Thread::new(tid);
        (thread.pid, thread.ptid) = (update.pid, update.ptid);
        (thread.vtid, thread.vpid) = (update.vtid, update.vpid);
        (thread.uid, thread.gid) = (update.uid, update.gid);
        thread.partial = true;
        if tid != update.pid {
            thread.flags.insert(ThreadFlags::CLONE_FILES.or(ThreadFlags::CLONE_THREAD));
        }
        let leader = self.tree.by_tid(update.pid);
        thread.exec = match leader {
            Some(leader) => Arc::clone(&leader.exec),
            None => Arc::new(Exec::named(update.comm, Texts::default())),
        };
        if let Some(leader) = leader {
            thread.cgroups = leader.cgroups.clone();
        }
        if before.is_some() {
            self.remove_thread(tid);
        }
        let at = self.add_thread(thread, Usage::default())?;
        for (fd, info) in fds.iter().flat_map(FdTable::iter_shared) {
            self.partition.insert_fd(at, fd, Arc::clone(info));
        }
        self.tree.link(at);
        self.find_container(at);
        Some(at)
    }

    /// What the kernel has told already of the call that this event ends.
    pub(super) fn take_update(&mut self, cx: &ApplyContext<'_>) -> Updated {
        let activity = cx.at.and_then(|at| self.partition.activity_mut(at));
        activity.map(|activity| std::mem::take(&mut activity.updated)).unwrap_or_default()
    }

    /// Sets process group and session, which all threads of a process have in common.
    pub(super) fn set_group_ids(&mut self, at: ThreadRef, pgid: i64, vpgid: i64, sid: Option<i64>) {
        let others = self.tree.others(at).into_iter().filter_map(|tid| self.tree.find(tid));
        let others: smallvec::SmallVec<[ThreadRef; 8]> = others.collect();
        let leader = self.tree.leader_ref(at);
        for at in others.into_iter().chain(leader).chain([at]) {
            let Some(thread) = self.tree.get_mut(at) else { continue };
            (thread.pgid, thread.vpgid) = (pgid, vpgid);
            thread.sid = sid.unwrap_or(thread.sid);
        }
    }

    /// The open files of a thread are its own from here on.
    pub(super) fn unshare_files(&mut self, at: ThreadRef) {
        let Some(thread) = self.tree.get(at) else { return };
        if thread.is_leader() || !thread.shares_fds() {
            return;
        }
        if let Some(owner) = self.tree.fd_owner(at) {
            self.partition.fork_fds(owner, at);
        }
        if let Some(thread) = self.tree.get_mut(at) {
            thread.flags.remove(ThreadFlags::CLONE_FILES);
        }
    }

    /// Sets the working directory of a process, or of a thread that has its own.
    fn set_directory(&mut self, at: ThreadRef, update: &Update<'_>, ts: u64) {
        let target = if update.own_directory { Some(at) } else { self.tree.leader_ref(at) };
        let Some(thread) = target.and_then(|target| self.tree.get_mut(target)) else { return };
        if ts < thread.cwd_ts && !update.by_call {
            return;
        }
        thread.cwd_ts = ts;
        let path = cut_path(update.cwd);
        if thread.cwd.strip_suffix(b"/") != Some(path.strip_suffix(b"/").unwrap_or(path)) {
            thread.cwd = directory(path).into();
        }
        if target != Some(at)
            && let Some(thread) = self.tree.get_mut(at).filter(|thread| !thread.cwd.is_empty())
        {
            thread.cwd = Arc::default();
        }
    }

    /// The working directory of a process is unknown, unless the kernel has told it. What was read
    /// of the process may be newer than its next events.
    fn forget_directory(&mut self, at: ThreadRef) {
        let leader = self.tree.leader_ref(at).and_then(|leader| self.tree.get_mut(leader));
        if let Some(leader) = leader.filter(|leader| leader.cwd_ts == 0) {
            leader.cwd = UNKNOWN_DIRECTORY.into();
        }
    }

    /// The working directory of a thread is its own from here on.
    pub(super) fn unshare_directory(&mut self, at: ThreadRef) {
        let Some(thread) = self.tree.get(at) else { return };
        let Some(cwd) = self.tree.leader(thread).map(|leader| Arc::clone(&leader.cwd)) else {
            return;
        };
        let leads = thread.is_leader();
        let others = if leads { self.tree.others(at) } else { Default::default() };
        // What a leader leaves stays that of the others.
        let others = others.into_iter().filter_map(|tid| self.tree.find(tid));
        let own: smallvec::SmallVec<[ThreadRef; 8]> =
            others.chain((!leads).then_some(at)).collect();
        for at in own {
            if let Some(thread) = self.tree.get_mut(at).filter(|thread| thread.cwd.is_empty()) {
                thread.cwd = Arc::clone(&cwd);
            }
        }
    }
}
