//! A test as YAML: one line for each value, lists and the values of ancestors in one line.

use peregrine_params::Shown;

/// Appends a value under a name.
pub(super) fn put(parts: &mut Vec<(String, Shown)>, name: &str, value: Shown) {
    parts.push((name.to_owned(), value));
}

pub(super) fn map(parts: Vec<(String, Shown)>) -> Shown {
    Shown::Map(parts)
}

/// An item of a rules file.
pub(super) fn item(entries: &[(String, Shown)]) -> String {
    let mut out = String::new();
    block(&mut out, entries, 1);
    // The first line begins the item.
    format!("- {}", out.trim_start())
}

fn block(out: &mut String, entries: &[(String, Shown)], depth: usize) {
    let indent = "  ".repeat(depth);
    for (name, value) in entries {
        let name = key(name);
        match value {
            Shown::Map(inner) if !inner.is_empty() && !is_bytes(inner) => {
                *out += &format!("{indent}{name}:\n");
                block(out, inner, depth + 1);
            }
            Shown::List(items) if items.iter().any(|item| matches!(item, Shown::Map(_))) => {
                *out += &format!("{indent}{name}:\n");
                for item in items {
                    *out += &format!("{indent}  - {}\n", item.flow());
                }
            }
            value => *out += &format!("{indent}{name}: {}\n", value.flow()),
        }
    }
}

/// A name; brackets of fields need no quotes here.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain) {
        true => name.to_owned(),
        false => Shown::Text(name.to_owned()).flow(),
    }
}

fn is_bytes(entries: &[(String, Shown)]) -> bool {
    matches!(entries, [(name, _)] if name == "hex")
}
