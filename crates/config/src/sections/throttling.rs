//! `alert_throttling`: how many alerts of a rule are sent.

use std::time::Duration;

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::metrics::milliseconds;
use crate::declare::{Definitions, IgnoredValue, Row, Setting, no_rows, refuse_scalar, text};
use crate::issue::{ConfigCode, ConfigIssue};

/// One of `alert_throttling`. A rule is throttled by the first one that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertThrottling {
    /// Rules of these names, in which `*` matches any text; all if `tags` is empty too.
    pub rules: Vec<String>,
    /// Rules with one of these tags.
    pub tags: Vec<String>,
    /// Alerts that are sent in each window.
    pub max: u32,
    /// The length of a window.
    pub window: Duration,
    /// Fields whose values are told apart.
    pub key: Vec<String>,
}

impl Setting for AlertThrottling {
    fn schema(definitions: &mut Definitions) -> Json {
        let texts = json!({ "type": "array", "items": { "type": "string" } });
        definitions.insert(
            "AlertThrottling".to_owned(),
            json!({
                "type": "object", "title": "AlertThrottling", "additionalProperties": false,
                "required": ["max", "window"],
                "properties": {
                    "rules": texts, "tags": texts,
                    "max": { "type": "integer", "minimum": 1 },
                    "window": { "type": "string" },
                    "key": texts,
                },
            }),
        );
        json!({ "$ref": "#/definitions/AlertThrottling" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        refuse_scalar(node, key, "rules")?;
        let texts = |name: &str| match node.get(name) {
            Some(node) => Vec::<String>::read(node, &format!("{key}.{name}")),
            None => Ok(None),
        };
        let wrong = |name: &str, message: &str, help: &str| {
            let issue = ConfigIssue::new(ConfigCode::Value, format!("{key}.{name}: {message}"));
            issue.at(node.get(name).unwrap_or(node)).help(help)
        };
        let max = node.get("max").and_then(Node::as_u64).and_then(|max| u32::try_from(max).ok());
        let Some(max) = max.filter(|max| *max > 0) else {
            return Err(wrong("max", "it must be a number from 1 on", "such as `max: 10`"));
        };
        let window = text(node, "window")?.and_then(|window| milliseconds(&window));
        let window = window.map(Duration::from_millis).filter(|window| !window.is_zero());
        let Some(window) = window else {
            return Err(wrong("window", "it must be a time", "such as `window: 1m`"));
        };
        let [rules, tags, key] = ["rules", "tags", "key"].map(texts);
        Ok(Some(Self {
            rules: rules?.unwrap_or_default(),
            tags: tags?.unwrap_or_default(),
            max,
            window,
            key: key?.unwrap_or_default(),
        }))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        for name in ["rules", "tags", "key"] {
            if let Some(value) = node.get(name) {
                Vec::<String>::ignored(value, &format!("{key}.{name}"), found);
            }
        }
    }

    no_rows!();
}
