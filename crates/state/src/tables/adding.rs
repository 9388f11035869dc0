//! How the state takes in and forgets threads for plugins.

use std::sync::Arc;

use crate::activity::Usage;
use crate::fds::FdTable;
use crate::state::State;
use crate::thread::Thread;
use crate::tree::ThreadRef;

impl State {
    /// Adds a thread that a plugin describes, with what it has open.
    pub(super) fn add_from_table(
        &mut self,
        mut thread: Thread,
        files: &FdTable,
    ) -> Option<ThreadRef> {
        self.keep_from_exiting(thread.tid);
        let container = std::mem::take(&mut thread.container);
        let at = self.add_thread(thread, Usage::default())?;
        self.tree.link(at);
        for (fd, file) in files.iter_shared() {
            self.partition.insert_fd(at, fd, Arc::clone(file));
        }
        self.find_container(at);
        if !container.is_empty() {
            self.set_container_from_table(at, &container);
        }
        Some(at)
    }

    pub(super) fn set_container_from_table(&mut self, at: ThreadRef, id: &[u8]) {
        self.tree.set_container(at, &id.into(), false);
        self.request_accounts(at, false);
        self.remove_emptied();
    }

    /// Forgets all threads and what they have open.
    pub(super) fn clear_threads(&mut self) {
        for at in self.tree.clear() {
            self.partition.remove_thread(at);
            self.counters.removed_threads += 1;
        }
        self.remove_emptied();
    }

    /// The thread that the current event ends is no longer the one with this tid.
    pub(super) fn keep_from_exiting(&mut self, tid: i64) {
        self.exiting.take_if(|exiting| *exiting == tid);
    }

    /// The file that the current event closes is no longer the one with this number.
    pub(super) fn keep_from_closing(&mut self, owner: ThreadRef, fd: i64) {
        self.partition.closing.take_if(|closing| *closing == (owner, fd));
    }
}
