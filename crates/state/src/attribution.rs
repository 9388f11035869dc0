//! Which container each thread runs in, and what the runtimes say of it.

mod unnamed;

use std::sync::Arc;

use peregrine_event::source::{ContainerAnswer, ContainerRequest};

use crate::containers::{Cgroups, Container, Containers, Known, Matchers};
use crate::lookups::{Ended, Metadata, PendingContainer};
use crate::state::State;
use crate::thread::{Purpose, Thread};
use crate::tree::ThreadRef;

impl State {
    /// The container with this id; the host for the empty one. A container that is not `certain`
    /// is the host where no description is known.
    pub fn container_of(&self, id: &[u8], certain: bool) -> Option<&Container> {
        let host = || self.containers.get(b"").filter(|_| !certain);
        self.containers.get(id).or_else(host)
    }

    /// The container that the last event describes.
    pub fn event_container(&self) -> Option<&Container> {
        self.event_container.as_deref()
    }

    /// When the container of a thread started, nanoseconds since the epoch: when its pid namespace
    /// did. Live, a thread that is in that of the host has the start that others in the container
    /// have, or that the runtime tells.
    pub fn container_start(&self, thread: &Thread) -> Option<u64> {
        let own = Some(thread.pidns_init_start_ts).filter(|&start| start != 0);
        if !self.knows_starts() || thread.container.is_empty() || thread.has_own_ids() {
            return own;
        }
        let created = |container: &Container| u64::try_from(container.created).ok();
        let created = || self.containers.get(&thread.container).and_then(created);
        let created = || created().filter(|&s| s != 0).map(|s| s.saturating_mul(1_000_000_000));
        self.tree.residents().start(&thread.container).or_else(created).or(own)
    }

    /// What is known of a container beside its id.
    pub fn metadata(&self, container: &[u8]) -> Metadata {
        if self.lookups.pending(container).is_some() {
            Metadata::Pending
        } else if self.containers.get(container).is_some() {
            Metadata::Known
        } else {
            Metadata::Unavailable
        }
    }

    /// The container of a thread, if the runtimes are being asked about it.
    #[inline]
    pub fn pending_container(&self, thread: &Thread) -> Option<PendingContainer<'_>> {
        if !self.lookups.has_pending() || thread.container.is_empty() {
            return None;
        }
        self.lookups.pending(&thread.container)
    }

    /// Looks up containers from here on, whose control groups these matchers tell. Threads are
    /// assigned anew when they start, call exec or move, and all of them if that was not done so
    /// far.
    pub fn look_up_containers(&mut self, matchers: Matchers) {
        let begins = !self.config.lookup_containers;
        if !begins && *self.cgroups.matchers() == matchers {
            return;
        }
        if !self.config.containers {
            self.containers = Containers::with_host();
        }
        (self.config.containers, self.config.lookup_containers) = (true, true);
        self.config.matchers = matchers.clone();
        self.cgroups = Cgroups::new(matchers, true);
        if begins {
            self.find_all_containers();
        }
    }

    /// Whether the answer to a request about a container is missing.
    pub fn awaits_containers(&self) -> bool {
        self.lookups.has_pending()
    }

    /// Takes the answer to a request about a container before it comes as a record.
    pub fn take_container_answer(&mut self, answer: ContainerAnswer) {
        match answer {
            ContainerAnswer::Unavailable(container) => self.container_unavailable(&container),
            ContainerAnswer::Described(json) => {
                if let Ok(mut container) = Container::from_json(&json) {
                    self.kubernetes.add_probes(&mut container);
                    self.add_container(Arc::new(container));
                }
            }
        }
    }

    /// The next request about a container to be sent.
    pub fn next_container_request(&mut self) -> Option<ContainerRequest> {
        self.lookups.next_unsent()
    }

    /// Takes a request back that could not be sent: it is the next one again.
    pub fn postpone_container_request(&mut self, request: ContainerRequest) {
        self.lookups.push_front(request);
    }

    /// Finds the containers that all threads run in.
    pub(crate) fn find_all_containers(&mut self) {
        for at in self.tree.refs() {
            self.find_container(at);
            self.request_accounts(at, false);
        }
    }

    /// Finds the container that a thread runs in, now that its control groups may have changed.
    pub(crate) fn find_container(&mut self, at: ThreadRef) {
        if !self.config.containers {
            return;
        }
        let Some(thread) = self.tree.get(at) else { return };
        let known = self.cgroups.container(&thread.cgroups);
        let (before, tid) = (Arc::clone(&thread.container), thread.tid);
        if let Some(thread) = self.tree.get_mut(at) {
            thread.cgroups = known.groups.clone();
        }
        let id = self.located(at, tid, known);
        let purpose = self.tree.get(at).and_then(|thread| self.purpose(thread, &id));
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.purpose = purpose.unwrap_or(thread.purpose);
        if before != id {
            self.set_container(at, &id);
        }
    }

    /// The id of the container of a thread in these control groups.
    fn located(&mut self, at: ThreadRef, tid: i64, known: Known) -> Arc<[u8]> {
        let Some(engine) = known.engine else { return self.by_namespace(at) };
        let certain = known.is_certain();
        if !certain && engine.has_runtime() {
            let own = self.by_namespace(at);
            if !own.is_empty() {
                return own;
            }
        }
        let described = self.containers.get(&known.container);
        // One that was described before it started is described again.
        let partial = |one: &Container| self.config.lookup_containers && one.starting;
        if described.is_some_and(|one| !partial(one)) && engine.has_runtime() {
            return known.container;
        }
        let request = || ContainerRequest {
            container: Arc::clone(&known.container),
            cgroup: Arc::clone(&known.path),
            tid,
            engine,
            certain,
        };
        if !engine.has_runtime() {
            let id = String::from_utf8_lossy(&known.container);
            let fixed = self.cgroups.matchers().static_container.as_ref();
            let bare = Container::without_runtime(engine, &id, fixed);
            if described.is_none_or(|described| *described != bare) {
                self.counters.dropped_others += u64::from(!self.containers.insert(Arc::new(bare)));
                if self.config.lookup_containers {
                    self.lookups.tell(request());
                }
            }
        } else if self.config.lookup_containers {
            if !self.lookups.enter(request(), at) {
                return Arc::default();
            }
        } else if !certain && self.lookups.is_unknown(&known.container) {
            return Arc::default();
        }
        known.container
    }

    /// Whether the control groups of a thread are not for certain those of a container.
    fn may_be_of_host(&self, thread: &Thread) -> bool {
        thread.container.is_empty()
            || self.lookups.pending(&thread.container).is_some_and(|pending| !pending.certain)
    }

    fn set_container(&mut self, at: ThreadRef, id: &Arc<[u8]>) {
        let align = self.knows_starts();
        self.tree.set_container(at, id, align);
        if let Some(thread) = self.tree.get(at) {
            let (uid, gid) = (thread.uid, thread.gid);
            self.note_user(id, uid, gid);
        }
    }

    /// A runtime has described a container.
    pub(crate) fn add_container(&mut self, container: Arc<Container>) {
        let id: Arc<[u8]> = container.id.as_bytes().into();
        let partial = container.starting && self.lookups.pending(&id).is_some();
        self.counters.dropped_others += u64::from(!self.containers.insert(Arc::clone(&container)));
        self.learn_namespace(&container);
        if partial {
            return;
        }
        let Some(Ended { certain: false, was_pending, threads }) = self.lookups.described(&id)
        else {
            return;
        };
        // After an answer that no runtime knows it, its threads are among those of the host.
        let threads = if was_pending { threads.into_iter().collect() } else { self.tree.refs() };
        for at in threads {
            if self.belongs(at, &id) {
                self.set_container(at, &id);
                self.request_accounts(at, false);
            } else if self.tree.get(at).is_some_and(|thread| thread.container == id) {
                self.find_container(at);
            }
        }
    }

    /// Whether the control groups of a thread are those of this container, or its pid namespace is
    /// the one of this container.
    fn belongs(&mut self, at: ThreadRef, container: &[u8]) -> bool {
        let Some(thread) = self.tree.get(at) else { return false };
        *self.cgroups.container(&thread.cgroups).container == *container
            || self.is_in_namespace(at, container)
    }

    /// A runtime says that a container is gone.
    pub(crate) fn remove_container(&mut self, id: &[u8]) {
        self.containers.remove(id);
        self.namespaces.remove(id);
    }

    /// A recording is of a run that asked runtimes: containers without a description wait for one,
    /// as they did then.
    pub(crate) fn follow_lookups(&mut self) {
        if !self.config.live && !self.config.lookup_containers {
            self.config.lookup_containers = true;
            self.lookups.set_recorded();
            self.cgroups = Cgroups::new(self.config.matchers.clone(), true);
        }
    }

    /// A recording says that no runtime knew a container.
    pub(crate) fn recorded_unavailable(&mut self, container: &[u8]) {
        if self.lookups.pending(container).is_some() {
            return self.container_unavailable(container);
        }
        self.lookups.add_unknown(container);
        for at in self.tree.refs() {
            let own = self.tree.get(at).is_some_and(|thread| *thread.container == *container);
            if own && self.lookups.is_unknown(container) {
                self.find_container(at);
            }
        }
    }

    /// No runtime knows a container.
    pub(crate) fn container_unavailable(&mut self, container: &[u8]) {
        let Some(Ended { certain: false, threads, .. }) = self.lookups.unavailable(container)
        else {
            return;
        };
        let threads = match self.namespaces.remove(container) {
            true => self.tree.refs(),
            false => threads.into_iter().collect(),
        };
        for at in threads {
            if self.tree.get(at).is_some_and(|thread| *thread.container == *container) {
                let id = self.by_namespace(at);
                self.set_container(at, &id);
            }
        }
    }

    /// Why a process runs in this container, if that is known.
    fn purpose(&self, thread: &Thread, container: &[u8]) -> Option<Purpose> {
        let container = self.containers.get(container).filter(|_| !container.is_empty())?;
        if thread.vpid == 1 {
            return Some(Purpose::Container);
        }
        let parent = self.tree.parent(thread);
        if let Some(inherited) = parent.map(|p| p.purpose).filter(|&p| p != Purpose::Unknown) {
            return Some(inherited);
        }
        let args = thread.exec.args.iter().filter(|arg| !arg.is_empty());
        let probe = container.probe(&thread.exec.exe, args)?;
        // Descendants of the container's first process are not probes, even with the same command.
        let inside = |t: &Thread| t.vpid == 1 && !t.container.is_empty();
        (!self.tree.ancestors(thread).any(inside)).then_some(Purpose::Probe(probe))
    }
}
