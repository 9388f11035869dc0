//! Questions about open files of which events tell only the number, and their answers.

use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_event::snapshot;
use peregrine_event::source::FilesRequest;

use crate::fd::Fd;
use crate::fds::FdTable;
use crate::partition::Partition;
use crate::state::State;
use crate::tree::{ThreadRef, Tree};

impl Partition {
    /// A number means another file now, of which nothing else is known.
    pub(crate) fn fd_arrived(&mut self, tree: &Tree, at: ThreadRef, fd: i64) {
        let Some(owner) = tree.fd_owner(at).filter(|_| fd >= 0) else { return };
        self.fds.remove(owner, fd);
        if self.live {
            self.arrived.ask(owner, fd);
        }
    }

    /// An event tells what a number means.
    #[inline]
    pub(crate) fn fd_told(&mut self, owner: ThreadRef, fd: i64) {
        if !self.arrived.is_empty() {
            self.arrived.forget(owner, fd);
        }
    }

    /// No file of a table is waited for any more: events told them, or the table is gone.
    pub(crate) fn fds_gone(&mut self, owner: ThreadRef) {
        if !self.arrived.is_empty() {
            self.arrived.asked.remove(&owner);
        }
    }

    /// Gives `child` what `parent` has open, also the files that are asked about.
    pub(crate) fn fork_fds(&mut self, from: ThreadRef, to: ThreadRef) {
        self.fds.fork(from, to);
        if !self.arrived.is_empty()
            && let Some(asked) = self.arrived.asked.get(&from).cloned()
        {
            asked.into_iter().for_each(|fd| self.arrived.ask(to, fd));
        }
    }
}

impl State {
    /// The next question about open files.
    pub fn next_files_request(&mut self) -> Option<FilesRequest> {
        let arrived = &mut self.partition.arrived;
        while let Some((owner, fd)) = arrived.unsent.pop_front() {
            let Some(thread) = self.tree.get(owner) else {
                arrived.asked.remove(&owner);
                continue;
            };
            let mut fds = vec![fd];
            while let Some((_, fd)) = arrived.unsent.pop_front_if(|(next, _)| *next == owner) {
                fds.push(fd);
            }
            return Some(FilesRequest { tid: thread.tid, fds });
        }
        None
    }

    /// Takes in what open files are, except those of which events have told since.
    pub(crate) fn files_described(&mut self, tid: i64, asked: &[i64], fds: Vec<snapshot::Fd>) {
        let Some(owner) = self.tree.find(tid) else { return };
        let arrived = &mut self.partition.arrived;
        let waiting: HashSet<i64> =
            asked.iter().copied().filter(|&fd| arrived.forget(owner, fd)).collect();
        self.add_files(tid, |fd| waiting.contains(&fd), fds);
    }

    /// Adds open files of a thread where none is known by their numbers.
    pub(crate) fn add_files(
        &mut self,
        tid: i64,
        wanted: impl Fn(i64) -> bool,
        fds: Vec<snapshot::Fd>,
    ) {
        let Some(owner) = self.tree.find(tid) else { return };
        let mut found = FdTable::default();
        let mut ports = HashSet::new();
        for item in fds.into_iter().filter(|item| wanted(item.fd)) {
            let fd = item.fd;
            if self.partition.fds.get(owner, fd).is_some() {
                continue;
            }
            let Some(info) = Fd::from_snapshot(item, &self.partition.interfaces) else { continue };
            ports.extend(info.kind.server_port());
            found.insert(fd, Arc::new(info));
        }
        if let Some(table) = self.partition.fds.table(owner) {
            ports.extend(table.iter().filter_map(|(_, fd)| fd.kind.server_port()));
        }
        found.give_directions(&ports, true);
        for (fd, info) in found.iter_shared() {
            self.partition.insert_fd(owner, fd, Arc::clone(info));
        }
    }
}
