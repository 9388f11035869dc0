//! What a snapshot has no form for: containers, their users and groups, which groups are the
//! host's, and what the API server of Kubernetes has told. A recording has events about them at its
//! beginning.

use std::sync::Arc;

use peregrine_event::snapshot::{Fd, Item};
use peregrine_event::source::Observation;
use peregrine_event::{Accounts, Builder, Event, EventType};

use crate::containers::Container;
use crate::dumper::StateDumper;
use crate::kubernetes::{Change as KubernetesChange, KUBERNETES_EVENT};
use crate::state::State;
use crate::thread::Thread;

/// Name of the asynchronous event about a container that no runtime knows. Its data is the id.
pub(crate) const CONTAINER_UNAVAILABLE: &[u8] = b"container_unavailable";

/// Name of the asynchronous event with which recordings of runs begin that ask runtimes, and which
/// they have where a run begins to ask: from there on, descriptions of containers follow the first
/// events of these.
pub const CONTAINERS_LOOKED_UP: &[u8] = b"containers_looked_up";

/// Name of the asynchronous event with the answer to a question about open files: the thread, and
/// the files as JSON.
pub(crate) const FILES: &[u8] = b"files";

/// Name of the asynchronous event about the times of threads, which a snapshot has no form for. Its
/// data is one record of numbers after the other.
pub(crate) const TIMES: &[u8] = b"times";
/// Bytes of a record: its numbers, and how many records an event has.
const TIMES_RECORD: usize = size_of::<u64>() * TIMES_WORDS;
const TIMES_WORDS: usize = 5;
const TIMES_RECORDS: usize = 512;

/// The times of a thread, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    tid: i64,
    clone_ts: u64,
    exec_ts: u64,
    ctime_to_clone: u64,
    pidns_to_ctime: u64,
}

impl Times {
    fn of(thread: &Thread) -> Self {
        Self {
            tid: thread.tid,
            clone_ts: thread.clone_ts,
            exec_ts: thread.exec_ts,
            ctime_to_clone: thread.exe_ino_ctime_duration_clone_ts,
            pidns_to_ctime: thread.exe_ino_ctime_duration_pidns_start,
        }
    }

    fn bytes(self) -> [u8; TIMES_RECORD] {
        let mut bytes = [0; TIMES_RECORD];
        let Self { tid, clone_ts, exec_ts, ctime_to_clone, pidns_to_ctime } = self;
        let words = [tid as u64, clone_ts, exec_ts, ctime_to_clone, pidns_to_ctime];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    fn parse(bytes: &[u8; TIMES_RECORD]) -> Self {
        let mut words = [0; TIMES_WORDS];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*from);
        }
        let [tid, clone_ts, exec_ts, ctime_to_clone, pidns_to_ctime] = words;
        Self { tid: tid as i64, clone_ts, exec_ts, ctime_to_clone, pidns_to_ctime }
    }
}

/// What a recording begins with.
#[derive(Clone, Debug)]
pub struct FullSnapshot {
    /// The machine, its users, processes and open files.
    pub items: Vec<Item>,
    /// Time of its first event.
    pub ts: u64,
    descriptions: Vec<Description>,
}

/// Something that is known beside what a snapshot contains.
#[derive(Clone, Debug)]
pub enum Description {
    /// A container.
    Container(Arc<Container>),
    /// No runtime knows the container with this id.
    Unavailable(Arc<[u8]>),
    /// Runtimes are asked about all containers without a description.
    LookedUp,
    /// Users and groups of a container.
    Accounts(Arc<[u8]>, Arc<Accounts>),
    /// A pod, or an object that pods belong to.
    Kubernetes(KubernetesChange),
    /// Open files of a thread, of which events told only the number.
    Files(i64, Vec<Fd>),
    /// When threads began.
    Times(Vec<Times>),
    /// An event in which a plugin describes what it knows.
    Plugin(Arc<[u8]>),
}

impl State {
    /// The whole state, for a recording whose first event has this time.
    pub fn full_snapshot(&self, ts: u64) -> FullSnapshot {
        FullSnapshot { items: self.snapshot(|_| true), ts, descriptions: self.descriptions() }
    }

    fn descriptions(&self) -> Vec<Description> {
        let containers = self.containers.iter_shared().map(Arc::clone).map(Description::Container);
        let unavailable = self.lookups.unknown().map(Arc::clone).map(Description::Unavailable);
        let accounts = self.users.containers();
        let accounts =
            accounts.map(|(id, known)| Description::Accounts(Arc::clone(id), Arc::clone(known)));
        let looked_up = self.config.lookup_containers.then_some(Description::LookedUp);
        let objects = self.kubernetes.changes().map(Description::Kubernetes);
        // Recordings of others do not say when threads began.
        let times = self.is_own().then(|| self.tree.iter().map(Times::of).collect());
        let known = looked_up
            .into_iter()
            .chain(times.map(Description::Times))
            .chain(objects)
            .chain(containers);
        let dumped = self.dumper.iter().flat_map(StateDumper::dump);
        let dumped = dumped.map(|event| Description::Plugin(event.into()));
        known.chain(unavailable).chain(accounts).chain(dumped).collect()
    }

    /// Recordings begin with these events too.
    pub fn set_dumper(&mut self, dumper: Option<StateDumper>) {
        self.dumper = dumper;
    }

    /// Takes the times of threads from a recording.
    pub(crate) fn recorded_times(&mut self, data: &[u8]) {
        self.recorded = true;
        for times in data.as_chunks().0.iter().map(Times::parse) {
            let at = self.tree.find(times.tid);
            if let Some(thread) = at.and_then(|at| self.tree.get_mut(at)) {
                (thread.clone_ts, thread.exec_ts) = (times.clone_ts, times.exec_ts);
                thread.exe_ino_ctime_duration_clone_ts = times.ctime_to_clone;
                thread.exe_ino_ctime_duration_pidns_start = times.pidns_to_ctime;
            }
        }
    }

    /// Takes open files from a recording.
    pub(crate) fn recorded_files(&mut self, json: &[u8]) {
        match serde_json::from_slice::<(i64, Vec<Fd>)>(json) {
            Ok((tid, fds)) => self.add_files(tid, |_| true, fds),
            Err(_) => self.counters.dropped_others += 1,
        }
    }
}

impl FullSnapshot {
    /// Gives the events about what the items have no form for. They only change the state.
    pub fn events(&self, mut give: impl FnMut(&Event<'_>)) {
        self.descriptions.iter().for_each(|description| description.events(self.ts, &mut give));
    }
}

impl Description {
    /// The description that the answer to a request is.
    pub fn of(observation: &Observation) -> Option<Self> {
        match observation {
            Observation::Accounts { container, accounts: Some(accounts) } => {
                Some(Self::Accounts(Arc::clone(container), Arc::new(accounts.clone())))
            }
            Observation::ContainerUnavailable { container } => {
                Some(Self::Unavailable(Arc::clone(container)))
            }
            Observation::Files { tid, fds, .. } => Some(Self::Files(*tid, fds.clone())),
            Observation::Accounts { accounts: None, .. } | Observation::Threads(_) => None,
        }
    }

    /// Gives the events about it, of this time. What does not fit an event is left out.
    pub fn events(&self, ts: u64, mut give: impl FnMut(&Event<'_>)) {
        if let Self::Plugin(event) = self {
            if let Ok(mut event) = Event::parse(event, 0) {
                // Without a time it has that of the recording.
                event.ts = if event.ts == u64::MAX { ts } else { event.ts };
                give(&event);
            }
            return;
        }
        let mut bytes = Vec::new();
        let mut give = |event: &Builder| {
            bytes.clear();
            if event.finish(&mut bytes).is_ok()
                && let Ok(event) = Event::parse(&bytes, 0)
            {
                give(&event);
            }
        };
        match self {
            Self::Container(container) => {
                give(&asynchronous(ts, b"container", container.to_json().as_bytes()));
            }
            Self::Kubernetes(change) => {
                if let Some(json) = change.to_json() {
                    give(&asynchronous(ts, KUBERNETES_EVENT.as_bytes(), json.as_bytes()));
                }
            }
            Self::Files(tid, fds) => {
                let json = serde_json::to_vec(&(tid, fds)).unwrap_or_default();
                give(&asynchronous(ts, FILES, &json));
            }
            Self::Times(times) => {
                for part in times.chunks(TIMES_RECORDS) {
                    let data: Vec<u8> = part.iter().flat_map(|times| times.bytes()).collect();
                    let mut event = Builder::new(EventType::AsynceventE, ts, 0);
                    give(event.u32(0).text(TIMES).param(&data));
                }
            }
            Self::LookedUp => give(&asynchronous(ts, CONTAINERS_LOOKED_UP, b"")),
            Self::Unavailable(id) => give(&asynchronous(ts, CONTAINER_UNAVAILABLE, id)),
            Self::Plugin(_) => {}
            Self::Accounts(container, accounts) => {
                for user in accounts.users() {
                    let mut event = Builder::new(EventType::UserAddedE, ts, NO_THREAD);
                    event.u32(user.uid).u32(user.gid).text(user.name).text(user.home);
                    give(event.text(user.shell).text(container));
                }
                for (gid, name) in accounts.groups() {
                    let mut event = Builder::new(EventType::GroupAddedE, ts, NO_THREAD);
                    give(event.u32(gid).text(name).text(container));
                }
            }
        }
    }
}

/// Events about the machine are of no thread.
const NO_THREAD: i64 = -1;

fn asynchronous(ts: u64, name: &[u8], data: &[u8]) -> Builder {
    let mut event = Builder::new(EventType::AsynceventE, ts, 0);
    event.u32(0).text(name).text(data);
    event
}
