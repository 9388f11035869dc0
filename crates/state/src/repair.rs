//! After a loss of events: the state is compared with what was read from the machine and corrected.

use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_event::snapshot::{self, Item};
use peregrine_event::source::Repair;

use crate::activity::Usage;
use crate::fd::{Fd, FdKind};
use crate::fds::FdTable;
use crate::state::State;
use crate::thread::Thread;
use crate::tree::ThreadRef;

/// A process that began later than the known one by more than this is another one; less is clock
/// error.
const SAME_START: u64 = 50_000_000;

impl State {
    /// Applies what was read from the machine. Must be applied in timestamp order with the events.
    pub fn repair(&mut self, repair: Repair) {
        match repair {
            Repair::Alive { since, pids } => self.remove_dead(since, &pids.into_iter().collect()),
            Repair::Process { pid, items, open } => {
                self.counters.reread_processes += 1;
                if items.is_empty() {
                    self.remove_process(pid);
                } else {
                    self.correct_process(pid, items, &open.into_iter().collect());
                }
            }
        }
    }

    /// Removes the processes whose end was lost.
    fn remove_dead(&mut self, since: u64, alive: &HashSet<i64>) {
        let dead = self.tree.iter().filter(|thread| {
            // Of a thread that is not known, the process is not either: if it is not the first one
            // and lives, its next event has it looked up again.
            let ended = thread.is_leader() || thread.is_unknown();
            ended && thread.clone_ts < since && !alive.contains(&thread.tid)
        });
        let dead: Vec<i64> = dead.map(|thread| thread.tid).collect();
        dead.into_iter().for_each(|pid| self.remove_process(pid));
    }

    fn remove_process(&mut self, pid: i64) {
        let Some(at) = self.tree.find(pid) else { return };
        for tid in self.tree.others(at).into_iter().chain([pid]) {
            self.counters.corrected_threads += 1;
            self.remove_thread(tid);
        }
    }

    fn correct_process(&mut self, pid: i64, items: Vec<Item>, open: &HashSet<i64>) {
        let tids: HashSet<i64> = items.iter().filter_map(tid_of).collect();
        let known = self.tree.find(pid).map(|at| self.tree.others(at)).unwrap_or_default();
        for tid in known.into_iter().filter(|tid| !tids.contains(tid)) {
            self.counters.corrected_threads += 1;
            self.remove_thread(tid);
        }
        let mut new = Vec::new();
        for item in items {
            match item {
                Item::Thread(item) => {
                    let found = Thread::from_snapshot(&item, self.tree.by_tid(pid), &self.texts);
                    match self.same(&found) {
                        Some(at) => {
                            let corrected = self.correct_thread(at, found);
                            self.counters.corrected_threads += u64::from(corrected);
                        }
                        None => {
                            self.counters.corrected_threads += 1;
                            self.remove_thread(found.tid);
                            new.extend(self.add_thread(found, Usage::from(&*item)));
                        }
                    }
                }
                Item::Fds(tid, fds) => {
                    if let Some(at) = self.tree.find(tid) {
                        self.correct_fds(at, fds, open);
                    }
                }
                _ => {}
            }
        }
        self.link_new(new);
    }

    /// The thread that is known by the same tid, if it is the same one.
    fn same(&self, found: &Thread) -> Option<ThreadRef> {
        let at = self.tree.find(found.tid)?;
        let known = self.tree.get(at)?;
        let later = found.clone_ts > known.clone_ts.saturating_add(SAME_START);
        let other = known.is_unknown() || known.pid != found.pid || (known.clone_ts > 0 && later);
        (!other).then_some(at)
    }

    /// Returns whether there was something to correct.
    fn correct_thread(&mut self, at: ThreadRef, found: Thread) -> bool {
        let mut corrected = self.tree.move_child(at, found.ptid);
        let Some(thread) = self.tree.get_mut(at) else { return corrected };
        let program = |thread: &Thread| (thread.exec.exepath.clone(), thread.exec.args.clone());
        if program(thread) != program(&found) {
            thread.exec = Arc::clone(&found.exec);
            thread.env = found.env.clone();
            corrected = true;
        }
        if thread.cwd != found.cwd && found.is_leader() {
            thread.cwd = Arc::clone(&found.cwd);
            corrected = true;
        }
        let credentials = |thread: &Thread| {
            let caps = (thread.cap_inheritable, thread.cap_permitted, thread.cap_effective);
            (thread.uid, thread.gid, thread.loginuid, caps)
        };
        if credentials(thread) != credentials(&found) {
            (thread.uid, thread.gid, thread.loginuid) = (found.uid, found.gid, found.loginuid);
            thread.cap_inheritable = found.cap_inheritable;
            thread.cap_permitted = found.cap_permitted;
            thread.cap_effective = found.cap_effective;
            corrected = true;
        }
        let session = |thread: &Thread| (thread.sid, thread.pgid, thread.vpgid, thread.tty);
        if session(thread) != session(&found) {
            (thread.sid, thread.pgid, thread.vpgid) = (found.sid, found.pgid, found.vpgid);
            thread.tty = found.tty;
            corrected = true;
        }
        if corrected && self.config.containers {
            self.find_container(at);
        }
        corrected
    }

    /// `open` are the numbers of all open files; of some nothing else could be read.
    fn correct_fds(&mut self, owner: ThreadRef, fds: Vec<snapshot::Fd>, open: &HashSet<i64>) {
        let mut found = FdTable::default();
        let mut ports = HashSet::new();
        for item in fds {
            let fd = item.fd;
            let Some(info) = Fd::from_snapshot(item, &self.partition.interfaces) else { continue };
            ports.extend(info.kind.server_port());
            found.insert(fd, Arc::new(info));
        }
        found.give_directions(&ports, true);
        let mut corrected = self.partition.fds.retain(owner, |fd, _| open.contains(&fd));
        for (fd, info) in found.iter_shared() {
            if self.partition.fds.get(owner, fd).is_some_and(|known| is_same_file(known, info)) {
                continue;
            }
            corrected += 1;
            if self.partition.fds.insert(owner, fd, Arc::clone(info)).is_err() {
                self.counters.dropped_fds += 1;
            }
        }
        self.counters.corrected_fds += corrected as u64;
    }
}

fn tid_of(item: &Item) -> Option<i64> {
    match item {
        Item::Thread(thread) => Some(thread.tid),
        _ => None,
    }
}

/// Whether an fd of the state and one that was read are the same file. Events know more of
/// connections, and not always the inode.
fn is_same_file(known: &Fd, found: &Fd) -> bool {
    if known.ino != 0 && found.ino != 0 && known.ino != found.ino {
        return false;
    }
    match (&known.kind, &found.kind) {
        (FdKind::Ipv4(a), FdKind::Ipv4(b)) => {
            let ends = (a.sip, a.sport, a.dip, a.dport);
            ends == (b.sip, b.sport, b.dip, b.dport) || ends == (b.dip, b.dport, b.sip, b.sport)
        }
        (FdKind::Unix { .. }, FdKind::Unix { .. }) => {
            known.name == found.name || known.name.is_empty() || found.name.is_empty()
        }
        (FdKind::File, FdKind::File) => known.ino == found.ino || known.name == found.name,
        (known, found) => known == found,
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::{Builder, Event, EventType, snapshot};

    use super::*;
    use crate::Config;

    const START: u64 = 1_700_000_000_000_000_000;

    fn process(tid: i64, pid: i64, ptid: i64, exe: &str) -> snapshot::Thread {
        let comm = exe.as_bytes().into();
        let exepath = format!("/bin/{exe}").into_bytes().into();
        snapshot::Thread { tid, pid, ptid, comm, exepath, clone_ts: START, ..Default::default() }
    }

    fn thread(tid: i64, pid: i64, ptid: i64, exe: &str) -> Item {
        Item::Thread(Box::new(process(tid, pid, ptid, exe)))
    }

    fn file(fd: i64, ino: u64, name: &str) -> snapshot::Fd {
        let kind = snapshot::FdKind::File { flags: 1, name: name.into(), mount_id: 0, dev: 0 };
        snapshot::Fd { fd, ino, kind }
    }

    /// init, a shell 10 below it, and 20 with two threads below that.
    fn state() -> State {
        let mut state = State::new(Config::default());
        state.load(thread(1, 1, 0, "init"));
        state.load(thread(10, 10, 1, "sh"));
        state.load(thread(20, 20, 10, "server"));
        state.load(thread(21, 20, 10, "server"));
        state.load(thread(22, 20, 10, "server"));
        state.load(Item::Fds(20, vec![file(3, 30, "/a"), file(4, 40, "/b"), file(5, 50, "/c")]));
        state.loaded();
        state
    }

    fn found(state: &mut State, pid: i64, items: Vec<Item>, open: &[i64]) -> (u64, u64) {
        let before = state.counters();
        state.repair(Repair::Process { pid, items, open: open.to_vec() });
        let now = state.counters();
        assert_eq!(now.reread_processes, before.reread_processes + 1);
        (now.corrected_threads - before.corrected_threads, now.corrected_fds - before.corrected_fds)
    }

    #[test]
    fn a_correct_state_stays_as_it_is() {
        let mut state = state();
        let items = vec![
            thread(20, 20, 10, "server"),
            thread(21, 20, 10, "server"),
            thread(22, 20, 10, "server"),
            Item::Fds(20, vec![file(3, 30, "/a"), file(4, 40, "/b"), file(5, 50, "/c")]),
        ];
        assert_eq!(found(&mut state, 20, items, &[3, 4, 5]), (0, 0));
    }

    #[test]
    fn a_lost_exec_a_lost_thread_and_lost_files_are_found() {
        let mut state = state();
        let items = vec![
            thread(20, 20, 1, "other"),
            thread(22, 20, 1, "other"),
            thread(23, 20, 1, "other"),
            Item::Fds(20, vec![file(3, 30, "/a"), file(4, 41, "/new"), file(6, 60, "/d")]),
        ];
        // One has ended, one is new, and two were changed; 5 was closed, and 4 closed and used
        // again.
        assert_eq!(found(&mut state, 20, items, &[3, 4, 6, 7]), (4, 3));
        let server = state.by_tid(20).unwrap();
        assert_eq!((&*server.exec.exepath, server.ptid), (&b"/bin/other"[..], 1));
        assert_eq!(state.thread_count(server), 3);
        assert!(state.by_tid(21).is_none());
        let above: Vec<_> = state.ancestors(server).map(|thread| thread.tid).collect();
        assert_eq!(above, [1]);
        let names: Vec<_> = state.fds(server).map(|(fd, info)| (fd, info.name.to_vec())).collect();
        let expected = [(3, b"/a".to_vec()), (4, b"/new".to_vec()), (6, b"/d".to_vec())];
        assert_eq!(names, expected);
        // Orphans of the old parent are none of its own any more.
        found(&mut state, 10, vec![], &[]);
        assert_eq!(state.by_tid(20).unwrap().ptid, 1);
    }

    #[test]
    fn another_process_with_the_same_id_is_another_one() {
        let mut state = state();
        let mut new = process(20, 20, 10, "server");
        new.clone_ts = START + 1_000_000_000;
        let items = vec![Item::Thread(Box::new(new)), Item::Fds(20, vec![])];
        assert_eq!(found(&mut state, 20, items, &[]).0, 3);
        let server = state.by_tid(20).unwrap();
        assert_eq!((server.clone_ts, state.thread_count(server)), (START + 1_000_000_000, 1));
        assert_eq!(state.fd_count(server), 0);
    }

    #[test]
    fn processes_missing_in_the_list_are_removed() {
        let mut state = state();
        state.repair(Repair::Alive { since: START + 1, pids: vec![1, 20, 99] });
        assert!(state.by_tid(10).is_none() && state.by_tid(1).is_some());
        assert_eq!(state.by_tid(20).unwrap().ptid, 1);
        // Those that began later may be missing in the list.
        state.repair(Repair::Alive { since: START, pids: vec![] });
        assert!(state.by_tid(20).is_some());
        state.repair(Repair::Alive { since: START + 1, pids: vec![1] });
        assert!(state.by_tid(20).is_none() && state.by_tid(22).is_none());
        assert_eq!(state.tree().len(), 1);
    }

    #[test]
    fn threads_that_never_were_known_and_have_ended_are_removed() {
        let mut state = state();
        for tid in [500, 501] {
            let mut bytes = Vec::new();
            let mut event = Builder::new(EventType::SyscallCloseX, START, tid);
            event.i64(-9).i64(3).finish(&mut bytes).unwrap();
            state.apply(&Event::parse(&bytes, 0).unwrap());
            assert!(state.by_tid(tid).is_some_and(Thread::is_unknown));
        }
        state.repair(Repair::Alive { since: START + 1, pids: vec![1, 10, 20, 501] });
        assert!(state.by_tid(500).is_none() && state.by_tid(501).is_some());
    }
}
