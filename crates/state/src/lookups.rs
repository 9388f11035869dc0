//! Containers that runtimes are asked about.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use peregrine_event::source::ContainerRequest;
use peregrine_limits::CONTAINER_LOOKUPS;

use crate::tree::ThreadRef;

/// What is known of a container beside its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Its description, which the state has.
    Known,
    /// The runtimes are asked.
    Pending,
    /// Nothing: no runtime knows it, or none is asked.
    Unavailable,
}

/// A container that the runtimes are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingContainer<'a> {
    /// Its id.
    pub id: &'a Arc<[u8]>,
    /// Whether it is a container even if no runtime knows it. Otherwise it is the host then.
    pub certain: bool,
}

/// Containers without a description: the requests for it, and how they ended. A container is
/// asked about once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    by_id: HashMap<Arc<[u8]>, Lookup>,
    unsent: VecDeque<ContainerRequest>,
    pending: usize,
    /// A recording has the answers to the requests of the run that made it.
    recorded: bool,
}

#[derive(Clone, Debug)]
struct Lookup {
    pending: bool,
    certain: bool,
    /// While the answer decides whether they are in a container: these threads.
    threads: HashSet<ThreadRef>,
}

impl Lookup {
    fn is_unknown(&self) -> bool {
        !self.pending && !self.certain
    }
}

/// How a request ended.
pub(crate) struct Ended {
    pub(crate) certain: bool,
    pub(crate) was_pending: bool,
    /// The threads that are on the host if no runtime knows the container.
    pub(crate) threads: HashSet<ThreadRef>,
}

impl Lookups {
    /// Whether any answer is missing.
    #[inline]
    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// A container whose answer is missing.
    pub(crate) fn pending(&self, container: &[u8]) -> Option<PendingContainer<'_>> {
        if !self.has_pending() {
            return None;
        }
        let (id, lookup) = self.by_id.get_key_value(container)?;
        lookup.pending.then_some(PendingContainer { id, certain: lookup.certain })
    }

    /// A thread runs in this container, of which no description is known. Asks about it unless that
    /// was done. Returns whether the thread counts as one of the container's for now.
    pub(crate) fn enter(&mut self, request: ContainerRequest, at: ThreadRef) -> bool {
        if let Some(lookup) = self.by_id.get_mut(&request.container) {
            // A group that can only be a container's decides, whatever was seen before.
            lookup.certain |= request.certain;
            if lookup.pending && !lookup.certain {
                lookup.threads.insert(at);
            }
            return lookup.pending || lookup.certain;
        }
        if !self.has_room() {
            return request.certain;
        }
        let (pending, certain) = (true, request.certain);
        let threads = if certain { HashSet::new() } else { [at].into_iter().collect() };
        self.by_id.insert(Arc::clone(&request.container), Lookup { pending, certain, threads });
        self.pending += 1;
        if !self.recorded {
            self.unsent.push_back(request);
        }
        true
    }

    /// No runtime knows the container.
    pub(crate) fn unavailable(&mut self, container: &[u8]) -> Option<Ended> {
        let lookup = self.by_id.get_mut(container).filter(|lookup| lookup.pending)?;
        lookup.pending = false;
        self.pending -= 1;
        let threads = std::mem::take(&mut lookup.threads);
        Some(Ended { certain: lookup.certain, was_pending: true, threads })
    }

    /// The container is described now.
    pub(crate) fn described(&mut self, container: &[u8]) -> Option<Ended> {
        let lookup = self.by_id.remove(container)?;
        self.pending -= usize::from(lookup.pending);
        let Lookup { pending: was_pending, certain, threads } = lookup;
        Some(Ended { certain, was_pending, threads })
    }

    /// Whether the answers come with a recording.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The answers come with a recording from here on.
    pub(crate) fn set_recorded(&mut self) {
        self.recorded = true;
    }

    /// A recording says that no runtime knew the container.
    pub(crate) fn add_unknown(&mut self, container: &[u8]) {
        if !self.by_id.contains_key(container) && self.has_room() {
            let lookup = Lookup { pending: false, certain: false, threads: HashSet::new() };
            self.by_id.insert(container.into(), lookup);
        }
    }

    /// Whether a container was asked about that no runtime knows: then its threads are the host's.
    pub(crate) fn is_unknown(&self, container: &[u8]) -> bool {
        self.by_id.get(container).is_some_and(Lookup::is_unknown)
    }

    /// All of these.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &Arc<[u8]>> {
        self.by_id.iter().filter(|(_, lookup)| lookup.is_unknown()).map(|(id, _)| id)
    }

    /// The container has no thread any more. What waits for an answer still needs it, and a group
    /// of the host is not asked about again.
    pub(crate) fn emptied(&mut self, container: &[u8]) {
        if self.by_id.get(container).is_some_and(|lookup| !lookup.pending && lookup.certain) {
            self.by_id.remove(container);
        }
    }

    /// Whether a request is to be sent.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next request to be sent.
    pub(crate) fn next_unsent(&mut self) -> Option<ContainerRequest> {
        self.unsent.pop_front()
    }

    /// A request to be sent that needs no answer, or could not be sent before.
    pub(crate) fn push_front(&mut self, request: ContainerRequest) {
        self.unsent.push_front(request);
    }

    /// Sends a request that needs no answer.
    pub(crate) fn tell(&mut self, request: ContainerRequest) {
        if self.recorded {
            return;
        }
        if self.unsent.len() < CONTAINER_LOOKUPS.get() {
            self.unsent.push_back(request);
        } else {
            CONTAINER_LOOKUPS.reach();
        }
    }

    fn has_room(&mut self) -> bool {
        if self.by_id.len() < CONTAINER_LOOKUPS.get() {
            return true;
        }
        CONTAINER_LOOKUPS.reach();
        if self.pending < self.by_id.len() {
            self.by_id.retain(|_, lookup| lookup.pending);
        }
        self.by_id.len() < CONTAINER_LOOKUPS.get()
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::source::ContainerEngine;

    use super::*;

    fn request(id: usize, certain: bool) -> ContainerRequest {
        let engine = if certain { ContainerEngine::Docker } else { ContainerEngine::Containerd };
        let container: Arc<[u8]> = id.to_string().into_bytes().into();
        ContainerRequest { cgroup: Arc::clone(&container), container, tid: 1, engine, certain }
    }

    #[test]
    fn a_container_is_asked_about_once() {
        let mut lookups = Lookups::default();
        assert!(lookups.enter(request(1, false), ThreadRef::at(1)));
        assert!(lookups.enter(request(1, false), ThreadRef::at(2)));
        assert_eq!((lookups.next_unsent(), lookups.next_unsent()), (Some(request(1, false)), None));
        assert!(lookups.pending(b"1").is_some_and(|pending| !pending.certain));
        let ended = lookups.unavailable(b"1").unwrap();
        assert_eq!((ended.certain, ended.threads.len()), (false, 2));
        assert!(lookups.unavailable(b"1").is_none() && !lookups.has_pending());
        assert!(!lookups.enter(request(1, false), ThreadRef::at(3)));
        assert!(lookups.enter(request(1, true), ThreadRef::at(3)));
        assert_eq!(lookups.next_unsent(), None);
        lookups.emptied(b"1");
        assert!(lookups.by_id.is_empty());
        lookups.add_unknown(b"2");
        lookups.emptied(b"2");
        assert!(lookups.is_unknown(b"2") && lookups.unknown().count() == 1);
    }

    #[test]
    fn lookups_are_bounded() {
        let mut lookups = Lookups::default();
        let most = CONTAINER_LOOKUPS.get();
        for id in 0..most {
            assert!(lookups.enter(request(id, false), ThreadRef::at(1)));
        }
        assert!(!lookups.enter(request(most, false), ThreadRef::at(1)));
        assert!(lookups.enter(request(most, true), ThreadRef::at(1)));
        assert_eq!((lookups.by_id.len(), lookups.pending), (most, most));
        // What no runtime knows makes room.
        assert!(lookups.unavailable(b"0").is_some() && lookups.unavailable(b"1").is_some());
        assert!(lookups.enter(request(most, false), ThreadRef::at(1)));
        assert_eq!((lookups.by_id.len(), lookups.pending), (most - 1, most - 1));
        assert!(lookups.described(b"2").is_some_and(|ended| ended.was_pending));
    }
}
