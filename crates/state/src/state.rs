//! The state as a whole: the process tree, the partition and what is known of the machine.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use peregrine_event::Account;
use peregrine_event::snapshot::{self, Group, Item, Machine, User};
use peregrine_limits as limits;

use crate::activity::{Activity, Usage};
use crate::containers::{Cgroups, Container, Containers, Matchers, Namespaces};
use crate::counters::Counters;
use crate::dumper::StateDumper;
use crate::fd::Fd;
use crate::fds::{FdTable, FdTables};
use crate::kubernetes::{Kubernetes, POD_UID, Pod, pod_of};
use crate::lookups::Lookups;
use crate::net::Interfaces;
use crate::partition::Partition;
use crate::resolve::PendingAccounts;
use crate::text_budget::TextBudget;
use crate::texts::Texts;
use crate::thread::Thread;
use crate::tree::{Ancestors, ThreadGroup, ThreadRef, Tree};
use crate::users::Users;

/// Limits and choices.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most threads.
    pub max_threads: usize,
    /// Most open files of one process.
    pub max_fds: usize,
    /// Whether threads are assigned to containers.
    pub containers: bool,
    /// Whether events come from this machine as they happen. CPU switches and the boot time of a
    /// capture are not used, as in the reference engine.
    pub live: bool,
    /// Whether runtimes are asked about containers: the state makes requests, and a thread in a
    /// control group with a name that anybody may choose is in a container only if a runtime knows
    /// it.
    pub lookup_containers: bool,
    /// Which control groups are those of containers.
    pub matchers: Matchers,
}

/// What is known of the machine. See the [crate] documentation.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) config: Config,
    pub(crate) tree: Tree,
    pub(crate) partition: Partition,
    pub(crate) users: Users,
    pub(crate) containers: Containers,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) cgroups: Cgroups,
    pub(crate) lookups: Lookups,
    pub(crate) namespaces: Namespaces,
    pub(crate) texts: TextBudget,
    pub(crate) machine: Machine,
    pub(crate) counters: Counters,
    /// While a snapshot is loaded: a thread of each process whose leader may come after it.
    pub(crate) loading: HashMap<i64, ThreadRef>,
    // Ports with a listening socket when the snapshot was taken.
    pub(crate) server_ports: HashSet<u16>,
    /// A thread that the last event ended: visible until the next event.
    pub(crate) exiting: Option<i64>,
    // What the container event being looked at is about; it may be removed already.
    pub(crate) event_container: Option<Arc<Container>>,
    pub(crate) pending_accounts: PendingAccounts,
    /// The events come from a recording that this program made.
    pub(crate) recorded: bool,
    pub(crate) dumper: Option<StateDumper>,
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
    /// Time of the first event of the source that is an act, 0 before it.
    pub first_ts: u64,
    /// For a scheduler switch: how long the thread ran on its CPU, ns.
    pub exec_time: u64,
    pub(crate) thread: Option<ThreadRef>,
    pub(crate) fd_at: Option<(ThreadRef, i64)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_threads: limits::THREADS.get(),
            max_fds: limits::FDS_PER_PROCESS.get(),
            containers: true,
            live: false,
            lookup_containers: false,
            matchers: Matchers::default(),
        }
    }
}

impl State {
    /// A state that knows nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            tree: Tree::new(config.max_threads),
            partition: Partition::new(config.max_fds, config.live),
            users: Users::default(),
            containers: if config.containers {
                Containers::with_host()
            } else {
                Containers::default()
            },
            kubernetes: Kubernetes::default(),
            cgroups: Cgroups::new(config.matchers.clone(), config.lookup_containers),
            lookups: Lookups::default(),
            namespaces: Namespaces::default(),
            texts: TextBudget::default(),
            machine: Machine::default(),
            counters: Counters::default(),
            loading: HashMap::new(),
            server_ports: HashSet::new(),
            exiting: None,
            event_container: None,
            pending_accounts: PendingAccounts::default(),
            recorded: false,
            dumper: None,
            config,
        }
    }

    /// Forgets everything but the counters: another capture begins.
    pub fn reset(&mut self) {
        let (counters, of_partition) = (self.counters, self.partition.counters);
        let mut config = self.config.clone();
        // What the capture before was a recording of does not count for the next one.
        config.lookup_containers &= !self.lookups.is_recorded();
        let dumper = self.dumper.take();
        *self = Self { dumper, ..Self::new(config) };
        (self.counters, self.partition.counters) = (counters, of_partition);
    }

    /// Loads one item of a snapshot.
    pub fn load(&mut self, item: Item) {
        match item {
            Item::Machine(machine) => self.machine = machine,
            Item::Interface(interface) => self.partition.interfaces.add(&interface),
            Item::User(user) => self.add_user(b"", user),
            Item::Group(group) => self.add_group(b"", group),
            Item::Thread(thread) => drop(self.load_thread(&thread)),
            Item::Fds(tid, fds) => {
                if let Some(at) = self.tree.find(tid) {
                    fds.into_iter().for_each(|fd| self.load_fd(at, fd));
                }
            }
        }
    }

    /// Ends the snapshot: links threads to their parents and gives connections their direction.
    pub fn loaded(&mut self) {
        self.loading = HashMap::new();
        self.tree.link_all();
        let ports = std::mem::take(&mut self.server_ports);
        self.partition.fds.give_all_directions(&ports, self.config.live);
        if self.config.containers {
            self.find_all_containers();
        }
    }

    /// The thread of an event.
    pub fn thread(&self, context: Context) -> Option<&Thread> {
        self.tree.get(context.thread?)
    }

    /// What is known of the fd of an event.
    pub fn event_fd(&self, context: Context) -> Option<&Fd> {
        let (owner, fd) = context.fd_at?;
        self.partition.fds.get(owner, fd)
    }

    /// The container of an event: of its thread, or the one the event describes.
    pub fn container(&self, context: Context) -> Option<&Container> {
        match &self.event_container {
            Some(described) => Some(described),
            None => self.containers.get(&self.thread(context)?.container),
        }
    }

    /// The pod in which a thread runs, as the API server describes it: by the label of its
    /// container, or else by its control groups.
    pub fn pod(&self, thread: &Thread) -> Option<&Pod> {
        if self.kubernetes.pods() == 0 {
            return None;
        }
        let container = self.containers.get(&thread.container);
        if let Some(uid) = container.and_then(|container| container.labels.get(POD_UID)) {
            return self.kubernetes.pod(uid);
        }
        self.kubernetes.pod(&pod_of(&thread.cgroups)?)
    }

    /// Pods and other objects of Kubernetes.
    pub fn kubernetes(&self) -> &Kubernetes {
        &self.kubernetes
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
        self.tree.cwd(thread)
    }

    /// Most files a thread's process may open; 0 when it has lost its leader.
    pub fn fdlimit(&self, thread: &Thread) -> i64 {
        self.leader(thread).map_or(0, |leader| leader.fdlimit)
    }

    /// What a thread's process has open.
    pub fn fd_table(&self, thread: &Thread) -> Option<&FdTable> {
        self.partition.fd_table(&self.tree, thread)
    }

    /// What a thread has open by itself, and not with its process.
    pub(crate) fn own_fds(&self, thread: &Thread) -> Option<&FdTable> {
        self.partition.fds.table(self.tree.find(thread.tid)?)
    }

    /// One open file of a thread's process.
    pub fn fd(&self, thread: &Thread, fd: i64) -> Option<&Fd> {
        self.partition.fd(&self.tree, thread, fd)
    }

    /// All open files of a thread's process.
    pub fn fds(&self, thread: &Thread) -> impl Iterator<Item = (i64, &Fd)> {
        self.fd_table(thread).into_iter().flat_map(FdTable::iter)
    }

    /// Number of open files of a thread's leader.
    pub fn fd_count(&self, thread: &Thread) -> usize {
        self.leader(thread).and_then(|leader| self.own_fds(leader)).map_or(0, FdTable::len)
    }

    /// Memory, page faults and CPU time of a thread.
    pub fn usage(&self, thread: &Thread) -> Usage {
        self.activity(thread).map(|activity| activity.usage).unwrap_or_default()
    }

    /// CPU time of a thread since the time that was reported last; 0 for the first report. Reports
    /// `time`.
    ///
    /// A thread remembers one number, be it time in user mode, in the kernel or both: an answer
    /// depends on the questions before it. `thread.cpu` has always answered so.
    pub fn cpu_since_report(&self, thread: &Thread, time: u64) -> u64 {
        self.activity(thread).map_or(0, |activity| activity.cpu_since_report(time))
    }

    fn activity(&self, thread: &Thread) -> Option<&Activity> {
        self.partition.activity(self.tree.find(thread.tid)?)
    }

    /// The user with this number, as the container of the thread knows it.
    pub fn user(&self, thread: &Thread, uid: u32) -> Option<Account<'_>> {
        self.users.user(&thread.container, uid)
    }

    /// The name of the group with this number, as the container of the thread knows it.
    pub fn group(&self, thread: &Thread, gid: u32) -> Option<&[u8]> {
        self.users.group(&thread.container, gid)
    }

    /// All threads.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What all processes have open.
    pub fn fd_tables(&self) -> &FdTables {
        self.partition.fd_tables()
    }

    /// Users and groups.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Containers.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// Whether events come from this machine as they happen.
    pub fn is_live(&self) -> bool {
        self.config.live
    }

    /// Whether events come from this program, as they happen or recorded: ids of sessions are then
    /// those of the host.
    pub fn is_own(&self) -> bool {
        self.config.live || self.recorded
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Addresses of the machine.
    pub fn interfaces(&self) -> &Interfaces {
        &self.partition.interfaces
    }

    /// Counters of the tree and of the partition.
    pub fn counters(&self) -> Counters {
        self.counters + self.partition.counters
    }

    /// Time of the first event that is an act of the machine, 0 before it.
    pub fn first_ts(&self) -> u64 {
        self.partition.clock.first
    }
}

impl State {
    pub(crate) fn add_thread(&mut self, thread: Thread, usage: Usage) -> Option<ThreadRef> {
        let at = self.tree.insert(thread);
        if let Some(at) = at {
            self.partition.add_thread(at, usage);
            self.counters.added_threads += 1;
        } else {
            self.counters.dropped_threads += 1;
            limits::THREADS.reach();
        }
        at
    }

    /// When the machine booted, 0 where that is not known.
    pub(crate) fn boot_ts(&self) -> u64 {
        if self.knows_starts() { self.machine.boot_ts } else { 0 }
    }

    /// Whether starts of pid namespaces are times: live, and in recordings of this program. In
    /// those of the reference engine they count from boot.
    pub(crate) fn knows_starts(&self) -> bool {
        self.config.live || self.recorded || self.lookups.is_recorded()
    }

    pub(crate) fn add_user(&mut self, container: &[u8], user: User) {
        self.counters.dropped_others += u64::from(!self.users.add_user(container, user));
    }

    pub(crate) fn add_group(&mut self, container: &[u8], group: Group) {
        self.counters.dropped_others += u64::from(!self.users.add_group(container, group));
    }

    pub(crate) fn load_thread(&mut self, item: &snapshot::Thread) -> Option<ThreadRef> {
        self.counters.scanned.threads += 1;
        let relative = self.tree.by_tid(item.pid);
        let relative = relative.or_else(|| self.tree.get(*self.loading.get(&item.pid)?));
        let thread = Thread::from_snapshot(item, relative, &self.texts);
        let at = self.add_thread(thread, Usage::from(item))?;
        if item.tid != item.pid {
            self.loading.entry(item.pid).or_insert(at);
        }
        Some(at)
    }

    pub(crate) fn load_fd(&mut self, owner: ThreadRef, item: snapshot::Fd) {
        let fd = item.fd;
        let Some(info) = Fd::from_snapshot(item, &self.partition.interfaces) else { return };
        self.counters.scanned.count(&info.kind);
        self.server_ports.extend(info.kind.server_port());
        self.partition.insert_fd(owner, fd, Arc::new(info));
    }
}
