//! What events leave open: threads that appear in events but not in the snapshot, and the users and
//! groups of containers.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use peregrine_event::snapshot::{self, Item};
use peregrine_event::source::{AccountsRequest, Observation};
use peregrine_event::{Accounts, Actor, Event, EventType};
use peregrine_limits::ACCOUNT_REQUESTS;

use crate::moved::is_about_thread;
use crate::state::State;
use crate::thread::Thread;
use crate::tree::ThreadRef;

/// Requests for the accounts of containers that have no answer yet. There is one entry for each
/// container.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingAccounts {
    waiting: HashMap<Arc<[u8]>, Waiting>,
    unsent: VecDeque<AccountsRequest>,
    last_ticket: u64,
}

/// A request on its way.
#[derive(Clone, Debug)]
struct Waiting {
    ticket: u64,
    /// Asked again meanwhile, with this ticket and about this thread: a running read may have seen
    /// the files of before.
    again: Option<(u64, i64)>,
}

impl PendingAccounts {
    fn request(&mut self, container: Arc<[u8]>, tid: i64) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        match self.waiting.entry(container) {
            Entry::Occupied(mut waiting) => waiting.get_mut().again = Some((ticket, tid)),
            Entry::Vacant(entry) => {
                let container = Arc::clone(entry.key());
                entry.insert(Waiting { ticket, again: None });
                self.unsent.push_back(AccountsRequest { container, tid, known: false });
            }
        }
    }

    /// Whether there is room for a request. Containers may come and go faster than they are read.
    fn has_room(&self) -> bool {
        let room = self.waiting.len() < ACCOUNT_REQUESTS.get();
        if !room {
            ACCOUNT_REQUESTS.reach();
        }
        room
    }

    fn answer(&mut self, container: Arc<[u8]>) {
        if let Some(Waiting { again: Some((ticket, tid)), .. }) = self.waiting.remove(&container) {
            self.waiting.insert(Arc::clone(&container), Waiting { ticket, again: None });
            self.unsent.push_back(AccountsRequest { container, tid, known: false });
        }
    }
}

fn is_clone(ty: EventType) -> bool {
    matches!(
        ty,
        EventType::SyscallClone_20X
            | EventType::SyscallClone3X
            | EventType::SyscallFork_20X
            | EventType::SyscallVfork_20X
    )
}

impl State {
    /// The tid of the thread that an event belongs to, when it is not in the tree. Clones describe
    /// theirs themselves.
    #[inline]
    pub fn unknown_tid(&self, event: &Event<'_>) -> Option<i64> {
        if self.tree.find(event.tid).is_some() {
            return None;
        }
        let acts = match event.ty.traits().actor {
            Actor::Thread => true,
            Actor::Lifecycle => !is_clone(event.ty),
            Actor::None => event.ty == EventType::AsynceventE && is_about_thread(event),
            Actor::Passive => false,
        };
        acts.then_some(event.tid)
    }

    /// Whether a thread is described.
    pub fn knows(&self, tid: i64) -> bool {
        self.tree.by_tid(tid).is_some_and(|thread| !thread.is_unknown() && !thread.partial)
    }

    /// Adds threads that a [`ProcResolver`](peregrine_event::source::ProcResolver) has described.
    /// Known threads stay as they are.
    pub fn add_resolved(&mut self, items: Vec<Item>) {
        let (mut added, mut completed, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Thread(thread) if !self.knows(thread.tid) => {
                    let at = self.tree.find(thread.tid);
                    let known = at.and_then(|at| self.tree.get(at));
                    if let (Some(at), Some(known)) = (at, known)
                        && !known.is_unknown()
                        && known.pid == thread.pid
                    {
                        self.complete(at, &thread);
                        completed.push(at);
                        continue;
                    }
                    let fds = at.and_then(|at| self.partition.fds.table(at)).cloned();
                    if let Some(at) = self.load_thread(&thread) {
                        added.push(at);
                        told.extend(fds.map(|fds| (at, fds)));
                    }
                }
                Item::Fds(tid, fds) => match self.tree.find(tid) {
                    Some(at) if added.contains(&at) => {
                        fds.into_iter().for_each(|fd| self.load_fd(at, fd));
                    }
                    Some(at) if completed.contains(&at) => self.add_files(tid, |_| true, fds),
                    _ => {}
                },
                _ => {}
            }
        }
        self.link_new(added);
        // What events have told is not replaced by what was read: its reading began later than
        // these events, but it may have ended before the last of them.
        for (at, fds) in told {
            for (fd, info) in fds.iter_shared() {
                self.partition.insert_fd(at, fd, Arc::clone(info));
            }
        }
    }

    /// Adds to a thread what was read of it later. What is known stays: events may have told it
    /// since.
    fn complete(&mut self, at: ThreadRef, item: &snapshot::Thread) {
        let leader = self.tree.by_tid(item.pid);
        let found = Thread::from_snapshot(item, leader, &self.texts);
        if self.tree.get(at).is_some_and(|thread| thread.ptid <= 0) {
            // Its parent was not known before.
            self.tree.move_child(at, found.ptid);
        }
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.partial = found.partial;
        if thread.exec.exepath.is_empty() {
            thread.exec = found.exec;
        }
        if thread.env.is_empty() && thread.exec_ts == 0 {
            thread.env = found.env;
        }
        for (known, found) in [(&mut thread.cwd, found.cwd), (&mut thread.root, found.root)] {
            if known.is_empty() {
                *known = found;
            }
        }
        if thread.cgroups.is_empty() {
            thread.cgroups = found.cgroups;
        }
        if thread.pgid < 0 {
            thread.cap_inheritable = found.cap_inheritable;
            thread.cap_permitted = found.cap_permitted;
            thread.cap_effective = found.cap_effective;
            (thread.pgid, thread.vpgid, thread.sid) = (found.pgid, found.vpgid, found.sid);
        }
        if thread.loginuid == u32::MAX {
            thread.loginuid = found.loginuid;
        }
        if thread.tty == 0 {
            thread.tty = found.tty;
        }
        if thread.fdlimit < 0 {
            thread.fdlimit = found.fdlimit;
        }
        if thread.clone_ts == 0 {
            thread.clone_ts = found.clone_ts;
        }
        // `/proc` does not tell it of a process that has joined a namespace.
        if thread.pidns_init_start_ts == 0 {
            thread.pidns_init_start_ts = found.pidns_init_start_ts;
        }
        self.tree.link(at);
        self.find_container(at);
    }

    /// Whether a request about a container or for its accounts is to be sent.
    #[inline]
    pub fn has_requests(&self) -> bool {
        !self.pending_accounts.unsent.is_empty()
            || self.lookups.has_unsent()
            || self.partition.arrived.has_unsent()
    }

    /// The next request for accounts to be sent.
    pub fn next_account_request(&mut self) -> Option<AccountsRequest> {
        let request = self.pending_accounts.unsent.pop_front()?;
        let known = self.users.has_accounts(&request.container);
        Some(AccountsRequest { known, ..request })
    }

    /// Takes a request back that could not be sent: it is the next one again.
    pub fn postpone_account_request(&mut self, request: AccountsRequest) {
        self.counters.postponed_account_requests += 1;
        self.pending_accounts.unsent.push_front(request);
    }

    /// A ticket for the last request for the accounts of a container that has no answer yet.
    pub fn pending_accounts(&self, container: &[u8]) -> Option<u64> {
        let waiting = self.pending_accounts.waiting.get(container)?;
        Some(waiting.again.map_or(waiting.ticket, |(ticket, _)| ticket))
    }

    /// Whether the request with this ticket has been answered.
    pub fn has_answer(&self, container: &[u8], ticket: u64) -> bool {
        let waiting = self.pending_accounts.waiting.get(container);
        waiting.is_none_or(|waiting| waiting.ticket > ticket)
    }

    /// Takes in an answer. Must be called in timestamp order.
    pub fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Accounts { container, accounts } => {
                if let Some(accounts) = accounts {
                    self.set_accounts(&container, accounts);
                }
                self.pending_accounts.answer(container);
            }
            Observation::Threads(items) => self.add_resolved(items),
            Observation::Files { tid, asked, fds } => self.files_described(tid, &asked, fds),
            Observation::ContainerUnavailable { container } => {
                self.container_unavailable(&container);
            }
        }
    }

    /// Replaces the accounts of a container. Where none were found, those that are known stay, and
    /// the next program that it runs causes another read.
    fn set_accounts(&mut self, container: &[u8], accounts: Accounts) {
        if !self.tree.residents().has(container) {
            // Its last thread ended meanwhile.
            self.users.remove_container(container);
        } else if accounts.is_empty() {
            if !self.users.has_accounts(container) {
                self.users.remove_container(container);
            }
        } else if !self.users.set_container(container, accounts) {
            self.counters.dropped_others += 1;
        }
    }

    /// Queues a read of the container's passwd and group files unless they are known; `again`
    /// forces it.
    pub(crate) fn request_accounts(&mut self, at: ThreadRef, again: bool) {
        let Some(thread) = self.tree.get(at).filter(|thread| !thread.container.is_empty()) else {
            return;
        };
        if self.pending_container(thread).is_some_and(|pending| !pending.certain) {
            // It may be the host.
            return;
        }
        let (container, tid) = (Arc::clone(&thread.container), thread.tid);
        let wanted = again || !self.users.knows(&container);
        // Captures have events with the accounts.
        let wanted = self.config.live && wanted && self.pending_accounts.has_room();
        if wanted && self.users.expect(&container) {
            self.pending_accounts.request(container, tid);
        }
    }

    /// Links new threads into the tree, once all of them are there.
    pub(crate) fn link_new(&mut self, new: Vec<ThreadRef>) {
        self.loading = HashMap::new();
        new.iter().for_each(|&at| self.tree.link(at));
        let ports = std::mem::take(&mut self.server_ports);
        for at in new {
            self.partition.fds.give_directions(at, &ports, self.config.live);
            if self.config.containers {
                self.find_container(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::snapshot::{self, Fd, FdKind};
    use peregrine_event::{Builder, EventType};

    use super::*;
    use crate::Config;

    fn process(tid: i64, pid: i64, ptid: i64, comm: &str) -> Item {
        let comm = comm.as_bytes().to_vec();
        Item::Thread(Box::new(snapshot::Thread {
            tid,
            pid,
            ptid,
            comm: comm.into(),
            ..Default::default()
        }))
    }

    fn unknown_tid(state: &State, ty: EventType, tid: i64) -> Option<i64> {
        let mut bytes = Vec::new();
        let builder = Builder::new(ty, 1, tid);
        builder.finish(&mut bytes).unwrap();
        state.unknown_tid(&Event::parse(&bytes, 0).unwrap())
    }

    #[test]
    fn resolved_threads_join_the_tree_with_their_fds() {
        let mut state = State::new(Config::default());
        state.load(process(1, 1, 0, "init"));
        state.loaded();
        assert_eq!(state.counters().scanned.threads, 1);
        assert_eq!(unknown_tid(&state, EventType::SyscallCloseX, 30), Some(30));
        assert_eq!(unknown_tid(&state, EventType::SyscallCloseX, 1), None);
        assert_eq!(unknown_tid(&state, EventType::SyscallClone_20X, 30), None);
        assert_eq!(unknown_tid(&state, EventType::Procexit_1E, 30), Some(30));

        let name = b"/etc/motd".to_vec();
        let kind = FdKind::File { flags: 1, name, mount_id: 0, dev: 0 };
        let fds = Item::Fds(30, vec![Fd { fd: 3, ino: 5, kind }]);
        let items = vec![
            process(20, 20, 1, "sh"),
            process(30, 30, 20, "cat"),
            process(31, 30, 20, "t"),
            fds,
        ];
        state.add_resolved(items);
        let cat = state.by_tid(30).unwrap();
        let above: Vec<_> = state.ancestors(cat).map(|thread| thread.tid).collect();
        assert_eq!(above, [20, 1]);
        assert_eq!(&*state.fd(cat, 3).unwrap().name, b"/etc/motd");
        assert_eq!(state.thread_count(cat), 2);
        let scanned = state.counters().scanned;
        assert_eq!((scanned.threads, scanned.files, scanned.pipes), (4, 1, 0));
    }

    #[test]
    fn a_description_in_part_is_completed_and_what_events_told_stays() {
        let mut state = State::new(Config { live: true, ..Config::default() });
        state.load(process(1, 1, 0, "init"));
        state.loaded();
        let file = |fd, name: &str| {
            let kind = FdKind::File { flags: 1, name: name.into(), mount_id: 0, dev: 0 };
            Fd { fd, ino: 0, kind }
        };
        let described = |incomplete, cwd: &str| {
            let Item::Thread(mut thread) = process(30, 30, 1, "cat") else { unreachable!() };
            (thread.incomplete, thread.cwd) = (incomplete, cwd.as_bytes().into());
            thread.exepath = b"/bin/cat"[..].into();
            Item::Thread(thread)
        };
        state.add_resolved(vec![described(true, "/a"), Item::Fds(30, vec![file(3, "/three")])]);
        assert!(!state.knows(30));
        let mut bytes = Vec::new();
        let mut event = Builder::new(EventType::SyscallOpenX, 5, 30);
        event.i64(4).text("/four").u32(1).u32(0).u32(0).u64(0).finish(&mut bytes).unwrap();
        state.apply(&Event::parse(&bytes, 0).unwrap());
        let late = vec![file(3, "/other"), file(4, "/older"), file(5, "/five")];
        let items = vec![described(false, "/b"), process(31, 30, 1, "t"), Item::Fds(30, late)];
        state.add_resolved(items);
        assert!(state.knows(30));
        let cat = state.by_tid(30).unwrap();
        assert_eq!((state.cwd(cat), state.thread_count(cat)), (&b"/a/"[..], 2));
        let names: Vec<_> = state.fds(cat).map(|(_, fd)| fd.name.to_vec()).collect();
        assert_eq!(names, [b"/three".to_vec(), b"/four".to_vec(), b"/five".to_vec()]);
        // It is whole now.
        state.add_resolved(vec![described(false, "/c"), Item::Fds(30, vec![file(6, "/six")])]);
        assert_eq!(state.fds(state.by_tid(30).unwrap()).count(), 3);
    }

    #[test]
    fn known_threads_are_not_overwritten() {
        let mut state = State::new(Config::default());
        state.load(process(1, 1, 0, "init"));
        state.load(process(30, 30, 1, "cat"));
        state.loaded();
        state.add_resolved(vec![process(30, 30, 1, "other"), process(31, 30, 1, "t")]);
        assert_eq!(state.by_tid(30).unwrap().comm(), b"cat");
        assert_eq!(state.thread_count(state.by_tid(31).unwrap()), 2);
    }

    #[test]
    fn accounts_of_a_container_are_asked_for_once() {
        let id = "0123456789abcdef".repeat(4);
        let in_container = |tid| {
            let Item::Thread(mut thread) = process(tid, tid, 1, "sh") else { unreachable!() };
            thread.cgroups = format!("cpu=/docker/{id}\0").into_bytes().into();
            Item::Thread(thread)
        };
        let user = |name: &[u8]| snapshot::User {
            uid: 7,
            gid: 7,
            name: name.into(),
            home: Vec::new(),
            shell: Vec::new(),
        };
        let answer = |container: &Arc<[u8]>, users: Option<&[snapshot::User]>| {
            let accounts = users.map(|users| {
                let mut accounts = Accounts::default();
                users.iter().for_each(|user| assert!(accounts.add_user(user.clone())));
                accounts
            });
            Observation::Accounts { container: Arc::clone(container), accounts }
        };
        let asked_for = |live| {
            let mut state = State::new(Config { live, ..Config::default() });
            state.load(Item::User(user(b"of_host")));
            state.load(process(1, 1, 0, "init"));
            state.load(in_container(20));
            state.load(in_container(21));
            state.loaded();
            let asked: Vec<_> = std::iter::from_fn(|| state.next_account_request()).collect();
            (state, asked)
        };
        assert!(asked_for(false).1.is_empty());
        let (mut state, asked) = asked_for(true);
        let [AccountsRequest { container, tid, known: false }] = asked.as_slice() else {
            panic!("{asked:?}")
        };
        assert_eq!((&**container, *tid), (&b"0123456789ab"[..], 20));

        let name = |state: &State, tid| {
            state.user(state.by_tid(tid).unwrap(), 7).map(|user| user.name.to_vec())
        };
        assert_eq!(name(&state, 20), None);
        let ticket = state.pending_accounts(container).unwrap();
        assert!(!state.has_answer(container, ticket));
        state.observe(answer(container, Some(&[user(b"inside")])));
        assert!(state.has_answer(container, ticket));
        assert_eq!(state.pending_accounts(container), None);
        assert_eq!(name(&state, 21).as_deref(), Some(&b"inside"[..]));
        assert_eq!(name(&state, 1).as_deref(), Some(&b"of_host"[..]));
        // No change, or a process that was gone, changes nothing.
        state.observe(answer(container, None));
        state.observe(answer(container, Some(&[])));
        assert_eq!(name(&state, 20).as_deref(), Some(&b"inside"[..]));
        // Accounts end with the last thread of their container, also those that come later.
        state.remove_thread(20);
        assert!(state.users().has_accounts(container));
        state.remove_thread(21);
        assert!(!state.users().has_accounts(container));
        state.observe(answer(container, Some(&[user(b"inside")])));
        assert_eq!(state.users().container_bytes(), 0);
    }

    #[test]
    fn a_request_during_another_is_sent_after_its_answer() {
        let mut pending = PendingAccounts::default();
        let container: Arc<[u8]> = b"c"[..].into();
        for tid in 1..=3 {
            pending.request(Arc::clone(&container), tid);
        }
        let request =
            |tid| AccountsRequest { container: Arc::clone(&container), tid, known: false };
        assert_eq!(pending.unsent.drain(..).collect::<Vec<_>>(), [request(1)]);
        pending.answer(Arc::clone(&container));
        assert_eq!(pending.unsent.drain(..).collect::<Vec<_>>(), [request(3)]);
        assert_eq!(pending.waiting.get(&container).map(|waiting| waiting.ticket), Some(3));
        pending.answer(Arc::clone(&container));
        assert!(pending.unsent.is_empty() && pending.waiting.is_empty());
    }
}
