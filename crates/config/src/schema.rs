//! Validation of a YAML tree against a JSON schema (the words of it that our schemas use), and how Falco words the first
//! thing that is wrong.

use peregrine_yaml::{Node, Value};
use serde_json::{Map, Value as Json};

/// What validation says: nothing, or the first thing that is wrong.
pub(crate) fn validate(node: &Node, schema: &Json) -> Result<(), String> {
    let path = Path { parent: None, step: Step::Root };
    let definitions = schema.get("definitions").and_then(Json::as_object);
    Validator { definitions }.check(node, schema, &path)
}

struct Validator<'a> {
    definitions: Option<&'a Map<String, Json>>,
}

/// The way to a node, as a list on the stack.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        let before = self.parent.map(Path::text).unwrap_or_default();
        match self.step {
            Step::Root => "<root>".to_owned(),
            Step::Key(key) => format!("{before}[{key}]"),
            Step::Index(index) => format!("{before}[{index}]"),
        }
    }

    fn wrong(&self, what: &str) -> Result<(), String> {
        Err(format!("{}: {what}", self.text()))
    }
}

impl Validator<'_> {
    fn check(&self, node: &Node, schema: &Json, path: &Path<'_>) -> Result<(), String> {
        if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
            let name = name.trim_start_matches("#/definitions/");
            let target = self.definitions.and_then(|definitions| definitions.get(name));
            return target.map_or(Ok(()), |target| self.check(node, target, path));
        }
        self.check_type(node, schema, path)?;
        self.check_alternatives(node, schema, path)?;
        check_scalar(node, schema, path)?;
        self.check_items(node, schema, path)?;
        self.check_keys(node, schema, path)
    }

    fn check_type(&self, node: &Node, schema: &Json, path: &Path<'_>) -> Result<(), String> {
        let fits = match schema.get("type").and_then(Json::as_str) {
            Some("array") => node.as_seq().is_some(),
            Some("object") => node.as_map().is_some(),
            Some("string") => node.as_str().is_some(),
            Some("boolean") => matches!(node.as_str(), Some("true" | "false")),
            Some("integer") => node.as_i64().is_some(),
            Some("number") => node.as_f64().is_some(),
            Some("null") => node.is_null() || node.as_str() == Some(""),
            _ => true,
        };
        if fits { Ok(()) } else { path.wrong("Value type not permitted by 'type' constraint.") }
    }

    /// The first thing wrong with the first alternative stands for all.
    fn check_alternatives(
        &self,
        node: &Node,
        schema: &Json,
        path: &Path<'_>,
    ) -> Result<(), String> {
        for word in ["anyOf", "oneOf"] {
            let Some(alternatives) = schema.get(word).and_then(Json::as_array) else { continue };
            let mut results = alternatives.iter().map(|schema| self.check(node, schema, path));
            if let Some(first @ Err(_)) = results.next()
                && !results.any(|result| result.is_ok())
            {
                return first;
            }
        }
        Ok(())
    }

    fn check_items(&self, node: &Node, schema: &Json, path: &Path<'_>) -> Result<(), String> {
        let Some(items) = schema.get("items") else { return Ok(()) };
        for (index, item) in node.items().iter().enumerate() {
            self.check(item, items, &Path { parent: Some(path), step: Step::Index(index) })?;
        }
        Ok(())
    }

    fn check_keys(&self, node: &Node, schema: &Json, path: &Path<'_>) -> Result<(), String> {
        let Value::Map(map) = &node.value else { return Ok(()) };
        if schema.get("minProperties").and_then(Json::as_u64) > Some(map.0.len() as u64) {
            return path.wrong("Object should have no fewer than 1 properties.");
        }
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&empty);
        // In the order of the schema's names, not of the file: that decides which of two faults is told.
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort();
        for name in names {
            if let (Some(value), Some(schema)) = (map.get(name), properties.get(name)) {
                self.check(value, schema, &Path { parent: Some(path), step: Step::Key(name) })?;
            }
        }
        self.check_other_keys(map, properties, schema, path)?;
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if map.get(name).is_none() {
                return path.wrong(&format!("Missing required property '{name}'."));
            }
        }
        Ok(())
    }

    /// Keys that the schema does not name. A key given twice counts as one of them, without a name.
    fn check_other_keys(
        &self,
        map: &peregrine_yaml::Map,
        properties: &Map<String, Json>,
        schema: &Json,
        path: &Path<'_>,
    ) -> Result<(), String> {
        let known = |key: &Node| key.as_str().is_some_and(|key| properties.contains_key(key));
        match schema.get("additionalProperties") {
            Some(Json::Bool(false)) => {
                let unknown = map.0.iter().find(|(key, _)| !known(key));
                let distinct = properties.keys().filter(|name| map.get(name).is_some()).count();
                if unknown.is_none() && distinct == map.0.len() {
                    return Ok(());
                }
                let name = unknown.and_then(|(key, _)| key.as_str()).unwrap_or_default();
                path.wrong(&format!(
                    "Object contains a property that could not be validated using 'properties' or 'additionalProperties' constraints: '{name}'."
                ))
            }
            Some(schema @ Json::Object(_)) => {
                for (key, value) in map.0.iter().filter(|(key, _)| !known(key)) {
                    let step = Step::Key(key.as_str().unwrap_or_default());
                    self.check(value, schema, &Path { parent: Some(path), step })?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn check_scalar(node: &Node, schema: &Json, path: &Path<'_>) -> Result<(), String> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array)
        && !words.iter().any(|word| word.as_str() == node.as_str())
    {
        return path.wrong("Failed to match against any enum values.");
    }
    let number = node.as_f64();
    let bound = |word| schema.get(word).and_then(Json::as_f64);
    if let (Some(number), Some(most)) = (number, bound("maximum"))
        && number > most
    {
        return path.wrong(&format!("Expected number less than or equal to {most:.6}"));
    }
    if let (Some(number), Some(least)) = (number, bound("minimum"))
        && number < least
    {
        return path.wrong(&format!("Expected number greater than or equal to {least:.6}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full_schema;

    fn first_fault(yaml: &str) -> String {
        let documents = peregrine_yaml::parse(yaml).unwrap();
        validate(&documents[0], &full_schema()).err().unwrap_or_default()
    }

    #[test]
    fn right_ones() {
        assert_eq!(first_fault("engine: {kind: nodriver}\nstatic_fields: {a: 1, b: [x]}\n"), "");
        assert_eq!(first_fault("config_files: [a, {path: b, strategy: override}]\n"), "");
    }

    #[test]
    fn faults_are_worded_as_falco_does() {
        let kind = "Value type not permitted by 'type' constraint.";
        assert_eq!(first_fault("json_output: perhaps\n"), format!("<root>[json_output]: {kind}"));
        assert_eq!(
            first_fault("engine: {}\n"),
            "<root>[engine]: Missing required property 'kind'."
        );
        assert_eq!(
            first_fault("config_files: [{path: x, strategy: blend}]\n"),
            format!("<root>[config_files][0]: {kind}")
        );
        assert_eq!(
            first_fault("capture: {max_file_size_mb: -4}\n"),
            "<root>[capture][max_file_size_mb]: Expected number greater than or equal to 0.000000"
        );
        assert!(first_fault("coffee: strong\n").ends_with("constraints: 'coffee'."));
        assert!(first_fault("priority: info\npriority: debug\n").ends_with("constraints: ''."));
    }
}
