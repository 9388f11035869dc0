//! The JSON schema of rules files, and the validation of documents against it.

use std::sync::LazyLock;

use peregrine_yaml::{Node, Schema};
use serde_json::{Map, Value, json};

use crate::keys::{KEYS, Type};

/// Priorities. Rules may write them in any case; the schema lists them like this.
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

/// The schema, for validation.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new(rule_schema()));

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

/// Violations of the schema in a document, innermost first.
pub(crate) fn check(document: &Node) -> Vec<String> {
    let violations = SCHEMA.check(document);
    violations.iter().map(|violation| format!("failed for {violation}")).collect()
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
}

impl Shape {
    fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            self.properties.iter().map(|(name, ty)| ((*name).into(), ty.to_json())).collect();
        let (demand, value) = match self.non_empty {
            true => ("minProperties", json!(1)),
            false => ("required", json!(self.required)),
        };
        json!({
            "title": self.title,
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            demand: value,
        })
    }
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
