//! What every source of events is to those who take them: a snapshot of the machine, then events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::snapshot::{Fd, Item};
use crate::{Accounts, Event};

/// Which event source an event comes from and a rule is about: an index, small and dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u16);

impl SourceId {
    /// The kernel's system calls and tracepoints, live or from a capture file: the source
    /// `syscall`.
    pub const SYSCALL: Self = Self(0);

    /// Position in a table of all sources.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The names of event sources, as rules have them under `source`, with their ids.
///
/// ```
/// use peregrine_event::source::{SourceId, SourceNames};
///
/// let mut names = SourceNames::default();
/// assert_eq!(names.intern("syscall"), Some(SourceId::SYSCALL));
/// let audit = names.intern("k8s_audit").unwrap();
/// assert_eq!(names.intern("k8s_audit"), Some(audit));
/// assert_eq!(names.name(audit), Some("k8s_audit"));
/// ```
#[derive(Clone, Debug)]
pub struct SourceNames {
    names: Vec<String>,
    ids: BTreeMap<String, SourceId>,
}

impl Default for SourceNames {
    fn default() -> Self {
        let name = Self::SYSCALL.to_owned();
        Self { names: vec![name.clone()], ids: [(name, SourceId::SYSCALL)].into() }
    }
}

impl SourceNames {
    /// Name of [`SourceId::SYSCALL`].
    pub const SYSCALL: &'static str = "syscall";

    /// The id of a name, a new one for a new name. `None` when all ids are taken.
    pub fn intern(&mut self, name: &str) -> Option<SourceId> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let id = SourceId(u16::try_from(self.names.len()).ok()?);
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        Some(id)
    }

    /// The name of a source.
    pub fn name(&self, id: SourceId) -> Option<&str> {
        self.names.get(id.index()).map(String::as_str)
    }
}

/// Gives a snapshot of the machine, then events. Each borrows from the source until the next call.
/// An event carries the [`SourceId`] of its event source.
pub trait Source {
    /// Why it can't go on.
    type Error;

    /// What comes next. A source that waits for things to happen does not wait for long.
    ///
    /// # Errors
    /// When there can be no further record, though the end was not reached.
    fn next(&mut self) -> Result<Next<'_>, Self::Error>;

    /// No record is taken any more.
    fn close(&mut self) {}
}

/// A source that knows the time of its next record before it delivers it, so that several can be
/// merged.
pub trait TimedSource: Source {
    /// When [`next`](Source::next) is to be called. Calls in a row give the same answer, unless
    /// something has happened in between.
    ///
    /// # Errors
    /// When there can be no further record, though the end was not reached.
    fn due(&mut self) -> Result<Due, Self::Error>;

    /// Whether it only has records beside those of other sources, and ends when they have ended.
    fn is_beside_others(&self) -> bool {
        false
    }
}

/// When the next record of a source is to be delivered. The order is that of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Before all events: a part of a snapshot, or a restart.
    Now,
    /// At this time, nanoseconds since the epoch.
    At(u64),
    /// No record is currently available; more may come.
    Idle,
    /// There is no further record.
    End,
}

/// What a source has.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record.
    Record(Record<'a>),
    /// What was found when events had been lost, at its time between the others.
    Repair(Repair),
    /// The answer to a question, at its time between the others.
    Observation(Observation),
    /// The snapshot is not complete, and no part of it is currently available.
    Loading,
    /// No event is currently available; more may come.
    Idle,
    /// Nothing any more.
    End,
}

/// What a source consists of.
#[derive(Debug)]
pub enum Record<'a> {
    /// Another stretch begins here, as where a capture was appended to another: what is known of
    /// the machine is void, and a new snapshot follows. The numbers of events continue.
    Restart,
    /// A part of the state of the machine before the first event.
    Snapshot(Item),
    /// An event.
    Event {
        /// The event, numbered from 1 in the order of delivery.
        event: Event<'a>,
        /// It was recorded only to keep the state right and is not to be shown.
        state_only: bool,
    },
}

/// What is found when a source has lost events and looks at the machine again.
#[derive(Clone, Debug, PartialEq)]
pub enum Repair {
    /// The processes that there are.
    Alive {
        /// Processes that began later, in nanoseconds since the epoch, may be missing.
        since: u64,
        /// Their ids.
        pids: Vec<i64>,
    },
    /// A process that lost events.
    Process {
        /// Its id.
        pid: i64,
        /// Its threads, then what it has open; nothing when it is gone.
        items: Vec<Item>,
        /// Numbers of its open files, also of those of which nothing else can be found out.
        open: Vec<i64>,
    },
}

/// The answer to a question about the machine that was asked before. It belongs between the events
/// at its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The answer to an [`AccountsRequest`].
    Accounts {
        /// The container.
        container: Arc<[u8]>,
        /// Its users and groups. `None` when its files have not changed, or its process is gone.
        accounts: Option<Accounts>,
    },
    /// Threads that appeared in events before, when they could not be described in time. Threads
    /// that are known by now stay as they are.
    Threads(Vec<Item>),
    /// The answer to a [`FilesRequest`].
    Files {
        /// The thread that has them open.
        tid: i64,
        /// The numbers that were asked about.
        asked: Vec<i64>,
        /// Those of them that are open.
        fds: Vec<Fd>,
    },
    /// The answer to a [`ContainerRequest`] about a container that no runtime knows. What a runtime
    /// knows comes as an event.
    ContainerUnavailable {
        /// The container.
        container: Arc<[u8]>,
    },
}

/// What recognises the control groups of containers: a runtime, or several whose groups look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ContainerEngine {
    Podman,
    /// Also the groups of CRI runtimes that have the id alone as their name.
    Docker,
    Cri,
    /// Groups with names that anybody may choose.
    Containerd,
    Lxc,
    LibvirtLxc,
    Bpm,
    /// All threads are in one container that the configuration describes.
    Static,
}

impl ContainerEngine {
    /// Whether a runtime describes its containers. Of the others, no more is known than the id.
    pub fn has_runtime(self) -> bool {
        matches!(self, Self::Podman | Self::Docker | Self::Cri | Self::Containerd)
    }
}

/// Asks the runtimes about a container. The answer is an event that describes it, or
/// [`Observation::ContainerUnavailable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRequest {
    /// Its id as fields have it, cut to 12 digits.
    pub container: Arc<[u8]>,
    /// Path of the control group that names it.
    pub cgroup: Arc<[u8]>,
    /// A thread that runs in it.
    pub tid: i64,
    /// What recognised the group. Where that [has no runtime](ContainerEngine::has_runtime), no
    /// answer is needed: the request only says that the container is there.
    pub engine: ContainerEngine,
    /// Whether only a container has such a group. Otherwise its threads are on the host unless a
    /// runtime knows it.
    pub certain: bool,
}

/// The answer to a [`ContainerRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerAnswer {
    /// A description: the JSON of an event `container`.
    Described(Box<[u8]>),
    /// No runtime knows the container with this id.
    Unavailable(Arc<[u8]>),
}

/// Asks for the users and groups of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsRequest {
    /// The container.
    pub container: Arc<[u8]>,
    /// A thread that runs in it.
    pub tid: i64,
    /// Whether the last answer is still known. Otherwise files that have not changed since are read
    /// again.
    pub known: bool,
}

/// Asks what open files are of which events tell only the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesRequest {
    /// A thread that has them open.
    pub tid: i64,
    /// Their numbers.
    pub fds: Vec<i64>,
}

/// Answers questions about the machine that events leave open.
pub trait ProcResolver {
    /// Describes a thread that appears in an event but not in the state, and those of its ancestors
    /// that are not `known`, the highest first. Empty when it is gone. The event waits, so the time
    /// that this takes is bounded.
    fn resolve(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item>;

    /// Queues a read of the accounts of a container; the source delivers the answer as an
    /// [`Observation`]. Never waits: false when the queue is full.
    fn request_accounts(&mut self, request: &AccountsRequest) -> bool;

    /// Queues a question about open files; the source delivers the answer as an [`Observation`].
    /// Never waits: false when the queue is full, and the files stay unknown.
    fn request_files(&mut self, _request: &FilesRequest) -> bool {
        true
    }

    /// Queues a question about a container. Never waits: false when the queue is full. Only called
    /// when the state [looks containers up](ContainerRequest).
    fn request_container(&mut self, _request: &ContainerRequest) -> bool {
        true
    }

    /// Gives the answers to requests about containers as they come, until `take` says that none is
    /// missing or they take too long. `take` gets `None` at first. Called after requests were sent.
    ///
    /// Only a command that shows events to a person has a resolver that waits here. The source
    /// delivers the same answers at their time.
    fn await_containers(&mut self, _take: &mut dyn FnMut(Option<ContainerAnswer>) -> bool) {}
}
