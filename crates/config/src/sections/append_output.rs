//! `append_output`: texts and fields to add to alerts.

use std::collections::BTreeSet;

use peregrine_yaml::{Node, Value};
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, IgnoredValue, Row, Setting, no_rows, refuse_scalar, text};
use crate::issue::ConfigIssue;

/// One of `append_output`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOutput {
    /// Only alerts of this source, where it is not empty.
    pub source: String,
    /// Only rules with all of these tags.
    pub tags: BTreeSet<String>,
    /// Only the rule of this name, where it is not empty.
    pub rule: String,
    /// Text to add to the output.
    pub extra_output: String,
    /// Fields to add to JSON.
    pub extra_fields: Vec<ExtraField>,
    /// Add the fields that the vocabulary itself suggests.
    pub suggested_output: bool,
}

/// One of `append_output[].extra_fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraField {
    /// A field, under its own name.
    Raw(String),
    /// A text with fields in it, under a name of its own.
    Formatted {
        /// The name.
        name: String,
        /// The text.
        format: String,
    },
}

impl Setting for AppendOutput {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "AppendOutput".to_owned(),
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "match": {
                        "type": "object", "additionalProperties": false,
                        "properties": {
                            "source": { "type": "string" },
                            "tags": { "type": "array", "items": { "type": "string" } },
                            "rule": { "type": "string" },
                        },
                    },
                    "extra_output": { "type": "string" },
                    "extra_fields": {
                        "type": "array",
                        "items": { "anyOf": [
                            { "type": "object", "additionalProperties": { "type": "string" } },
                            { "type": "string" },
                        ] },
                    },
                    "suggested_output": { "type": "boolean" },
                },
            }),
        );
        json!({ "$ref": "#/definitions/AppendOutput" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        if node.as_map().is_none() {
            return Ok(None);
        }
        let mut entry = Self::default();
        if let Some(wanted) = node.get("match") {
            refuse_scalar(wanted, &format!("{key}.match"), "source")?;
            entry.source = text(wanted, "source")?.unwrap_or_default();
            entry.rule = text(wanted, "rule")?.unwrap_or_default();
            for tag in wanted.get("tags").map(Node::items).unwrap_or_default() {
                let Some(tag) = tag.as_str() else { return Ok(None) };
                entry.tags.insert(tag.to_owned());
            }
        }
        entry.extra_output = text(node, "extra_output")?.unwrap_or_default();
        if let Some(fields) = node.get("extra_fields") {
            let Value::Seq(fields) = &fields.value else { return Ok(None) };
            for field in fields {
                match extra_field(field, &entry.extra_fields)? {
                    Some(field) => entry.extra_fields.push(field),
                    None => return Ok(None),
                }
            }
        }
        if let Some(suggested) = node.get("suggested_output") {
            let word = suggested.as_bool();
            entry.suggested_output = word.ok_or_else(|| ConfigIssue::bad_conversion(suggested))?;
        }
        Ok(Some(entry))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        let wanted = node.get("match");
        let tags = wanted.and_then(|wanted| wanted.get("tags"));
        if let Some(tags) = tags.filter(|tags| !tags.is_null() && tags.as_seq().is_none()) {
            found.push(IgnoredValue::new(tags, &format!("{key}.match.tags")));
        }
        if let Some(wanted) = wanted.filter(|wanted| !wanted.items().is_empty()) {
            found.push(IgnoredValue::new(wanted, &format!("{key}.match")));
        }
    }

    no_rows!();
}

/// A name may be given once, except that a plain field may be repeated.
fn extra_field(node: &Node, before: &[ExtraField]) -> Result<Option<ExtraField>, ConfigIssue> {
    let is_formatted = |known: &ExtraField, new| matches!(known, ExtraField::Formatted { name, .. } if name == new);
    let is_raw = |known: &ExtraField, new| matches!(known, ExtraField::Raw(name) if name == new);
    match (&node.value, node.entries()) {
        (Value::Scalar { text, .. }, _) => {
            let taken = before.iter().any(|known| is_formatted(known, text));
            Ok((!taken).then(|| ExtraField::Raw(text.clone())))
        }
        (_, [(name, format)]) => {
            let text = |node: &Node| node.as_str().map(str::to_owned);
            let name = text(name).ok_or_else(|| ConfigIssue::bad_conversion(name))?;
            let format = text(format).ok_or_else(|| ConfigIssue::bad_conversion(format))?;
            let taken = before.iter().any(|old| is_formatted(old, &name) || is_raw(old, &name));
            Ok((!taken).then_some(ExtraField::Formatted { name, format }))
        }
        _ => Ok(None),
    }
}
