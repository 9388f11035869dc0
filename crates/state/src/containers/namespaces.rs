//! Containers that are known by the pid namespace of their processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use peregrine_limits::CONTAINERS;

use crate::residents::START_PRECISION;

/// Containers by the start of the first process of their pid namespace, which is what threads have
/// of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespaces {
    by_start: BTreeMap<u64, Arc<[u8]>>,
}

impl Namespaces {
    /// The container whose namespace began at about this time, and when it did.
    pub(crate) fn find(&self, start: u64) -> Option<(u64, &Arc<[u8]>)> {
        let near = start.saturating_sub(START_PRECISION)..=start.saturating_add(START_PRECISION);
        let near = self.by_start.range(near);
        let nearest = near.min_by_key(|(other, _)| other.abs_diff(start));
        nearest.map(|(start, container)| (*start, container))
    }

    /// Adds a container. False when it is known already, or there is no room.
    pub(crate) fn insert(&mut self, start: u64, container: &[u8]) -> bool {
        if self.by_start.get(&start).is_some_and(|known| **known == *container) {
            return false;
        }
        if self.by_start.len() >= CONTAINERS.get() {
            CONTAINERS.reach();
            return false;
        }
        self.by_start.insert(start, container.into());
        true
    }

    /// Forgets a container. False when it was not known.
    pub(crate) fn remove(&mut self, container: &[u8]) -> bool {
        let before = self.by_start.len();
        self.retain(container, |_| false);
        self.by_start.len() < before
    }

    /// Keeps of a container only the starts for which `is_kept` holds.
    pub(crate) fn retain(&mut self, container: &[u8], is_kept: impl Fn(u64) -> bool) {
        self.by_start.retain(|start, known| **known != *container || is_kept(*start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_start_counts() {
        let mut namespaces = Namespaces::default();
        assert!(namespaces.insert(1_000_000_000, b"a") && namespaces.insert(1_015_000_000, b"b"));
        assert!(!namespaces.insert(1_015_000_000, b"b"));
        let container = |start| namespaces.find(start).map(|(_, container)| container.to_vec());
        assert_eq!(container(1_000_000_001).as_deref(), Some(&b"a"[..]));
        assert_eq!(container(1_010_000_000).as_deref(), Some(&b"b"[..]));
        assert_eq!(container(1_040_000_000), None);
        namespaces.retain(b"b", |start| start > 1_000_000_000);
        assert!(namespaces.remove(b"a") && !namespaces.remove(b"a"));
        assert!(namespaces.remove(b"b") && namespaces.by_start.is_empty());
    }
}
