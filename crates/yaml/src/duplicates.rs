//! Keys that a map has twice. The first one counts, and the others have no effect.

use std::collections::HashMap;

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
    collect(node, "", &mut found);
    // A map that aliases refer to is in the tree several times.
    found.sort_by_key(|key: &DuplicateKey| key.again.start);
    found.dedup_by_key(|key| key.again);
    found
}

fn collect(node: &Node, path: &str, found: &mut Vec<DuplicateKey>) {
    match &node.value {
        Value::Null | Value::Scalar { .. } => {}
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Map(map) => {
            let mut known = HashMap::new();
            for (key, value) in &map.0 {
                let name = key.as_str().unwrap_or_default();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let first = match key.as_str() {
                    Some(name) => *known.entry(name).or_insert(key),
                    None => key,
                };
                if std::ptr::eq(first, key) {
                    collect(value, &path, found);
                } else {
                    found.push(DuplicateKey { path, first: first.span(), again: key.span() });
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
