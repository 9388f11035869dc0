//! Containers without a control group that names them, as rootless runtimes make them where they
//! may not make groups: their threads are known by their pid namespace.
//!
//! Which container a namespace is, its runtime tells with the first process, once that runs. Before
//! that, the monitor of the container says it: podman starts a `conmon` for each, whose arguments
//! have the id. Anybody may start a program of that name, so this counts only if the runtime knows
//! the container, and no longer than until it tells another first process.

use std::sync::Arc;

use peregrine_event::source::{ContainerEngine, ContainerRequest};

use crate::containers::Container;
use crate::residents::START_PRECISION;
use crate::state::State;
use crate::thread::Thread;
use crate::tree::ThreadRef;

/// Name of the monitor.
const MONITOR: &[u8] = b"conmon";
/// Ancestors among which it is looked for: the runtime has several processes in between.
const ANCESTORS: usize = 6;
/// Times of one start that are told in the same way differ by less, in nanoseconds.
const ROUNDING: u64 = 1_000;
/// Digits of a whole id, and those that fields have.
const FULL_ID: usize = 64;
const SHORT_ID: usize = 12;

impl State {
    /// The container that a thread is in by its pid namespace. Empty on the host.
    pub(super) fn by_namespace(&mut self, at: ThreadRef) -> Arc<[u8]> {
        let thread = self.tree.get(at).filter(|thread| thread.in_pid_namespace());
        let Some(thread) = thread.filter(|thread| thread.pidns_init_start_ts != 0) else {
            return Arc::default();
        };
        let (tid, start) = (thread.tid, thread.pidns_init_start_ts);
        if let Some(container) = self.of_namespace(thread) {
            return Arc::clone(container);
        }
        let Some(container) = self.monitored(thread) else { return Arc::default() };
        let is_in = match self.containers.get(&container).filter(|known| !known.starting) {
            Some(known) => self.may_begin_at(known, start),
            None => {
                let (container, cgroup) = (Arc::clone(&container), Arc::default());
                let (engine, certain) = (ContainerEngine::Podman, false);
                self.lookups.enter(ContainerRequest { container, cgroup, tid, engine, certain }, at)
            }
        };
        if !is_in {
            return Arc::default();
        }
        self.namespaces.insert(start, &container);
        container
    }

    /// The container that the pid namespace of a thread is known to be. Another one may have begun
    /// at nearly the same time: where the times differ, the thread must also come from there.
    fn of_namespace(&self, thread: &Thread) -> Option<&Arc<[u8]>> {
        let start = thread.pidns_init_start_ts;
        let (known, container) = self.namespaces.find(start)?;
        let is_same = known.abs_diff(start) <= ROUNDING;
        let comes_from_it = || {
            self.tree.parent(thread).is_some_and(|parent| parent.container == *container)
                || self.monitored(thread).is_some_and(|monitored| monitored == *container)
        };
        (is_same || comes_from_it()).then_some(container)
    }

    /// The container whose monitor has started a thread.
    fn monitored(&self, thread: &Thread) -> Option<Arc<[u8]>> {
        if !self.config.lookup_containers {
            return None;
        }
        let mut above = self.tree.ancestors(thread).take(ANCESTORS);
        let monitor = above.find(|thread| thread.comm() == MONITOR)?;
        let mut args = monitor.exec.args.iter().skip_while(|arg| !matches!(*arg, b"-c" | b"--cid"));
        let id = args.nth(1).filter(|id| id.len() == FULL_ID)?;
        let id = id.get(..SHORT_ID).filter(|id| id.iter().all(u8::is_ascii_hexdigit));
        id.map(Into::into)
    }

    /// Whether the pid namespace of a container may have begun at this time.
    fn may_begin_at(&self, container: &Container, start: u64) -> bool {
        let first = self.tree.by_tid(container.pid).filter(|_| container.pid > 0);
        first.is_none_or(|first| is_near(first.pidns_init_start_ts, start))
    }

    /// A container without a control group of its own is where the pid namespace of its first
    /// process is.
    pub(super) fn learn_namespace(&mut self, container: &Container) {
        let Some(first) = self.tree.by_tid(container.pid).filter(|_| container.pid > 0) else {
            return;
        };
        if !self.may_be_of_host(first) {
            return;
        }
        if !first.in_pid_namespace() || first.pidns_init_start_ts == 0 {
            self.counters.unidentified_containers += 1;
            return;
        }
        let start = first.pidns_init_start_ts;
        self.namespaces.retain(container.id.as_bytes(), |other| is_near(other, start));
        if self.namespaces.insert(start, container.id.as_bytes()) {
            for at in self.tree.refs() {
                if self.tree.get(at).is_some_and(|thread| self.may_be_of_host(thread)) {
                    self.find_container(at);
                }
            }
        }
    }

    /// Whether a thread is in this container by its pid namespace.
    pub(super) fn is_in_namespace(&self, at: ThreadRef, container: &[u8]) -> bool {
        let thread = self.tree.get(at).filter(|thread| thread.in_pid_namespace());
        let known = thread.and_then(|thread| self.of_namespace(thread));
        known.is_some_and(|known| **known == *container)
    }
}

fn is_near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= START_PRECISION
}
