//! Validation of a tree against a JSON Schema (draft 6, the keywords that our schemas use).
//!
//! Messages and their order are those of the validator that Falco uses, valijson with weak types: every
//! scalar is text, and text that looks like a number is one. Violations come from the inside out.

use std::fmt;

use peregrine_diagnostics::{Span, closest};
use serde_json::{Map as JsonMap, Value as Json};

use crate::{Map, Node, Value};

/// A schema that trees are validated against.
#[derive(Clone, Debug)]
pub struct Schema {
    root: Json,
}

/// A departure from a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the tree: `<root>[key][0]`.
    pub path: String,
    /// What is wrong, as a sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A key that a closed section of the schema does not declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The keys down to it and itself: `engine.kid`, `plugins[0].nam`.
    pub path: String,
    /// Where it stands.
    pub span: Span,
    /// The declared key of its section that was probably meant.
    pub nearest: Option<String>,
}

impl Schema {
    /// A schema. What is not understood of it constrains nothing.
    #[must_use]
    pub fn new(root: Json) -> Self {
        Self { root }
    }

    /// The schema as JSON.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.root
    }

    /// How a tree departs from the schema, innermost first.
    #[must_use]
    pub fn check(&self, node: &Node) -> Vec<Violation> {
        let mut validator = Validator { schema: self, count: 0, violations: Some(Vec::new()) };
        validator.check(node, &self.root, Path::Root);
        validator.violations.unwrap_or_default()
    }

    /// All keys that no section declares, in the order of the text.
    #[must_use]
    pub fn unknown_keys(&self, node: &Node) -> Vec<UnknownKey> {
        let mut unknown = Vec::new();
        self.collect_unknown(node, &self.root, "", &mut unknown);
        unknown
    }

    fn collect_unknown(
        &self,
        node: &Node,
        schema: &Json,
        path: &str,
        unknown: &mut Vec<UnknownKey>,
    ) {
        let schema = self.resolve(schema);
        if let (Some(items), Some(schema)) = (node.as_seq(), schema.get("items")) {
            for (index, item) in items.iter().enumerate() {
                self.collect_unknown(item, schema, &format!("{path}[{index}]"), unknown);
            }
        }
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false));
        for (key, value) in node.entries() {
            let Some(name) = key.as_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match properties.get(name) {
                Some(schema) => self.collect_unknown(value, schema, &path, unknown),
                None if closed => {
                    let names = properties.keys().map(String::as_str);
                    let nearest = closest(name, names).map(str::to_owned);
                    unknown.push(UnknownKey { path, span: key.span(), nearest });
                }
                None => {}
            }
        }
    }

    /// What a reference refers to, or the schema itself. References do not refer to references.
    fn resolve<'s>(&'s self, schema: &'s Json) -> &'s Json {
        let name = schema.get("$ref").and_then(Json::as_str);
        let name = name.and_then(|name| name.strip_prefix("#/definitions/"));
        let definitions = self.root.get("definitions");
        name.map_or(schema, |name| {
            definitions.and_then(|definitions| definitions.get(name)).unwrap_or(&Json::Null)
        })
    }
}

/// The way to a node, as a list on the stack.
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

struct Validator<'a> {
    schema: &'a Schema,
    /// Violations so far.
    count: usize,
    /// What they are; `None` when only their number matters.
    violations: Option<Vec<Violation>>,
}

impl Validator<'_> {
    /// Checks the keywords in the order of valijson, and returns whether the node passes.
    fn check(&mut self, node: &Node, schema: &Json, path: Path<'_>) -> bool {
        let owner = self.schema;
        let schema = owner.resolve(schema);
        let before = self.count;
        self.check_alternatives("anyOf", node, schema, path);
        self.check_enum(node, schema, path);
        self.check_items(node, schema, path);
        self.check_bounds(node, schema, path);
        self.check_alternatives("oneOf", node, schema, path);
        if let Value::Map(map) = &node.value {
            self.check_keys(map, schema, path);
        }
        self.check_type(node, schema, path);
        self.count == before
    }

    fn check_alternatives(&mut self, word: &str, node: &Node, schema: &Json, path: Path<'_>) {
        let Some(alternatives) = schema.get(word).and_then(Json::as_array) else { return };
        let mut trial = Validator { schema: self.schema, count: 0, violations: None };
        if alternatives.iter().any(|alternative| trial.check(node, alternative, path)) {
            return;
        }
        for (index, alternative) in alternatives.iter().enumerate() {
            self.check(node, alternative, path);
            self.report(path, format_args!("Failed to validate against child schema #{index}."));
        }
        let what = "Failed to validate against any schemas allowed by";
        self.report(path, format_args!("{what} {word} constraint."));
    }

    fn check_enum(&mut self, node: &Node, schema: &Json, path: Path<'_>) {
        if let Some(words) = schema.get("enum").and_then(Json::as_array)
            && !node.as_str().is_some_and(|text| words.iter().any(|word| word == text))
        {
            self.report(path, format_args!("Failed to match against any enum values."));
        }
    }

    fn check_items(&mut self, node: &Node, schema: &Json, path: Path<'_>) {
        let Some(schema) = schema.get("items") else { return };
        for (index, item) in node.items().iter().enumerate() {
            if !self.check(item, schema, Path::Item(&path, index)) {
                self.report(path, format_args!("Failed to validate item #{index} in array."));
            }
        }
    }

    fn check_bounds(&mut self, node: &Node, schema: &Json, path: Path<'_>) {
        let bound = |word| schema.get(word).and_then(Json::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let Some(number) = node.as_f64().filter(|_| least.is_some() || most.is_some()) else {
            return;
        };
        if let Some(most) = most.filter(|most| number > *most) {
            self.report(path, format_args!("Expected number less than or equal to {most:.6}"));
        }
        if let Some(least) = least.filter(|least| number < *least) {
            self.report(path, format_args!("Expected number greater than or equal to {least:.6}"));
        }
    }

    fn check_keys(&mut self, map: &Map, schema: &Json, path: Path<'_>) {
        if schema.get("minProperties").and_then(Json::as_u64) > Some(map.0.len() as u64) {
            self.report(path, format_args!("Object should have no fewer than 1 properties."));
        }
        let empty = JsonMap::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&empty);
        let declared = |(key, value)| {
            let name = Node::as_str(key)?;
            properties.get(name).map(|schema| (name, value, schema))
        };
        let mut given: Vec<_> =
            map.0.iter().map(|(key, value)| (key, value)).filter_map(declared).collect();
        // By name, not in the order of the text. Of a key given twice the first value counts.
        given.sort_by_key(|(name, ..)| *name);
        given.dedup_by_key(|(name, ..)| *name);
        let distinct = given.len();
        for (name, value, schema) in given {
            if !self.check(value, schema, Path::Key(&path, name)) {
                let what = "Failed to validate against schema associated with property name";
                self.report(path, format_args!("{what} '{name}'."));
            }
        }
        self.check_other_keys(map, distinct, properties, schema, path);
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if map.get(name).is_none() {
                self.report(path, format_args!("Missing required property '{name}'."));
            }
        }
    }

    /// Keys that the schema does not name. A key given twice counts as one of them, without a name.
    fn check_other_keys(
        &mut self,
        map: &Map,
        distinct: usize,
        properties: &JsonMap<String, Json>,
        schema: &Json,
        path: Path<'_>,
    ) {
        let declared = |key: &Node| key.as_str().is_some_and(|key| properties.contains_key(key));
        match schema.get("additionalProperties") {
            Some(Json::Bool(false)) if distinct < map.0.len() => {
                let unknown = map.0.iter().find(|(key, _)| !declared(key));
                let name = unknown.and_then(|(key, _)| key.as_str()).unwrap_or_default();
                let what = "Object contains a property that could not be validated using \
                            'properties' or 'additionalProperties' constraints";
                self.report(path, format_args!("{what}: '{name}'."));
            }
            Some(others @ Json::Object(_)) => {
                for (key, value) in map.0.iter().filter(|(key, _)| !declared(key)) {
                    let name = key.as_str().unwrap_or_default();
                    if !self.check(value, others, Path::Key(&path, name)) {
                        let what = "Failed to validate against additional properties schema";
                        self.report(path, format_args!("{what}."));
                    }
                }
            }
            _ => {}
        }
    }

    /// An empty list passes for an empty map, and the other way round.
    fn check_type(&mut self, node: &Node, schema: &Json, path: Path<'_>) {
        let empty = match &node.value {
            Value::Seq(items) => items.is_empty(),
            Value::Map(map) => map.0.is_empty(),
            Value::Null | Value::Scalar { .. } => false,
        };
        let fits = match schema.get("type").and_then(Json::as_str) {
            Some("array") => node.as_seq().is_some() || empty,
            Some("object") => node.as_map().is_some() || empty,
            Some("string") => node.as_str().is_some(),
            Some("boolean") => matches!(node.as_str(), Some("true" | "false")),
            Some("integer") => node.as_i64().is_some(),
            Some("number") => node.as_f64().is_some(),
            Some("null") => node.is_null() || node.as_str() == Some(""),
            _ => true,
        };
        if !fits {
            self.report(path, format_args!("Value type not permitted by 'type' constraint."));
        }
    }

    fn report(&mut self, path: Path<'_>, message: fmt::Arguments<'_>) {
        self.count += 1;
        if let Some(violations) = &mut self.violations {
            violations.push(Violation { path: path.to_string(), message: message.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parse;

    fn schema() -> Schema {
        Schema::new(json!({
            "$ref": "#/definitions/Root",
            "definitions": {
                "Root": {
                    "type": "object", "additionalProperties": false, "required": ["kind"],
                    "properties": {
                        "kind": { "type": "string", "enum": ["a", "b"] },
                        "size": { "type": "integer", "minimum": 1, "maximum": 9 },
                        "items": { "type": "array", "items": { "$ref": "#/definitions/Item" } },
                    },
                },
                "Item": {
                    "type": "object", "additionalProperties": false, "minProperties": 1,
                    "properties": { "name": { "anyOf": [{ "type": "string" }, { "type": "null" }] } },
                },
            },
        }))
    }

    fn violations(yaml: &str) -> Vec<String> {
        let checked = schema().check(&parse(yaml).unwrap()[0]);
        checked.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tree_that_fits_has_no_violations() {
        assert!(violations("{kind: a, size: 0x9, items: [{name: x}, {name: ~}]}").is_empty());
        assert!(violations("{kind: b, items: {}}").is_empty());
    }

    #[test]
    fn violations_come_from_the_inside_out() {
        let property = "Failed to validate against schema associated with property name";
        assert_eq!(
            violations("{kind: a, items: [{name: [x]}]}"),
            [
                "<root>[items][0][name]: Value type not permitted by 'type' constraint.".to_owned(),
                "<root>[items][0][name]: Failed to validate against child schema #0.".to_owned(),
                "<root>[items][0][name]: Value type not permitted by 'type' constraint.".to_owned(),
                "<root>[items][0][name]: Failed to validate against child schema #1.".to_owned(),
                "<root>[items][0][name]: Failed to validate against any schemas allowed by anyOf constraint."
                    .to_owned(),
                format!("<root>[items][0]: {property} 'name'."),
                "<root>[items]: Failed to validate item #0 in array.".to_owned(),
                format!("<root>: {property} 'items'."),
            ]
        );
    }

    #[test]
    fn all_violations_of_a_tree_are_found() {
        let property = "Failed to validate against schema associated with property name";
        let other = "Object contains a property that could not be validated using 'properties' or \
                     'additionalProperties' constraints";
        assert_eq!(
            violations("{size: 10, colour: red}"),
            [
                "<root>[size]: Expected number less than or equal to 9.000000".to_owned(),
                format!("<root>: {property} 'size'."),
                format!("<root>: {other}: 'colour'."),
                "<root>: Missing required property 'kind'.".to_owned(),
            ]
        );
        assert_eq!(violations("{kind: a, kind: b}"), [format!("<root>: {other}: ''.")]);
    }

    #[test]
    fn unknown_keys_have_a_place_and_the_nearest_name() {
        let text = "kind: a\nitems:\n  - nam: x\n    name: y\nsise: 1\n";
        let unknown = schema().unknown_keys(&parse(text).unwrap()[0]);
        let found: Vec<_> = unknown
            .iter()
            .map(|key| (key.path.as_str(), key.span.start.line, key.nearest.as_deref()))
            .collect();
        assert_eq!(found, [("items[0].nam", 2, Some("name")), ("sise", 4, Some("size"))]);
    }
}
