//! `config_files`: further configuration files.

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, IgnoredValue, Row, Setting, no_rows, text};
use crate::issue::ConfigIssue;

/// One of `config_files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// File or directory.
    pub path: String,
    /// How its keys meet those that are there.
    pub strategy: Strategy,
}

/// How the top-level keys of an included file meet those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Lists grow, all else is replaced.
    Append,
    /// Everything is replaced.
    Override,
    /// What is there stays.
    AddOnly,
}

impl Setting for Include {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "oneOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": {
                    "path": { "type": "string" },
                    "strategy": { "type": "string", "enum": ["append", "override", "add-only"] },
                },
                "required": ["path"],
            },
        ] })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        if let Some(path) = node.as_str() {
            return Ok(Some(Self { path: path.to_owned(), strategy: Strategy::Append }));
        }
        let Some(path) = text(node, "path")? else { return Ok(None) };
        let strategy = match text(node, "strategy")?.as_deref() {
            Some("override") => Strategy::Override,
            Some("add-only") => Strategy::AddOnly,
            _ => Strategy::Append,
        };
        Ok(Some(Self { path, strategy }))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        if let Some(strategy) = node.get("strategy")
            && !matches!(strategy.as_str(), Some("append" | "override" | "add-only"))
        {
            found.push(IgnoredValue::new(strategy, &format!("{key}.strategy")));
        }
    }

    no_rows!();
}
