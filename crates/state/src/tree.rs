//! The process tree: threads, their groups, parents and children. Only life-cycle events change it.

use std::num::NonZeroU64;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::residents::Residents;
use crate::thread::{Thread, ThreadFlags};

/// All threads that are known.
#[derive(Clone, Debug)]
pub struct Tree {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_tid: HashMap<i64, ThreadRef>,
    groups: HashMap<i64, ThreadGroup>,
    max_threads: usize,
    exited: Exited,
    residents: Residents,
}

/// Refers to a thread for as long as it is in the tree; never to another one with the same tid.
///
/// One number, because every event passes it along: the place of the thread in the lower half, the
/// generation of that place in the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadRef(NonZeroU64);

impl ThreadRef {
    #[inline]
    fn new(index: u32, Generation(generation): Generation) -> Self {
        Self(generation | u64::from(index))
    }

    /// Its place in the tree, which is reused when the thread is removed.
    #[inline]
    pub(crate) fn place(self) -> usize {
        self.index() as usize
    }

    #[inline]
    fn index(self) -> u32 {
        self.0.get() as u32
    }

    #[cfg(test)]
    pub(crate) fn at(index: u32) -> Self {
        Self::new(index, Generation::FIRST)
    }
}

/// How often a place was reused, in the upper half of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation(NonZeroU64);

impl Generation {
    const STEP: NonZeroU64 = NonZeroU64::new(1 << 32).unwrap();
    const FIRST: Self = Self(Self::STEP);

    fn next(self) -> Self {
        let next = self.0.get().wrapping_add(Self::STEP.get());
        Self(NonZeroU64::new(next).unwrap_or(Self::STEP))
    }
}

/// The threads of one process.
#[derive(Clone, Debug)]
pub struct ThreadGroup {
    /// Threads that have not exited, the leader included.
    pub alive: usize,
    /// Whether orphans below it become its children.
    pub reaper: bool,
    // The leader, when it is there, is the first.
    threads: Vec<ThreadRef>,
}

#[derive(Clone, Debug)]
struct Slot {
    generation: Generation,
    thread: Option<Box<Thread>>,
}

impl Slot {
    /// Whether a reference to this place means the thread that is in it now.
    #[inline]
    fn is(&self, thread: ThreadRef) -> bool {
        ThreadRef::new(thread.index(), self.generation) == thread
    }
}

/// Threads that were removed from the tree.
pub(crate) type Removed = SmallVec<[ThreadRef; 2]>;

/// Stale references that a list keeps before it is cleaned.
const STALE_REFS: usize = 11;

impl Tree {
    pub(crate) fn new(max_threads: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_tid: HashMap::new(),
            groups: HashMap::new(),
            max_threads,
            exited: Exited::default(),
            residents: Residents::default(),
        }
    }

    /// The thread this refers to, unless it was removed.
    #[inline]
    pub fn get(&self, thread: ThreadRef) -> Option<&Thread> {
        let slot = self.slots.get(thread.place())?;
        if slot.is(thread) { slot.thread.as_deref() } else { None }
    }

    /// A reference to the thread with this tid.
    pub fn find(&self, tid: i64) -> Option<ThreadRef> {
        self.by_tid.get(&tid).copied()
    }

    /// The thread with this tid.
    pub fn by_tid(&self, tid: i64) -> Option<&Thread> {
        self.get(self.find(tid)?)
    }

    /// All threads, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Thread> {
        self.slots.iter().filter_map(|slot| slot.thread.as_deref())
    }

    /// Number of threads.
    pub fn len(&self) -> usize {
        self.by_tid.len()
    }

    /// Whether there is no thread.
    pub fn is_empty(&self) -> bool {
        self.by_tid.is_empty()
    }

    /// The group a thread is in. Placeholders are in none.
    pub fn group(&self, thread: &Thread) -> Option<&ThreadGroup> {
        self.groups.get(&thread.group?)
    }

    /// The leader of a thread's group, which may be the thread itself.
    pub fn leader<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        if thread.is_leader() {
            return Some(thread);
        }
        let first = self.get(self.first_of_group(thread)?)?;
        first.is_leader().then_some(first)
    }

    /// The first thread of a thread's group, which is its leader if that is there.
    fn first_of_group(&self, thread: &Thread) -> Option<ThreadRef> {
        // As long as the first thread is there, it stays the first.
        let known = thread.first_of_group.filter(|&first| self.get(first).is_some());
        known.or_else(|| self.group(thread)?.threads.first().copied())
    }

    /// Working directory of a thread's process, ending in `/`; `./` when it has lost its leader.
    pub fn cwd<'a>(&'a self, thread: &'a Thread) -> &'a [u8] {
        self.directory(thread).map_or(b"./", |cwd| cwd)
    }

    /// The same as it is kept; `None` when the process has lost its leader.
    pub(crate) fn directory<'a>(&'a self, thread: &'a Thread) -> Option<&'a Arc<[u8]>> {
        if thread.cwd.is_empty() { Some(&self.leader(thread)?.cwd) } else { Some(&thread.cwd) }
    }

    /// The owner of the fd table a thread uses: itself, or its leader when they share.
    #[inline]
    pub(crate) fn fd_owner(&self, at: ThreadRef) -> Option<ThreadRef> {
        if self.get(at)?.shares_fds() { self.leader_ref(at) } else { Some(at) }
    }

    /// The parent of a thread.
    pub fn parent(&self, thread: &Thread) -> Option<&Thread> {
        self.by_tid(thread.ptid)
    }

    /// The process that is `steps` above the one of this thread; its own leader for 0.
    pub fn ancestor<'a>(&'a self, thread: &'a Thread, steps: u32) -> Option<&'a Thread> {
        let mut process = self.leader(thread)?;
        for _ in 0..steps {
            process = self.leader(self.parent(process)?)?;
        }
        Some(process)
    }

    /// The parent, its parent, and so on. Ends where the chain would loop.
    pub fn ancestors<'a>(&'a self, thread: &Thread) -> Ancestors<'a> {
        let slow = self.parent(thread);
        let fast = slow.and_then(|parent| self.parent(parent));
        Ancestors { tree: self, slow, fast }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, thread: ThreadRef) -> Option<&mut Thread> {
        let slot = self.slots.get_mut(thread.place())?;
        if slot.is(thread) { slot.thread.as_deref_mut() } else { None }
    }

    /// Reference to the leader of a thread's group.
    pub(crate) fn leader_ref(&self, at: ThreadRef) -> Option<ThreadRef> {
        let thread = self.get(at)?;
        if thread.is_leader() {
            return Some(at);
        }
        let first = self.first_of_group(thread)?;
        self.get(first)?.is_leader().then_some(first)
    }

    pub(crate) fn group_mut(&mut self, at: ThreadRef) -> Option<&mut ThreadGroup> {
        let pid = self.get(at)?.group?;
        self.groups.get_mut(&pid)
    }

    /// Adds a thread, in place of one with the same tid; `None` when the tree is full.
    pub(crate) fn insert(&mut self, thread: Thread) -> Option<ThreadRef> {
        if self.by_tid.len() >= self.max_threads {
            return None;
        }
        let tid = thread.tid;
        if let Some(old) = self.by_tid.remove(&tid) {
            self.forget(old);
        }
        let thread = Some(Box::new(thread));
        let at = match self.free.pop().and_then(|i| Some((i, self.slots.get_mut(i as usize)?))) {
            Some((index, slot)) => {
                slot.thread = thread;
                ThreadRef::new(index, slot.generation)
            }
            None => {
                self.slots.push(Slot { generation: Generation::FIRST, thread });
                ThreadRef::new((self.slots.len() - 1) as u32, Generation::FIRST)
            }
        };
        self.by_tid.insert(tid, at);
        Some(at)
    }

    /// Puts a thread into its group and under its parent, once enough is known of it.
    pub(crate) fn link(&mut self, at: ThreadRef) {
        let Some(thread) = self.get(at) else { return };
        if thread.is_unknown() || thread.group.is_some() {
            return;
        }
        let (pid, ptid, leader) = (thread.pid, thread.ptid, thread.is_leader());
        let init = pid == 1 || thread.vpid == 1;
        let group = self.groups.entry(pid).or_insert_with(|| ThreadGroup {
            alive: 0,
            reaper: init,
            threads: Vec::new(),
        });
        group.alive += 1;
        group.threads.insert(if leader { 0 } else { group.threads.len() }, at);
        let first = group.threads.first().copied();
        // A leader that comes late is the first from now on.
        let rest = if leader { group.threads.clone() } else { Vec::new() };
        if let Some(thread) = self.get_mut(at) {
            (thread.group, thread.first_of_group) = (Some(pid), first);
        }
        for other in rest {
            if let Some(thread) = self.get_mut(other) {
                thread.first_of_group = first;
            }
        }
        if pid == 1 {
            return;
        }
        match self.find(ptid).filter(|&p| self.get(p).is_some_and(|p| !p.is_unknown())) {
            Some(parent) => self.adopt(parent, at),
            None => self.orphan(at),
        }
    }

    /// Links every thread; for a snapshot, in which children may come before parents.
    pub(crate) fn link_all(&mut self) {
        self.refs().into_iter().for_each(|at| self.link(at));
    }

    /// All threads, in the order of their places.
    pub(crate) fn refs(&self) -> Vec<ThreadRef> {
        let slots = (0..).zip(&self.slots).filter(|(_, slot)| slot.thread.is_some());
        slots.map(|(index, slot)| ThreadRef::new(index, slot.generation)).collect()
    }

    /// Sets the container that a thread runs in. With `align`, all threads there have the same time
    /// for the start of the same pid namespace.
    pub(crate) fn set_container(&mut self, at: ThreadRef, container: &Arc<[u8]>, align: bool) {
        let Some(thread) = self.get_mut(at).filter(|thread| thread.container != *container) else {
            return;
        };
        let old = std::mem::replace(&mut thread.container, Arc::clone(container));
        let start = thread.has_own_ids().then_some(thread.pidns_init_start_ts);
        self.residents.leave(&old);
        let known = self.residents.enter(container, start.unwrap_or_default());
        if align
            && start.is_some()
            && let Some(thread) = self.get_mut(at)
        {
            thread.pidns_init_start_ts = known;
        }
    }

    /// The containers with threads.
    pub(crate) fn residents(&self) -> &Residents {
        &self.residents
    }

    /// The next container that has lost its last thread since this was asked.
    #[inline]
    pub(crate) fn next_emptied(&mut self) -> Option<Arc<[u8]>> {
        self.residents.next_emptied()
    }

    /// Marks a thread as dead, to be removed later.
    pub(crate) fn set_dead(&mut self, at: ThreadRef) {
        let Some(thread) = self.get_mut(at) else { return };
        let (was_dead, pid) = (thread.is_dead(), thread.group);
        thread.flags.insert(ThreadFlags::CLOSED);
        if !was_dead && let Some(pid) = pid {
            self.group_lost_one(pid);
        }
    }

    /// Marks a dead leader as alive: another thread of its group called exec and took its tid.
    pub(crate) fn resurrect(&mut self, at: ThreadRef) {
        let Some(thread) = self.get_mut(at) else { return };
        if !thread.is_dead() {
            return;
        }
        thread.flags.remove(ThreadFlags::CLOSED);
        if let Some(group) = self.group_mut(at) {
            group.alive += 1;
        }
    }

    /// Tids of the threads of a group that are neither its leader nor this one.
    pub(crate) fn others(&self, at: ThreadRef) -> SmallVec<[i64; 8]> {
        let Some(group) = self.get(at).and_then(|thread| self.group(thread)) else {
            return SmallVec::new();
        };
        if group.alive <= 1 {
            return SmallVec::new();
        }
        let others = group.threads.iter().filter(|&&other| other != at);
        others.filter_map(|&o| self.get(o)).filter(|t| !t.is_leader()).map(|t| t.tid).collect()
    }

    /// Removes a thread and, with the last thread of a group, its leader. Orphans get a new parent.
    pub(crate) fn remove(&mut self, tid: i64) -> Removed {
        let mut removed = Removed::new();
        let Some(at) = self.find(tid) else { return removed };
        let Some(thread) = self.get(at) else { return removed };
        let Some(pid) = thread.group.filter(|_| !thread.is_unknown()) else {
            let ptid = thread.ptid;
            self.child_gone(ptid);
            self.erase(tid, &mut removed);
            return removed;
        };
        self.set_dead(at);
        self.give_children_away(at);
        let Some(thread) = self.get(at) else { return removed };
        let (ptid, leader) = (thread.ptid, thread.is_leader());
        if self.groups.get(&pid).is_none_or(|group| group.alive == 0) {
            self.child_gone(ptid);
            self.groups.remove(&pid);
            self.erase(pid, &mut removed);
        }
        if !leader {
            self.child_gone(ptid);
            self.erase(tid, &mut removed);
        }
        removed
    }

    /// Removes all threads.
    pub(crate) fn clear(&mut self) -> Vec<ThreadRef> {
        let all = self.refs();
        all.iter().for_each(|&at| self.free(at));
        self.by_tid.clear();
        self.groups.clear();
        all
    }

    /// Moves a thread to another parent if that is known. Returns whether it moved.
    pub(crate) fn move_child(&mut self, at: ThreadRef, ptid: i64) -> bool {
        let Some(old) = self.get(at).map(|thread| thread.ptid).filter(|&old| old != ptid) else {
            return false;
        };
        let parent = self.find(ptid).filter(|&p| self.get(p).is_some_and(|p| !p.is_unknown()));
        let Some(parent) = parent else { return false };
        if let Some(old) = self.find(old).and_then(|old| self.get_mut(old)) {
            old.children.retain(|&child| child != at);
            old.live_children = old.live_children.saturating_sub(1);
        }
        self.adopt(parent, at);
        true
    }

    /// Remembers that a thread exited, for a while.
    pub(crate) fn note_exit(&mut self, tid: i64, ptid: i64, ts: u64) {
        self.exited.note(tid, ptid, ts);
    }

    /// Whether this child of this parent exited a moment ago.
    pub(crate) fn exited_recently(&self, tid: i64, ptid: i64, ts: u64) -> bool {
        self.exited.recently(tid, ptid, ts)
    }

    fn erase(&mut self, tid: i64, removed: &mut Removed) {
        if let Some(at) = self.by_tid.remove(&tid) {
            self.free(at);
            removed.push(at);
        }
    }

    /// Removes a thread whose exit was lost: another one has its tid.
    fn forget(&mut self, old: ThreadRef) {
        self.set_dead(old);
        let pid = self.get(old).and_then(|thread| thread.group);
        if let Some(pid) = pid.filter(|pid| self.groups.get(pid).is_some_and(|g| g.alive == 0)) {
            self.groups.remove(&pid);
        }
        self.free(old);
    }

    fn free(&mut self, at: ThreadRef) {
        if let Some(slot) = self.slots.get_mut(at.place()) {
            if let Some(thread) = slot.thread.take() {
                self.residents.leave(&thread.container);
            }
            slot.generation = slot.generation.next();
            self.free.push(at.index());
        }
    }

    fn adopt(&mut self, parent: ThreadRef, child: ThreadRef) {
        let Some(thread) = self.get_mut(parent) else { return };
        let tid = thread.tid;
        thread.children.push(child);
        thread.live_children += 1;
        if let Some(child) = self.get_mut(child) {
            child.ptid = tid;
        }
    }

    fn orphan(&mut self, child: ThreadRef) {
        if let Some(child) = self.get_mut(child) {
            child.ptid = 0;
        }
    }

    fn child_gone(&mut self, ptid: i64) {
        let Some(at) = self.find(ptid) else { return };
        let Some(parent) = self.get_mut(at) else { return };
        parent.live_children = parent.live_children.saturating_sub(1);
        if parent.children.len() - parent.live_children.min(parent.children.len()) >= STALE_REFS {
            let mut children = std::mem::take(&mut parent.children);
            children.retain(|&child| self.get(child).is_some());
            if let Some(parent) = self.get_mut(at) {
                parent.children = children;
            }
        }
    }

    fn group_lost_one(&mut self, pid: i64) {
        let Some(group) = self.groups.get_mut(&pid) else { return };
        group.alive = group.alive.saturating_sub(1);
        if group.threads.len() - group.alive.min(group.threads.len()) >= STALE_REFS {
            let mut threads = std::mem::take(&mut group.threads);
            threads.retain(|&thread| self.get(thread).is_some());
            if let Some(group) = self.groups.get_mut(&pid) {
                group.threads = threads;
            }
        }
    }

    /// As the kernel does: to the reaper it named, else to one found here, else to none.
    fn give_children_away(&mut self, at: ThreadRef) {
        let Some(thread) = self.get_mut(at) else { return };
        let (pid, named) = (thread.pid, thread.reaper_tid);
        let children = std::mem::take(&mut thread.children);
        thread.live_children = 0;
        if children.is_empty() {
            return;
        }
        let known = |at: &ThreadRef| self.get(*at).is_some_and(|thread| !thread.is_unknown());
        let named = (named > 0).then(|| self.find(named)).flatten().filter(known);
        let reaper = named.filter(|&reaper| reaper != at).or_else(|| self.find_reaper(at));
        let reaper_pid = reaper.and_then(|reaper| self.get(reaper)).map(|reaper| reaper.pid);
        if let Some(reaper) = reaper
            && reaper_pid != Some(pid)
            && let Some(group) = self.group_mut(reaper)
        {
            group.reaper = true;
        }
        for child in children {
            match reaper {
                _ if self.get(child).is_none() => {}
                Some(reaper) => self.adopt(reaper, child),
                None => self.orphan(child),
            }
        }
    }

    /// A live thread of the same group, or of the nearest reaper above in the same kind of
    /// namespace.
    fn find_reaper(&self, at: ThreadRef) -> Option<ThreadRef> {
        let thread = self.get(at)?;
        let alive = |group: &ThreadGroup| {
            let others = group.threads.iter().filter(|&&other| other != at);
            others.copied().find(|&other| self.get(other).is_some_and(|t| !t.is_dead()))
        };
        if let Some(other) = self.group(thread).filter(|group| group.alive > 0).and_then(alive) {
            return Some(other);
        }
        for parent in self.ancestors(thread) {
            if parent.in_pid_namespace() != thread.in_pid_namespace() {
                return None;
            }
            let group = self.group(parent).filter(|group| group.reaper && group.alive > 0);
            if let Some(reaper) = group.and_then(alive) {
                return Some(reaper);
            }
        }
        None
    }
}

/// See [`Tree::ancestors`].
#[derive(Clone, Debug)]
pub struct Ancestors<'a> {
    tree: &'a Tree,
    slow: Option<&'a Thread>,
    fast: Option<&'a Thread>,
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = &'a Thread;

    // Tortoise and hare: the hare goes two steps while the tortoise goes one.
    fn next(&mut self) -> Option<&'a Thread> {
        let current = self.slow.filter(|thread| thread.tid != -1)?;
        self.slow = self.tree.parent(current);
        for _ in 0..2 {
            self.fast = self.fast.and_then(|fast| self.tree.parent(fast));
            let Some(slow) = self.slow else { break };
            if slow.tid == slow.ptid || self.fast.is_some_and(|fast| fast.tid == slow.tid) {
                self.slow = None;
            }
        }
        Some(current)
    }
}

const EXITED: usize = 8192;
const EXITED_NS: u64 = 2_000_000_000;

/// The last threads that exited: the parent's clone event may come after the exit of its child.
#[derive(Clone, Debug, Default)]
struct Exited {
    // When, and in which slot of the ring.
    by_key: HashMap<(i64, i64), (u64, usize)>,
    ring: Vec<(i64, i64)>,
    next: usize,
}

impl Exited {
    fn note(&mut self, tid: i64, ptid: i64, ts: u64) {
        let key = (ptid, tid);
        match self.ring.get_mut(self.next) {
            Some(slot) => {
                let old = std::mem::replace(slot, key);
                if self.by_key.get(&old).is_some_and(|&(_, slot)| slot == self.next) {
                    self.by_key.remove(&old);
                }
            }
            None => self.ring.push(key),
        }
        self.by_key.insert(key, (ts, self.next));
        self.next = (self.next + 1) % EXITED;
    }

    fn recently(&self, tid: i64, ptid: i64, ts: u64) -> bool {
        let then = self.by_key.get(&(ptid, tid));
        then.and_then(|&(then, _)| ts.checked_sub(then)).is_some_and(|age| age < EXITED_NS)
    }
}
