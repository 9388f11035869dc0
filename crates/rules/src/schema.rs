//! The schema of rules files: as JSON, and held against a document.

use std::fmt;
use std::sync::LazyLock;

use peregrine_yaml::Node;
use serde_json::{Map, Value, json};

use crate::keys::{KEYS, Type};

/// The words of priorities. Rules may write them in any case; the schema wants them so.
const PRIORITIES: [&str; 9] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "INFORMATIONAL",
    "DEBUG",
];

const OPERATIONS: [&str; 2] = ["append", "replace"];

/// Where in a document something stands.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("<root>"),
            Self::Key(parent, name) => write!(f, "{parent}[{name}]"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// What all items may be; asked for each of them.
static ANY_ITEM: LazyLock<Shape> = LazyLock::new(any_item);

/// A map of the schema.
struct Shape {
    title: &'static str,
    properties: Vec<(&'static str, Type)>,
    required: &'static [&'static str],
    non_empty: bool,
}

/// The schema as draft-06 JSON Schema.
#[must_use]
pub fn rule_schema() -> Value {
    let item = json!({ "title": "Item", "anyOf": [{ "type": "integer" }, { "type": "string" }] });
    let mut definitions = Map::new();
    definitions.insert("Item".into(), item);
    definitions.insert("Priority".into(), words("Priority", &PRIORITIES));
    definitions.insert("OverriddenItem".into(), words("OverriddenItem", &OPERATIONS));
    for shape in [any_item(), exception(), overrides(), plugin(), alternative()] {
        definitions.insert(shape.title.into(), shape.to_json());
    }
    json!({
        "$schema": "http://json-schema.org/draft-06/schema#",
        "type": "array",
        "items": { "$ref": "#/definitions/FalcoRule" },
        "definitions": definitions,
    })
}

/// How a document departs from the schema, innermost first.
pub(crate) fn check(document: &Node) -> Vec<String> {
    let mut warnings = Vec::new();
    let path = Path::Root;
    items(document, path, &mut warnings, |node, path, warnings| {
        ANY_ITEM.check(node, path, warnings)
    });
    wants(is_list(document), path, &mut warnings);
    warnings
}

fn words(title: &str, words: &[&str]) -> Value {
    json!({ "title": title, "type": "string", "enum": words })
}

fn any_item() -> Shape {
    let properties = KEYS.iter().map(|key| (key.name, key.ty)).collect();
    Shape { title: "FalcoRule", properties, required: &[], non_empty: false }
}

fn overrides() -> Shape {
    let keys = KEYS.iter().filter(|key| key.replace);
    let properties = keys.map(|key| (key.name, Type::Operation)).collect();
    Shape { title: "Override", properties, required: &[], non_empty: true }
}

fn exception() -> Shape {
    let properties = vec![
        ("name", Type::Text),
        ("fields", Type::Anything),
        ("comps", Type::Anything),
        ("values", Type::Anything),
    ];
    Shape { title: "Exception", properties, required: &["name"], non_empty: false }
}

fn plugin() -> Shape {
    let mut properties = alternative().properties;
    properties.push(("alternatives", Type::Alternatives));
    Shape { title: "RequiredPluginVersion", properties, ..alternative() }
}

fn alternative() -> Shape {
    let properties = vec![("name", Type::Text), ("version", Type::Text)];
    Shape { title: "Alternative", properties, required: &["name", "version"], non_empty: false }
}

impl Type {
    fn to_json(self) -> Value {
        let reference = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
        let list = |items: Value| json!({ "type": "array", "items": items });
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Integer => json!({ "type": "integer" }),
            Self::Anything => json!({}),
            Self::IntegerOrText => reference("Item"),
            Self::Priority => reference("Priority"),
            Self::Operation => reference("OverriddenItem"),
            Self::Override => reference("Override"),
            Self::Texts => list(Self::Text.to_json()),
            Self::Items => list(Self::IntegerOrText.to_json()),
            Self::Exceptions => list(reference("Exception")),
            Self::Plugins => list(reference("RequiredPluginVersion")),
            Self::Alternatives => list(reference("Alternative")),
        }
    }

    /// Types are weak: every scalar is text, and text that looks like a number is one.
    fn check(self, node: &Node, path: Path<'_>, warnings: &mut Vec<String>) -> bool {
        let text = node.as_str();
        match self {
            Self::Anything => true,
            Self::Text => wants(text.is_some(), path, warnings),
            Self::Boolean => wants(matches!(text, Some("true" | "false")), path, warnings),
            Self::Integer => wants(is_integer(node), path, warnings),
            Self::IntegerOrText => {
                if text.is_some() {
                    return true;
                }
                for alternative in 0..2 {
                    wants(false, path, warnings);
                    warn(path, format!("validate against child schema #{alternative}"), warnings);
                }
                let what = "validate against any schemas allowed by anyOf constraint";
                warn(path, what.into(), warnings);
                false
            }
            Self::Priority => one_of(&PRIORITIES, node, path, warnings),
            Self::Operation => one_of(&OPERATIONS, node, path, warnings),
            Self::Override => overrides().check(node, path, warnings),
            Self::Texts => list(node, path, warnings, |node, path, warnings| {
                Self::Text.check(node, path, warnings)
            }),
            Self::Items => list(node, path, warnings, |node, path, warnings| {
                Self::IntegerOrText.check(node, path, warnings)
            }),
            Self::Exceptions => list(node, path, warnings, |node, path, warnings| {
                exception().check(node, path, warnings)
            }),
            Self::Plugins => list(node, path, warnings, |node, path, warnings| {
                plugin().check(node, path, warnings)
            }),
            Self::Alternatives => list(node, path, warnings, |node, path, warnings| {
                alternative().check(node, path, warnings)
            }),
        }
    }
}

impl Shape {
    fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            self.properties.iter().map(|(name, ty)| ((*name).into(), ty.to_json())).collect();
        let mut shape = json!({
            "title": self.title,
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        });
        if self.non_empty {
            shape["minProperties"] = 1.into();
        } else {
            shape["required"] = self.required.into();
        }
        shape
    }

    fn check(&self, node: &Node, path: Path<'_>, warnings: &mut Vec<String>) -> bool {
        let before = warnings.len();
        if let Some(map) = node.as_map() {
            if self.non_empty && map.0.is_empty() {
                let what = "Object should have no fewer than 1 properties.";
                warnings.push(format!("failed for {path}: {what}"));
            }
            let (mut given, mut unknown) = (Vec::new(), None);
            for (key, value) in &map.0 {
                let Some(name) = key.as_str() else { continue };
                match self.properties.iter().find(|(known, _)| *known == name) {
                    Some((name, ty)) => given.push((*name, *ty, value)),
                    None => unknown = unknown.or(Some(name)),
                }
            }
            given.sort_by_key(|(name, ..)| *name);
            given.dedup_by_key(|(name, ..)| *name);
            for (name, ty, value) in given {
                if !ty.check(value, Path::Key(&path, name), warnings) {
                    let what =
                        format!("validate against schema associated with property name '{name}'");
                    warn(path, what, warnings);
                }
            }
            if let Some(name) = unknown {
                let what = "Object contains a property that could not be validated using \
                            'properties' or 'additionalProperties' constraints";
                warnings.push(format!("failed for {path}: {what}: '{name}'."));
            }
            for name in self.required.iter().filter(|name| map.get(name).is_none()) {
                let what = format!("Missing required property '{name}'");
                warnings.push(format!("failed for {path}: {what}."));
            }
        } else {
            let empty_list = node.as_seq().is_some_and(<[Node]>::is_empty);
            wants(empty_list, path, warnings);
        }
        warnings.len() == before
    }
}

/// Checks a value that must be a list.
fn list(
    node: &Node,
    path: Path<'_>,
    warnings: &mut Vec<String>,
    check: impl Fn(&Node, Path<'_>, &mut Vec<String>) -> bool,
) -> bool {
    let right = items(node, path, warnings, check);
    wants(is_list(node), path, warnings) && right
}

fn items(
    node: &Node,
    path: Path<'_>,
    warnings: &mut Vec<String>,
    check: impl Fn(&Node, Path<'_>, &mut Vec<String>) -> bool,
) -> bool {
    let mut right = true;
    for (i, item) in node.items().iter().enumerate() {
        if !check(item, Path::Item(&path, i), warnings) {
            warn(path, format!("validate item #{i} in array"), warnings);
            right = false;
        }
    }
    right
}

fn one_of(words: &[&str], node: &Node, path: Path<'_>, warnings: &mut Vec<String>) -> bool {
    let found = node.as_str().is_some_and(|word| words.contains(&word));
    if !found {
        warn(path, "match against any enum values".into(), warnings);
    }
    wants(node.as_str().is_some(), path, warnings) && found
}

/// An empty map passes for an empty list.
fn is_list(node: &Node) -> bool {
    node.as_seq().is_some() || node.as_map().is_some_and(|map| map.0.is_empty())
}

fn is_integer(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
}

fn wants(right: bool, path: Path<'_>, warnings: &mut Vec<String>) -> bool {
    if !right {
        warnings.push(format!("failed for {path}: Value type not permitted by 'type' constraint."));
    }
    right
}

fn warn(path: Path<'_>, what: String, warnings: &mut Vec<String>) {
    warnings.push(format!("failed for {path}: Failed to {what}."));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Vec<String> {
        check(&peregrine_yaml::parse(text).unwrap()[0])
    }

    #[test]
    fn good_items_pass() {
        let text = "- {rule: r, desc: d, condition: c, output: o, priority: INFO, tags: [a, 1]}\n\
                    - {list: l, items: [a, 1]}\n\
                    - {required_engine_version: 12}\n";
        assert_eq!(check_text(text), Vec::<String>::new());
    }

    #[test]
    fn departures_are_told_from_the_inside_out() {
        assert_eq!(
            check_text("- {rule: r, override: {flavour: replace}, flavour: x}"),
            [
                "failed for <root>[0][override]: Object contains a property that could not be \
                 validated using 'properties' or 'additionalProperties' constraints: 'flavour'.",
                "failed for <root>[0]: Failed to validate against schema associated with property \
                 name 'override'.",
                "failed for <root>[0]: Object contains a property that could not be validated using \
                 'properties' or 'additionalProperties' constraints: 'flavour'.",
                "failed for <root>: Failed to validate item #0 in array.",
            ]
        );
    }

    #[test]
    fn a_scalar_is_no_list_of_items() {
        assert_eq!(
            check_text("just words"),
            ["failed for <root>: Value type not permitted by 'type' constraint."]
        );
    }

    #[test]
    fn the_schema_names_every_key() {
        let schema = rule_schema();
        for key in KEYS {
            let property = &schema["definitions"]["FalcoRule"]["properties"][key.name];
            assert!(property.is_object(), "{}", key.name);
        }
        assert_eq!(schema["definitions"]["Override"]["minProperties"], 1);
    }
}
