//! Processes that were moved to other control groups.

use std::sync::Arc;

use peregrine_event::params::asyncevent_e as asyncevent;

use super::context::ApplyContext;
use crate::activity::Usage;
use crate::moved::Moved;
use crate::state::State;
use crate::texts::Texts;
use crate::thread::{Exec, Thread, ThreadFlags, cgroups};
use crate::tree::ThreadRef;

impl State {
    pub(super) fn moved(&mut self, cx: &ApplyContext<'_>) {
        let data = cx.event.param(asyncevent::DATA);
        let Some(moved) = data.and_then(Moved::parse) else { return };
        let groups = cgroups(moved.groups).filter(|groups| !groups.is_empty());
        let Some(groups) = groups else { return };
        if !self.knows(cx.event.tid) {
            self.add_moved(cx.event.tid, &moved);
        }
        let Some(at) = self.tree.find(cx.event.tid) else { return };
        self.set_cgroups(at, &groups);
        if moved.whole_process {
            for tid in self.tree.others(at) {
                if let Some(at) = self.tree.find(tid) {
                    self.set_cgroups(at, &groups);
                }
            }
        }
    }

    fn set_cgroups(&mut self, at: ThreadRef, groups: &Texts) {
        if let Some(thread) = self.tree.get_mut(at).filter(|thread| thread.cgroups != *groups) {
            thread.cgroups = groups.clone();
            self.find_container(at);
        }
    }

    /// Adds a thread of which no other event has told.
    fn add_moved(&mut self, tid: i64, moved: &Moved<'_>) {
        let mut thread = Thread::new(tid);
        (thread.pid, thread.ptid) = (moved.pid, moved.ptid);
        (thread.vtid, thread.vpid) = (moved.vtid, moved.vpid);
        (thread.uid, thread.gid) = (moved.uid, moved.gid);
        thread.flags.insert(ThreadFlags(moved.flags));
        thread.partial = true;
        thread.pidns_init_start_ts = if thread.has_own_ids() {
            moved.pidns_init_start.wrapping_add(self.boot_ts())
        } else {
            self.boot_ts()
        };
        if tid != moved.pid {
            thread.flags.insert(ThreadFlags::CLONE_FILES.or(ThreadFlags::CLONE_THREAD));
        }
        thread.exec = Arc::new(Exec::named(moved.comm, Texts::default()));
        if let Some(at) = self.add_thread(thread, Usage::default()) {
            self.tree.link(at);
        }
    }
}
