//! Validation of a tree against a JSON Schema (draft 6, the keywords that our schemas use).
//!
//! Messages and their order are those of the validator that Falco uses, valijson with weak types:
//! every scalar is text, and text that looks like a number is one. Violations come from the inside
//! out.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use peregrine_diagnostics::{Span, closest};
use serde_json::Value as Json;

use crate::{Map, Node, Value};

/// A schema that trees are validated against.
#[derive(Clone, Debug)]
pub struct Schema {
    json: Json,
    /// All subschemas; they refer to each other by index.
    shapes: Vec<Shape>,
    root: usize,
}

/// The keywords of one subschema, looked up once: documents are validated at every start.
#[derive(Clone, Debug, Default)]
struct Shape {
    any_of: Vec<usize>,
    one_of: Vec<usize>,
    words: Option<Vec<String>>,
    items: Option<usize>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_properties: u64,
    /// Declared keys, by name.
    properties: BTreeMap<String, usize>,
    other_keys: OtherKeys,
    required: Vec<String>,
    ty: Option<Type>,
}

/// What keys that are not declared may be.
#[derive(Clone, Copy, Debug, Default)]
enum OtherKeys {
    #[default]
    Anything,
    Forbidden,
    Like(usize),
}

#[derive(Clone, Copy, Debug)]
enum Type {
    Array,
    Boolean,
    Integer,
    Null,
    Number,
    Object,
    String,
}

/// A departure from a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the tree: `<root>[key][0]`.
    pub path: String,
    /// The violation, as a sentence.
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
    /// Its place.
    pub span: Span,
    /// The declared key of its section that was probably meant.
    pub nearest: Option<String>,
}

impl Schema {
    /// A schema. Keywords that are not understood constrain nothing.
    #[must_use]
    pub fn new(json: Json) -> Self {
        let mut compiler = Compiler { root: &json, shapes: Vec::new(), named: HashMap::new() };
        let root = compiler.shape(&json);
        let shapes = compiler.shapes;
        Self { json, shapes, root }
    }

    /// The schema as JSON.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// How a tree departs from the schema, innermost first.
    #[must_use]
    pub fn check(&self, node: &Node) -> Vec<Violation> {
        let shapes = &self.shapes;
        let mut validator = Validator { shapes, count: 0, violations: Some(Vec::new()) };
        validator.check(node, self.root, Path::Root);
        validator.violations.unwrap_or_default()
    }

    /// All keys that no section declares, in the order of the text.
    #[must_use]
    pub fn unknown_keys(&self, node: &Node) -> Vec<UnknownKey> {
        let mut unknown = Vec::new();
        self.collect_unknown(node, self.root, "", &mut unknown);
        unknown
    }

    fn collect_unknown(
        &self,
        node: &Node,
        shape: usize,
        path: &str,
        unknown: &mut Vec<UnknownKey>,
    ) {
        let Some(shape) = self.shapes.get(shape) else { return };
        if let (Some(items), Some(shape)) = (node.as_seq(), shape.items) {
            for (index, item) in items.iter().enumerate() {
                self.collect_unknown(item, shape, &format!("{path}[{index}]"), unknown);
            }
        }
        for (key, value) in node.entries() {
            let Some(name) = key.as_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match (shape.properties.get(name), shape.other_keys) {
                (Some(shape), _) => self.collect_unknown(value, *shape, &path, unknown),
                (None, OtherKeys::Forbidden) => {
                    let names = shape.properties.keys().map(String::as_str);
                    let nearest = closest(name, names).map(str::to_owned);
                    unknown.push(UnknownKey { path, span: key.span(), nearest });
                }
                (None, _) => {}
            }
        }
    }
}

/// Turns JSON into shapes. A definition that is referred to several times becomes one shape.
struct Compiler<'j> {
    root: &'j Json,
    shapes: Vec<Shape>,
    named: HashMap<&'j str, usize>,
}

impl<'j> Compiler<'j> {
    /// The index of a subschema. References do not refer to references.
    fn shape(&mut self, json: &'j Json) -> usize {
        let name = json.get("$ref").and_then(Json::as_str);
        let Some(name) = name.and_then(|name| name.strip_prefix("#/definitions/")) else {
            let index = self.shapes.len();
            self.shapes.push(Shape::default());
            self.fill(index, json);
            return index;
        };
        if let Some(known) = self.named.get(name) {
            return *known;
        }
        let index = self.shapes.len();
        self.shapes.push(Shape::default());
        self.named.insert(name, index);
        let definitions = self.root.get("definitions");
        if let Some(definition) = definitions.and_then(|definitions| definitions.get(name)) {
            self.fill(index, definition);
        }
        index
    }

    fn fill(&mut self, index: usize, json: &'j Json) {
        let texts = |word| {
            let texts = json.get(word).and_then(Json::as_array)?.iter();
            Some(texts.filter_map(Json::as_str).map(str::to_owned).collect())
        };
        let shape = Shape {
            any_of: self.each(json.get("anyOf")),
            one_of: self.each(json.get("oneOf")),
            words: texts("enum"),
            items: json.get("items").map(|items| self.shape(items)),
            minimum: json.get("minimum").and_then(Json::as_f64),
            maximum: json.get("maximum").and_then(Json::as_f64),
            min_properties: json.get("minProperties").and_then(Json::as_u64).unwrap_or_default(),
            properties: {
                let properties = json.get("properties").and_then(Json::as_object);
                let properties = properties.into_iter().flatten();
                properties.map(|(name, json)| (name.clone(), self.shape(json))).collect()
            },
            other_keys: match json.get("additionalProperties") {
                Some(Json::Bool(false)) => OtherKeys::Forbidden,
                Some(others @ Json::Object(_)) => OtherKeys::Like(self.shape(others)),
                _ => OtherKeys::Anything,
            },
            required: texts("required").unwrap_or_default(),
            ty: json.get("type").and_then(Json::as_str).and_then(Type::named),
        };
        if let Some(place) = self.shapes.get_mut(index) {
            *place = shape;
        }
    }

    fn each(&mut self, list: Option<&'j Json>) -> Vec<usize> {
        let list = list.and_then(Json::as_array).into_iter().flatten();
        list.map(|json| self.shape(json)).collect()
    }
}

impl Type {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "null" => Self::Null,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        })
    }

    /// An empty list passes for an empty map, and the other way round.
    fn fits(self, node: &Node) -> bool {
        let empty = match &node.value {
            Value::Seq(items) => items.is_empty(),
            Value::Map(map) => map.0.is_empty(),
            Value::Null | Value::Scalar { .. } => false,
        };
        match self {
            Self::Array => node.as_seq().is_some() || empty,
            Self::Boolean => matches!(node.as_str(), Some("true" | "false")),
            Self::Integer => node.as_i64().is_some(),
            Self::Null => node.is_null() || node.as_str() == Some(""),
            Self::Number => node.as_f64().is_some(),
            Self::Object => node.as_map().is_some() || empty,
            Self::String => node.as_str().is_some(),
        }
    }
}

/// The path to a node, as a list on the stack.
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
    shapes: &'a [Shape],
    /// Violations so far.
    count: usize,
    /// The violations; `None` if only their number matters.
    violations: Option<Vec<Violation>>,
}

impl Validator<'_> {
    /// Checks the keywords in the order of valijson, and returns whether the node passes.
    fn check(&mut self, node: &Node, shape: usize, path: Path<'_>) -> bool {
        let Some(shape) = self.shapes.get(shape) else { return true };
        let before = self.count;
        self.check_alternatives("anyOf", &shape.any_of, node, path);
        if let Some(words) = &shape.words
            && !node.as_str().is_some_and(|text| words.iter().any(|word| word == text))
        {
            self.report(path, format_args!("Failed to match against any enum values."));
        }
        if let Some(items) = shape.items {
            self.check_items(node, items, path);
        }
        if shape.minimum.is_some() || shape.maximum.is_some() {
            self.check_bounds(node, shape, path);
        }
        self.check_alternatives("oneOf", &shape.one_of, node, path);
        if let Value::Map(map) = &node.value {
            self.check_keys(map, shape, path);
        }
        if shape.ty.is_some_and(|ty| !ty.fits(node)) {
            self.report(path, format_args!("Value type not permitted by 'type' constraint."));
        }
        self.count == before
    }

    fn check_alternatives(
        &mut self,
        word: &str,
        alternatives: &[usize],
        node: &Node,
        path: Path<'_>,
    ) {
        let mut trial = Validator { shapes: self.shapes, count: 0, violations: None };
        if alternatives.is_empty()
            || alternatives.iter().any(|alternative| trial.check(node, *alternative, path))
        {
            return;
        }
        for (index, alternative) in alternatives.iter().enumerate() {
            self.check(node, *alternative, path);
            self.report(path, format_args!("Failed to validate against child schema #{index}."));
        }
        let what = "Failed to validate against any schemas allowed by";
        self.report(path, format_args!("{what} {word} constraint."));
    }

    fn check_items(&mut self, node: &Node, shape: usize, path: Path<'_>) {
        for (index, item) in node.items().iter().enumerate() {
            if !self.check(item, shape, Path::Item(&path, index)) {
                self.report(path, format_args!("Failed to validate item #{index} in array."));
            }
        }
    }

    fn check_bounds(&mut self, node: &Node, shape: &Shape, path: Path<'_>) {
        let Some(number) = node.as_f64() else { return };
        if let Some(most) = shape.maximum.filter(|most| number > *most) {
            self.report(path, format_args!("Expected number less than or equal to {most:.6}"));
        }
        if let Some(least) = shape.minimum.filter(|least| number < *least) {
            self.report(path, format_args!("Expected number greater than or equal to {least:.6}"));
        }
    }

    fn check_keys(&mut self, map: &Map, shape: &Shape, path: Path<'_>) {
        if shape.min_properties > map.0.len() as u64 {
            self.report(path, format_args!("Object should have no fewer than 1 properties."));
        }
        let declared = |(key, value)| {
            let name = Node::as_str(key)?;
            shape.properties.get(name).map(|shape| (name, value, *shape))
        };
        let mut given: Vec<_> =
            map.0.iter().map(|(key, value)| (key, value)).filter_map(declared).collect();
        // By name, not in the order of the text. Of a key given twice the first value counts.
        given.sort_by_key(|(name, ..)| *name);
        given.dedup_by_key(|(name, ..)| *name);
        let distinct = given.len();
        for (name, value, shape) in given {
            if !self.check(value, shape, Path::Key(&path, name)) {
                let what = "Failed to validate against schema associated with property name";
                self.report(path, format_args!("{what} '{name}'."));
            }
        }
        if distinct < map.0.len() {
            self.check_other_keys(map, shape, path);
        }
        for name in &shape.required {
            if map.get(name).is_none() {
                self.report(path, format_args!("Missing required property '{name}'."));
            }
        }
    }

    /// Keys that the schema does not name. A key given twice counts as one of them, without a name.
    fn check_other_keys(&mut self, map: &Map, shape: &Shape, path: Path<'_>) {
        let declared =
            |key: &Node| key.as_str().is_some_and(|key| shape.properties.contains_key(key));
        match shape.other_keys {
            OtherKeys::Anything => {}
            OtherKeys::Forbidden => {
                let unknown = map.0.iter().find(|(key, _)| !declared(key));
                let name = unknown.and_then(|(key, _)| key.as_str()).unwrap_or_default();
                let what = "Object contains a property that could not be validated using \
                            'properties' or 'additionalProperties' constraints";
                self.report(path, format_args!("{what}: '{name}'."));
            }
            OtherKeys::Like(others) => {
                for (key, value) in map.0.iter().filter(|(key, _)| !declared(key)) {
                    let name = key.as_str().unwrap_or_default();
                    if !self.check(value, others, Path::Key(&path, name)) {
                        let what = "Failed to validate against additional properties schema";
                        self.report(path, format_args!("{what}."));
                    }
                }
            }
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
