//! Ids of rules.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A rule, interned by source and name in a [`RuleRegistry`]. Ids are dense and start at 0, so
/// per-rule figures fit in a vector; the order of ids means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u32);

impl RuleId {
    /// Position of this rule in a vector with one entry per interned rule.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All rules that have been seen since the start. A rule keeps its id for the life of the process,
/// across reloads that drop it and bring it back; an id is never given to another rule.
#[derive(Debug, Default)]
pub struct RuleRegistry(RwLock<Rules>);

#[derive(Debug, Default)]
struct Rules {
    // Source, then name.
    ids: HashMap<Arc<str>, HashMap<Arc<str>, RuleId>>,
    by_id: Vec<Interned>,
}

#[derive(Debug)]
struct Interned {
    source: Arc<str>,
    name: Arc<str>,
}

impl RuleRegistry {
    /// Knows no rule yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of a rule. The first call for a source and name assigns it, later ones return it.
    ///
    /// # Panics
    /// After 2³² different rules.
    pub fn intern(&self, source: &str, name: &str) -> RuleId {
        let known = self.read(|rules| rules.id(source, name));
        known.unwrap_or_else(|| {
            self.0.write().unwrap_or_else(PoisonError::into_inner).intern(source, name)
        })
    }

    /// The id of a rule, if it was interned.
    #[must_use]
    pub fn id(&self, source: &str, name: &str) -> Option<RuleId> {
        self.read(|rules| rules.id(source, name))
    }

    /// Name of a rule; empty for an id of another registry.
    #[must_use]
    pub fn name(&self, id: RuleId) -> Arc<str> {
        self.read(|rules| rules.get(id).map(|rule| rule.name.clone())).unwrap_or_default()
    }

    /// Name of the event source of a rule; empty for an id of another registry.
    #[must_use]
    pub fn source(&self, id: RuleId) -> Arc<str> {
        self.read(|rules| rules.get(id).map(|rule| rule.source.clone())).unwrap_or_default()
    }

    /// How many rules were interned: every [`RuleId::index`] is below.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|rules| rules.by_id.len())
    }

    /// Whether no rule was interned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic of another thread leaves no half-written entry that matters: at worst a rule without
    /// an id.
    fn read<T>(&self, get: impl FnOnce(&Rules) -> T) -> T {
        get(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rules {
    fn id(&self, source: &str, name: &str) -> Option<RuleId> {
        self.ids.get(source)?.get(name).copied()
    }

    fn get(&self, id: RuleId) -> Option<&Interned> {
        let rule = self.by_id.get(id.index());
        debug_assert!(rule.is_some(), "{id:?} is from another registry");
        rule
    }

    fn intern(&mut self, source: &str, name: &str) -> RuleId {
        // Another thread may have been faster.
        if let Some(id) = self.id(source, name) {
            return id;
        }
        let id = RuleId(self.by_id.len() as u32);
        assert!(id.index() == self.by_id.len(), "more than 2^32 rules");
        let source = match self.ids.get_key_value(source) {
            Some((source, _)) => source.clone(),
            None => source.into(),
        };
        let name: Arc<str> = name.into();
        self.by_id.push(Interned { source: source.clone(), name: name.clone() });
        self.ids.entry(source).or_default().insert(name, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_id_stands_for_a_source_and_a_name() {
        let registry = RuleRegistry::new();
        let ids = [("syscall", "A"), ("syscall", "B"), ("k8s_audit", "A"), ("syscall", "A")]
            .map(|(source, name)| registry.intern(source, name));
        assert_eq!(ids.map(RuleId::index), [0, 1, 2, 0]);
        assert_eq!((&*registry.source(ids[2]), &*registry.name(ids[2])), ("k8s_audit", "A"));
        assert_eq!(registry.id("syscall", "B"), Some(ids[1]));
        assert_eq!(registry.id("k8s_audit", "B"), None);
        assert_eq!(registry.len(), 3);
    }

    #[test]
    fn threads_agree_on_ids() {
        let registry = RuleRegistry::new();
        let intern = || (0..100).map(|n| registry.intern("s", &n.to_string())).collect::<Vec<_>>();
        thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(intern));
            for ids in threads.map(|thread| thread.join().unwrap()) {
                for (n, id) in ids.into_iter().enumerate() {
                    assert_eq!(*registry.name(id), *n.to_string());
                }
            }
        });
        assert_eq!(registry.len(), 100);
    }
}
