//! Which containers have threads, so that what is known of a container ends with its last one.

use std::sync::Arc;

use hashbrown::HashMap;

/// Threads by container. The host, whose id is empty, is not counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Residents {
    threads: HashMap<Arc<[u8]>, usize>,
    emptied: Vec<Arc<[u8]>>,
}

impl Residents {
    /// Whether a container has threads.
    pub(crate) fn has(&self, container: &[u8]) -> bool {
        self.threads.contains_key(container)
    }

    /// Counts a thread.
    pub(crate) fn enter(&mut self, container: &Arc<[u8]>) {
        if !container.is_empty() {
            *self.threads.entry(Arc::clone(container)).or_default() += 1;
        }
    }

    /// A thread has ended or moved.
    pub(crate) fn leave(&mut self, container: &Arc<[u8]>) {
        let Some(threads) = self.threads.get_mut(container) else { return };
        *threads -= 1;
        if *threads == 0 {
            self.threads.remove(container);
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
    fn a_container_is_empty_once_its_last_thread_is_gone() {
        let mut residents = Residents::default();
        let (container, host) = (Arc::from(&b"c"[..]), Arc::default());
        residents.enter(&container);
        residents.enter(&container);
        residents.enter(&host);
        residents.leave(&host);
        residents.leave(&container);
        assert_eq!((residents.has(b"c"), residents.next_emptied()), (true, None));
        residents.leave(&container);
        // Another one came in the meantime.
        residents.enter(&container);
        assert_eq!(residents.next_emptied(), None);
        residents.leave(&container);
        assert_eq!(residents.next_emptied(), Some(container));
        assert_eq!(residents.next_emptied(), None);
    }
}
