//! Which rules are loaded, and how many of them an event may match.

use peregrine_alert::Priority;
use peregrine_diagnostics::closest;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, no_rows, text, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// How many rules an event may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMatching {
    /// The first one.
    First,
    /// All.
    All,
}

/// One of `rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSelection {
    /// Enable, or disable.
    pub enable: bool,
    /// Rules of this name, which may hold `*`.
    pub rule: Option<String>,
    /// Rules of this tag.
    pub tag: Option<String>,
}

words!(
    RuleMatching, { "type": "string" }, "first",
    { "first" => Self::First, "all" => Self::All },
    str::to_ascii_lowercase,
    |word| ConfigIssue::new(ConfigCode::Value, format!(
        "Unknown rule matching strategy \"{word}\"--must be one of first, all"
    ))
);

impl Setting for Priority {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(word) = node.as_str() else { return Ok(None) };
        word.parse().map(Some).map_err(|_| {
            let issue = ConfigIssue::new(ConfigCode::Value, format!(
                "Unknown priority \"{word}\"--must be one of emergency, alert, critical, error, warning, notice, informational, debug"
            ));
            let issue = match similar_priority(word) {
                Some(name) => issue.help(format!("did you mean `{name}`?")),
                None => issue,
            };
            issue.at(node)
        })
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        let default = self.name().to_ascii_lowercase();
        rows.push(Row { key: key.into(), default, about: about.into() });
    }
}

/// A priority that a word is the beginning of, as in syslog (`warn`, `crit`), or resembles.
fn similar_priority(word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let names = Priority::ALL.map(|priority| priority.name().to_ascii_lowercase());
    let begun = names.iter().find(|name| word.len() > 2 && name.starts_with(&word));
    begun.cloned().or_else(|| closest(&word, names.iter().map(String::as_str)).map(str::to_owned))
}

impl Setting for RuleSelection {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "Able".to_owned(),
            json!({
                "type": "object", "title": "Able", "additionalProperties": false,
                "minProperties": 1,
                "properties": { "rule": { "type": "string" }, "tag": { "type": "string" } },
            }),
        );
        let able = json!({ "$ref": "#/definitions/Able" });
        definitions.insert(
            "Rule".to_owned(),
            json!({
                "type": "object", "title": "Rule", "additionalProperties": false,
                "minProperties": 1,
                "properties": { "enable": able, "disable": able },
            }),
        );
        json!({ "$ref": "#/definitions/Rule" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let (enable, what) = match (node.get("enable"), node.get("disable")) {
            (Some(what), _) => (true, what),
            (None, Some(what)) => (false, what),
            (None, None) => return Ok(None),
        };
        let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        let rule = non_empty(text(what, "rule")?);
        let tag = non_empty(text(what, "tag")?);
        Ok((rule.is_some() || tag.is_some()).then_some(Self { enable, rule, tag }))
    }

    no_rows!();
}
