//! Which containers have threads, so that what is known of a container ends with its last one.

use std::sync::Arc;

use hashbrown::HashMap;

/// Times of the start of one process differ by less than this: the kernel tells nanoseconds, and
/// `/proc` ticks of a clock that is read at another time.
pub(crate) const START_PRECISION: u64 = 20_000_000;

/// Threads by container. The host, whose id is empty, is not counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Residents {
    by_container: HashMap<Arc<[u8]>, Resident>,
    emptied: Vec<Arc<[u8]>>,
}

/// The threads of a container.
#[derive(Clone, Copy, Debug)]
struct Resident {
    threads: usize,
    /// Start of the pid namespace of the first of them, 0 when unknown.
    pidns_start: u64,
}

impl Residents {
    /// Whether a container has threads.
    pub(crate) fn has(&self, container: &[u8]) -> bool {
        self.by_container.contains_key(container)
    }

    /// When the pid namespace of the first threads of a container began.
    pub(crate) fn start(&self, container: &[u8]) -> Option<u64> {
        let start = self.by_container.get(container)?.pidns_start;
        (start != 0).then_some(start)
    }

    /// Counts a thread, whose pid namespace began at this time, 0 when unknown. Returns that time
    /// as the threads before it have it.
    pub(crate) fn enter(&mut self, container: &Arc<[u8]>, pidns_start: u64) -> u64 {
        if container.is_empty() {
            return pidns_start;
        }
        let new = || Resident { threads: 0, pidns_start };
        let known = self.by_container.entry(Arc::clone(container)).or_insert_with(new);
        known.threads += 1;
        if known.pidns_start == 0 {
            known.pidns_start = pidns_start;
        }
        let same = known.pidns_start.abs_diff(pidns_start) <= START_PRECISION;
        if same || pidns_start == 0 { known.pidns_start } else { pidns_start }
    }

    /// A thread has ended or moved.
    pub(crate) fn leave(&mut self, container: &Arc<[u8]>) {
        let Some(known) = self.by_container.get_mut(container) else { return };
        known.threads -= 1;
        if known.threads == 0 {
            self.by_container.remove(container);
            self.emptied.push(Arc::clone(container));
        }
    }

    /// The next container that has lost its last thread since this was asked.
    #[inline]
    pub(crate) fn next_emptied(&mut self) -> Option<Arc<[u8]>> {
        while let Some(container) = self.emptied.pop() {
            if !self.has(&container) {
                return Some(container);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_namespace_has_one_start() {
        let mut residents = Residents::default();
        let container = Arc::from(&b"c"[..]);
        let starts = [0, 5_000_000_000, 5_009_000_000, 9_000_000_000, 0];
        let known = starts.map(|start| residents.enter(&container, start));
        assert_eq!(known, [0, 5_000_000_000, 5_000_000_000, 9_000_000_000, 5_000_000_000]);
    }

    #[test]
    fn a_container_is_empty_once_its_last_thread_is_gone() {
        let mut residents = Residents::default();
        let (container, host) = (Arc::from(&b"c"[..]), Arc::default());
        residents.enter(&container, 0);
        residents.enter(&container, 0);
        residents.enter(&host, 0);
        residents.leave(&host);
        residents.leave(&container);
        assert_eq!((residents.has(b"c"), residents.next_emptied()), (true, None));
        residents.leave(&container);
        // Another one came in the meantime.
        residents.enter(&container, 0);
        assert_eq!(residents.next_emptied(), None);
        residents.leave(&container);
        assert_eq!(residents.next_emptied(), Some(container));
        assert_eq!(residents.next_emptied(), None);
    }
}
