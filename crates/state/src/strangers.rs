//! What events do not tell and must be asked for: who a thread is that acts though nobody has told
//! of it, and what accounts a container has. Each is asked once, as it appears.

use std::sync::Arc;

use peregrine_event::snapshot::Item;
use peregrine_event::{Actor, Event};

use crate::state::State;
use crate::tree::ThreadRef;

impl State {
    /// The tid of the thread whose act an event is, when nobody has told of it. Beginnings and ends
    /// of threads tell of them themselves.
    pub fn stranger(&self, event: &Event<'_>) -> Option<i64> {
        (self.tree.find(event.tid).is_none() && event.ty.traits().actor == Actor::Thread)
            .then_some(event.tid)
    }

    /// Whether there is more to be said of a thread than its id.
    pub fn knows(&self, tid: i64) -> bool {
        self.tree.by_tid(tid).is_some_and(|thread| !thread.is_unknown())
    }

    /// Takes in what was found out about strangers. Those known already stay as they are.
    pub fn meet(&mut self, items: Vec<Item>) {
        let mut met = Vec::new();
        for item in items {
            match item {
                Item::Thread(thread) if !self.knows(thread.tid) => {
                    met.extend(self.load_thread(&thread));
                }
                Item::Fds(tid, fds) => {
                    if let Some(at) = self.tree.find(tid).filter(|at| met.contains(at)) {
                        fds.into_iter().for_each(|fd| self.load_fd(at, fd));
                    }
                }
                _ => {}
            }
        }
        self.join(met);
    }

    /// Whether there is a container whose accounts should be read now.
    #[inline]
    pub fn has_nameless(&self) -> bool {
        !self.nameless.is_empty()
    }

    /// A container whose accounts should be read now, and a thread that runs in it. Each is named
    /// once, if it is then told of.
    pub fn nameless(&mut self) -> Option<(Arc<[u8]>, i64)> {
        self.nameless.pop()
    }

    /// Takes in the accounts of a container, in place of those it had. Where none were found, the
    /// next program that it runs is another chance.
    pub fn name(&mut self, container: &[u8], accounts: Vec<Item>) {
        if accounts.is_empty() && self.users.has_accounts(container) {
            return;
        }
        self.users.remove_container(container);
        for item in accounts {
            match item {
                Item::User(user) => self.add_user(container, user.into()),
                Item::Group(group) => self.add_group(container, group.into()),
                _ => {}
            }
        }
    }

    /// Has the accounts of the container of a thread read, if nobody has told of them; or `again`.
    pub(crate) fn want_accounts(&mut self, at: ThreadRef, again: bool) {
        let Some(thread) = self.tree.get(at).filter(|thread| !thread.container.is_empty()) else {
            return;
        };
        let (container, tid) = (Arc::clone(&thread.container), thread.tid);
        let wanted = again || !self.users.knows(&container);
        // In captures events tell of them.
        if self.config.live && wanted && self.users.expect(&container) {
            self.nameless.push((container, tid));
        }
    }

    /// Puts new threads where they belong, once all of them are there.
    pub(crate) fn join(&mut self, new: Vec<ThreadRef>) {
        new.iter().for_each(|&at| self.tree.link(at));
        let ports = std::mem::take(&mut self.server_ports);
        for at in new {
            self.partition.fds.give_directions(at, &ports);
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
        Item::Thread(Box::new(snapshot::Thread { tid, pid, ptid, comm, ..Default::default() }))
    }

    fn stranger(state: &State, ty: EventType, tid: i64) -> Option<i64> {
        let mut bytes = Vec::new();
        let builder = Builder::new(ty, 1, tid);
        builder.finish(&mut bytes).unwrap();
        state.stranger(&Event::parse(&bytes, 0).unwrap())
    }

    #[test]
    fn a_stranger_joins_the_tree_with_what_it_has_open() {
        let mut state = State::new(Config::default());
        state.load(process(1, 1, 0, "init"));
        state.loaded();
        assert_eq!(state.counters().scanned.threads, 1);
        assert_eq!(stranger(&state, EventType::SyscallCloseX, 30), Some(30));
        assert_eq!(stranger(&state, EventType::SyscallCloseX, 1), None);
        assert_eq!(stranger(&state, EventType::SyscallClone_20X, 30), None);
        assert_eq!(stranger(&state, EventType::Procexit_1E, 30), None);

        let name = b"/etc/motd".to_vec();
        let kind = FdKind::File { flags: 1, name, mount_id: 0, dev: 0 };
        let fds = Item::Fds(30, vec![Fd { fd: 3, ino: 5, kind }]);
        let items = vec![
            process(20, 20, 1, "sh"),
            process(30, 30, 20, "cat"),
            process(31, 30, 20, "t"),
            fds,
        ];
        state.meet(items);
        let cat = state.by_tid(30).unwrap();
        let above: Vec<_> = state.ancestors(cat).map(|thread| thread.tid).collect();
        assert_eq!(above, [20, 1]);
        assert_eq!(&*state.fd(cat, 3).unwrap().name, b"/etc/motd");
        assert_eq!(state.thread_count(cat), 2);
        let scanned = state.counters().scanned;
        assert_eq!((scanned.threads, scanned.files, scanned.pipes), (4, 1, 0));
    }

    #[test]
    fn what_is_known_is_not_overwritten() {
        let mut state = State::new(Config::default());
        state.load(process(1, 1, 0, "init"));
        state.load(process(30, 30, 1, "cat"));
        state.loaded();
        state.meet(vec![process(30, 30, 1, "other"), process(31, 30, 1, "t")]);
        assert_eq!(state.by_tid(30).unwrap().comm(), b"cat");
        assert_eq!(state.thread_count(state.by_tid(31).unwrap()), 2);
    }

    #[test]
    fn accounts_of_a_container_are_asked_for_once() {
        let id = "0123456789abcdef".repeat(4);
        let in_container = |tid| {
            let Item::Thread(mut thread) = process(tid, tid, 1, "sh") else { unreachable!() };
            thread.cgroups = format!("cpu=/docker/{id}\0").into_bytes();
            Item::Thread(thread)
        };
        let user = |name: &[u8]| {
            let (home, shell) = (Vec::new(), Vec::new());
            Item::User(snapshot::User { uid: 7, gid: 7, name: name.into(), home, shell })
        };
        let asked_for = |live| {
            let mut state = State::new(Config { live, ..Config::default() });
            state.load(user(b"of_host"));
            state.load(process(1, 1, 0, "init"));
            state.load(in_container(20));
            state.load(in_container(21));
            state.loaded();
            let asked: Vec<_> = std::iter::from_fn(|| state.nameless()).collect();
            (state, asked)
        };
        assert!(asked_for(false).1.is_empty());
        let (mut state, asked) = asked_for(true);
        let [(container, tid)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!((&**container, *tid), (&b"0123456789ab"[..], 20));

        let name = |state: &State, tid| {
            state.user(state.by_tid(tid).unwrap(), 7).map(|user| user.name.to_vec())
        };
        assert_eq!(name(&state, 20), None);
        state.name(container, vec![user(b"inside")]);
        assert_eq!(name(&state, 21).as_deref(), Some(&b"inside"[..]));
        assert_eq!(name(&state, 1).as_deref(), Some(&b"of_host"[..]));
        // A process that was gone by then told of nobody.
        state.name(container, Vec::new());
        assert_eq!(name(&state, 20).as_deref(), Some(&b"inside"[..]));
    }
}
