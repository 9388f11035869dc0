//! The state as a whole: the process tree, the fd tables and everything else, put together.

use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_event::snapshot::{self, Item, Machine};

use crate::containers::{Cgroups, Container, Containers};
use crate::fd::{Fd, FdKind};
use crate::fds::{FdTable, FdTables};
use crate::net::Interfaces;
use crate::texts::Texts;
use crate::thread::Thread;
use crate::tree::{Ancestors, ProcessTree, ThreadGroup, ThreadRef};
use crate::users::{Group, User, Users};

/// Limits and choices.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most threads.
    pub max_threads: usize,
    /// Most open files of one process.
    pub max_fds: usize,
    /// Whether threads are told the container they run in.
    pub containers: bool,
    /// Whether events come from this machine as they happen. What captures say of the CPUs and the
    /// boot time of theirs does not count, as users of replays know it.
    pub live: bool,
}

/// What is known of the machine. See the [crate](crate) page.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) config: Config,
    pub(crate) tree: ProcessTree,
    pub(crate) fds: FdTables,
    pub(crate) users: Users,
    pub(crate) containers: Containers,
    pub(crate) cgroups: Cgroups,
    pub(crate) machine: Machine,
    pub(crate) interfaces: Interfaces,
    pub(crate) counters: Counters,
    // Ports on which somebody listened when the snapshot was taken.
    pub(crate) server_ports: HashSet<u16>,
    pub(crate) pending: Pending,
    pub(crate) clock: Clock,
    // What the container event being looked at is about; it may be removed already.
    pub(crate) told: Option<Arc<Container>>,
    pub(crate) scratch: Scratch,
    // Containers whose accounts somebody should read, each with a thread that runs in it.
    pub(crate) nameless: Vec<(Arc<[u8]>, i64)>,
}

/// What an event is about, as of the state after it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Context {
    /// Number of the fd the event is about, negative for none.
    pub fd: i64,
    /// Whether the event changed the name of its fd.
    pub name_changed: bool,
    /// Error number with which the event's syscall failed, 0 for none.
    pub error: u32,
    /// Time of the event before this one, 0 for the first.
    pub prev_ts: u64,
    /// For a scheduler switch: how long the thread ran on its CPU, ns.
    pub exec_time: u64,
    pub(crate) thread: Option<ThreadRef>,
    pub(crate) fd_at: Option<(ThreadRef, i64)>,
}

/// How much there is and what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Threads added.
    pub added_threads: u64,
    /// Threads removed.
    pub removed_threads: u64,
    /// Threads that found no room.
    pub dropped_threads: u64,
    /// Open files added.
    pub added_fds: u64,
    /// Open files removed.
    pub removed_fds: u64,
    /// Open files that found no room.
    pub dropped_fds: u64,
    /// Events whose thread was known.
    pub found_threads: u64,
    /// Events of threads nobody had told of.
    pub unknown_threads: u64,
    /// Events whose fd was known.
    pub found_fds: u64,
    /// Events about fds nobody had told of.
    pub unknown_fds: u64,
    /// Starts of syscalls kept for their ends.
    pub stored_events: u64,
    /// Starts of syscalls that could not be kept.
    pub dropped_events: u64,
    /// Starts of syscalls that were kept and used.
    pub retrieved_events: u64,
    /// Ends of syscalls that wanted their start and had none.
    pub missing_events: u64,
    /// Container descriptions that could not be read.
    pub bad_containers: u64,
    /// Users, groups and containers that found no room.
    pub dropped_others: u64,
    /// Processes that were read again because they had lost events.
    pub reread_processes: u64,
    /// Threads that were then found to be new, gone or changed.
    pub corrected_threads: u64,
    /// Open files that were then found to be new, closed or others.
    pub corrected_fds: u64,
    /// What the source told of besides events.
    pub scanned: Scanned,
}

/// What snapshots told of, and what was found out about strangers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Scanned {
    pub threads: u64,
    pub files: u64,
    pub directories: u64,
    pub pipes: u64,
    pub memfds: u64,
    pub ipv4_sockets: u64,
    pub ipv6_sockets: u64,
    pub unix_sockets: u64,
    pub netlink_sockets: u64,
    /// What has no other name than its kind: eventfd, epoll and the like.
    pub anonymous: u64,
}

/// What an event removes, done before the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) thread: Option<i64>,
    pub(crate) fd: Option<(ThreadRef, i64)>,
}

/// Memory in which paths are put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) dir: Vec<u8>,
    pub(crate) joined: Vec<u8>,
}

/// Times seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) first: u64,
    pub(crate) last: u64,
    // Last scheduler switch of each CPU.
    pub(crate) switches: Vec<u64>,
}

impl Clock {
    /// Time since the last switch on this CPU, 0 for the first.
    pub(crate) fn switch(&mut self, cpu: u16, ts: u64) -> u64 {
        let cpu = usize::from(cpu);
        if self.switches.len() <= cpu {
            self.switches.resize(cpu + 1, 0);
        }
        match self.switches.get_mut(cpu).map(|last| std::mem::replace(last, ts)) {
            None | Some(0) => 0,
            Some(last) => ts.wrapping_sub(last),
        }
    }
}

impl Scanned {
    fn count(&mut self, kind: &FdKind) {
        *match kind {
            FdKind::File => &mut self.files,
            FdKind::Directory => &mut self.directories,
            FdKind::Pipe => &mut self.pipes,
            FdKind::Memfd => &mut self.memfds,
            FdKind::Ipv4(_) | FdKind::Ipv4Server { .. } => &mut self.ipv4_sockets,
            FdKind::Ipv6(_) | FdKind::Ipv6Server { .. } => &mut self.ipv6_sockets,
            FdKind::Unix { .. } => &mut self.unix_sockets,
            FdKind::Netlink => &mut self.netlink_sockets,
            _ => &mut self.anonymous,
        } += 1;
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { max_threads: 262_144, max_fds: 4096, containers: true, live: false }
    }
}

impl State {
    /// Knows nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            tree: ProcessTree::new(config.max_threads),
            fds: FdTables::new(config.max_fds),
            users: Users::default(),
            containers: if config.containers {
                Containers::with_host()
            } else {
                Containers::default()
            },
            cgroups: Cgroups::default(),
            machine: Machine::default(),
            interfaces: Interfaces::default(),
            counters: Counters::default(),
            server_ports: HashSet::new(),
            pending: Pending::default(),
            clock: Clock::default(),
            told: None,
            scratch: Scratch::default(),
            nameless: Vec::new(),
            config,
        }
    }

    /// Forgets everything but the counters: another capture begins.
    pub fn reset(&mut self) {
        let counters = self.counters;
        *self = Self::new(self.config.clone());
        self.counters = counters;
    }

    /// Takes in one item of a snapshot.
    pub fn load(&mut self, item: Item) {
        match item {
            Item::Machine(machine) => self.machine = machine,
            Item::Interface(interface) => self.interfaces.add(&interface),
            Item::User(user) => self.add_user(b"", user.into()),
            Item::Group(group) => self.add_group(b"", group.into()),
            Item::Thread(thread) => drop(self.load_thread(&thread)),
            Item::Fds(tid, fds) => {
                if let Some(at) = self.tree.find(tid) {
                    fds.into_iter().for_each(|fd| self.load_fd(at, fd));
                }
            }
        }
    }

    /// The snapshot is complete: now parents are found and connections get their direction.
    pub fn loaded(&mut self) {
        self.tree.link_all();
        let ports = std::mem::take(&mut self.server_ports);
        self.fds.give_all_directions(&ports);
        if self.config.containers {
            for at in self.tree.refs() {
                self.find_container(at);
                self.want_accounts(at, false);
            }
        }
    }

    /// The thread of an event.
    pub fn thread(&self, context: Context) -> Option<&Thread> {
        self.tree.get(context.thread?)
    }

    /// What is known of the fd of an event.
    pub fn event_fd(&self, context: Context) -> Option<&Fd> {
        let (owner, fd) = context.fd_at?;
        self.fds.get(owner, fd)
    }

    /// The container of an event: of its thread, or the one the event tells of.
    pub fn container(&self, context: Context) -> Option<&Container> {
        match &self.told {
            Some(told) => Some(told),
            None => self.containers.get(&self.thread(context)?.container),
        }
    }

    /// The thread with this tid.
    pub fn by_tid(&self, tid: i64) -> Option<&Thread> {
        self.tree.by_tid(tid)
    }

    /// The parent of a thread.
    pub fn parent(&self, thread: &Thread) -> Option<&Thread> {
        self.tree.parent(thread)
    }

    /// The process that is `steps` above the one of this thread; its own leader for 0.
    pub fn ancestor<'a>(&'a self, thread: &'a Thread, steps: u32) -> Option<&'a Thread> {
        self.tree.ancestor(thread, steps)
    }

    /// The parent, its parent, and so on.
    pub fn ancestors<'a>(&'a self, thread: &Thread) -> Ancestors<'a> {
        self.tree.ancestors(thread)
    }

    /// The leader of a thread's group, which may be the thread itself.
    pub fn leader<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        self.tree.leader(thread)
    }

    /// The group of a thread.
    pub fn group_of(&self, thread: &Thread) -> Option<&ThreadGroup> {
        self.tree.group(thread)
    }

    /// Threads of the group that are alive, the leader included.
    pub fn thread_count(&self, thread: &Thread) -> usize {
        self.group_of(thread).map_or(0, |group| group.alive)
    }

    /// Threads of the group that are alive, the leader not included.
    pub fn child_thread_count(&self, thread: &Thread) -> usize {
        let leader = self.leader(thread).is_some_and(|leader| !leader.is_dead());
        let group = self.group_of(thread);
        group.map_or(0, |group| group.alive.saturating_sub(usize::from(leader)))
    }

    /// Environment of a thread's process.
    pub fn env<'a>(&'a self, thread: &'a Thread) -> &'a Texts {
        &self.leader(thread).unwrap_or(thread).env
    }

    /// Working directory of a thread's process, ending in `/`; `./` when it has lost its leader.
    pub fn cwd<'a>(&'a self, thread: &'a Thread) -> &'a [u8] {
        self.leader(thread).map_or(b"./", |leader| &leader.cwd)
    }

    /// Most files a thread's process may open; 0 when it has lost its leader.
    pub fn fdlimit(&self, thread: &Thread) -> i64 {
        self.leader(thread).map_or(0, |leader| leader.fdlimit)
    }

    /// What a thread's process has open.
    pub fn fd_table(&self, thread: &Thread) -> Option<&FdTable> {
        self.fds.table(self.fd_owner(self.tree.find(thread.tid)?)?)
    }

    /// What a thread has open by itself, and not with its process.
    pub(crate) fn own_fds(&self, thread: &Thread) -> Option<&FdTable> {
        self.fds.table(self.tree.find(thread.tid)?)
    }

    /// One open file of a thread's process.
    pub fn fd(&self, thread: &Thread, fd: i64) -> Option<&Fd> {
        if fd < 0 { None } else { self.fd_table(thread)?.get(fd) }
    }

    /// All open files of a thread's process.
    pub fn fds(&self, thread: &Thread) -> impl Iterator<Item = (i64, &Fd)> {
        self.fd_table(thread).into_iter().flat_map(FdTable::iter)
    }

    /// Number of open files of a thread's leader.
    pub fn fd_count(&self, thread: &Thread) -> usize {
        self.leader(thread).and_then(|leader| self.own_fds(leader)).map_or(0, FdTable::len)
    }

    /// The user with this number, as the container of the thread knows it.
    pub fn user(&self, thread: &Thread, uid: u32) -> Option<&User> {
        self.users.user(&thread.container, uid)
    }

    /// The group with this number, as the container of the thread knows it.
    pub fn group(&self, thread: &Thread, gid: u32) -> Option<&Group> {
        self.users.group(&thread.container, gid)
    }

    /// All threads.
    pub fn tree(&self) -> &ProcessTree {
        &self.tree
    }

    /// What all processes have open.
    pub fn fd_tables(&self) -> &FdTables {
        &self.fds
    }

    /// Users and groups.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Containers.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Addresses of the machine.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// Counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Time of the first event that is an act of the machine, 0 before it.
    pub fn first_ts(&self) -> u64 {
        self.clock.first
    }
}

impl State {
    /// The owner of the fd table a thread uses: itself, or its leader when they share.
    #[inline]
    pub(crate) fn fd_owner(&self, at: ThreadRef) -> Option<ThreadRef> {
        if self.tree.get(at)?.shares_fds() { self.tree.leader_ref(at) } else { Some(at) }
    }

    pub(crate) fn add_thread(&mut self, thread: Thread) -> Option<ThreadRef> {
        let at = self.tree.insert(thread);
        if let Some(at) = at {
            self.fds.clear(at);
            self.counters.added_threads += 1;
        } else {
            self.counters.dropped_threads += 1;
        }
        at
    }

    /// When the machine booted, 0 where that is not known.
    pub(crate) fn boot_ts(&self) -> u64 {
        if self.config.live { self.machine.boot_ts } else { 0 }
    }

    pub(crate) fn add_user(&mut self, container: &[u8], user: User) {
        self.counters.dropped_others += u64::from(!self.users.add_user(container, user));
    }

    pub(crate) fn add_group(&mut self, container: &[u8], group: Group) {
        self.counters.dropped_others += u64::from(!self.users.add_group(container, group));
    }

    pub(crate) fn load_thread(&mut self, item: &snapshot::Thread) -> Option<ThreadRef> {
        self.counters.scanned.threads += 1;
        self.add_thread(Thread::from_snapshot(item))
    }

    pub(crate) fn load_fd(&mut self, owner: ThreadRef, item: snapshot::Fd) {
        let fd = item.fd;
        let Some(info) = Fd::from_snapshot(item, &self.interfaces) else { return };
        self.counters.scanned.count(&info.kind);
        self.server_ports.extend(info.kind.server_port());
        match self.fds.insert(owner, fd, Arc::new(info)) {
            Ok(()) => self.counters.added_fds += 1,
            Err(_) => self.counters.dropped_fds += 1,
        }
    }
}
