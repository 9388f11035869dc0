//! The part of the state that high-rate events change: open files, and what is remembered per
//! thread.

use std::sync::Arc;

use peregrine_event::{Class, Event};

use crate::activity::{Activity, Usage, long};
use crate::arrived::Arrived;
use crate::counters::Counters;
use crate::fd::Fd;
use crate::fds::{FdTable, FdTables};
use crate::net::Interfaces;
use crate::thread::Thread;
use crate::tree::{ThreadRef, Tree};

/// The fd tables of thread groups and what is remembered of their threads from one event to the
/// next.
///
/// Events that change only this read the [`Tree`] and no other partition. Tables are found by the
/// place of their owner in the tree: the leader of a thread group, or a thread that does not share
/// the table of its leader.
#[derive(Clone, Debug)]
pub struct Partition {
    pub(crate) fds: FdTables,
    /// Addresses of the machine, which complete what sockets do not tell.
    pub(crate) interfaces: Interfaces,
    pub(crate) counters: Counters,
    pub(crate) clock: Clock,
    pub(crate) scratch: Scratch,
    /// An fd that the last event closed: visible until the next event.
    pub(crate) closing: Option<(ThreadRef, i64)>,
    pub(crate) arrived: Arrived,
    /// Whether scheduler switches tell how long threads ran, as those of captures do not.
    pub(crate) live: bool,
    /// Memory of stored enter events, as far as [`long`] counts it.
    pub(crate) stored_bytes: usize,
    /// By the place of the thread in the tree.
    activities: Vec<Activity>,
    /// The thread of the last event, which is most often that of the next.
    last_actor: Option<(i64, ThreadRef)>,
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
    /// Last scheduler switch of each CPU.
    switches: Vec<u64>,
}

impl Clock {
    /// Takes the time of an event and gives that of the one before, 0 for the first.
    #[inline]
    pub(crate) fn advance(&mut self, event: &Event<'_>) -> u64 {
        if self.first == 0 && !event.ty.info().classes.contains(&Class::Metaevent) {
            self.first = event.ts;
        }
        std::mem::replace(&mut self.last, event.ts)
    }

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

impl Partition {
    pub(crate) fn new(max_fds: usize, live: bool) -> Self {
        Self {
            fds: FdTables::new(max_fds),
            interfaces: Interfaces::new(live),
            counters: Counters::default(),
            clock: Clock::default(),
            scratch: Scratch::default(),
            closing: None,
            arrived: Arrived::default(),
            live,
            stored_bytes: 0,
            activities: Vec::new(),
            last_actor: None,
        }
    }

    /// What all processes have open.
    pub fn fd_tables(&self) -> &FdTables {
        &self.fds
    }

    /// What a thread's process has open.
    pub fn fd_table(&self, tree: &Tree, thread: &Thread) -> Option<&FdTable> {
        self.fds.table(tree.fd_owner(tree.find(thread.tid)?)?)
    }

    /// One open file of a thread's process.
    pub fn fd(&self, tree: &Tree, thread: &Thread, fd: i64) -> Option<&Fd> {
        if fd < 0 { None } else { self.fd_table(tree, thread)?.get(fd) }
    }

    /// The thread of an event.
    #[inline]
    pub(crate) fn find(&mut self, tree: &Tree, tid: i64) -> Option<ThreadRef> {
        let at = match self.last_actor {
            Some((last, at)) if last == tid && tree.get(at).is_some() => Some(at),
            _ => {
                let at = tree.find(tid);
                self.last_actor = at.map(|at| (tid, at));
                at
            }
        };
        self.counters.found_threads += u64::from(at.is_some());
        at
    }

    #[inline]
    pub(crate) fn activity(&self, at: ThreadRef) -> Option<&Activity> {
        self.activities.get(at.place())
    }

    #[inline]
    pub(crate) fn activity_mut(&mut self, at: ThreadRef) -> Option<&mut Activity> {
        debug_assert!(at.place() < self.activities.len(), "a thread without activity");
        self.activities.get_mut(at.place())
    }

    pub(crate) fn usage_mut(&mut self, at: ThreadRef) -> Option<&mut Usage> {
        self.activity_mut(at).map(|activity| &mut activity.usage)
    }

    /// Makes room for a thread that is new in the tree, in place of what another one left there.
    pub(crate) fn add_thread(&mut self, at: ThreadRef, usage: Usage) {
        if self.activities.len() <= at.place() {
            self.activities.resize_with(at.place() + 1, Activity::default);
        }
        self.set_activity(at, Activity::new(usage));
        self.fds.clear(at);
    }

    fn set_activity(&mut self, at: ThreadRef, new: Activity) {
        if let Some(activity) = self.activity_mut(at) {
            let old = std::mem::replace(activity, new);
            self.stored_bytes = self.stored_bytes.saturating_sub(long(&old.stored));
        }
    }

    /// Frees what a thread has open and what is remembered of it.
    pub(crate) fn remove_thread(&mut self, at: ThreadRef) {
        self.set_activity(at, Activity::default());
        self.fds.clear(at);
        self.fds_gone(at);
    }

    /// Adds an open file or replaces it. Says whether there was room.
    pub(crate) fn insert_fd(&mut self, owner: ThreadRef, fd: i64, info: Arc<Fd>) -> bool {
        self.fd_told(owner, fd);
        let room = self.fds.insert(owner, fd, info).is_ok();
        self.counters.added_fds += u64::from(room);
        self.counters.dropped_fds += u64::from(!room);
        room
    }

    /// Keeps only some open files of a table.
    pub(crate) fn retain_fds(&mut self, owner: ThreadRef, keep: impl FnMut(i64, &Fd) -> bool) {
        self.counters.removed_fds += self.fds.retain(owner, keep) as u64;
    }

    /// Owner and number of an fd of this thread, if it is open.
    #[inline]
    pub(crate) fn fd_place(&self, tree: &Tree, at: ThreadRef, fd: i64) -> Option<(ThreadRef, i64)> {
        if fd < 0 {
            return None;
        }
        let owner = tree.fd_owner(at)?;
        self.fds.get(owner, fd).map(|_| (owner, fd))
    }

    /// Closes the fd that the last event closed.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if let Some((owner, fd)) = self.closing.take() {
            self.fds.remove(owner, fd);
            self.counters.removed_fds += 1;
        }
    }
}
