//! Keys that a map has twice. The first one counts, and the others have no effect.

use std::collections::HashMap;
use std::fmt;

use peregrine_diagnostics::Span;

use crate::{Node, Value};

/// A key that is already in its map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The keys down to it and itself: `engine.kind`, `[0].name`.
    pub path: String,
    /// The entry that counts.
    pub first: Span,
    /// This one.
    pub again: Span,
}

/// All of them in a tree, in the order of the text.
#[must_use]
pub fn duplicate_keys(node: &Node) -> Vec<DuplicateKey> {
    let mut found = Vec::new();
    collect(node, &Path::Root, &mut found);
    // A map that aliases refer to is in the tree several times.
    found.sort_by_key(|key: &DuplicateKey| key.again.start);
    found.dedup_by_key(|key| key.again);
    found
}

/// A path down the tree. It becomes a text for a key that is reported, and nearly none is.
enum Path<'p> {
    Root,
    Index(&'p Path<'p>, usize),
    Key(&'p Path<'p>, &'p str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Index(above, index) => write!(f, "{above}[{index}]"),
            Self::Key(Self::Root, name) => f.write_str(name),
            Self::Key(above, name) => write!(f, "{above}.{name}"),
        }
    }
}

/// The first key of each name in a map.
enum FirstKeys<'n> {
    /// Most maps are small.
    Few(Vec<(&'n str, &'n Node)>),
    Many(HashMap<&'n str, &'n Node>),
}

impl<'n> FirstKeys<'n> {
    fn of(entries: usize) -> Self {
        match entries {
            0..=16 => Self::Few(Vec::with_capacity(entries)),
            _ => Self::Many(HashMap::with_capacity(entries)),
        }
    }

    /// The first key of this name: this one, unless there was one before.
    fn first(&mut self, name: &'n str, key: &'n Node) -> &'n Node {
        match self {
            Self::Few(known) => match known.iter().find(|(other, _)| *other == name) {
                Some((_, first)) => first,
                None => {
                    known.push((name, key));
                    key
                }
            },
            Self::Many(known) => known.entry(name).or_insert(key),
        }
    }
}

fn collect(node: &Node, path: &Path<'_>, found: &mut Vec<DuplicateKey>) {
    match &node.value {
        Value::Null | Value::Scalar { .. } => {}
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &Path::Index(path, index), found);
            }
        }
        Value::Map(map) => {
            let mut keys = FirstKeys::of(map.0.len());
            for (key, value) in &map.0 {
                let first = key.as_str().map_or(key, |name| keys.first(name, key));
                let path = Path::Key(path, key.as_str().unwrap_or_default());
                if std::ptr::eq(first, key) {
                    collect(value, &path, found);
                } else {
                    let (path, again) = (path.to_string(), key.span());
                    found.push(DuplicateKey { path, first: first.span(), again });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn keys_given_twice_are_found_at_every_depth() {
        let text = "a: &x {b: 1, c: 2, b: 3}\nd: *x\n? [e]\n: 1\n? [e]\n: 2\nl:\n- k: 1\n  k: 2\n  k: 3\na: 1\n";
        let found: Vec<_> = duplicate_keys(&parse(text).unwrap()[0])
            .into_iter()
            .map(|key| (key.path, key.first.start.line, key.again.start.line))
            .collect();
        let expected = [("d.b", 0, 0), ("l[0].k", 7, 8), ("l[0].k", 7, 9), ("a", 0, 10)];
        let expected = expected.map(|(path, first, again)| (path.to_owned(), first, again));
        assert_eq!(found[1..], expected[1..]);
        assert!(found[0].0.ends_with(".b"), "{found:?}");
    }
}
