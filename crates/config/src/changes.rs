//! What differs between two readings of the configuration.

use std::collections::BTreeMap;
use std::fmt;

use peregrine_yaml::{Node, Value};

use crate::dump;
use crate::load::Loaded;

/// Characters of a value that are shown.
const SHOWN: usize = 120;

/// A key whose value differs. Secrets are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key, with dots between sections.
    pub key: String,
    /// The old value as it may be shown, if the key was there.
    pub old: Option<String>,
    /// The new value as it may be shown, if the key is there.
    pub new: Option<String>,
}

/// A value, and how it may be shown.
struct Leaf {
    value: String,
    shown: String,
}

impl Loaded {
    /// The keys whose values differ from an `old` reading, in alphabetical order. Lists are
    /// compared as a whole.
    pub fn changes_since(&self, old: &Self) -> Vec<KeyChange> {
        let (mut old, mut changes) = (leaves(old), Vec::new());
        for (key, new) in leaves(self) {
            let old = old.remove(&key);
            if old.as_ref().is_none_or(|old| old.value != new.value) {
                changes.push(KeyChange {
                    key,
                    old: old.map(|old| old.shown),
                    new: Some(new.shown),
                });
            }
        }
        let removed =
            |(key, old): (String, Leaf)| KeyChange { key, old: Some(old.shown), new: None };
        changes.extend(old.into_iter().map(removed));
        changes.sort_by(|one, other| one.key.cmp(&other.key));
        changes
    }
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match (&self.old, &self.new) {
            // The difference is in what is not shown.
            (Some(old), Some(new)) if old == new => Ok(()),
            (Some(old), Some(new)) => write!(f, " (was {old}, is {new})"),
            (Some(old), None) => write!(f, " (was {old}, is not set)"),
            (None, Some(new)) => write!(f, " (was not set, is {new})"),
            (None, None) => Ok(()),
        }
    }
}

fn leaves(loaded: &Loaded) -> BTreeMap<String, Leaf> {
    let mut leaves = BTreeMap::new();
    collect("", &loaded.tree, &loaded.printable, &mut leaves);
    leaves
}

/// The values of two trees of the same shape.
fn collect(key: &str, node: &Node, printable: &Node, leaves: &mut BTreeMap<String, Leaf>) {
    if let (Value::Map(map), Value::Map(shown)) = (&node.value, &printable.value) {
        for ((name, value), (_, shown)) in map.0.iter().zip(&shown.0) {
            let name = name.as_str().unwrap_or_default();
            let key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
            collect(&key, value, shown, leaves);
        }
        return;
    }
    let mut shown = dump(printable);
    if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
        shown.truncate(end);
        shown.push('…');
    }
    // Of a key that is given twice, the first value counts.
    leaves.entry(key.to_owned()).or_insert_with(|| Leaf { value: dump(node), shown });
}

#[cfg(test)]
mod tests {
    use crate::{Main, load};

    fn changes(old: &str, new: &str) -> Vec<String> {
        let read = |text| load(Main::BuiltIn(text), &[], &mut |_| ()).unwrap();
        let changes = read(new).changes_since(&read(old));
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_are_named_with_both_values() {
        let old =
            "priority: debug\nwebserver: {enabled: true, listen_port: 8765}\nrules_files: [a]\n";
        let new = "webserver: {listen_port: 9000, enabled: true}\nrules_files: [a, b]\njson_output: true\n";
        assert_eq!(
            changes(old, new),
            [
                r#"json_output (was not set, is "true")"#,
                r#"priority (was "debug", is not set)"#,
                r#"rules_files (was ["a"], is ["a", "b"])"#,
                r#"webserver.listen_port (was "8765", is "9000")"#,
            ]
        );
        assert!(changes(old, old).is_empty());
        assert!(changes("a: 1 # one\n", "# two\n'a': 1\n").is_empty());
    }

    #[test]
    fn secrets_are_compared_and_not_shown() {
        let token = |token| format!("static_fields: {{api_token: {token}, site: attic}}\n");
        let changed = changes(&token("one"), &token("two"));
        assert_eq!(changed, ["static_fields.api_token"]);
    }

    #[test]
    fn long_values_are_cut() {
        let list = |count| format!("rules_files: [{}]\n", vec!["rules.yaml"; count].join(", "));
        let changed = changes(&list(1), &list(100));
        assert!(changed[0].ends_with("…)") && changed[0].len() < 200, "{changed:?}");
    }
}
